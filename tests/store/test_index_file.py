"""The index's file: damage, versions, a full disk."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from regcache.digests import Digest
from regcache.store import aside, index_opening
from regcache.store.index import SqliteIndex
from regcache.store.index_contents import occupied_bytes
from regcache.store.index_copy import MOST_DAMAGED
from regcache.store.index_file import (
    RETRY,
    IndexFile,
    IndexWriteError,
)
from regcache.store.index_opening import connect
from regcache.store.index_schema import MIGRATIONS, IndexVersionError, schema_version
from tests.store.stores import raiser
from tests.support.index_cases import BLOB, OTHER, IndexFileCase, blob
from tests.support.pools import ImmediatePool

MANY = [Digest.of(b"%d" % number) for number in range(600)]
"""As many digests as fill some pages."""


def overwrite_all(path: str) -> None:
    """Put garbage where the database was."""
    size = os.path.getsize(path)
    with open(path, "wb") as file:
        file.write(b"garbage!" * (size // 8))


def overwrite_most(path: str) -> None:
    """Put garbage behind the first page."""
    pages = os.path.getsize(path) // 4096
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * (pages - 1))


def truncate_half(path: str) -> None:
    """Cut the database in two."""
    os.truncate(path, os.path.getsize(path) // 2)


def truncate_all(path: str) -> None:
    """Leave an empty file."""
    os.truncate(path, 0)


def drop_table(path: str) -> None:
    """Take a table away."""
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE shown")
    connection.close()


def forget_version(path: str) -> None:
    """Make it a database of some other program."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 0")
    connection.close()


def empty_totals(path: str) -> None:
    """Take the total away."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DELETE FROM totals")
    connection.close()


DAMAGES: tuple[Callable[[str], None], ...] = (
    overwrite_all,
    truncate_half,
    truncate_all,
    drop_table,
    forget_version,
    empty_totals,
)


class DamageTests(IndexFileCase):
    """A file that is found damaged when it is opened."""

    def again(self) -> None:
        """Begin with a new file behind the damages of an earlier one."""
        self.file.close()
        self.setUp()

    def test_restored(self) -> None:
        """After any damage the last copy takes the file's place, and the file is kept."""
        for damage in DAMAGES:
            with self.subTest(damage=damage.__name__):
                self.again()
                self.filled(backup=True)
                damage(self.path)
                self.file.open()
                self.assertEqual(self.size(), 5)
                self.assertEqual(len(self.damaged()), 1)
                self.assertTrue(os.path.exists(self.file.backup_path))

    def test_begun_anew(self) -> None:
        """Where there is no copy an empty index begins, and can be written."""
        for damage in DAMAGES:
            with self.subTest(damage=damage.__name__):
                self.again()
                self.filled(backup=False)
                damage(self.path)
                self.file.open()
                self.assertIsNone(self.size())
                self.assertEqual(self.file.write([blob()]), [None])
                self.assertEqual(self.size(), 5)
                self.assertEqual(len(self.damaged()), 1)

    def test_damaged_copy(self) -> None:
        """A copy that is damaged too is not used."""
        self.filled(backup=True)
        overwrite_all(self.path)
        overwrite_all(self.file.backup_path)
        self.file.open()
        self.assertIsNone(self.size())
        self.assertEqual(self.file.write([blob(size=6)]), [None])

    def test_missing(self) -> None:
        """A file that is gone is replaced by its copy."""
        self.filled(backup=True)
        os.unlink(self.path)
        self.file.open()
        self.assertEqual(self.size(), 5)
        self.assertEqual(self.damaged(), [])

    def test_stale_log(self) -> None:
        """The write-ahead log of a damaged file goes with it, and is not played into the next."""
        self.filled(backup=True)
        self.file.open()
        reader = sqlite3.connect(self.path)
        self.addCleanup(reader.close)
        reader.execute("SELECT count(*) FROM contents").fetchone()
        self.file.write([blob(OTHER, 7)])
        self.file.recover("a test says so")
        self.assertEqual((self.size(), self.size(OTHER)), (5, None))
        (aside,) = self.damaged()
        self.assertTrue(os.path.exists(f"{aside}-wal"))

    def test_few_are_kept(self) -> None:
        """A disk that damages again and again is not filled with what was moved aside."""
        for _ in range(MOST_DAMAGED + 2):
            self.filled(backup=False)
            overwrite_all(self.path)
        self.file.open()
        self.assertEqual(len(self.damaged()), MOST_DAMAGED)

    def test_while_open(self) -> None:
        """Damage that shows in a reading replaces the file, and the reading is answered."""
        self.filled(backup=True, more=MANY)
        self.file.open()
        overwrite_most(self.path)
        self.assertEqual(self.size(MANY[300]), 300)
        self.assertEqual(len(self.damaged()), 1)

    def test_while_writing(self) -> None:
        """Damage that shows in a change replaces the file, and the change is made."""
        self.filled(backup=True, more=MANY)
        self.file.open()
        overwrite_most(self.path)
        self.assertEqual(self.file.write([blob(MANY[300], 7)]), [None])
        self.assertEqual((self.size(MANY[299]), self.size(MANY[300])), (299, 7))
        self.assertEqual(len(self.damaged()), 1)


