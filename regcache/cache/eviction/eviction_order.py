"""Gives contents in the order of eviction; keeps its position in that order for a while."""

from collections import deque
from math import inf

from twisted.internet.interfaces import IReactorTime

from regcache.interfaces import IPins, IPlaces
from regcache.retention import FIRST, YOUNG_FOR, Candidate, CandidatePage

LASTS = 60.0
"""Seconds after which it starts again: contents that were young or open may be evictable then."""


class EvictionOrder:
    """Reads the order from the index in pages: first without young contents, then with them.

    One pass gives no content twice. So many small claims together read the order once, not once
    each. At the end of a pass another begins, if there may be further contents since.
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
        """Start again from the beginning."""
        self._began_at = -inf

    def outdated(self) -> None:
        """Note that contents may have come, or may have been closed, since the pass began."""
        self._outdated = True

    async def next(self) -> Candidate | None:
        """Give the next content to evict; None if none is left.

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
