"""Readings and changes while another program has locked the file of the index."""

import os
import sqlite3
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from regcache.removals import blob_of
from regcache.store import index_opening, index_writes
from regcache.store.batch_writer import INTERVAL
from regcache.store.index_batches import MOST_IN_BATCH
from regcache.store.index_file import IndexFile, IndexLockedError, IndexWriteError
from regcache.store.index_opening import connect
from regcache.store.index_writes import LAST, PATIENCE, RETRY
from tests.support.index_cases import BLOB, SqliteIndexCase, ThreadCase, manifest_of, repository_of


def append(connection: sqlite3.Connection, number: int) -> None:
    """A change of which the place in the order shows."""
    connection.execute("UPDATE totals SET blocks = blocks * 10 + ?", (number,))


def read(connection: sqlite3.Connection) -> int:
    """What the changes have come to."""
    (found,) = connection.execute("SELECT blocks FROM totals").fetchone()
    return int(found)


def refuse(connection: sqlite3.Connection) -> None:
    """A change that cannot be made."""
    connection.execute("INSERT INTO totals VALUES (2, 0)")


class OtherProgram:
    """Another program that opens the file, and may lock it."""

    def __init__(self, path: str) -> None:
        self._connection = connect(path, create=False)

    def lock(self) -> None:
        """Lock it, as ``BEGIN IMMEDIATE`` in a shell does."""
        self._connection.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        """Unlock it."""
        self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Leave."""
        self._connection.close()


class LockedThreadCase(ThreadCase):
    """A test with a thread that works when told to, and a lock."""

    def setUp(self) -> None:
        self.patch(index_opening, "BUSY_WAIT", 0.0)
        super().setUp()
        self.other = OtherProgram(self.file.path)
        self.addCleanup(self.other.close)
        self.other.lock()

    def note(self, *numbers: int) -> "list[Deferred[None]]":
        """Note what may be kept, and let the thread work."""
        noted = [self.thread.note(append, number) for number in numbers]
        self.pool.release()
        return noted

    def later(self, seconds: float = RETRY) -> None:
        """Let some time go by, with an attempt each :data:`RETRY`."""
        for _ in range(round(seconds / RETRY)):
            self.clock.advance(RETRY)
            self.pool.release()

    def found(self) -> int:
        """What is in the file."""
        asked = self.thread.read(read)
        self.pool.release()
        return int(self.successResultOf(asked))


class KeptTests(LockedThreadCase):
    """What clients' requests record."""

    def test_at_once(self) -> None:
        """They go on without a wait, and so do readings; nothing is lost at the end of the lock."""
        for each in self.note(1, 2):
            self.assertIsNone(self.successResultOf(each))
        self.assertEqual(self.found(), 0)
        self.assertIsNone(self.successResultOf(self.thread.note(append, 3)))
        self.assertEqual(self.pool.held, 0)
        self.other.end()
        self.later()
        self.assertEqual(self.found(), 123)

    def test_long(self) -> None:
        """However long it lasts, all is made in its order."""
        for number in range(1, 7):
            self.note(number)
            self.later()
        self.other.end()
        self.later()
        self.assertEqual(self.found(), 123456)

    def test_copies(self) -> None:
        """A copy of the file that was made meanwhile is not taken for one with all changes."""
        self.note(1)
        copied = self.thread.written
        self.other.end()
        self.later()
        self.assertGreater(self.thread.written, copied)

    def test_attempts(self) -> None:
        """A batch that finds a lock is tried once, and not each of its changes."""
        begun: list[str] = []
        self.file.read(
            lambda connection: connection.set_trace_callback(
                lambda statement: begun.append(statement) if "BEGIN" in statement else None
            )
        )
        self.note(*range(100))
        self.assertEqual(len(begun), 1)
        self.later()
        self.assertEqual(len(begun), 2)

    def test_lock_that_ends_between_batches(self) -> None:
        """What comes behind a batch that found the lock is not made before it."""
        for _ in range(MOST_IN_BATCH):
            self.thread.note(append, 0)
        self.thread.read(lambda _: self.other.end())
        self.note(1)
        self.assertEqual(self.found(), 0)
        self.note(2)
        self.assertEqual(self.found(), 0)
        self.later()
        self.assertEqual(self.found(), 12)

    def test_many(self) -> None:
        """More than share a transaction are made one batch after the other."""
        self.note(1, *[0] * (2 * MOST_IN_BATCH))
        self.thread.note(lambda connection: connection.execute("UPDATE totals SET blocks = 7"))
        self.other.end()
        self.later()
        self.note(8)
        self.assertEqual(self.found(), 78)

    def test_lock_that_comes_back(self) -> None:
        """A lock that comes back while what waited is made keeps what is left, in its order."""
        self.note(*[0] * MOST_IN_BATCH, 1, 2)
        self.other.end()
        self.clock.advance(RETRY)
        self.thread.read(lambda _: self.other.lock())
        self.pool.release()
        self.note(3)
        self.assertEqual(self.found(), 0)
        self.other.end()
        self.later()
        self.assertEqual(self.found(), 123)

    def test_bounded(self) -> None:
        """What is kept takes bounded memory; what is beyond it fails, and the rest is made."""
        self.patch(index_writes, "MOST_KEPT", 5000)
        outcomes = [self.thread.note(append, number, size=2000) for number in (1, 2, 3)]
        self.pool.release()
        for each in outcomes[:2]:
            self.successResultOf(each)
        self.failureResultOf(outcomes[2], IndexWriteError)
        self.other.end()
        self.later()
        self.assertEqual(self.found(), 12)
        self.other.lock()
        self.successResultOf(self.note(3)[0])

    def test_impossible(self) -> None:
        """One that turns out to be impossible takes no other with it, and is said in the log."""
        self.note(1)
        self.successResultOf(self.thread.note(refuse))
        self.note(2)
        self.other.end()
        with capturedLogs() as logged:
            self.later()
        self.assertEqual(self.found(), 12)
        self.assertEqual([each["log_level"] for each in logged], [LogLevel.error])


