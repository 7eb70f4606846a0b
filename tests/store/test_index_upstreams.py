"""What becomes of what is kept when the upstream of a name becomes another one."""

import json
import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.facts import Link, TagFact, Verdict
from regcache.identity import UpstreamIdentity
from regcache.store.identities import KNOWN, describe, predecessor, understand
from regcache.store.index_schema import MIGRATIONS, digest_key, migrate, schema_version
from tests.support.index_cases import (
    BLOB,
    HUB,
    OTHER,
    QUAY,
    MemoryIndexCase,
    SqliteIndexCase,
    repository_of,
)

ALL = ["link", "linked elsewhere", "tag", "tags", "verdict", "closed", "catalog"]


class UpstreamSteps:
    """One repository, "a", of an upstream that changes."""

    def fill(self, upstream: UpstreamIdentity, digest: Digest = BLOB) -> None:
        """Keep something of each kind."""
        repository = repository_of("a", upstream)
        self.blob("a", digest, upstream=upstream, credentials="c", public=False)
        self.successResultOf(self.index.record_tag(repository, "latest", digest, 1.0))
        self.successResultOf(self.index.record_verdict(repository, True, 1.0))
        self.successResultOf(self.index.record_closed(repository, 1.0))

    def known(self, upstream: UpstreamIdentity, digest: Digest = BLOB) -> list[str]:
        """What is known."""
        repository = repository_of("a", upstream)
        facts = self.facts("a", digest, upstream)
        answers = {
            "link": facts.link,
            "linked elsewhere": facts.upstream_linked,
            "tag": self.tag(upstream) == digest,
            "tags": self.tags("a", upstream),
            "verdict": self.successResultOf(self.index.verdict(repository)),
            "closed": self.successResultOf(self.index.closed_since(repository)),
            "catalog": self.listed("", 9, upstream),
        }
        return [what for what, answer in answers.items() if answer]

    def tag(self, upstream: UpstreamIdentity) -> Digest | None:
        """Where its tag points."""
        fact = self.successResultOf(self.index.tag(repository_of("a", upstream), "latest"))
        return None if fact is None else fact.digest


class UpstreamPromises(UpstreamSteps):
    """The promises; the classes below say of which index."""

    def test_another_registry(self) -> None:
        """What was kept for another registry with the name is not known, until that is back."""
        other = HUB._replace(urls=("https://other.test",))
        self.fill(HUB)
        self.assertEqual(self.known(HUB), ALL)
        self.assertEqual(self.known(other), [])
        self.fill(other, OTHER)
        self.assertEqual(self.known(other, OTHER), ALL)
        self.assertEqual(self.known(HUB), ALL)

    def test_mirrors(self) -> None:
        """What is kept stays known while a URL stays, though in the end all of them are others."""
        self.fill(HUB)
        for urls in (("https://b.test", *HUB.urls), ("https://b.test",), ("https://b.test", "c")):
            upstream = HUB._replace(urls=urls)
            self.assertEqual(self.known(upstream), ALL)
            self.fill(upstream)
        self.assertEqual(self.known(HUB), [])

    def test_other_eyes(self) -> None:
        """What some users saw is not known where others look, or the public."""
        private = HUB._replace(users=frozenset(["u", "v"]), serve_private=True)
        self.fill(private)
        for other in (
            private._replace(users=frozenset(["u"])),
            private._replace(serve_private=False),
            private._replace(users=frozenset(), serve_private=False),
        ):
            self.assertEqual(self.known(other), [])
        self.assertEqual(self.known(private._replace(users=frozenset(["u", "v", "w"]))), ALL)

    def test_fewer_eyes_than_once(self) -> None:
        """Nor is it known by those who saw it before more users did."""
        one = HUB._replace(users=frozenset(["u"]), serve_private=True)
        self.fill(one)
        self.fill(one._replace(users=frozenset(["u", "v"])))
        self.assertEqual(self.known(one), [])

    def test_quota(self) -> None:
        """Where credentials only raise the quota, whose they are changes nothing."""
        self.fill(HUB._replace(users=frozenset(["u"])))
        for users in ((), ("v",)):
            self.assertEqual(self.known(HUB._replace(users=frozenset(users))), ALL)

    def test_other_names(self) -> None:
        """A name is a part of it, also where URLs are shared."""
        self.fill(HUB)
        self.assertEqual(self.known(HUB._replace(name="mirror")), [])


