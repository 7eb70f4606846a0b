"""Blobs of which nothing was known are recorded in few statements, as the others are in more."""

import sqlite3
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from regcache.store import index_contents, index_names
from regcache.store.index_contents import Proof
from regcache.store.index_names import Statement
from regcache.store.index_schema import digest_key, migrate
from tests.support.index_cases import BLOB, HUB, content_of, manifest_of, mention, repository_of

PROOF = Proof("who.secret", 100.0, 0)
Prepare = Callable[[sqlite3.Connection], object]


def prepared(prepare: Prepare) -> sqlite3.Connection:
    """An index in which one repository is known, and something more."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    connection.execute("UPDATE writers SET name = 'w'")
    first = content_of("library/a", manifest_of(first=1).digest)
    index_contents.record_link(connection, first, PROOF)
    prepare(connection)
    return connection


def rows(connection: sqlite3.Connection) -> dict[str, list[object]]:
    """All that is in it."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {
        name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}"))) for (name,) in names
    }


def record_long(connection: sqlite3.Connection, name: str = "library/a") -> None:
    """Record a blob as if something might be known of it."""
    number = index_contents.store_content(
        connection, BLOB, 5, media_type="", public=True, now=PROOF.now
    )
    index_contents.link_content(connection, repository_of(name), number, PROOF)


def record(connection: sqlite3.Connection, name: str = "library/a") -> None:
    """Record the same blob."""
    index_contents.record_blob(connection, content_of(name), 5, True, PROOF)


def listed(connection: sqlite3.Connection) -> None:
    """A stored manifest lists the blob."""
    statement = Statement((mention(BLOB, 5),), None)
    index_names.record_manifest(
        connection, repository_of("library/a"), manifest_of(b=1), statement, PROOF
    )


def leaving(connection: sqlite3.Connection) -> None:
    """Its file was about to be removed when the daemon ended."""
    connection.execute("INSERT INTO leaving VALUES (?)", (digest_key(BLOB),))


def evicted(connection: sqlite3.Connection) -> None:
    """Something was evicted before."""
    connection.execute("UPDATE eviction SET floor = 1.5, freed = 7")


def statements(connection: sqlite3.Connection, step: Callable[[], object]) -> list[str]:
    """The statements of a step; SQLite tells of each once more for all that triggers do in it."""
    seen: list[str] = []
    connection.set_trace_callback(seen.append)
    step()
    connection.set_trace_callback(None)
    return list(dict.fromkeys(seen))


class FirstRecordTests(SynchronousTestCase):
    """A blob that was never seen."""

    def test_same_rows(self) -> None:
        """The few statements leave just what the many do."""
        for prepare in (lambda connection: None, listed, leaving, evicted):
            with self.subTest(prepare=prepare):
                short, long = prepared(prepare), prepared(prepare)
                self.addCleanup(short.close)
                self.addCleanup(long.close)
                before = rows(short)
                record(short)
                record_long(long)
                self.assertEqual(rows(short), rows(long))
                self.assertNotEqual(rows(short), before)

    def test_few_statements(self) -> None:
        """Recording it takes one question and a statement for each table; finding it takes one."""
        connection = prepared(listed)
        self.addCleanup(connection.close)
        self.assertEqual(len(statements(connection, lambda: record(connection))), 5)
        find = index_contents.find_content
        seen = statements(connection, lambda: find(connection, content_of("library/a")))
        self.assertEqual(len(seen), 1)

    def test_new_repository(self) -> None:
        """The first blob of a repository, or of an upstream, is recorded too."""
        for name, upstream in (("library/b", HUB), ("a", HUB._replace(name="new"))):
            connection = prepared(lambda connection: None)
            self.addCleanup(connection.close)
            content = content_of(name, upstream=upstream)
            self.assertIsNone(index_contents.find_content(connection, content).link)
            index_contents.record_blob(connection, content, 5, True, PROOF)
            facts = index_contents.find_content(connection, content)
            self.assertEqual((facts.size, facts.link is not None), (5, True))

    def test_known_before(self) -> None:
        """What was removed since it was asked for is not recorded, though it is not here."""
        connection = prepared(lambda connection: None)
        self.addCleanup(connection.close)
        connection.execute(
            "INSERT INTO contents (digest, generation) VALUES (?, 3)", (digest_key(BLOB),)
        )
        record(connection)
        self.assertIsNone(index_contents.find_content(connection, content_of("library/a")).link)
