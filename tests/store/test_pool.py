"""Tests for regcache.store.pool and its fakes."""

import os
import sys
import threading
from queue import SimpleQueue
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from regcache.interfaces import IWorkPool
from regcache.store.pool import PoolStoppedError, WorkPool, handed_over
from tests.support.pools import HeldPool, ImmediatePool, RecordingPool, SlowPool


def _niceness() -> int:
    """That of the thread that asks."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


class BusyReactor(Clock):
    """A reactor that makes the calls of threads one by one.

    :ivar calls: those that wait for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: SimpleQueue[tuple[Any, ...]] = SimpleQueue()

    def callFromThread(self, *call: Any) -> None:
        """In a later turn."""
        self.calls.put(call)

    def turn(self) -> None:
        """Make the next call, which may be on its way."""
        function, *arguments = self.calls.get(timeout=60)
        function(*arguments)


def _refuse(thread: threading.Thread) -> None:
    raise RuntimeError("no thread")


class WorkPoolTests(TestCase):
    """Tests for :class:`WorkPool`, with real threads."""

    def setUp(self) -> None:
        self.pool = WorkPool(reactor, "disk", 2)
        self.pool.startService()
        self.addCleanup(self.pool.stopService)

    def test_interface(self) -> None:
        """It is a work pool."""
        verifyObject(IWorkPool, self.pool)

    async def test_runs_in_another_thread(self) -> None:
        """A job runs in a thread of its own, and its result arrives in the reactor's."""
        here = threading.get_ident()
        recording = RecordingPool(self.pool)
        self.assertEqual(await recording.run(divmod, 7, 2), (3, 1))
        self.assertNotEqual(recording.threads, [here])
        self.assertEqual(threading.get_ident(), here)

    async def test_failure(self) -> None:
        """What a job raises is what the Deferred fails with."""
        with self.assertRaises(ZeroDivisionError):
            await self.pool.run(divmod, 1, 0)

    async def test_niceness(self) -> None:
        """The threads of a pool may give way to all others, which stay as they are."""
        pool = WorkPool(reactor, "password", 1, niceness=3)
        pool.startService()
        self.addCleanup(pool.stopService)
        usual = os.getpriority(os.PRIO_PROCESS, 0)
        expected = min(usual + 3, 19) if sys.platform == "linux" else usual
        self.assertEqual(await pool.run(_niceness), expected)
        self.assertEqual(await self.pool.run(_niceness), usual)
        self.assertEqual(_niceness(), usual)

    async def test_stopped(self) -> None:
        """A pool that does not run refuses work instead of keeping it."""
        await _stop(self.pool)
        with self.assertRaisesRegex(PoolStoppedError, "disk"):
            await self.pool.run(divmod, 1, 1)

    async def test_drops(self) -> None:
        """At the stop of a pool that drops its queue only what was begun is done."""
        pool = WorkPool(reactor, "password", 1, drops=True)
        pool.startService()
        begun, gate = threading.Event(), threading.Event()

        def wait() -> None:
            begun.set()
            gate.wait()

        first, *others = [pool.run(wait) for _ in range(3)]
        begun.wait(60)
        stopping = pool.stopService()
        for other in others:
            self.assertIsNone(await other)
        self.assertFalse(stopping.called)
        gate.set()
        await stopping
        self.assertTrue(first.called)

    async def test_stop_waits_for_jobs(self) -> None:
        """A pool has stopped when its last result was delivered."""
        gate = threading.Event()
        job = self.pool.run(gate.wait)
        stopping = self.pool.stopService()
        self.assertFalse(stopping.called)
        gate.set()
        await stopping
        self.assertTrue(job.called)

    async def test_cancelled_job_is_waited_for(self) -> None:
        """A job that nobody waits for any more still holds up the stop."""
        gate = threading.Event()
        job = self.pool.run(gate.wait)
        job.addErrback(lambda failure: failure.trap(CancelledError))
        job.cancel()
        stopping = self.pool.stopService()
        self.assertFalse(stopping.called)
        gate.set()
        await stopping

    async def test_side_by_side(self) -> None:
        """As many jobs as there may be threads run at a time, and the next waits for one."""
        barrier = threading.Barrier(3, timeout=30)
        jobs = [self.pool.run(barrier.wait) for _ in range(2)]
        third = self.pool.run(abs, -1)
        barrier.wait()
        await gatherResults(jobs)
        self.assertEqual(await third, 1)

    def test_shared_wake_up(self) -> None:
        """Outcomes that come while the reactor is busy share one call of it, in their order."""
        due, reactor = threading.Event(), BusyReactor()
        pool = WorkPool(reactor, "index", 1)
        pool.startService()
        done = list[int]()
        for number in range(3):
            pool.run(abs, -number).addCallback(done.append)
        pool.run(due.set)
        due.wait(60)
        self.assertEqual((reactor.calls.qsize(), done), (1, []))
        reactor.turn()
        self.assertEqual(done, [0, 1, 2])
        stopping = pool.stopService()
        if stopping is not None:  # the last outcome came too late for that call
            reactor.turn()
            self.successResultOf(stopping)

    async def test_gathers(self) -> None:
        """In a pool that gathers, a job begins when the reactor's turn is over."""
        pool = self.gathering()
        begun = threading.Event()
        jobs = [pool.run(begun.set), pool.run(begun.is_set)]
        self.assertFalse(begun.is_set())
        self.assertEqual([await job for job in jobs], [None, True])

    async def test_gathers_at_stop(self) -> None:
        """What it was given before a stop is done."""
        pool = self.gathering()
        job = pool.run(abs, -1)
        await _stop(pool)
        self.assertEqual(await job, 1)

    async def test_gathers_without_threads(self) -> None:
        """Where the system gives no thread, the jobs fail, and the pool can be stopped."""
        pool = self.gathering()
        self.patch(threading.Thread, "start", _refuse)
        for job in [pool.run(abs, -1), pool.run(abs, -2)]:
            with self.assertRaisesRegex(RuntimeError, "no thread"):
                await job
        await _stop(pool)

    def gathering(self) -> WorkPool:
        """A pool of one thread that gathers."""
        pool = WorkPool(reactor, "index", 1, gathers=True)
        pool.startService()
        self.addCleanup(pool.stopService)
        return pool

    async def test_one_thread(self) -> None:
        """Jobs that follow each other share a thread, in their order in a pool of one."""
        pool = WorkPool(reactor, "index", 1)
        pool.startService()
        self.addCleanup(pool.stopService)
        recording, order = RecordingPool(pool), list[int]()
        await gatherResults([recording.run(order.append, number) for number in range(20)])
        self.assertEqual((order, len(set(recording.threads))), (list(range(20)), 1))

    async def test_threads_end(self) -> None:
        """A pool that has stopped leaves no thread behind."""
        before = threading.active_count()
        await self.pool.run(abs, -1)
        self.assertEqual(threading.active_count(), before + 1)
        await _stop(self.pool)
        self.assertEqual(threading.active_count(), before)

    async def test_starts_again(self) -> None:
        """A pool that was stopped can be started again."""
        await _stop(self.pool)
        self.pool.startService()
        self.assertEqual(await self.pool.run(abs, -1), 1)