class WaitingTests(LockedThreadCase):
    """Changes whose callers have to know that they are made."""

    def test_soon(self) -> None:
        """A caller that a client waits for is told after a second, and the change is not made."""
        self.note(1)
        pinning = self.thread.write(append, 5)
        self.later(PATIENCE - RETRY)
        self.assertNoResult(pinning)
        self.later()
        self.failureResultOf(pinning, IndexLockedError)
        later = self.thread.write_for(append, 6)
        self.later()
        self.failureResultOf(later, IndexLockedError)
        self.other.end()
        self.later()
        self.assertEqual(self.found(), 1)

    def test_short_lock(self) -> None:
        """A lock of some milliseconds delays it, and no more."""
        pinning = self.thread.write_for(read)
        self.pool.release()
        self.other.end()
        self.later()
        self.assertEqual(self.successResultOf(pinning), 0)

    def test_patient(self) -> None:
        """A caller that has time waits until it is made."""
        uses = self.thread.write(append, 1, is_patient=True)
        self.pool.release()
        self.later(60)
        self.assertNoResult(uses)
        self.other.end()
        self.later()
        self.successResultOf(uses)
        self.assertEqual(self.found(), 1)

    def test_pool_stopped(self) -> None:
        """Where the thread does no work any more all who wait are told."""
        uses = [self.thread.write(append, 1, is_patient=True) for _ in range(MOST_IN_BATCH + 1)]
        self.pool.release()
        self.pool.broken = RuntimeError("the threads are not running")
        self.later()
        for each in uses:
            self.failureResultOf(each, RuntimeError)


class ToldTests(LockedThreadCase):
    """What is said of a lock."""

    def test_once(self) -> None:
        """A lasting one is said once, and its end; the problem is there as long as it lasts."""
        with capturedLogs() as logged:
            for number in range(20):
                self.note(number)
                refused = self.thread.write(append, number)
                self.later()
                refused.addErrback(lambda _: None)
            self.assertIn("locked the index", self.thread.problem)
            self.other.end()
            self.later()
        self.assertEqual(
            [(each["log_level"], self.thread.problem) for each in logged],
            [(LogLevel.error, ""), (LogLevel.info, "")],
        )

    def test_short(self) -> None:
        """Of a short one nothing is said."""
        with capturedLogs() as logged:
            self.note(1)
            self.assertEqual(self.thread.problem, "")
            self.other.end()
            self.later()
        self.assertEqual(logged, [])

    def test_nothing_waits(self) -> None:
        """Its end is found out though nothing waits for it."""
        self.failureResultOf(self.refused(), IndexLockedError)
        self.later(10)
        self.assertIn("locked the index", self.thread.problem)
        self.other.end()
        self.later()
        self.assertEqual((self.thread.problem, self.clock.getDelayedCalls()), ("", []))

    def refused(self) -> "Deferred[Any]":
        """A change that is not made."""
        refused = self.thread.write(append, 1)
        self.pool.release()
        self.later(PATIENCE)
        return refused


class EndTests(LockedThreadCase):
    """The end of the process during a lock."""

    def close(self) -> "Deferred[None]":
        """Have the file closed."""
        closed = self.thread.close()
        self.pool.release()
        return closed

    def test_lasting(self) -> None:
        """It waits for some seconds; then it is said how many changes are lost."""
        self.note(1, 2, 3)
        uses = self.thread.write(append, 4, is_patient=True)
        closed = self.close()
        self.later(LAST - RETRY)
        self.assertNoResult(closed)
        with capturedLogs() as logged:
            self.later()
        self.failureResultOf(uses, IndexLockedError)
        self.successResultOf(closed)
        self.assertEqual([each["count"] for each in logged], [3])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_over(self) -> None:
        """Where the lock ends before, all is written."""
        self.note(1, 2)
        closed = self.close()
        self.other.end()
        self.later()
        self.successResultOf(closed)
        self.file.open()
        self.assertEqual(self.file.read(read), 12)

    def test_nothing_waits(self) -> None:
        """Where nothing waits it ends at once."""
        refused = self.thread.write(append, 1)
        self.pool.release()
        self.later(PATIENCE)
        self.failureResultOf(refused, IndexLockedError)
        self.successResultOf(self.close())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_found_at_the_end(self) -> None:
        """A change that finds the lock while the file is to be closed is waited for."""
        noted = self.thread.note(append, 1)
        closed = self.thread.close()
        self.pool.release()
        self.successResultOf(noted)
        self.assertNoResult(closed)
        self.other.end()
        self.later()
        self.successResultOf(closed)
        self.file.open()
        self.assertEqual(self.file.read(read), 1)


