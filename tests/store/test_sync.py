"""Tests for regcache.store.sync: when new content is synced, and how much at a time."""

import errno
import os
import stat
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.logger import Logger

from regcache.digests import Digest
from regcache.store import sync
from regcache.store.sync import (
    CLOSING_SECONDS,
    LATEST,
    MOST_IN_JOB,
    QUIET,
    TOGETHER,
    FileSystem,
    SyncQueue,
    sync_contents,
)
from tests.store.stores import StoreTestCase
from tests.support.pools import HeldPool, ImmediatePool, RecordingPool


class CountingSystem(FileSystem):
    """A file system that counts its syncs, and refuses them on demand."""

    def __init__(self, fault: int = 0) -> None:
        super().__init__("", None)
        self.fault = fault
        self.syncs = 0

    def sync(self) -> bool:
        """Sync nothing; fail once, and vouch for nothing after that."""
        self.syncs += 1
        if self.fault:
            if self.syncs > 1:
                return False
            raise OSError(self.fault, os.strerror(self.fault))
        return True


class SyncTestCase(StoreTestCase):
    """Contents that are stored, and not yet synced."""

    def stored(self, count: int) -> list[Digest]:
        """Some contents under their names."""
        digests = []
        for number in range(count):
            content = b"%d" % number
            digests.append(Digest.of(content))
            self.successResultOf(self.store.keep(digests[-1], content))
        self.successResultOf(self.store.close())
        for digest in digests:
            os.chmod(self.paths.blob(digest), 0o600)
        return digests

    def settled(self, digests: list[Digest]) -> int:
        """How many of them are marked."""
        modes = [stat.S_IMODE(os.stat(self.paths.blob(digest)).st_mode) for digest in digests]
        return modes.count(0o400)


class SyncContentsTests(SyncTestCase):
    """Tests for :func:`sync_contents`: what a thread does."""

    def test_few(self) -> None:
        """A few files are synced by themselves."""
        digests, system = self.stored(TOGETHER - 1), CountingSystem()
        outcome = sync_contents(self.paths, system, digests)
        self.assertEqual((system.syncs, self.settled(digests)), (0, len(digests)))
        self.assertEqual((outcome.lost, outcome.untried, outcome.faults), ([], [], []))

    def test_many(self) -> None:
        """Many files are synced by one call."""
        digests, system = self.stored(TOGETHER), CountingSystem()
        self.patch(os, "fdatasync", self.fail)
        outcome = sync_contents(self.paths, system, digests)
        self.assertEqual((system.syncs, self.settled(digests)), (1, len(digests)))
        self.assertEqual((outcome.lost, outcome.untried, outcome.faults), ([], [], []))

    def test_no_such_call(self) -> None:
        """Where the system cannot sync everything each file is synced."""
        digests = self.stored(TOGETHER)
        sync_contents(self.paths, FileSystem("", None), digests)
        self.assertEqual(self.settled(digests), TOGETHER)

    def test_refused(self) -> None:
        """Where something could not be written each file tells whether it was meant."""
        digests, bad = self.stored(TOGETHER), []
        real = os.fdatasync

        def fdatasync(descriptor: int) -> None:
            bad.append(descriptor)
            if len(bad) == 2:
                raise OSError(errno.EIO, "bad sector")
            real(descriptor)

        self.patch(os, "fdatasync", fdatasync)
        outcome = sync_contents(self.paths, CountingSystem(errno.EIO), digests)
        self.assertEqual(outcome.lost, [(digests[1], 1)])
        self.assertEqual(len(outcome.faults), 2)
        self.assertFalse(os.path.exists(self.paths.blob(digests[1])))
        self.assertEqual(self.settled([digests[0], *digests[2:]]), TOGETHER - 1)

    def test_refused_for_another_group(self) -> None:
        """After a fault each file tells for itself, those too that are synced later."""
        digests, system = self.stored(2 * TOGETHER), CountingSystem(errno.EIO)
        synced: list[int] = []
        self.patch(os, "fdatasync", synced.append)
        for batch in (digests[:TOGETHER], digests[TOGETHER:]):
            sync_contents(self.paths, system, batch)
        self.assertEqual((len(synced), self.settled(digests)), (len(digests), len(digests)))

    def test_replaced_and_refused(self) -> None:
        """A file that the disk refuses is not removed once another one has its name."""
        (digest,) = self.stored(1)
        name = self.paths.blob(digest)

        def fdatasync(descriptor: int) -> None:
            with open(f"{name}.new", "wb") as new:
                new.write(b"0")
            os.replace(f"{name}.new", name)
            raise OSError(errno.EIO, "bad sector")

        self.patch(os, "fdatasync", fdatasync)
        outcome = sync_contents(self.paths, CountingSystem(), [digest])
        self.assertEqual((outcome.lost, len(outcome.faults)), ([], 1))
        self.assertTrue(os.path.exists(name))

    def test_no_descriptors(self) -> None:
        """Where there are no descriptors one file is tried, and one fault told."""
        digests = self.stored(5)
        real = os.open

        def refuse(path: str, *args: int) -> int:
            if "blobs" in path:
                raise OSError(errno.EMFILE, "too many open files")
            return real(path, *args)

        self.patch(os, "open", refuse)
        outcome = sync_contents(self.paths, CountingSystem(), digests)
        self.assertEqual((outcome.untried, len(outcome.faults)), (digests, 1))

    def test_replaced_meanwhile(self) -> None:
        """A file that gets the name of one that is being synced is not marked for it."""
        digests = self.stored(TOGETHER)
        system, name = CountingSystem(), self.paths.blob(digests[0])

        def replace() -> bool:
            with open(f"{name}.new", "wb"):
                os.chmod(f"{name}.new", 0o600)
            os.replace(f"{name}.new", name)
            return True

        self.patch(system, "sync", replace)
        sync_contents(self.paths, system, digests)
        self.assertEqual(self.settled(digests), TOGETHER - 1)
        self.assertEqual(self.settled(digests[:1]), 0)


