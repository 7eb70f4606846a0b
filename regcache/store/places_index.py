"""The part of the index that eviction asks: see :class:`~regcache.interfaces.IPlaces`."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from regcache.digests import Digest
from regcache.interfaces import IPlaces
from regcache.retention import (
    Candidate,
    CandidatePage,
    Position,
    Selection,
    SelectionPage,
    SweepNote,
)
from regcache.store import index_checks, index_eviction, index_forgetting
from regcache.store.index_eviction import EvictionBatch, PinnedWork
from regcache.store.index_forgetting import FORGET_AFTER, ForgettingWork
from regcache.store.index_thread import LITTLE, IndexThread
from regcache.store.use_writer import UseWriter

_SWEPT = "last sweep"


def _as_note(noted: dict[str, Any]) -> SweepNote | None:
    values: list[Any] = [noted.get(each) for each in SweepNote._fields]
    return SweepNote(*values) if all(isinstance(each, int | float) for each in values) else None


@implementer(IPlaces)
class PlacesIndex:
    """Places, in the file of the index."""

    def __init__(self, thread: IndexThread, uses: UseWriter) -> None:
        self._thread = thread
        self._uses = uses

    def write_uses(self) -> "Deferred[None]":
        return self._uses.flush()

    def candidates(self, after: Position, before: float) -> "Deferred[CandidatePage]":
        return self._thread.read(index_eviction.candidates, after, before)

    def selected(self, selection: Selection, after: int) -> "Deferred[SelectionPage]":
        return self._thread.read(index_eviction.selected, selection, after)

    def evict(
        self, candidates: Sequence[Candidate], selection: Selection | None = None
    ) -> "Deferred[Sequence[Candidate]]":
        return Deferred.fromCoroutine(self._evict(EvictionBatch(candidates, selection)))

    async def _evict(self, batch: EvictionBatch) -> Sequence[Candidate]:
        gone: list[Candidate] = []
        while batch.waiting:
            batch = await self._thread.write_for(index_eviction.evict, batch)
            gone += batch.gone
        return gone

    def forget_unstored(self, now: float) -> "Deferred[int]":
        return Deferred.fromCoroutine(self._forget(ForgettingWork(now - FORGET_AFTER)))

    async def _forget(self, work: ForgettingWork) -> int:
        while work.after is not None:
            work = await self._thread.write_for(index_forgetting.step, work)
        return work.forgotten

    def note_sweep(self, note: SweepNote) -> "Deferred[None]":
        return self._thread.write(index_checks.note_progress, _SWEPT, note._asdict())

    def last_sweep(self) -> "Deferred[SweepNote | None]":
        return self._thread.read(index_checks.find_progress, _SWEPT).addCallback(_as_note)

    def left(self, digests: Sequence[Digest]) -> "Deferred[None]":
        return self._thread.note(index_eviction.note_left, digests, size=LITTLE * len(digests))

    def pinned_bytes(self) -> "Deferred[int]":
        return Deferred.fromCoroutine(self._pinned_bytes(PinnedWork()))

    async def _pinned_bytes(self, work: PinnedWork) -> int:
        while work.after is not None:
            await self._thread.read(index_eviction.add_pinned, work)
        return work.size
