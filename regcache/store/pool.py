"""Thread pools for work that may block.

The reactor's pool is not used: it resolves names, and a slow disk would delay every connection to
an upstream. Nor is another one of Twisted's: there, handing over a short job costs more than the
job itself.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread, get_native_id
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.interfaces import IWorkPool

T = TypeVar("T")


class IReactor(IReactorFromThreads, IReactorTime):
    """What a pool needs of the reactor."""


class PoolStoppedError(RuntimeError):
    """Work was given to a pool that is not running yet, or not any more."""


def handed_over(
    inner: "Deferred[T]", give_back: Callable[[T], object] = lambda value: None
) -> "Deferred[T]":
    """A Deferred that the caller may cancel; ``inner`` goes on to its end in any case.

    A job in a thread cannot be cancelled. What depends on its end must use ``inner``.

    :param give_back: gets the result if the caller has cancelled, to close a file, for example.
    """
    outer: Deferred[T] = Deferred()

    def arrived(value: T) -> None:
        if outer.called:
            give_back(value)
        else:
            outer.callback(value)

    def failed(failure: Any) -> None:
        if not outer.called:  # else the caller has cancelled it
            outer.errback(failure)

    inner.addCallbacks(arrived, failed)
    return outer


_Job = tuple["Deferred[Any]", Callable[..., Any], tuple[Any, ...]]


@implementer(IWorkPool)
class WorkPool(Service):
    """A named thread pool that runs while the service does.

    :param reactor: where results are delivered.
    :param size: the greatest number of threads. The queue is bounded by the callers.
    :param niceness: by how much they give way to the other threads of this process (nice(2)); for
        jobs that take processor time alone, and whose callers may wait.
    :param drops: at the stop, jobs that have not begun are not done any more: None comes of them.
    :param gathers: jobs begin at the end of the reactor's turn, all of them. While it is at work
        the reactor has the interpreter's lock: a thread that begins earlier takes it away at each
        call of the system, and has it taken away likewise.
    """

    def __init__(
        self,
        reactor: IReactor,
        name: str,
        size: int,
        *,
        niceness: int = 0,
        drops: bool = False,
        gathers: bool = False,
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._size = size
        self._niceness = niceness
        self._drops = drops
        self._gathers = gathers
        self._gathered: list[_Job] = []
        self._threads: _Threads | None = None
        self._outcomes: deque[tuple[Deferred[Any], Any]] = deque()
        self._delivery_due = False
        self._jobs = 0
        self._idle: Deferred[None] | None = None

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Call the function in a thread. Fails with PoolStoppedError outside of start and stop.

        Cancelling drops the result, not the job: see :func:`handed_over`.
        """
        if self._threads is None:
            return fail(PoolStoppedError(f"the {self._name} threads are not running"))
        result: Deferred[Any] = Deferred()
        job = (result, function, args)
        if self._gathers:
            self._gather(job)
        else:
            self._threads.take(job, self._jobs + 1)
        self._jobs += 1
        return result

    def _gather(self, job: _Job) -> None:
        self._gathered.append(job)
        if len(self._gathered) == 1:
            self._reactor.callLater(0, self._begin_gathered)

    def _begin_gathered(self) -> None:
        jobs, self._gathered = self._gathered, []
        for job in jobs:
            assert self._threads is not None
            try:
                self._threads.take(job, self._jobs)
            except RuntimeError:
                self._deliver(job[0], Failure())

    def _done(self, result: "Deferred[Any]", outcome: Any) -> None:
        """Hand an outcome to the reactor's thread. Called in the job's thread.

        To wake the reactor is a call of the system; outcomes that it has not taken yet share one.
        """
        self._outcomes.append((result, outcome))
        if not self._delivery_due:
            self._delivery_due = True
            self._reactor.callFromThread(self._deliver_all)

    def _deliver_all(self) -> None:
        self._delivery_due = False  # first: what comes from here on has a call of its own
        for _ in range(len(self._outcomes)):
            self._deliver(*self._outcomes.popleft())

    def _deliver(self, result: "Deferred[Any]", outcome: Any) -> None:
        """Deliver outcomes. Called in the reactor's thread."""
        self._jobs -= 1
        result.callback(outcome)
        if self._jobs == 0 and self._idle is not None:
            idle, self._idle = self._idle, None
            idle.callback(None)

    def _drop(self, results: "Sequence[Deferred[Any]]") -> None:
        self._jobs -= len(results)
        for result in results:
            result.callback(None)

    def startService(self) -> None:
        """Accept work from now on."""
        super().startService()  # type: ignore[no-untyped-call]
        begin = partial(_give_way, self._niceness)
        self._threads = _Threads(self._name, self._size, self._done, begin)

    def stopService(self) -> "Deferred[None] | None":
        """Accept no more work. Fires when all that was accepted is done and delivered."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._begin_gathered()
        threads, self._threads = self._threads, None
        if threads is None:
            return None
        if self._drops:
            self._drop(threads.take_back())
        if self._jobs == 0:
            threads.stop()
            return None
        self._idle = Deferred()
        return self._idle.addCallback(lambda _: threads.stop())


class _Threads:
    """Threads that are started when they are needed, and stay. Only for the reactor's thread.

    :param done: called in a thread with a job's Deferred and its result, or Failure.
    :param begin: called in each thread before its first job.
    """

    def __init__(
        self,
        name: str,
        size: int,
        done: Callable[["Deferred[Any]", Any], None],
        begin: Callable[[], None],
    ) -> None:
        self._name = name
        self._size = size
        self._done = done
        self._begin = begin
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._running: list[Thread] = []

    def take(self, job: _Job, jobs: int) -> None:
        """Do a job.

        :param jobs: how many jobs have no outcome yet, including this one.
        :raises RuntimeError: if there is no thread, and none can be started.
        """
        if len(self._running) < min(jobs, self._size):
            self._begin_thread()
        self._queue.put(job)

    def take_back(self) -> "list[Deferred[Any]]":
        """Take the jobs out of the queue that no thread has begun."""
        found: list[Deferred[Any]] = []
        while True:
            try:
                job = self._queue.get_nowait()
            except Empty:
                return found
            if job is not None:
                found.append(job[0])

    def stop(self) -> None:
        """End all threads. None may have a job any more."""
        for _ in self._running:
            self._queue.put(None)
        for thread in self._running:
            thread.join()

    def _begin_thread(self) -> None:
        thread = Thread(target=self._work, name=f"{self._name}-{len(self._running)}")
        try:
            thread.start()
        except RuntimeError:
            if not self._running:
                raise
        else:
            self._running.append(thread)

    def _work(self) -> None:
        self._begin()
        while (job := self._queue.get()) is not None:
            self._done(job[0], _outcome(job))
            del job  # nothing of it is kept while there is nothing to do


def _give_way(niceness: int) -> None:
    """Let other threads go first. In Linux, each thread has a niceness of its own."""
    if niceness and sys.platform == "linux":
        thread = get_native_id()
        with suppress(OSError):
            os.setpriority(
                os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + niceness
            )


def _outcome(job: _Job) -> Any:
    """What a job returns, or the Failure that it raises."""
    _, function, args = job
    try:
        return function(*args)
    except BaseException:  # noqa: BLE001 - the caller gets it
        return Failure()