class LockedIndexTests(SqliteIndexCase):
    """The whole index."""

    def setUp(self) -> None:
        self.patch(index_opening, "BUSY_WAIT", 0.0)
        super().setUp()
        self.other = OtherProgram(self.path)
        self.addCleanup(self.other.close)
        self.blob("library/here")
        self.other.lock()

    def end(self) -> None:
        """End the lock, and let what waits be written."""
        self.other.end()
        self.clock.advance(RETRY)

    def test_pull(self) -> None:
        """What a pull records does not wait, what is here can be asked, and all is there later."""
        manifest = manifest_of(a=1)
        self.manifest(manifest)
        named = self.index.record_tag(repository_of("library/a"), "1", manifest.digest, 1.0)
        self.successResultOf(named)
        self.blob("library/a")
        self.assertEqual(self.facts("library/here", BLOB).size, 5)
        self.end()
        self.assertIsNotNone(self.facts("library/a", BLOB).link)
        self.assertEqual(self.tags(), ["1"])
        self.assertEqual(self.facts("library/a", manifest.digest).size, len(manifest.content))

    def test_look(self) -> None:
        """What a removal would do is found out by changes that are undone: the refusal says why."""
        looking = self.index.removals.look(blob_of(repository_of("library/here"), BLOB))
        self.failureResultOf(looking, IndexLockedError)
        self.end()
        looking = self.index.removals.look(blob_of(repository_of("library/here"), BLOB))
        self.assertTrue(self.successResultOf(looking).found)

    def test_problem(self) -> None:
        """It is one of the index while it lasts."""
        self.blob("library/a")
        self.clock.pump([RETRY] * 3)
        self.assertIn("locked the index", self.index.problem)
        self.end()
        self.assertEqual(self.index.problem, "")

    def last_use(self) -> float:
        """The time of the last use in the file."""
        with sqlite3.connect(self.path) as connection:
            (used,) = connection.execute("SELECT max(last_use) FROM uses").fetchone()
        connection.close()
        return float(used)

    def test_uses(self) -> None:
        """No use that was noted before or meanwhile is lost."""
        self.index.touch(BLOB, 150.0)
        self.clock.pump([RETRY] * round(3 * INTERVAL / RETRY))
        self.index.touch(BLOB, 160.0)
        self.assertEqual(self.last_use(), 100.0)
        self.end()
        self.assertEqual(self.last_use(), 160.0)

    def test_lost(self) -> None:
        """That a file is gone is told when it is noted."""
        told: list[None] = []
        self.index.lost = lambda: told.append(None)
        self.successResultOf(self.index.forget_content(BLOB))
        self.assertEqual(told, [])
        self.end()
        self.assertEqual((told, self.facts("library/here", BLOB).size), ([None], None))

    def test_close(self) -> None:
        """The end waits for the lock for some seconds, not for each part of the index."""
        self.index.touch(BLOB, 50.0)
        self.blob("library/a")
        closed = self.index.close()
        self.clock.pump([RETRY] * round(LAST / RETRY + 6))
        self.successResultOf(closed)
        self.other.end()


class OpeningTests(SynchronousTestCase):
    """Opening a file that another program has for itself."""

    def test_exclusive(self) -> None:
        """A substitute takes its place, until it is free; nothing waits long for that."""
        directory = self.mktemp()
        os.mkdir(directory)
        path, clock = os.path.join(directory, "index.sqlite"), Clock()
        for _ in range(2):
            file = IndexFile(path, seconds=clock.seconds)
            self.addCleanup(file.close)
            file.open()
            file.close()
        other = connect(path, create=False)
        self.addCleanup(other.close)
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        waits: list[float] = []
        opened = index_opening.connect

        def note_wait(*arguments: Any, **options: Any) -> sqlite3.Connection:
            waits.append(options.pop("wait", 5.0))
            return opened(*arguments, wait=0.0, **options)

        self.patch(index_opening, "connect", note_wait)
        file.open()
        self.assertIn("locked", file.problem)
        first, waits[:] = list(waits), []
        clock.advance(10)
        file.read(read)
        self.assertLess(max(waits), 0.1)
        self.assertEqual(first[0], 5.0)
        other.close()
        clock.advance(10)
        file.read(read)
        self.assertEqual(file.problem, "")
