"""What may go, one after the other: a walk along the order of eviction that is kept for a while."""

from collections import deque
from math import inf

from twisted.internet.interfaces import IReactorTime

from regcache.interfaces import IPins, IPlaces
from regcache.retention import FIRST, YOUNG_FOR, Candidate, CandidatePage

LASTS = 60.0
"""Seconds after which a walk begins anew: what was too young or open may go then."""


class EvictionOrder:
    """Goes along the order, first past what is young, and then past that, too.

    What was taken is not given twice in one walk, so it costs no more than the order is long,
    however many ask for a little. At the end of a walk another one begins, if something may have
    come since this one did.
    """

    def __init__(self, places: IPlaces, pins: IPins, clock: IReactorTime) -> None:
        self._places = places
        self._pins = pins
        self._clock = clock
        self._began_at = -inf
        self._page = CandidatePage((), FIRST)
        self._waiting: deque[Candidate] = deque()
        self._young_too = False
        self._outdated = False
        self._settled_at = -inf

    def begin_anew(self) -> None:
        """Go along it from the beginning."""
        self._began_at = -inf

    def outdated(self) -> None:
        """Something may have come or become free since the walk began."""
        self._outdated = True

    async def next(self) -> Candidate | None:
        """What goes first of what was not given yet; None where nothing is left.

        :raises OSError: if the index cannot be read.
        """
        now = self._clock.seconds()
        if not 0 <= now - self._began_at < LASTS:
            await self._begin(now)
        while not self._waiting:
            if self._page.after is None:
                if not self._young_too:
                    self._young_too, self._page = True, CandidatePage((), FIRST)
                elif self._outdated:
                    await self._begin(now)
                else:
                    return None
            assert self._page.after is not None
            before = inf if self._young_too else self._clock.seconds() - YOUNG_FOR
            self._page = await self._places.candidates(self._page.after, before)
            self._waiting.extend(self._page.candidates)
        return self._waiting.popleft()

    async def _begin(self, now: float) -> None:
        self._began_at, self._outdated = now, False
        self._young_too, self._page = False, CandidatePage((), FIRST)
        self._waiting.clear()
        if not 0 <= now - self._settled_at < LASTS:
            await self._pins.settle()
            self._settled_at = now
        await self._places.write_uses()
