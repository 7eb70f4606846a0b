"""Evicts a selection: content unused for some time, everything, or what a plan has shown."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from regcache.cache.eviction.content_eviction import AT_ONCE, ContentEviction
from regcache.digests import Digest
from regcache.facts import in_blocks, in_units
from regcache.interfaces import IPins, IPlaces
from regcache.light_dataclass import dataclass
from regcache.retention import Candidate, Selection, SweepNote

MOST_BUSY = 1000
"""Contents in use that a sweep names as not evicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """The result of a sweep.

    :ivar began: Unix seconds.
    :ivar seconds: how long it took.
    :ivar contents: how many contents were evicted.
    :ivar freed: the disk space of these contents (bytes of whole blocks).
    :ivar partials: the disk space of the partial files that were removed.
    :ivar busy: contents that were not evicted, since they were open or being fetched; not all.
    """

    began: float
    seconds: float
    contents: int
    freed: int
    partials: int = 0
    busy: tuple[Digest, ...] = ()

    @property
    def all_freed(self) -> int:
        """Bytes of disk that were freed."""
        return self.freed + self.partials


class Sweeper:
    """Runs sweeps, one after the other.

    :param evicted: called with the number of bytes that were evicted.
    :ivar sweep_partials: removes partial files of an upstream (by its name; "": of any) that were
        last written before a time.
    :ivar last: the last sweep that has ended.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        places: IPlaces,
        eviction: ContentEviction,
        *,
        pins: IPins,
        sweep_partials: "Callable[[float, str], Deferred[int]]",
        evicted: Callable[[int], None],
    ) -> None:
        self._clock = clock
        self._places = places
        self._eviction = eviction
        self._pins = pins
        self.sweep_partials = sweep_partials
        self._evicted = evicted
        self._turns = DeferredLock()
        self.last: Swept | None = None

    async def sweep(
        self, selection: Selection, progress: Callable[[int], None] = lambda freed: None
    ) -> Swept:
        """Evict the selected contents, except those that are in use.

        :param progress: called with the bytes of disk that were freed so far.
        :raises OSError: if the index or the disk fails.
        """
        await self._turns.acquire()
        try:
            swept = await self._sweep(selection, progress)
        finally:
            self._turns.release()
        self.last = swept
        await self._note(swept)
        if swept.contents or swept.partials:
            self._log.info(
                "swept {size}, {contents} manifests and blobs, in {seconds:.1f} s",
                size=in_units(swept.all_freed),
                contents=swept.contents,
                seconds=swept.seconds,
            )
        return swept

    async def latest(self) -> SweepNote | None:
        """The result of the last sweep, also of an earlier process. Fails with OSError."""
        if self.last is not None:
            return SweepNote(self.last.began, self.last.seconds, self.last.all_freed)
        return await self._places.last_sweep()

    async def _note(self, swept: Swept) -> None:
        try:
            note = SweepNote(swept.began, swept.seconds, swept.all_freed)
            await self._places.note_sweep(note)
        except OSError as error:
            self._log.warn("the end of the sweep cannot be noted: {why}", why=error)

    def forget_unstored(self, now: float) -> "Deferred[int]":
        """Forget contents that have not been stored for long. Fails with OSError."""
        return self._places.forget_unstored(now)

    async def _sweep(self, selection: Selection, progress: Callable[[int], None]) -> Swept:
        began = self._clock.seconds()
        await self._pins.settle()
        contents = freed = partials = 0
        busy: list[Digest] = []
        after: int | None = 0
        while after is not None:
            page = await self._places.selected(selection, after)
            after = page.after
            for start in range(0, len(page.candidates), AT_ONCE):
                some = page.candidates[start : start + AT_ONCE]
                gone = await self._evict(some, selection, busy)
                contents += len(gone)
                freed += sum(in_blocks(each.size) for each in gone)
                progress(freed)
                await deferLater(self._clock, 0)  # let others run
        if selection.takes_partials:
            partials = await self.sweep_partials(selection.last_use, selection.upstream)
            progress(freed + partials)
        seconds = self._clock.seconds() - began
        return Swept(
            began=began,
            seconds=seconds,
            contents=contents,
            freed=freed,
            partials=partials,
            busy=tuple(busy),
        )

    async def _evict(
        self, some: tuple[Candidate, ...], selection: Selection, busy: list[Digest]
    ) -> list[Candidate]:
        await self._places.write_uses()  # so that what was just used is not evicted
        begun = []
        for each in some:
            if self._eviction.begin(each.digest):
                begun.append(each)
            elif len(busy) < MOST_BUSY:
                busy.append(each.digest)
        gone = list(await self._eviction.evict(begun, selection))
        self._evicted(sum(each.size for each in gone))
        return gone
