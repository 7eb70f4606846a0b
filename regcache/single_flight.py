"""Single flight: one piece of work at a time for each key; all callers meanwhile share its result.

==========  ===========================  ==================================================
state       event                        what follows
==========  ===========================  ==================================================
none        a caller joins               waited for: the work begins
waited for  a caller joins               waited for: both get the result
waited for  a waiter leaves, not the     waited for
            last
waited for  the last waiter leaves       left: the work goes on, unless too many are left
left        a caller joins               waited for
left        more than ``most_left``      none: the work that was left first is cancelled
            are left
any         the work ends                none: all waiters get the result or the failure
==========  ===========================  ==================================================
"""

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.bounded import BoundedTable
from regcache.errors import RegistryError, UpstreamFailure
from regcache.timings import join_timings, shared_timings

Result = TypeVar("Result")
Begin = Callable[[], Coroutine[Any, Any, Result]]

#: Pieces of work that go on although they have no waiter any more.
MOST_LEFT = 1000


class OverdueError(Exception):
    """The work takes longer than this waiter waits. It goes on."""


class Flight(Generic[Result]):
    """Work that is under way.

    :param left: called when the last waiter has left.
    :ivar started_at: Unix seconds.
    :ivar timings: what took how long in it; each request that waits for it has that, too.
    :ivar work: the work itself, once it has begun.
    """

    work: "Deferred[Result]"

    def __init__(
        self, key: Hashable, clock: IReactorTime, left: "Callable[[Flight[Result]], None]"
    ) -> None:
        self.key = key
        self.started_at = clock.seconds()
        self.timings = shared_timings(clock.seconds)
        self.waiters: list[Deferred[Result]] = []
        self._left = left
        self._alarm: IDelayedCall | None = None

    def watch(self, clock: IReactorTime, limit: float, missed: Callable[[], None]) -> None:
        """Call ``missed``, once, if the work takes longer than ``limit``."""
        if self._alarm is None:
            seconds = self.started_at + limit - clock.seconds()
            self._alarm = clock.callLater(min(max(0.0, seconds), limit), missed)

    def land(self, result: "Result | Failure") -> None:
        """Give the result to all waiters."""
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            waiter.callback(result)

    def wait(self) -> "Deferred[Result]":
        """A new Deferred. It may be cancelled without affecting others."""
        join_timings(self.timings)
        waiter: Deferred[Result] = Deferred(self._forget)
        self.waiters.append(waiter)
        return waiter

    def _forget(self, waiter: "Deferred[Result]") -> None:
        if waiter in self.waiters:
            self.waiters.remove(waiter)
            if not self.waiters:
                self._left(self)


class Flights(Generic[Result]):
    """The work under way, by key.

    Their number is bounded: by the number of requests being served, since each waits for one flight
    at a time, and by ``most_left``, for those without waiters.

    :param most_left: how many flights go on without waiters; 0: the last waiter that leaves cancels
        the work.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, most_left: int = MOST_LEFT) -> None:
        self._clock = clock
        self._flights: dict[Hashable, Flight[Result]] = {}
        self._left: BoundedTable[Hashable, Flight[Result]] = BoundedTable(most_left)

    def __len__(self) -> int:
        return len(self._flights)

    def under_way(self, key: Hashable) -> bool:
        """Whether there is a flight of a key."""
        return key in self._flights

    def join(self, key: Hashable, begin: Begin[Result]) -> "Deferred[Result]":
        """Wait for the work of a key, which begins now unless it is under way.

        Each waiter gets a failure, too. To cancel one does not affect the others.
        """
        flight = self._flights.get(key)
        if flight is not None:
            self._left.drop(key)
            return flight.wait()
        flight = self._flights[key] = Flight(key, self._clock, self._leave)
        waiter = flight.wait()
        with flight.timings.active():
            flight.work = Deferred.fromCoroutine(begin())
        flight.work.addBoth(self._landed, flight)
        return waiter

    def join_within(
        self,
        key: Hashable,
        begin: Begin[Result],
        limit: float,
        *,
        by: float | None = None,
        missed: Callable[[], None] = lambda: None,
    ) -> "Deferred[Result]":
        """The same, for at most ``limit`` seconds from the beginning of the work.

        Fails with OverdueError then, or at the time ``by`` (Unix seconds). Those who join work that
        is overdue do not wait at all.

        :param missed: called once for each flight that takes longer than ``limit``.
        """
        waiter = self.join(key, begin)
        flight = self._flights.get(key)
        if flight is None:
            return waiter
        flight.watch(self._clock, limit, missed)
        end = flight.started_at + limit
        seconds = (end if by is None else min(end, by)) - self._clock.seconds()
        # If the clock was set back, no caller must wait longer because of that.
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

    def _leave(self, flight: Flight[Result]) -> None:
        """Let work without waiters go on, unless there is too much of it."""
        for longest in self._left.put(flight.key, flight):
            # Remove it at once, so that callers from now on begin new work.
            del self._flights[longest.key]
            longest.work.cancel()

    def _landed(self, result: "Result | Failure", flight: Flight[Result]) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
            self._left.drop(flight.key)
        if isinstance(result, Failure) and not flight.waiters:
            # There are no waiters: expected failures will occur again; others are internal faults.
            if not result.check(UpstreamFailure, RegistryError, CancelledError):
                self._log.failure("work that nobody waits for failed", result)
        flight.land(result)
