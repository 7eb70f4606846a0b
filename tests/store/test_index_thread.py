"""The index's thread: order, shared transactions, uses noted in batches, closing."""

import os
import sqlite3
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThreadPool
from twisted.logger import globalLogPublisher
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from regcache.digests import Digest
from regcache.interfaces import IWorkPool
from regcache.store.batch_writer import INTERVAL
from regcache.store.index import SqliteIndex
from regcache.store.index_batches import MOST_IN_BATCH, MOST_READINGS
from regcache.store.index_file import IndexFile, IndexUnavailableError, IndexWriteError
from regcache.store.use_writer import MOST_PENDING
from tests.support.index_cases import (
    BLOB,
    OTHER,
    SqliteIndexCase,
    ThreadCase,
    content_of,
)
from tests.support.indexes import HeldPool, ImmediatePool


def count_commits(connection: sqlite3.Connection, commits: list[str]) -> None:
    """Note each transaction that begins from now on."""
    connection.set_trace_callback(
        lambda statement: commits.append(statement) if statement.startswith("BEGIN") else None
    )


def record_total(connection: sqlite3.Connection, value: int) -> None:
    """A change that tells its number."""
    connection.execute("UPDATE totals SET blocks = ?", (value,))


def refuse(connection: sqlite3.Connection) -> None:
    """A change that no disk has room for."""
    connection.execute("INSERT INTO totals VALUES (2, 0)")


def read_total(connection: sqlite3.Connection) -> int:
    """The number that the last change told."""
    return connection.execute("SELECT blocks FROM totals").fetchone()[0]


class OrderTests(ThreadCase):
    """Readings and changes one after another."""

    def test_pools(self) -> None:
        """The pools of the tests are pools."""
        self.assertTrue(verifyObject(IWorkPool, HeldPool()))
        self.assertTrue(verifyObject(IWorkPool, ImmediatePool()))

    def test_readings_share_a_job(self) -> None:
        """Readings one after another cost one job; each has its own outcome."""
        readings = [self.thread.read(read_total) for _ in range(3)]
        broken = self.thread.read(refuse)
        cancelled = self.thread.read(read_total)
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.assertEqual(self.pool.held, 1)
        self.pool.release()
        self.assertEqual([self.successResultOf(each) for each in readings], [0, 0, 0])
        self.failureResultOf(broken, IndexUnavailableError)

    def test_readings_see_changes_before_them(self) -> None:
        """A reading that follows a change does not join readings before it."""
        before = self.thread.read(read_total)
        wrote = self.thread.write(record_total, 7)
        after = self.thread.read(read_total)
        self.pool.release()
        self.successResultOf(wrote)
        self.assertEqual([self.successResultOf(each) for each in (before, after)], [0, 7])

    def test_readings_are_bounded(self) -> None:
        """Nobody waits for more readings than a few."""
        readings = [self.thread.read(read_total) for _ in range(MOST_READINGS + 1)]
        self.assertEqual(self.pool.held, 2)
        self.pool.release()
        for each in readings:
            self.successResultOf(each)

    def test_never_in_the_reactor(self) -> None:
        """Nothing is done, and nothing answered, before the thread takes it up."""
        wrote = self.thread.write(record_total, 1)
        read = self.thread.read(read_total)
        self.assertNoResult(wrote)
        self.assertNoResult(read)
        self.pool.release()
        self.assertEqual(self.successResultOf(read), 1)
        self.assertIsNone(self.successResultOf(wrote))

    def test_shared_transaction(self) -> None:
        """Changes that wait together share one transaction."""
        commits: list[str] = []
        self.file.read(count_commits, commits)
        results = [self.thread.write(record_total, number) for number in range(20)]
        self.assertEqual(self.pool.held, 1)
        self.pool.release()
        for result in results:
            self.successResultOf(result)
        self.assertEqual(len(commits), 1)
        self.assertEqual(self.file.read(read_total), 19)

    def test_bounded_transaction(self) -> None:
        """So many that a reading would wait long are spread over several."""
        for number in range(MOST_IN_BATCH + 1):
            self.thread.write(record_total, number)
        self.assertEqual(self.pool.held, 2)
        self.pool.release()
        self.assertEqual(self.file.read(read_total), MOST_IN_BATCH)

    def test_late_change(self) -> None:
        """A change behind a transaction that was begun gets its own."""
        first = self.thread.write(record_total, 1)
        self.pool.release()
        second = self.thread.write(record_total, 2)
        self.assertNoResult(second)
        self.pool.release()
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.file.read(read_total), 2)

    def test_failure_is_its_own(self) -> None:
        """A change that fails is told to who asked for it, and to nobody else."""
        good = self.thread.write(record_total, 1)
        bad = self.thread.write(refuse)
        self.pool.release()
        self.successResultOf(good)
        self.failureResultOf(bad, IndexWriteError)

    def test_caller_left(self) -> None:
        """A caller that no longer waits for a change does not disturb the others."""
        left = self.thread.write(record_total, 1)
        stayed = self.thread.write(record_total, 2)
        left.cancel()
        self.failureResultOf(left, CancelledError)
        self.pool.release()
        self.successResultOf(stayed)

    def test_pool_stopped(self) -> None:
        """Where the threads do no work any more, everybody who waits is told."""
        self.pool.broken = RuntimeError("the threads are not running")
        self.failureResultOf(self.thread.write(record_total, 1), RuntimeError)
        self.failureResultOf(self.thread.write(record_total, 2), RuntimeError)
        self.pool.broken = None
        later = self.thread.write(record_total, 3)
        self.pool.release()
        self.successResultOf(later)

    def test_closed(self) -> None:
        """What was asked for before the end is done; what comes behind it is refused."""
        before = self.thread.write(record_total, 1)
        closed = self.thread.close()
        behind = self.thread.write(record_total, 2)
        self.failureResultOf(behind, IndexUnavailableError)
        self.failureResultOf(self.thread.read(read_total), IndexUnavailableError)
        self.pool.release()
        self.successResultOf(before)
        self.successResultOf(closed)

    def test_complaints(self) -> None:
        """Failing changes are logged once a minute, however many there are."""
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        for wait in (0, 30, 29, 1, 5):
            self.clock.advance(wait)
            result = self.thread.write(refuse)
            self.pool.release()
            self.failureResultOf(result, IndexWriteError)
        complaints = [each for each in events if "cannot write" in str(each.get("error"))]
        self.assertEqual(len(complaints), 2)


