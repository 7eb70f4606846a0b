"""Waiting with an end: every wait on an upstream goes through here."""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")


def cancellable(inner: "Deferred[T]", discard: Callable[[T], None]) -> "Deferred[T]":
    """Wrap a Deferred so that cancelling it always fails it with CancelledError.

    Twisted's agents and endpoints turn a cancel into several errors of their own. A result
    that comes all the same is given to ``discard``, so that nothing it holds leaks.
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
    late: Callable[[], Exception],
    discard: Callable[[T], None],
) -> "Deferred[T]":
    """Cancel ``awaited`` after ``seconds`` and fail with ``late()`` then."""
    inner = cancellable(awaited, discard)
    outer: Deferred[T] = Deferred(lambda _: inner.cancel())
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        inner.cancel()

    timer = clock.callLater(seconds, expire)

    def settle(result: T | Failure) -> None:
        if timer.active():
            timer.cancel()
        if expired:
            outer.errback(late())
        elif isinstance(result, Failure):
            outer.errback(result)
        else:
            outer.callback(result)

    inner.addBoth(settle)
    return outer
