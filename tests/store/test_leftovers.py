"""What earlier versions left of cleared repositories: not told, and removed step by step."""

import random
import sqlite3
from typing import Any

from twisted.internet.task import Clock

from regcache.digests import Digest
from regcache.facts import Descriptor, Subject
from regcache.store import index_schema, leftovers
from regcache.store.index_checks import find_progress
from regcache.store.index_file import RETRY, IndexFile
from regcache.store.index_schema import (
    LEFTOVERS,
    MIGRATIONS,
    SAME_TABLES,
    digest_key,
    migrate,
    schema_version,
)
from regcache.store.leftovers import AGAIN, PAUSE
from tests.support.index_cases import (
    BLOB,
    OTHER,
    IndexFileCase,
    SqliteIndexCase,
    blob,
    content_of,
    manifest_of,
    mention,
)

_WITHOUT_A_RIGHT = """
SELECT count(*) FROM {} t WHERE NOT EXISTS (
    SELECT 1 FROM links l WHERE l.content_id = t.manifest_id AND l.repository_id = t.repository_id)
"""


def without_a_right(connection: sqlite3.Connection) -> list[int]:
    """How many rows of both tables have none."""
    tables = ("shown", "referrers")
    return [connection.execute(_WITHOUT_A_RIGHT.format(each)).fetchone()[0] for each in tables]


def all_rows(connection: sqlite3.Connection) -> list[list[Any]]:
    """The rows of both tables."""
    tables = ("shown", "referrers")
    return [connection.execute(f"SELECT * FROM {each}").fetchall() for each in tables]


class LeftoversCase(SqliteIndexCase):
    """A test with an index of an earlier version."""

    def setUp(self) -> None:
        self.patch(leftovers, "MOST_LOOKED_AT", 3)
        super().setUp()

    def fill(self, seed: int = 0) -> list[list[Any]]:
        """Fill it, and leave rows without a right. Returns what is to stay."""
        numbers = random.Random(seed)
        for number in range(6):
            about = manifest_of(subject=number)
            layers = [mention(Digest.of(b"%d" % numbers.randrange(9)), 5) for _ in range(2)]
            self.manifest(manifest_of(a=number), *layers, repository=f"library/{number % 3}")
            self.manifest(about, subject=self.subject(), repository=f"library/{number % 3}")
        stays: list[list[Any]] = self.file.read(all_rows)

        def leave(connection: sqlite3.Connection) -> None:
            for _ in range(20):
                number, manifest = numbers.randrange(1, 6), numbers.randrange(99, 2**40)
                digest = digest_key(Digest.of(b"%d" % numbers.randrange(9)))
                connection.execute(
                    "INSERT INTO shown VALUES (?, ?, 5, ?)", (number, digest, manifest)
                )
                connection.execute(
                    "INSERT INTO referrers VALUES (?, ?, ?)", (number, digest, manifest)
                )
            connection.execute("PRAGMA user_version = 12")

        self.assertEqual(self.file.write([leave]), [None])
        self.assertEqual(self.file.read(without_a_right), [20, 20])
        return stays

    def subject(self) -> Subject:
        """What manifests refer to."""
        return Subject(BLOB, "application/x", {})

    def restart(self) -> None:
        """Close it, and open it again."""
        self.successResultOf(self.index.close())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.index = self.open()

    def steps(self, most: int = 1000) -> int:
        """Let steps be taken until nothing is left; how many there were."""
        for count in range(most):
            if not self.file.read(find_progress, LEFTOVERS):
                return count
            self.clock.advance(PAUSE)
        return most