class TouchTests(SqliteIndexCase):
    """Uses that are noted in memory and written in turns."""

    def oldest(self) -> float:
        """The time of the first content to go, as it stands in the file."""
        with sqlite3.connect(self.path) as connection:
            (moment,) = connection.execute("SELECT min(last_use) FROM uses").fetchone()
        connection.close()
        return moment

    def test_interval(self) -> None:
        """A use reaches the file with the next turn, not before."""
        self.blob(now=1.0)
        self.index.touch(BLOB, 50.0)
        self.clock.advance(INTERVAL - 1)
        self.assertEqual(self.oldest(), 1.0)
        self.clock.advance(1)
        self.assertEqual(self.oldest(), 50.0)

    def test_bounded(self) -> None:
        """Very many uses do not wait for the turn."""
        self.blob(now=1.0)
        self.index.touch(BLOB, 50.0)
        for number in range(MOST_PENDING):
            self.index.touch(Digest.of(b"%d" % number), 50.0)
        self.assertEqual(self.oldest(), 50.0)

    def test_at_the_end(self) -> None:
        """Uses that still wait are written when the index is closed."""
        self.blob(now=1.0)
        self.index.touch(BLOB, 50.0)
        self.successResultOf(self.index.close())
        self.assertEqual(self.oldest(), 50.0)

    def test_reopened(self) -> None:
        """Facts outlast a restart."""
        self.blob(digest=OTHER, size=7)
        self.successResultOf(self.index.close())
        self.index = self.open()
        self.assertEqual(self.facts("library/a", OTHER).size, 7)
        self.assertEqual(self.successResultOf(self.index.occupied_bytes()), 4096)


@implementer(IWorkPool)
class OneThread:
    """A real thread."""

    def __init__(self) -> None:
        self.threads = ThreadPool(minthreads=0, maxthreads=1)

    def run(self, function: Any, *args: Any) -> "Deferred[Any]":
        return deferToThreadPool(reactor, self.threads, function, *args)


class ConcurrencyTests(TestCase):
    """The index with real threads."""

    async def test_many_at_once(self) -> None:
        """Hundreds of changes and readings at once all succeed, and none is lost."""
        directory = self.mktemp()
        os.mkdir(directory)
        pool, background = OneThread(), OneThread()
        for each in (pool, background):
            each.threads.start()
            self.addCleanup(each.threads.stop)
        file = IndexFile(os.path.join(directory, "index.sqlite"))
        index = SqliteIndex(file, pool, background, Clock())
        await index.open()
        self.addCleanup(index.close)
        digests = [Digest.of(b"%d" % number) for number in range(500)]
        await gatherResults(
            [
                request
                for digest in digests
                for request in (
                    index.record_blob(
                        content_of("a", digest), 2, credentials="", public=True, now=1.0
                    ),
                    index.content(content_of("a", digest)),
                )
            ]
        )
        self.assertEqual(await index.occupied_bytes(), 500 * 4096)
        facts = await gatherResults([index.content(content_of("a", digest)) for digest in digests])
        self.assertEqual({each.size for each in facts}, {2})
