"""The index stays fast and small: no walking, and a bound for everything that others choose."""

import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.facts import Descriptor, Manifest, Subject
from regcache.manifest_body import MOST_DESCRIPTORS
from regcache.store import index_checks, index_contents, index_names
from regcache.store.index_names import (
    LONGEST_MEDIA_TYPE,
    MOST_ANNOTATIONS,
    clean_media_type,
)
from regcache.store.index_schema import digest_from_key, digest_key, migrate
from tests.support.index_cases import (
    BLOB,
    HUB,
    OTHER,
    SqliteIndexCase,
    content_of,
    manifest_of,
    mention,
    repository_of,
)


class PlanTests(SynchronousTestCase):
    """How SQLite means to find what is asked for."""

    def setUp(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(self.connection.close)
        migrate(self.connection)

    def plan(self, statement: str) -> list[str]:
        """The steps, without those that read no table."""
        names = {"upstream": "", "repository": "", "digest": b"", "name": "", "most": 1}
        names["identity"] = ""
        names["low"] = names["high"] = b""
        arguments = names if ":" in statement else ("",) * statement.count("?")
        rows = self.connection.execute(f"EXPLAIN QUERY PLAN {statement}", arguments)
        return [
            row[3]
            for row in rows
            if row[3].startswith(("SCAN", "SEARCH", "USE TEMP"))
            and not row[3].startswith(("SCAN (subquery", "SCAN CONSTANT ROW"))
        ]

    def test_searched(self) -> None:
        """Each question is answered by probing indexes: nothing is scanned, nothing sorted."""
        statements = (
            index_contents.CONTENT,
            index_contents.NOVELTY,
            index_contents.MENTIONING,
            index_names.TAG,
            index_names.TAGS,
            index_names.REPOSITORIES,
            index_names.REFERRERS,
            index_names.VERDICT,
        )
        for statement in statements:
            with self.subTest(statement=statement):
                steps = self.plan(statement)
                self.assertTrue(steps)
                self.assertEqual([s for s in steps if not s.startswith("SEARCH")], [])

    def test_content_is_covered(self) -> None:
        """The sizes of mentions and the links come from the keys alone."""
        steps = " ".join(self.plan(index_contents.CONTENT))
        self.assertIn("SEARCH shown USING PRIMARY KEY (repository_id=? AND digest=?)", steps)
        self.assertIn("SEARCH links USING PRIMARY KEY (content_id=? AND upstream=?)", steps)

    def test_known_manifests(self) -> None:
        """What a repository has is searched by its number; only a few candidates are sorted."""
        steps = self.plan(index_names.KNOWN_MANIFESTS)
        walked = {step for step in steps if step.startswith("SCAN")}
        self.assertEqual(walked, {"SCAN t", "SCAN k"})  # the candidates that were found
        for table in ("tags", "shown"):
            self.assertIn(f"SEARCH {table} USING PRIMARY KEY (repository_id=?)", steps)

    def test_listing(self) -> None:
        """A page of repositories is read from an index that has no empty ones."""
        (step,) = self.plan(index_names.REPOSITORIES)
        self.assertIn("USING INDEX repositories_listed", step)

    def test_folder(self) -> None:
        """What a folder should have is found by its digests, not in all that is on the disk."""
        content, place = self.plan(index_checks.STORED)
        self.assertIn("sqlite_autoindex_contents_1 (digest>? AND digest<?)", content)
        self.assertIn("SEARCH p USING PRIMARY KEY (content_id=? AND place=?)", place)

    def test_keys(self) -> None:
        """A digest is what its key says."""
        for digest in (BLOB, OTHER):
            self.assertEqual(digest_from_key(digest_key(digest)), digest)

    def test_verdicts_bounded(self) -> None:
        """Only the latest verdicts are kept; one that is asked again is a late one."""
        for name in ("a", "b", "a", "c"):
            index_names.record_verdict(self.connection, repository_of(name), True, 1.0, most=2)
        kept = [
            name
            for name in ("a", "b", "c")
            if index_names.find_verdict(self.connection, repository_of(name)) is not None
        ]
        self.assertEqual(kept, ["a", "c"])


class BoundTests(SqliteIndexCase):
    """What a manifest's author chooses."""

    def test_mentions(self) -> None:
        """As many descriptors are kept as a manifest may have."""
        many = [mention(Digest.of(b"%d" % number), 1) for number in range(MOST_DESCRIPTORS - 1)]
        self.manifest(manifest_of(a=1), *many, mention(BLOB, 5))
        self.assertEqual(self.facts("library/a", many[-1].digest).mentioned_size, 1)
        self.assertEqual(self.facts("library/a", BLOB).mentioned_size, 5)

    def test_long_media_type(self) -> None:
        """A media type is kept up to the length that one can have."""
        content = b"{}"
        self.manifest(Manifest(Digest.of(content), "a/" + "b" * 1000, content))
        kept = self.facts("library/a", Digest.of(content)).media_type
        self.assertEqual(len(kept), LONGEST_MEDIA_TYPE)

    def test_surrogates(self) -> None:
        """Text that UTF-8 cannot express does no harm."""
        odd = Descriptor(BLOB, 5, "\ud800")
        self.manifest(manifest_of(), odd, subject=Subject(OTHER, "\ud800", (("\udfff", "\ud800"),)))
        (referrer,) = self.successResultOf(self.index.referrers(content_of("library/a", OTHER)))
        self.assertEqual((referrer.artifact_type, referrer.annotations), ("?", (("?", "?"),)))
        self.assertEqual(clean_media_type("\ud800"), "?")

    def test_page(self) -> None:
        """A page has at most so many repositories, and at least none."""
        self.blob()
        pages = [
            self.successResultOf(self.index.repositories(HUB, "", limit)) for limit in (10**30, -1)
        ]
        self.assertEqual([len(page) for page in pages], [1, 0])

    def test_page_of_tags(self) -> None:
        """A page of any asked size has no more tags than the limit."""
        self.patch(index_names, "MOST_TAGS", 3)
        for tag in "abcde":
            self.successResultOf(self.index.record_tag(repository_of("library/a"), tag, BLOB, 1.0))
        self.assertEqual(self.tags(limit=10**30), ["a", "b", "c"])

    def test_annotations(self) -> None:
        """Annotations that do not fit together are left out, and those that do are kept."""
        annotations = (("long", "x" * MOST_ANNOTATIONS), ("short", "y"))
        self.manifest(manifest_of(), subject=Subject(OTHER, "", annotations))
        (referrer,) = self.successResultOf(self.index.referrers(content_of("library/a", OTHER)))
        self.assertEqual(referrer.annotations, (("short", "y"),))
