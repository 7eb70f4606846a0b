"""Time limits. Every wait for an upstream uses these functions."""

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")


def cancellable(inner: "Deferred[T]", discard: Callable[[T], None]) -> "Deferred[T]":
    """Wrap a Deferred so that cancelling it always fails it with CancelledError.

    Twisted's agents and endpoints turn a cancellation into several errors of their own. A result
    that comes in spite of it is given to ``discard``, so that its resources are released.
    """
    cancelled = False

    def cancel(_: "Deferred[T]") -> None:
        nonlocal cancelled
        cancelled = True
        inner.cancel()

    outer: Deferred[T] = Deferred(cancel)

    def arrived(result: T) -> None:
        if cancelled or outer.called:
            discard(result)
        else:
            outer.callback(result)

    def failed(reason: Failure) -> None:
        if not (cancelled or outer.called):
            outer.errback(reason)

    inner.addCallbacks(arrived, failed)
    return outer


def within(
    clock: IReactorTime,
    seconds: float,
    awaited: "Deferred[T]",
    *,
    late: Callable[[], Exception],
    discard: Callable[[T], None],
) -> "Deferred[T]":
    """Cancel ``awaited`` after ``seconds`` and fail with ``late()`` then.

    Cancellation, and results that come too late, are treated as by :func:`cancellable`.
    """
    return _Wait(clock, seconds, awaited, late=late, discard=discard).outcome


class _Wait(Generic[T]):
    """One wait. A result, the time limit or a cancellation ends it, whichever comes first."""

    def __init__(
        self,
        clock: IReactorTime,
        seconds: float,
        awaited: "Deferred[T]",
        *,
        late: Callable[[], Exception],
        discard: Callable[[T], None],
    ) -> None:
        self.outcome: Deferred[T] = Deferred(self._cancel)
        self._awaited = awaited
        self._late = late
        self._discard = discard
        self._over = False
        self._timer = clock.callLater(seconds, self._expire)
        awaited.addCallbacks(self._arrived, self._failed)

    def _end(self) -> None:
        self._over = True
        if self._timer.active():
            self._timer.cancel()

    def _cancel(self, _: "Deferred[T]") -> None:
        self._end()
        self._awaited.cancel()

    def _expire(self) -> None:
        self._over = True
        self._awaited.cancel()
        if not self.outcome.called:
            self.outcome.errback(self._late())

    def _arrived(self, result: T) -> None:
        if self._over:
            self._discard(result)
        else:
            self._end()
            self.outcome.callback(result)

    def _failed(self, reason: Failure) -> None:
        if not self._over:
            self._end()
            self.outcome.errback(reason)
