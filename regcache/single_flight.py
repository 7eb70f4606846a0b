"""One piece of work at a time per key, whose result all who ask meanwhile share."""

from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.errors import RegistryError, UpstreamFailure

Result = TypeVar("Result")
Begin = Callable[[], Coroutine[Any, Any, Result]]

#: Flights that nobody waits for any more and that go on all the same.
MOST_ABANDONED = 1000


class OverdueError(Exception):
    """The work takes longer than this waiter waits. It goes on."""


class Flight(Generic[Result]):
    """Work that is under way.

    :param abandoned: called when the last waiter has left.
    :ivar started_at: Unix seconds.
    :ivar work: the work itself, once it has begun.
    """

    work: "Deferred[Result]"

    def __init__(self, started_at: float, abandoned: Callable[[], None]) -> None:
        self.started_at = started_at
        self.waiters: list[Deferred[Result]] = []
        self._abandoned = abandoned
        self._alarm: IDelayedCall | None = None

    def watch(self, clock: IReactorTime, limit: float, missed: Callable[[], None]) -> None:
        """Have ``missed`` called, once, if the work takes longer than ``limit``."""
        if self._alarm is None:
            seconds = self.started_at + limit - clock.seconds()
            self._alarm = clock.callLater(min(max(0.0, seconds), limit), missed)

    def land(self, result: "Result | Failure") -> None:
        """Give the result to everybody who still waits."""
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
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
            if not self.waiters:
                self._abandoned()


class Flights(Generic[Result]):
    """The work under way, by key.

    Its number is bounded: by that of the requests being served, since each waits for one
    flight at a time, and by ``most_abandoned`` for the flights whose waiters have all left.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, most_abandoned: int = MOST_ABANDONED) -> None:
        self._clock = clock
        self._most_abandoned = most_abandoned
        self._flights: dict[Hashable, Flight[Result]] = {}
        self._abandoned: OrderedDict[Hashable, Flight[Result]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._flights)

    def under_way(self, key: Hashable) -> bool:
        """Whether there is a flight of a key."""
        return key in self._flights

    def join(self, key: Hashable, begin: Begin[Result]) -> "Deferred[Result]":
        """Wait for the work of a key, which begins now unless it is under way.

        The work goes on when its waiters leave; failures reach each of them.
        """
        flight = self._flights.get(key)
        if flight is not None:
            self._abandoned.pop(key, None)
            return flight.wait()
        flight = Flight(self._clock.seconds(), lambda: self._left_alone(key))
        self._flights[key] = flight
        waiter = flight.wait()
        flight.work = Deferred.fromCoroutine(begin())
        flight.work.addBoth(self._landed, key, flight)
        return waiter

    def join_within(
        self,
        key: Hashable,
        begin: Begin[Result],
        limit: float,
        by: float | None = None,
        missed: Callable[[], None] = lambda: None,
    ) -> "Deferred[Result]":
        """The same, for at most ``limit`` seconds from the beginning of the work.

        Fails with OverdueError then, or at the time ``by`` (Unix seconds). Who joins work that
        is overdue does not wait at all.

        :param missed: called once for each flight that takes longer than ``limit``.
        """
        waiter = self.join(key, begin)
        flight = self._flights.get(key)
        if flight is None:
            return waiter
        flight.watch(self._clock, limit, missed)
        end = flight.started_at + limit
        seconds = (end if by is None else min(end, by)) - self._clock.seconds()
        # A clock that was set back must not make anybody wait longer.
        return self._limit(waiter, min(seconds, limit))

    def _limit(self, waiter: "Deferred[Result]", seconds: float) -> "Deferred[Result]":
        """Give up waiting after some seconds."""
        expired = False

        def expire() -> None:
            nonlocal expired
            expired = True
            waiter.cancel()

        timer = self._clock.callLater(max(0.0, seconds), expire)

        def settle(result: "Result | Failure") -> "Result | Failure":
            if timer.active():
                timer.cancel()
            return Failure(OverdueError()) if expired else result

        waiter.addBoth(settle)
        if seconds <= 0:
            timer.cancel()
            expire()
        return waiter

    def _left_alone(self, key: Hashable) -> None:
        self._abandoned[key] = self._flights[key]
        while len(self._abandoned) > self._most_abandoned:
            _, flight = self._abandoned.popitem(last=False)
            flight.work.cancel()

    def _landed(self, result: "Result | Failure", key: Hashable, flight: Flight[Result]) -> None:
        del self._flights[key]
        self._abandoned.pop(key, None)
        if isinstance(result, Failure) and not flight.waiters:
            # Nobody hears of it: expected failures will come again, others are our fault.
            if not result.check(UpstreamFailure, RegistryError, CancelledError):
                self._log.failure("work that nobody waits for failed", result)
        flight.land(result)
