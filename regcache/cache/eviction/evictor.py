"""Makes room for claims that wait, and when a limit is exceeded for another reason.

========  ======================================  ==============================================
state     event                                   action, and next state
========  ======================================  ==============================================
idle      a claim needs room, or a check finds    evict some contents at a time, and measure the
          that a limit is exceeded                free space after each step: evicting
evicting  another claim needs room                it waits, too
evicting  all claims have enough room             they go on; a little more is evicted
evicting  nothing is missing, or any more         claims that wait go on: idle
evicting  all remaining contents are open, or     try again, for two seconds
          were used a moment ago
evicting  nothing more can be evicted             claims that wait fail, and their content is
                                                  relayed; what is left does not count as
                                                  evictable for a while: idle
evicting  the index or the disk fails             the same
any       the daemon stops                        claims that wait fail: ended
========  ======================================  ==============================================
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

from collections.abc import Callable
from math import ceil
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.eviction.content_eviction import AT_ONCE, ContentEviction
from regcache.cache.eviction.eviction_order import EvictionOrder
from regcache.facts import in_units
from regcache.gate import Gate
from regcache.interfaces import IndexInUseError, IPins, IPlaces, NoRoomError
from regcache.retention import LEAST_SPARE, SPARE, Candidate
from regcache.sparingly import Sparingly

PATIENCE, PAUSE = 2.0, 0.1
"""How long open contents are waited for if nothing else is left, and the pause between two tries
(seconds)."""

LOOK = 10.0
"""Seconds between two checks of the limits."""

STUCK_FOR = 60.0
"""Seconds for which contents that could not be evicted do not count as evictable."""

LOCKED_FOR = 5.0
"""The same, if they could not since another program had locked the index."""

SAID_EVERY = 60.0
"""Seconds between two lines of the log about missing space, or about content that is too large."""


class Ledger(Protocol):
    """The part of :class:`regcache.store.space.SpaceLedger` that is used here.

    :ivar contents: bytes that complete content takes.
    """

    contents: int

    def excess(self, more: int) -> int:
        """By how many bytes ``more`` bytes would exceed a limit; negative if by none."""

    def max_size(self) -> int:
        """How many bytes may be stored in all."""

    def why_not(self, size: int) -> str:
        """Why there is no space for so many bytes."""


class Evictor(Service):
    """Evicts contents in their order until no limit is exceeded.

    :param measure: asks the file system for the free space.
    :param sweep_partials: removes partial files that are not open; the last resort.
    :param evicted: called with the number of bytes that were evicted.
    :ivar pinned_bytes: stored bytes that pins cover, as of the last check.
    :ivar relaying_since: since when something could not be stored (Unix seconds); None: all can be.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        places: IPlaces,
        eviction: ContentEviction,
        *,
        pins: IPins,
        ledger: Ledger,
        measure: "Callable[[], Deferred[None]]",
        sweep_partials: "Callable[[], Deferred[int]]",
        evicted: Callable[[int], None],
    ) -> None:
        self._clock = clock
        self._places = places
        self._eviction = eviction
        self._order = EvictionOrder(places, pins, clock)
        self._ledger = ledger
        self._measure = measure
        self._sweep_partials = sweep_partials
        self._evicted = evicted
        self._waiting: list[Gate] = []
        self._evicting = self._busy = False
        self.pinned_bytes, self._stuck, self._stuck_until = 0, 0, 0.0
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._sayings = Sparingly(clock, SAID_EVERY)
        self._sayings_of_size = Sparingly(clock, SAID_EVERY)
        self.relaying_since: float | None = None
        self._reason = ""

    @property
    def refusal(self) -> str:
        """Why something could not be stored lately; "" if all could be."""
        return self._reason if self.relaying_since is not None else ""

    def startService(self) -> None:
        """Check the limits from time to time."""
        super().startService()
        self._loop.start(LOOK, now=True).addErrback(
            lambda failure: self.log.failure("looking for what exceeds the limits", failure)
        )

    def stopService(self) -> None:
        """Stop checking and evicting."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def evictable(self) -> int:
        """How many bytes could be evicted now, as far as is known."""
        stuck = self._stuck if self._clock.seconds() < self._stuck_until else 0
        return max(0, self._ledger.contents - max(self.pinned_bytes, stuck))

    def _note_pinned(self, size: int) -> None:
        self.pinned_bytes = size

    def refused(self, reason: str, too_large: bool = False) -> None:
        """Log that something is not stored, but not each time.

        :param too_large: it is larger than a blob may be; otherwise there is no space.
        """
        if too_large:
            self._say(self._sayings_of_size, "too large to be kept, so passed through", reason)
            return
        if self.relaying_since is None:
            self.relaying_since = self._clock.seconds()
        self._reason = reason
        what = "there is no space, so what is new is passed through"
        self._say(self._sayings, what, reason)

    def _say(self, sayings: Sparingly, what: str, reason: str) -> None:
        suffix = sayings.turn()
        if suffix is not None:
            self.log.warn("{what}: {reason}{suffix}", what=what, reason=reason, suffix=suffix)

    def make_room(self) -> "Deferred[None]":
        """Evict until no limit is exceeded. Fails with NoRoomError if that is not possible."""
        if not self.running:
            return fail(NoRoomError("the daemon is not running"))
        done = Gate()
        self._waiting.append(done)
        if not self._evicting:
            self._evicting = True
            making = Deferred.fromCoroutine(self._make_room())
            making.addCallbacks(lambda _: self._settle(None), self._failed)
        return done.wait()

    def _settle(self, failure: Failure | None) -> None:
        """End the eviction: claims that wait go on, or fail."""
        self._evicting = False
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.succeed() if failure is None else done.fail(failure)

    def _release_claims(self) -> None:
        """Let claims go on once all have enough room, while a little more is evicted."""
        if self._ledger.excess(0) <= 0:
            waiting, self._waiting = self._waiting, []
            for done in waiting:
                done.succeed()

    def _look(self) -> "Deferred[None]":
        looking: Deferred[None] = self._places.pinned_bytes().addCallback(self._note_pinned)
        looking.addErrback(lambda failure: failure.trap(OSError))
        return looking.addCallback(lambda _: self._relieve())

    def _relieve(self) -> "Deferred[None] | None":
        """Make room if a limit is exceeded without a claim."""
        if self._ledger.excess(0) <= 0:
            self.relaying_since = None
            return None
        if self._evicting or not self.evictable():
            return None
        return self.make_room().addErrback(lambda failure: failure.trap(NoRoomError))

    async def _make_room(self) -> None:
        """Evict what is missing and a little more, some contents at a time."""
        freed, spare, reason = 0, 0, self._ledger.why_not(0)
        self._order.outdated()
        await self._measure()  # others may have made room, or an eviction just before
        while self.running and (lacking := self._ledger.excess(0)) + spare > 0:
            if lacking > 0:
                least = min(LEAST_SPARE, self._ledger.max_size() // 100)
                spare = max(spare, ceil(lacking * SPARE), least)
            gone = await self._evict_some(lacking + spare)
            freed += gone
            if not gone:
                break
            await self._measure()
            self._release_claims()
        if freed:
            self.log.info(
                "evicted {size} to make room, since there was none: {reason}",
                size=in_units(freed),
                reason=reason,
            )
        if self._ledger.excess(0) > 0:
            raise NoRoomError(self._ledger.why_not(0))

    async def _evict_some(self, wanted: int) -> int:
        """Evict so many bytes, or a few contents. Gives the bytes evicted; 0 if nothing is left."""
        self._busy, until = False, self._clock.seconds() + PATIENCE
        while self.running:
            chosen = await self._choose(wanted)
            if not chosen:
                swept = await self._sweep_partials()
                if swept or not self._busy or self._clock.seconds() >= until:
                    return swept
                await deferLater(self._clock, PAUSE)
                self._order.begin_anew()
                self._busy = False
                continue
            gone = sum(each.size for each in await self._eviction.evict(chosen))
            if gone:
                self._order.outdated()
                self._evicted(gone)
                return gone
            self._busy = True  # they were used, or pinned, since the order was read
        return 0

    async def _choose(self, wanted: int) -> list[Candidate]:
        chosen: list[Candidate] = []
        try:
            while wanted > 0 and len(chosen) < AT_ONCE:
                candidate = await self._order.next()
                if candidate is None:
                    break
                if self._eviction.begin(candidate.digest):
                    chosen.append(candidate)
                    wanted -= candidate.size
                else:
                    self._busy = True
        except BaseException:
            await self._eviction.cancel(chosen)
            raise
        return chosen

    def _failed(self, failure: Failure) -> None:
        self._order.begin_anew()
        self._stuck = self._ledger.contents
        self._stuck_until = self._clock.seconds() + _stuck_for(failure)
        if failure.check(NoRoomError):
            self.refused(failure.getErrorMessage())
        elif failure.check(OSError):
            self.log.warn("room cannot be made: {why}", why=failure.getErrorMessage())
        else:
            self.log.failure("making room failed", failure)
        self._settle(Failure(NoRoomError(failure.getErrorMessage())))


def _stuck_for(failure: Failure) -> float:
    """For how long what could not be evicted does not count as evictable, in seconds."""
    return LOCKED_FOR if failure.check(IndexInUseError) else STUCK_FOR
