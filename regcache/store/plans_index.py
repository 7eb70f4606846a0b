"""The part of the index that plans ask: see :class:`~regcache.interfaces.IPlanIndex`."""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from regcache.digests import Digest
from regcache.identity import Repository
from regcache.interfaces import IPlanIndex
from regcache.plans import (
    PlanEntry,
    PlanItem,
    PlannedRemovals,
    PlanSkipped,
    PlanSums,
    Savings,
    StoredSums,
)
from regcache.removals import RemovalEffect, RemovalTarget
from regcache.retention import Position, Selection
from regcache.store import index_eviction, index_plans, index_sums, planned_removals
from regcache.store.index_plans import OrderWork, PlanWork
from regcache.store.index_schema import digest_key
from regcache.store.index_sums import SumsWork
from regcache.store.index_thread import IndexThread
from regcache.store.planned_removals import RemovalWork


@implementer(IPlanIndex)
class PlansIndex:
    """Plans, from the file of the index.

    :param by_pattern: whether a pattern pins a tag.
    """

    def __init__(self, thread: IndexThread, by_pattern: Callable[[Repository, str], bool]) -> None:
        self._thread = thread
        self._by_pattern = by_pattern

    def sums(
        self, selection: Selection
    ) -> "Deferred[tuple[PlanSums, Sequence[PlanEntry], Sequence[PlanItem]]]":
        return Deferred.fromCoroutine(self._sums(PlanWork(selection)))

    async def _sums(
        self, work: PlanWork
    ) -> tuple[PlanSums, Sequence[PlanEntry], Sequence[PlanItem]]:
        while not work.over:
            await self._thread.read(index_plans.step, work)
        return work.sums, work.entries or (), work.items

    def described(self, entries: Sequence[PlanEntry]) -> "Deferred[Sequence[PlanItem]]":
        return self._thread.read(index_plans.describe_entries, entries)

    def end_of(self, wanted: int, selection: Selection) -> "Deferred[Position | None]":
        return Deferred.fromCoroutine(self._end_of(OrderWork(wanted, selection)))

    async def _end_of(self, work: OrderWork) -> Position | None:
        while work.wanted > 0 and not work.over:
            await self._thread.read(index_plans.find_end, work)
        return work.position

    def look(self, targets: Sequence[RemovalTarget]) -> "Deferred[Sequence[RemovalEffect]]":
        return self._thread.read(index_plans.look, targets, self._by_pattern)

    def together(
        self, removals: Sequence[tuple[RemovalTarget, RemovalEffect]]
    ) -> "Deferred[PlannedRemovals]":
        return Deferred.fromCoroutine(self._together(RemovalWork(removals)))

    async def _together(self, work: RemovalWork) -> PlannedRemovals:
        while not work.over:
            await self._thread.read(planned_removals.step, work)
        return work.result()

    def pinned_tags(self) -> "Deferred[tuple[Sequence[PlanSkipped], int]]":
        return self._thread.read(index_plans.pinned_tags)

    def stayed(self, entries: Sequence[PlanEntry]) -> "Deferred[Sequence[tuple[Digest, str]]]":
        return self._thread.read(index_plans.stayed, entries)

    def name_of(self, digest: Digest) -> "Deferred[str]":
        return self._thread.read(index_plans.name_of, digest_key(digest))

    def stored(self, now: float) -> "Deferred[StoredSums]":
        return Deferred.fromCoroutine(self._stored(SumsWork(now)))

    async def _stored(self, work: SumsWork) -> StoredSums:
        while not work.over:
            await self._thread.read(index_sums.step, work)
        return work.result()

    def image(self, digest: Digest) -> "Deferred[PlanItem | None]":
        return self._thread.read(index_plans.image, digest_key(digest))

    def savings(self, since: float) -> "Deferred[Sequence[Savings]]":
        return self._thread.read(index_eviction.savings, since)