async def _stop(pool: WorkPool) -> None:
    stopping = pool.stopService()
    if stopping is not None:
        await stopping


class HandedOverTests(SynchronousTestCase):
    """Tests for :func:`handed_over`."""

    def test_result(self) -> None:
        """The result reaches who waits."""
        inner: Deferred[int] = Deferred()
        outer = handed_over(inner)
        inner.callback(1)
        self.assertEqual(self.successResultOf(outer), 1)

    def test_failure(self) -> None:
        """A failure reaches who waits."""
        inner: Deferred[int] = Deferred()
        outer = handed_over(inner)
        inner.errback(OSError())
        self.failureResultOf(outer, OSError)

    def test_cancel(self) -> None:
        """A cancel leaves the job alone, and its result is given back."""
        given_back: list[int] = []
        inner: Deferred[int] = Deferred()
        outer = handed_over(inner, given_back.append)
        outer.cancel()
        self.failureResultOf(outer, CancelledError)
        self.assertFalse(inner.called)
        inner.callback(1)
        self.assertEqual(given_back, [1])

    def test_failure_after_cancel(self) -> None:
        """A failure that nobody waits for is no unhandled error."""
        inner: Deferred[int] = Deferred()
        outer = handed_over(inner)
        outer.cancel()
        self.failureResultOf(outer, CancelledError)
        inner.errback(OSError())
        self.assertEqual(self.flushLoggedErrors(), [])


class FakePoolTests(SynchronousTestCase):
    """Tests for the fakes that other tests rely upon."""

    def test_interfaces(self) -> None:
        """All of them are work pools."""
        for pool in (ImmediatePool(), HeldPool(), SlowPool(Clock(), 1), RecordingPool(None)):
            verifyObject(IWorkPool, pool)

    def test_held(self) -> None:
        """A held job is done when it is released."""
        pool = HeldPool()
        job = pool.run(abs, -1)
        self.assertNoResult(job)
        pool.release_all()
        self.assertEqual(self.successResultOf(job), 1)

    def test_slow(self) -> None:
        """A slow job is done when its time has passed."""
        clock = Clock()
        job = SlowPool(clock, 2).run(abs, -1)
        clock.advance(1)
        self.assertNoResult(job)
        clock.advance(1)
        self.assertEqual(self.successResultOf(job), 1)

    def test_recording(self) -> None:
        """The recording pool notes which function ran in which thread."""
        pool = RecordingPool(ImmediatePool())
        self.assertEqual(self.successResultOf(pool.run(abs, -1)), 1)
        self.assertEqual((pool.names, pool.threads), (["abs"], [threading.get_ident()]))
