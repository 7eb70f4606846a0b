"""Places: limits the exchanges of a kind with one URL at a time, with a queue for the others."""

from collections import deque
from collections.abc import Callable
from dataclasses import field

from twisted.internet.defer import Deferred

from regcache.light_dataclass import dataclass

#: How many requests may wait for a place; further ones are refused (entries).
MOST_WAITING = 2000


class CrowdedError(Exception):
    """Too many wait for a place already."""


@dataclass(eq=False, slots=True)
class _Waiter:
    """A request that waits for a place, and since when (clock seconds)."""

    since: float
    place: "Deferred[float]" = field(default_factory=Deferred)


class ExchangePlaces:
    """A number of places, given out in the order in which they were asked for."""

    def __init__(self, limit: int, most_waiting: int = MOST_WAITING) -> None:
        self._free = limit
        self._most_waiting = most_waiting
        self._waiting: deque[_Waiter] = deque()

    @property
    def free(self) -> int:
        """How many places are free."""
        return self._free

    def take(self) -> bool:
        """Take a place if one is free now."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def acquire(self, now: float) -> "Deferred[float]":
        """Fires when there is a place, with the argument of :meth:`release`.

        May be cancelled. Fails with CrowdedError if too many wait already.
        """
        waiter = _Waiter(now)
        waiter.place = Deferred(lambda _: self._give_up(waiter))
        if self.take():
            waiter.place.callback(0.0)
        elif len(self._waiting) >= self._most_waiting:
            waiter.place.errback(CrowdedError())
        else:
            self._waiting.append(waiter)
        return waiter.place

    def release(self, in_vain: float = 0.0) -> None:
        """Give a place back. It goes to the request that has waited longest.

        :param in_vain: for how long the upstream was waited for without an answer (seconds).
        """
        if self._waiting:
            self._waiting.popleft().place.callback(in_vain)
        else:
            self._free += 1

    def dismiss(self, since: float, reason: Callable[[], Exception]) -> None:
        """Fail those that have waited since then or longer."""
        while self._waiting and self._waiting[0].since <= since:
            self._waiting.popleft().place.errback(reason())

    def _give_up(self, waiter: _Waiter) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)


class Place:
    """One place, which is given back once."""

    def __init__(self, places: ExchangePlaces) -> None:
        self._places: ExchangePlaces | None = places

    def move(self, places: ExchangePlaces) -> bool:
        """Change to one of these other places. Returns whether one was free."""
        occupied = self._places
        if occupied is None or occupied is places:
            return True
        if not places.take():
            return False
        self._places = places
        occupied.release()
        return True

    def give_back(self, in_vain: float = 0.0) -> None:
        """Give it back. Idempotent."""
        occupied, self._places = self._places, None
        if occupied is not None:
            occupied.release(in_vain)
