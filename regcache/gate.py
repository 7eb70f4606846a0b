"""An event for which many wait, each by a Deferred of its own."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def has_result(waiting: "Deferred[Any]") -> bool:
    """Whether a Deferred has fired with a result, so that to chain or await it is not needed.

    Each costs about twenty calls. Where small things are mostly there at once, that is saved.
    """
    return waiting.called and not waiting.paused and type(waiting.result) is not Failure


class Gate:
    """Something that succeeds or fails once. Those who wait later are told at once."""

    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] = []
        self._failure: Failure | None = None
        self.open = False

    def wait(self) -> "Deferred[None]":
        """A new Deferred. It may be cancelled without affecting others."""
        waiter: Deferred[None] = Deferred(self._forget)
        if self._failure is not None:
            waiter.errback(self._failure)
        elif self.open:
            waiter.callback(None)
        else:
            self._waiting.append(waiter)
        return waiter

    def succeed(self) -> None:
        """Fire all Deferreds. Only the first outcome counts."""
        if self.open or self._failure is not None:
            return
        self.open = True
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)

    def fail(self, failure: Failure) -> None:
        """Fail all Deferreds. Only the first outcome counts."""
        if self.open or self._failure is not None:
            return
        self._failure = failure
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.errback(failure)

    def _forget(self, waiter: "Deferred[None]") -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