class SubstituteTests(IndexFileCase):
    """Files that cannot be opened as they have to be."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(aside, "MOST_ASIDE", 0)
        self.clock = Clock()
        self.file.close()
        self.file = IndexFile(self.path, seconds=self.clock.seconds)
        self.addCleanup(self.file.close)

    def block(self, name: str) -> Callable[[], None]:
        """Put something in the way that cannot be moved; what takes it away again."""
        os.makedirs(os.path.join(name, "of somebody"))
        return lambda: shutil.rmtree(name)

    def test_in_memory(self) -> None:
        """Where there is nothing to be read all begins in memory, and ends when there is."""
        unblock = self.block(self.path)
        self.file.open()
        self.assertIn("cannot be opened, and nothing of it is known", self.file.problem)
        self.assertEqual(self.file.write([blob(MANY[0], 7)]), [None])
        self.assertEqual(self.size(MANY[0]), 7)
        self.clock.advance(RETRY)
        self.assertEqual(self.size(MANY[0]), 7)
        unblock()
        self.assertEqual(self.size(MANY[0]), 7)
        self.clock.advance(RETRY)
        self.assertEqual((self.size(MANY[0]), self.file.problem), (None, ""))
        self.assertEqual(self.file.write([blob(MANY[0], 8)]), [None])
        self.assertEqual(self.damaged(), [])

    def test_memory_is_bounded(self) -> None:
        """What is learnt in memory takes no more than a bounded number of pages."""
        self.patch(index_opening, "MOST_MEMORY_PAGES", 60)
        self.block(self.path)
        self.file.open()
        outcomes = self.file.write([blob(digest, 1) for digest in MANY])
        self.assertIn(IndexWriteError, {type(outcome) for outcome in outcomes})
        self.assertIsNone(outcomes[0])
        self.assertEqual(self.size(MANY[0]), 1)

    def test_alone(self) -> None:
        """Without room for what SQLite puts beside it the file is used all the same."""
        self.filled(backup=False)
        unblock = self.block(f"{self.path}-shm")
        self.file.open()
        self.assertIn("it is only read", self.file.problem)
        self.assertEqual(self.size(), 5)
        unblock()
        self.clock.advance(RETRY)
        self.assertEqual((self.size(), self.file.problem), (5, ""))
        self.assertEqual(self.file.write([blob(MANY[0], 7)]), [None])

    def test_unchanged(self) -> None:
        """A file that may not be written is read as it is, and changes fail."""
        self.filled(backup=False)
        connect = index_opening.connect

        def refuse(
            path: str, create: bool, immutable: bool = False, **_: object
        ) -> sqlite3.Connection:
            if not immutable:
                raise sqlite3.OperationalError("unable to open database file")
            return connect(path, create, immutable)

        patch = self.patch(index_opening, "connect", refuse)
        self.file.open()
        self.assertEqual(self.size(), 5)
        for _ in range(2):
            self.assertIn(IndexWriteError, map(type, self.file.write([blob(MANY[0], 7)])))
            self.clock.advance(RETRY)
        patch.restore()
        self.assertEqual(self.file.write([blob(MANY[0], 7)]), [None])
        self.assertEqual((self.size(), self.size(MANY[0]), self.file.problem), (5, 7, ""))

    def test_changes_that_are_not_in_the_file(self) -> None:
        """A file is not read as it is where something beside it belongs to it."""
        self.filled(backup=False)
        self.patch(index_opening, "connect", self.fail_unless_immutable)
        with open(f"{self.path}-wal", "wb") as file:
            file.write(b"pages")
        self.file.open()
        self.assertIsNone(self.size())
        self.assertIn("nothing of it is known", self.file.problem)

    def fail_unless_immutable(
        self, path: str, create: bool, immutable: bool = False, **_: object
    ) -> sqlite3.Connection:
        """A disk that may not be written."""
        if immutable:
            return connect(path, create, immutable)
        raise sqlite3.OperationalError("unable to open database file")

    def test_told_once(self) -> None:
        """The log says it once, and that it is over."""
        with capturedLogs() as logged:
            unblock = self.block(self.path)
            for _ in range(3):
                self.file.read(occupied_bytes)
                self.clock.advance(RETRY)
            unblock()
            self.file.read(occupied_bytes)
        self.assertEqual(len(logged), 2)

    def test_damage_on_a_disk_that_cannot_be_written(self) -> None:
        """A damaged file that cannot be moved has a substitute in memory."""
        self.filled(backup=False)
        overwrite_all(self.path)
        self.patch(os, "rename", self.refuse)
        self.file.open()
        self.assertEqual(self.file.write([blob(MANY[0], 7)]), [None])
        self.assertEqual(self.size(MANY[0]), 7)

    def refuse(self, *_: object) -> None:
        """A disk that may not be written."""
        raise OSError(errno.EROFS, "Read-only file system")


class LostTests(IndexFileCase):
    """Stored content that is found to be gone."""

    def test_told(self) -> None:
        """It is told once, and not of what was not there."""
        told: list[None] = []
        pool = ImmediatePool()
        index = SqliteIndex(self.file, pool, pool, Clock())
        index.lost = lambda: told.append(None)
        self.addCleanup(index.close)
        self.successResultOf(index.open())
        self.successResultOf(index.record_stored(BLOB, 5, 1.0))
        for digest in (OTHER, BLOB, BLOB):
            self.successResultOf(index.forget_content(digest))
        self.assertEqual(len(told), 1)


class ModeTests(IndexFileCase):
    """Who may read it: it names accounts."""

    def modes(self) -> set[int]:
        """Of all files that are there."""
        directory = os.path.dirname(self.path)
        paths = [os.path.join(directory, name) for name in os.listdir(directory)]
        return {os.stat(path).st_mode & 0o777 for path in paths}

    def test_new(self) -> None:
        """Its owner alone, as with all that SQLite puts beside it, and the copy."""
        self.filled(backup=True)
        self.file.open()
        self.file.write([blob()])
        self.assertGreater(len(os.listdir(os.path.dirname(self.path))), 2)
        self.assertEqual(self.modes(), {0o600})

    def test_earlier(self) -> None:
        """What an earlier version has begun is for its owner alone from now on."""
        self.filled(backup=True)
        for path in (self.path, f"{self.path}.backup"):
            os.chmod(path, 0o644)
        self.file.open()
        self.file.write([blob()])
        self.assertEqual((self.modes(), self.size()), ({0o600}, 5))


class VersionTests(IndexFileCase):
    """The version of the schema."""

    def test_newer(self) -> None:
        """A file of a newer program is refused, and stays as it is."""
        self.filled(backup=True)
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        error = self.assertRaises(IndexVersionError, self.file.open)
        self.assertIn("99", str(error))
        self.assertIn(f"type: mv {self.file.path} ", str(error))
        self.assertEqual(self.damaged(), [])

    def test_older(self) -> None:
        """A file of an older program gets what is new, and keeps what it has."""
        self.filled(backup=False)
        newer = IndexFile(self.path, (*MIGRATIONS, "CREATE TABLE later (id INTEGER PRIMARY KEY);"))
        self.addCleanup(newer.close)
        newer.open()
        self.assertEqual(newer.read(schema_version), len(MIGRATIONS) + 1)
        self.assertEqual(newer.read(occupied_bytes), 4096)
        newer.read(lambda connection: connection.execute("SELECT id FROM later").fetchall())

    def test_failed_step(self) -> None:
        """A step that fails half-way leaves the version before it."""
        self.filled(backup=False)
        broken = IndexFile(self.path, (*MIGRATIONS, "CREATE TABLE later (id); SELECT nonsense"))
        self.assertRaises(sqlite3.Error, broken.open)
        self.file.open()
        self.assertEqual(self.size(), 5)


class ReadOnlyTests(IndexFileCase):
    """Changes where nothing may be changed."""

    def test_failure(self) -> None:
        """The failure says that nothing can be written."""
        self.file.open()

        def refused(_connection: sqlite3.Connection) -> None:
            error = sqlite3.OperationalError("attempt to write a readonly database")
            error.sqlite_errorcode = sqlite3.SQLITE_READONLY_DBMOVED
            raise error

        (failure,) = self.file.write([refused])
        self.assertEqual(failure and failure.errno, errno.EROFS)


class FullDiskTests(IndexFileCase):
    """Changes that find no room."""

    def fill(self) -> None:
        """Let the open database not grow any more."""
        self.file.read(
            lambda connection: connection.execute(
                f"PRAGMA max_page_count = {os.path.getsize(self.path) // 4096}"
            ).fetchall()
        )

    def long_write(self) -> list[IndexWriteError | None]:
        """Make changes that need room."""
        return self.file.write([blob(Digest.of(bytes([n // 256, n % 256])), n) for n in range(600)])

    def test_failure(self) -> None:
        """The failure says that there is no room; what was there before can be read."""
        self.filled(backup=False)
        self.file.open()
        self.fill()
        failures = [failure for failure in self.long_write() if failure is not None]
        self.assertEqual({failure.errno for failure in failures}, {errno.ENOSPC})
        self.assertEqual(self.size(), 5)
        self.assertEqual(self.damaged(), [])

    def test_again(self) -> None:
        """With room again, changes are made again."""
        self.filled(backup=False)
        self.file.open()
        self.fill()
        self.long_write()
        self.file.read(lambda connection: connection.execute("PRAGMA max_page_count = 1000000"))
        self.assertEqual(set(self.long_write()), {None})

    def test_quota(self) -> None:
        """A quota that is used up is a full disk; any other fault of the disk is none."""
        self.file.open()

        def refused(_connection: sqlite3.Connection) -> None:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
            raise error

        for code, told in ((errno.EDQUOT, errno.ENOSPC), (errno.EIO, errno.EIO)):
            patch = self.patch(os, "posix_fallocate", raiser(code))
            (failure,) = self.file.write([refused])
            patch.restore()
            self.assertEqual(failure and failure.errno, told)
        (failure,) = self.file.write([refused])
        self.assertEqual(failure and failure.errno, errno.EIO)

    def test_alone(self) -> None:
        """A change that cannot be made takes no other of its transaction with it."""
        self.file.open()

        def impossible(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO totals VALUES (2, 0)")

        outcomes = self.file.write([blob(), impossible, blob(OTHER, 7)])
        self.assertEqual(
            [type(each) for each in outcomes], [type(None), IndexWriteError, type(None)]
        )
        self.assertEqual((self.size(), self.size(OTHER)), (5, 7))