class StepTests(LeftoversCase):
    """Their removal."""

    def test_any(self) -> None:
        """All of them go, and nothing else, in steps of a few rows."""
        stays = self.fill()
        self.restart()
        self.assertEqual(self.file.read(without_a_right), [20, 20])
        rows = [len(each) for each in self.file.read(all_rows)]
        self.assertEqual(self.steps(), sum(each // 3 + 1 for each in rows))
        self.assertEqual(self.file.read(all_rows), stays)
        self.assertEqual(self.file.read(schema_version), len(MIGRATIONS))

    def test_killed(self) -> None:
        """Wherever it is killed, the next start goes on from there."""
        for seed in range(1, 12):
            stays = self.fill(seed)
            self.restart()
            before = self.steps(seed)
            left = self.file.read(without_a_right)
            self.file.close()  # the file is as a kill leaves it
            self.clock = Clock()
            self.index = self.open()
            self.assertEqual(self.file.read(without_a_right), left)
            rows = [len(each) for each in self.file.read(all_rows)]
            self.assertLessEqual(self.steps(), sum(each // 3 + 1 for each in rows))
            self.assertEqual((before, self.file.read(all_rows)), (seed, stays))
            self.successResultOf(self.index.close())
            super().setUp()

    def test_full_disk(self) -> None:
        """A step that finds no room takes nothing back of those before, and is tried again."""
        stays = self.fill()
        self.restart()
        self.steps(4)
        left, noted = self.file.read(without_a_right), leftovers.note_progress
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL

        def full(*_: object) -> None:
            raise error

        patch = self.patch(leftovers, "note_progress", full)
        self.steps(5)
        self.assertEqual(self.file.read(without_a_right), left)
        patch.restore()
        self.assertIs(leftovers.note_progress, noted)
        self.clock.advance(AGAIN)
        self.steps()
        self.assertEqual(self.file.read(all_rows), stays)

    def test_new(self) -> None:
        """In a new index, and in one that is done, there is nothing to do."""
        self.assertEqual(self.steps(), 0)
        self.fill()
        self.restart()
        self.assertGreater(self.steps(), 0)
        self.restart()
        self.assertEqual(self.steps(), 0)


class ToldTests(LeftoversCase):
    """What clients are told before that."""

    def test_not_told(self) -> None:
        """A repository with the number of a cleared one is not shown what that was."""
        manifest, about = manifest_of(a=1), manifest_of(subject=1)
        self.manifest(manifest, mention(OTHER, 7), repository="library/other")
        self.manifest(about, subject=self.subject(), repository="library/other")
        self.blob("library/a")
        for each in ("library/other", "library/a"):
            self.assertEqual(self.told(each)[0] is None, each == "library/a")

        def leave(connection: sqlite3.Connection) -> None:
            (number,) = connection.execute(
                "SELECT id FROM repositories WHERE name = 'library/a'"
            ).fetchone()
            connection.execute(
                "INSERT INTO shown SELECT ?, digest, size, manifest_id FROM shown", (number,)
            )
            connection.execute(
                "INSERT INTO referrers SELECT ?, subject, manifest_id FROM referrers", (number,)
            )

        self.assertEqual(self.file.write([leave]), [None])
        self.assertEqual(self.told("library/a"), (None, [], None))
        self.assertEqual(self.told("library/other")[0], 7)
        self.assertEqual([one.digest for one in self.told("library/other")[1]], [about.digest])
        self.assertEqual(self.told("library/other")[2], 7)
        self.manifest(manifest, mention(OTHER, 7), repository="library/a")
        self.assertEqual(self.told("library/a"), (7, [], 7))

    def told(self, repository: str) -> tuple[int | None, list[Descriptor], int | None]:
        """What is told of a mentioned size, of referrers and of the size of an image."""
        referrers = self.index.referrers(content_of(repository, BLOB))
        size = self.index.image_size(content_of(repository, OTHER), 0)
        mentioned = self.facts(repository, OTHER).mentioned_size
        return mentioned, self.successResultOf(referrers), self.successResultOf(size)

    def test_several_sizes(self) -> None:
        """Where manifests contradict one another no size is taken."""
        for number, size in enumerate((7, 7, 8)):
            self.manifest(manifest_of(a=number), mention(OTHER, size), repository="library/a")
            sizes = self.facts("library/a", OTHER).mentioned_size
            self.assertEqual(sizes, 7 if number < 2 else None)


class EarlierVersionTests(IndexFileCase):
    """An index of the version before, where it cannot be changed."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.file = IndexFile(self.path, seconds=self.clock.seconds)
        self.addCleanup(self.file.close)
        self.filled(backup=False)
        self.file.open()
        self.file.write([lambda connection: connection.execute("PRAGMA user_version = 12")])
        self.file.close()

    def test_full_disk(self) -> None:
        """What is in it is known, and it gets its version when there is room."""

        def full(*_: object) -> None:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

        patch = self.patch(index_schema, "_apply", full)
        self.file.open()
        self.assertIn("it is only read", self.file.problem)
        self.assertEqual((self.size(), self.file.read(schema_version)), (5, 12))
        self.assertEqual(self.file.write([blob(OTHER, 7)]), [None])
        patch.restore()
        self.clock.advance(RETRY)
        self.assertEqual((self.size(), self.size(OTHER)), (5, 7))
        self.assertEqual((self.file.read(schema_version), self.file.problem), (13, ""))

    def test_same_tables(self) -> None:
        """A version that is read as it is has the tables of the later one."""
        for earlier, later in SAME_TABLES:
            schemas = []
            for version in (earlier, later):
                connection = sqlite3.connect(":memory:", isolation_level=None)
                migrate(connection, MIGRATIONS[:version])
                rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
                schemas.append(sorted(map(str, rows)))
                connection.close()
            self.assertEqual(schemas[0], schemas[1])
