"""An event for which many wait, each by a Deferred of its own."""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


class Gate:
    """Something that succeeds or fails once. Those who wait later are told at once."""

    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] = []
        self._failure: Failure | None = None
        self.open = False

    @property
    def settled(self) -> bool:
        """Whether it has happened."""
        return self.open or self._failure is not None

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
        if not self.settled:
            self.open = True
            for waiter in self._take():
                waiter.callback(None)

    def fail(self, failure: Failure) -> None:
        """Fail all Deferreds. Only the first outcome counts."""
        if not self.settled:
            self._failure = failure
            for waiter in self._take():
                waiter.errback(failure)

    def _take(self) -> "list[Deferred[None]]":
        waiting, self._waiting = self._waiting, []
        return waiting

    def _forget(self, waiter: "Deferred[None]") -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
