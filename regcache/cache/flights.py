"""One piece of work at a time per key, whose result all who ask meanwhile share."""

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.errors import RegistryError, UpstreamFailure

Result = TypeVar("Result")


class Flight(Generic[Result]):
    """Work that is under way.

    :ivar started_at: Unix seconds.
    """

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.waiters: list[Deferred[Result]] = []

    def land(self, result: "Result | Failure") -> None:
        """Give the result to everybody who still waits."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            waiter.callback(result)

    def wait(self) -> "Deferred[Result]":
        """A Deferred of one's own, which may be cancelled without harm to the others."""
        waiter: Deferred[Result] = Deferred(self._forget)
        self.waiters.append(waiter)
        return waiter

    def _forget(self, waiter: "Deferred[Result]") -> None:
        if waiter in self.waiters:
            self.waiters.remove(waiter)


class Flights(Generic[Result]):
    """The work under way, by key. Its number is bounded by that of the requests served."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._flights: dict[Hashable, Flight[Result]] = {}

    def under_way(self, key: Hashable) -> Flight[Result] | None:
        """The flight of a key, if there is one."""
        return self._flights.get(key)

    def join(
        self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, Result]]
    ) -> "Deferred[Result]":
        """Wait for the work of a key, which begins now unless it is under way.

        The work goes on when its waiters leave; failures reach each of them.
        """
        flight = self._flights.get(key)
        if flight is not None:
            return flight.wait()
        flight = self._flights[key] = Flight(self._clock.seconds())
        waiter = flight.wait()
        work: Deferred[Result] = Deferred.fromCoroutine(begin())
        work.addBoth(self._landed, key, flight)
        return waiter

    def _landed(self, result: "Result | Failure", key: Hashable, flight: Flight[Result]) -> None:
        del self._flights[key]
        if isinstance(result, Failure) and not flight.waiters:
            # Nobody hears of it: expected failures will come again, others are our fault.
            if not result.check(UpstreamFailure, RegistryError):
                self._log.failure("work that nobody waits for failed", result)
        flight.land(result)
