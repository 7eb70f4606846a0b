"""Sums over all that is stored: added up anew when they are asked for and old.

A request gets the sums that were added up last, and does not wait for new ones. Only after a start
there are none for a moment. The longer it takes to add up, the longer the pause after it.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

from collections.abc import Awaitable, Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from regcache.plans import StoredSums
from regcache.single_flight import Flights

#: Sums are not added up again for so long, and for so many times as long as that took (seconds).
LEAST_REST, RESTS, MOST_REST = 2.0, 50.0, 60.0


class StoredSumsKeeper(Service):
    """Keeps the latest sums.

    :param add_up: asks the index; gets the time (Unix seconds). Fails with OSError.
    """

    def __init__(
        self, add_up: Callable[[float], Awaitable[StoredSums]], clock: IReactorTime
    ) -> None:
        self._add_up = add_up
        self._clock = clock
        self._flights: Flights[StoredSums] = Flights(clock)
        self._known: StoredSums | None = None
        self._rests_from = self._rests_until = float("-inf")

    def startService(self) -> None:
        """Add up for the first time."""
        super().startService()
        self._refresh()

    @property
    def latest(self) -> StoredSums | None:
        """Those that are known; None before the first."""
        if not self._is_resting():
            self._refresh()
        return self._known

    async def fresh(self) -> StoredSums:
        """Those of now, or of a moment ago. :raises OSError: if the index cannot answer."""
        if self._known is None or not self._is_resting():
            return await self._join()
        return self._known

    def _is_resting(self) -> bool:
        """The clock may be set back meanwhile."""
        return self._rests_from <= self._clock.seconds() < self._rests_until

    def _refresh(self) -> None:
        self._join().addErrback(lambda failure: failure.trap(OSError))

    def _join(self) -> "Deferred[StoredSums]":
        return self._flights.join("sums", self._add)

    async def _add(self) -> StoredSums:
        began = self._clock.seconds()
        try:
            self._known = await self._add_up(began)
        finally:
            now = self._rests_from = self._clock.seconds()
            rest = max(LEAST_REST, RESTS * (now - began))
            self._rests_until = now + min(rest, MOST_REST)
        return self._known