class SqliteUpstreamTests(UpstreamPromises, SqliteIndexCase):
    """The real index."""

    def test_restart(self) -> None:
        """All of it holds for the next process, too."""
        other = HUB._replace(urls=("https://other.test",))
        self.fill(HUB)
        self.fill(other, OTHER)
        self.successResultOf(self.index.close())
        self.index = self.open()
        self.assertEqual((self.tag(HUB), self.tag(other)), (BLOB, OTHER))

    def test_unreadable(self) -> None:
        """Nobody goes on with an upstream that cannot be understood."""
        self.fill(HUB)
        for text in ("", "[]", "{}", '{"name": 1}', "[" * 100_000):
            self.file.write([lambda connection, text=text: _spoil(connection, text)])
            self.assertEqual(self.known(HUB), [], text[:20])

    def test_searched(self) -> None:
        """The upstreams of a name are found by an index, in their order."""
        rows = self.file.read(
            lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {KNOWN}", ("",)).fetchall()
        )
        (step,) = (row[3] for row in rows)
        self.assertIn("USING INDEX upstreams_by_name", step)


def _spoil(connection: sqlite3.Connection, text: str) -> None:
    connection.execute("UPDATE upstreams SET identity = ?", (text,))


class MemoryUpstreamTests(UpstreamPromises, MemoryIndexCase):
    """The fake index."""


def make_earlier(path: str) -> None:
    """Write what the version before there were identities wrote."""
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, MIGRATIONS[:2])
    for statement, values in (
        ("contents (id, digest, size) VALUES (7, ?, 5)", (digest_key(BLOB),)),
        ("repositories (id, upstream, name) VALUES (3, ?, ?)", (HUB.name, "a")),
        ("links VALUES (7, ?, 3, 1.5, 'old')", (HUB.name,)),
        ("tags VALUES (3, 'latest', ?, 2.5)", (digest_key(BLOB),)),
        ("verdicts VALUES (1, ?, 'a', 1, 3.5)", (QUAY.name,)),
    ):
        connection.execute(f"INSERT INTO {statement}", values)
    connection.close()


class MigrationTests(SqliteIndexCase):
    """An index from before there were identities."""

    def setUp(self) -> None:
        super().setUp()
        self.successResultOf(self.index.close())
        self.path += ".earlier"
        make_earlier(self.path)
        self.index = self.open()

    def test_kept(self) -> None:
        """It is kept, for the upstreams that have its names at the first start."""
        self.assertEqual(self.file.read(schema_version), len(MIGRATIONS))
        self.assertEqual(self.facts("a", BLOB).link, Link(1.5, "old"))
        tag = self.index.tag(repository_of("a"), "latest")
        self.assertEqual(self.successResultOf(tag), TagFact(BLOB, 2.5))
        self.assertEqual(self.listed("", 9), ["a"])
        verdict = self.index.verdict(repository_of("a", QUAY))
        self.assertEqual(self.successResultOf(verdict), Verdict(True, 3.5))

    def test_of_one(self) -> None:
        """Once one of them has used it, it is not another one's that has the name later."""
        later = HUB._replace(urls=("https://other.test",))
        self.successResultOf(self.index.record_tag(repository_of("b"), "latest", BLOB, 4.0))
        self.assertIsNone(self.facts("a", BLOB, later).link)
        self.assertEqual(self.facts("a", BLOB).link, Link(1.5, "old"))


class DescriptionTests(SynchronousTestCase):
    """Identities as JSON."""

    def test_understood(self) -> None:
        """What is described is understood."""
        for upstream in (HUB, UpstreamIdentity("x", ("a", "b"), frozenset(["u", "v"]), True)):
            document = json.loads(json.dumps(describe(upstream)))
            self.assertEqual(understand(document), upstream)

    def test_nonsense(self) -> None:
        """Everything else is refused."""
        right = describe(HUB)
        for wrong in (
            {"name": None},
            {"serve_private": 1},
            {"urls": "a"},
            {"urls": [1]},
            {"users": {}},
            {"users": [None]},
        ):
            self.assertRaises(ValueError, understand, {**right, **wrong})
        self.assertRaises(ValueError, understand, [])

    def test_predecessor(self) -> None:
        """The very same is preferred, then the latest that it continues."""
        a, b = (HUB._replace(urls=(url,)) for url in "ab")
        both = HUB._replace(urls=("a", "b"))
        self.assertEqual(predecessor(a, [a, both]), 0)
        self.assertEqual(predecessor(both, [a, b]), 1)
        self.assertEqual(predecessor(a, [None]), 0)
        self.assertIsNone(predecessor(a, [b]))
        self.assertIsNone(predecessor(a, []))
