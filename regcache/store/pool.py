"""Threads of our own for work that may block.

Never the reactor's pool: names are resolved there, and a slow disk would stall every
connection to an upstream.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from regcache.interfaces import IWorkPool

T = TypeVar("T")


class PoolStoppedError(RuntimeError):
    """Work was given to a pool that does not run (yet, or any more)."""


def handed_over(
    inner: "Deferred[T]", give_back: Callable[[T], object] = lambda value: None
) -> "Deferred[T]":
    """A Deferred for the caller to cancel as it likes, while ``inner`` goes on to its end.

    A job in a thread cannot be called back: what depends on its end must hang on ``inner``.

    :param give_back: gets the result when nobody waits any more, e.g. to close a file.
    """
    outer: Deferred[T] = Deferred()

    def arrived(value: T) -> None:
        if outer.called:
            give_back(value)
        else:
            outer.callback(value)

    def failed(failure: Any) -> None:
        if not outer.called:  # else whoever cancelled has renounced the outcome
            outer.errback(failure)

    inner.addCallbacks(arrived, failed)
    return outer


@implementer(IWorkPool)
class WorkPool(Service):
    """A named thread pool that runs while the service does.

    :param reactor: where results are delivered.
    :param size: the greatest number of threads. The queue is bounded by the callers.
    """

    def __init__(self, reactor: IReactorFromThreads, name: str, size: int) -> None:
        self._reactor = reactor
        self._name = name
        self._size = size
        self._threads: ThreadPool | None = None
        self._jobs = 0
        self._idle: Deferred[None] | None = None

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Call the function in a thread. Fails with PoolStoppedError outside of start and stop.

        Cancelling drops the result, not the job: see :func:`handed_over`.
        """
        if self._threads is None:
            return fail(PoolStoppedError(f"the {self._name} threads are not running"))
        result: Deferred[Any] = Deferred()
        self._jobs += 1
        self._threads.callInThreadWithCallback(
            lambda success, value: self._reactor.callFromThread(
                self._deliver, result, success, value
            ),
            function,
            *args,
        )
        return result

    def _deliver(self, result: "Deferred[Any]", success: bool, value: Any) -> None:
        """Back in the reactor thread with an outcome."""
        self._jobs -= 1
        if success:
            result.callback(value)
        else:
            result.errback(value)
        if self._jobs == 0 and self._idle is not None:
            idle, self._idle = self._idle, None
            idle.callback(None)

    def startService(self) -> None:
        """Begin to take work."""
        super().startService()  # type: ignore[no-untyped-call]
        self._threads = ThreadPool(minthreads=0, maxthreads=self._size, name=self._name)
        self._threads.start()

    def stopService(self) -> "Deferred[None] | None":
        """Take no more work; fires when all that was taken is done and delivered."""
        super().stopService()  # type: ignore[no-untyped-call]
        threads, self._threads = self._threads, None
        if threads is None:
            return None
        if self._jobs == 0:
            threads.stop()
            return None
        self._idle = Deferred()
        return self._idle.addCallback(lambda _: threads.stop())