def _refuse(descriptor: int) -> None:
    raise OSError(errno.EIO, "bad sector")


class SyncQueueTests(SyncTestCase):
    """Tests for :class:`SyncQueue`: when, and how much at a time."""

    def queue(self, pool: object) -> SyncQueue:
        """A queue of its own."""
        self.system = CountingSystem()
        self.leaving: set[Digest] = set()

        def lost(digest: Digest, size: int) -> None:
            self.damages.append((digest, size))

        return SyncQueue(
            self.clock,
            pool,  # type: ignore[arg-type]
            self.paths,
            self.system,
            is_leaving=self.leaving.__contains__,
            lost=lost,
        )

    def test_quiet(self) -> None:
        """A sync begins when nothing was committed for a moment."""
        pool = RecordingPool(ImmediatePool())
        queue, digests = self.queue(pool), self.stored(3)
        for digest in digests:
            queue.add(digest)
            self.clock.advance(QUIET * 0.75)
        self.assertEqual(pool.names, [])
        self.clock.advance(QUIET * 0.25)
        self.assertEqual((pool.names, self.settled(digests)), (["sync_contents"], 3))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_latest(self) -> None:
        """Where there is always something new a sync begins some seconds after the first."""
        pool = RecordingPool(ImmediatePool())
        queue, (digest,) = self.queue(pool), self.stored(1)
        began = self.clock.seconds()
        while not pool.names:
            queue.add(digest)
            self.clock.advance(QUIET / 4)
        self.assertAlmostEqual(self.clock.seconds() - began, LATEST)

    def test_jobs_are_bounded(self) -> None:
        """A job syncs a bounded number of contents; a flush has as many as are needed."""
        self.patch(sync, "MOST_IN_JOB", 2)
        pool = RecordingPool(ImmediatePool())
        queue, digests = self.queue(pool), self.stored(5)
        for digest in digests:
            queue.add(digest)
        self.successResultOf(queue.flush())
        self.assertEqual((pool.names, self.settled(digests)), (["sync_contents"] * 3, 5))
        self.successResultOf(queue.close())

    def test_open_files_alone_are_in_use(self) -> None:
        """Of very many contents those alone are in use that are open at that moment."""
        pool = HeldPool()
        queue, digests = self.queue(pool), self.stored(3 * MOST_IN_JOB)
        for digest in digests:
            queue.add(digest)
        flushed = queue.flush()
        for number in range(3):
            held = [digest for digest in digests if queue.holds(digest)]
            first = number * MOST_IN_JOB
            self.assertEqual(held, digests[first : first + MOST_IN_JOB])
            self.assertEqual(sum(digest in queue for digest in digests), len(digests) - first)
            pool.release()
        self.successResultOf(flushed)
        self.assertEqual((self.settled(digests), self.system.syncs), (len(digests), 3))
        self.successResultOf(queue.close())

    def test_no_descriptors(self) -> None:
        """Where there are no descriptors one job is tried, and one fault is logged; later again."""
        queue, digests = self.queue(ImmediatePool()), self.stored(2 * MOST_IN_JOB)
        logged = list[dict[str, Any]]()
        self.patch(queue, "log", Logger(observer=logged.append))
        real = sync.open_regular

        def refuse(*_: object) -> tuple[int, os.stat_result]:
            raise OSError(errno.EMFILE, "too many open files")

        self.patch(sync, "open_regular", refuse)
        for digest in digests:
            queue.add(digest)
        self.successResultOf(queue.flush())
        self.assertEqual((self.settled(digests), len(logged)), (0, 1))
        self.patch(sync, "open_regular", real)
        self.clock.advance(QUIET)
        self.assertEqual(self.settled(digests), len(digests))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_removed_while_others_are_synced(self) -> None:
        """What is removed before its turn is not synced."""
        self.patch(sync, "MOST_IN_JOB", 1)
        pool = HeldPool()
        queue, digests = self.queue(pool), self.stored(2)
        for digest in digests:
            queue.add(digest)
        flushed = queue.flush()
        queue.discard(digests[1])
        pool.release_all()
        self.successResultOf(flushed)
        self.assertEqual([digest in queue for digest in digests], [False, False])
        self.assertEqual(self.settled(digests), 1)
        self.successResultOf(queue.close())

    def test_evicted_meanwhile(self) -> None:
        """Content that is being evicted is not opened; if it stays, it is synced later."""
        pool = RecordingPool(ImmediatePool())
        queue, digests = self.queue(pool), self.stored(2)
        for digest in digests:
            queue.add(digest)
        self.leaving.add(digests[0])
        self.successResultOf(queue.flush())
        self.assertEqual((self.settled(digests), digests[0] in queue), (1, True))
        self.clock.advance(QUIET)
        self.assertEqual(pool.names, ["sync_contents"])
        self.leaving.clear()
        self.clock.advance(QUIET)
        self.assertEqual((self.settled(digests), self.clock.getDelayedCalls()), (2, []))

    def test_close_is_bounded(self) -> None:
        """At the end a slow disk is not waited for longer than some seconds, and it is said."""
        self.patch(sync, "MOST_IN_JOB", 1)
        pool = HeldPool()
        queue, digests = self.queue(pool), self.stored(3)
        for digest in digests:
            queue.add(digest)
        closed = queue.close()
        pool.release()
        self.assertNoResult(closed)
        self.clock.advance(CLOSING_SECONDS)
        pool.release()
        self.successResultOf(closed)
        self.assertEqual((len(pool.jobs), self.settled(digests)), (0, 2))
        self.assertTrue(digests[2] in queue)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close_bounds_what_is_under_way(self) -> None:
        """A sync that is under way when the daemon stops has no more time than any other."""
        self.patch(sync, "MOST_IN_JOB", 1)
        pool = HeldPool()
        queue, digests = self.queue(pool), self.stored(4)
        for digest in digests:
            queue.add(digest)
        flushed, closed = queue.flush(), queue.close()
        self.clock.advance(CLOSING_SECONDS)
        pool.release_all()
        self.successResultOf(flushed)
        self.successResultOf(closed)
        self.assertEqual(self.settled(digests), 1)

    def test_fault_of_whoever_is_told(self) -> None:
        """A listener that fails to hear of a loss does not keep a file from being closed."""
        closed: list[None] = []
        (digest,) = self.stored(1)
        queue = self.queue(ImmediatePool())
        queue._lost = lambda digest, size: [][0]  # type: ignore[misc]
        self.patch(self.system, "close", lambda: closed.append(None))
        self.patch(os, "fdatasync", _refuse)
        queue.add(digest)
        self.failureResultOf(queue.close(), IndexError)
        self.assertEqual(len(closed), 1)

    def test_no_threads(self) -> None:
        """What could not even be tried is tried again."""
        pool = HeldPool()
        queue, (digest,) = self.queue(pool), self.stored(1)
        queue.add(digest)
        flushed = queue.flush()
        job: Deferred[object] = pool.jobs.pop()[0]
        execute(self._no_threads).chainDeferred(job)
        self.successResultOf(flushed)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.clock.advance(QUIET)
        pool.release_all()
        self.assertEqual(self.settled([digest]), 1)

    def _no_threads(self) -> None:
        raise RuntimeError("no threads")
