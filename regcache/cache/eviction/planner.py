"""Makes plans, which show what a sweep, a purge or a deletion would remove, and runs them.

A sweep removes what its plan has shown, except contents that were pinned or used since. A deletion
is checked again before it is run. If it would remove something that was not shown, or free more,
it is refused with a new plan.

========  ===============================  ====================================================
state     event                            action, and next state
========  ===============================  ====================================================
shown     a run of a sweep is requested    running
shown     a run of a deletion …            checked
checked   nothing more would be removed    running; the plan cannot be run again
checked   more would be removed now        the run is refused, and a new plan is made: shown
checked   the index fails, or the client   shown
          leaves
checked   another run is requested         the other one fails: the plan has expired
shown     five minutes pass                expired
shown     too many other plans are made    expired
running   another job is running           shown
running   everything is removed            ended
running   the index or the disk fails      ended; what was removed stays removed
========  ===============================  ====================================================
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.cache.eviction.deletion_plans import (
    MOST_SKIPPED,
    DeletionPlans,
    PlanSources,
    skipped_target,
)
from regcache.cache.eviction.sweeper import Sweeper
from regcache.cache.removal import NotHereError, PinnedError, Removal
from regcache.digests import Digest
from regcache.plans import (
    LASTS,
    NothingPlannedError,
    PartialSums,
    Plan,
    PlanAction,
    PlanChangedError,
    PlanEntry,
    PlanExpiredError,
    PlanItem,
    PlanOutcome,
    PlanRequest,
    PlanSkipped,
    PlanSums,
)
from regcache.retention import Selection

SOON = 1.0
"""Seconds for which a plan that was checked need not be checked again."""

MOST_PLANS = 64
"""Plans that can be run at a time."""

MOST_NAMED = 50
"""Contents that a plan, or the result of its run, names as not removed."""

AT_ONCE = 500
"""Images of which the index tells at a time whether they are still stored."""


class Planner:
    """Makes plans, and runs them."""

    def __init__(
        self, clock: IReactorTime, sources: PlanSources, sweeper: Sweeper, removal: Removal
    ) -> None:
        self._clock = clock
        self._sources = sources
        self._sweeper = sweeper
        self._removal = removal
        self._deletions = DeletionPlans(clock, sources)
        self._plans: BoundedTable[str, Plan] = BoundedTable(MOST_PLANS, clock)

    async def make(self, request: PlanRequest) -> Plan:
        """Make a plan.

        :raises NothingPlannedError: if nothing that the request names is here.
        :raises TooManyTargetsError: if a deletion has too many targets.
        :raises OSError: if the index cannot be read.
        """
        await self._sources.pins.settle()
        await self._sources.places.write_uses()
        if request.action is PlanAction.DELETE:
            plan = await self._deletions.make(request, self._new_id())
        else:
            plan = await self._sweep(request)
        self._plans.put(plan.id, plan, seconds=LASTS)
        return plan

    async def page(self, plan_id: str, start: int, limit: int) -> tuple[Plan, list[PlanItem]]:
        """Give a plan with a page of its items.

        :param start: how many items come before the page.
        :raises PlanExpiredError: if there is no such plan any more.
        :raises OSError: if the index cannot be read.
        """
        plan = self._plans.get(plan_id)
        if plan is None:
            raise PlanExpiredError("there is no such plan any more: make it anew")
        entries = plan.entries[start : start + limit]
        if plan.selection is None:
            return plan, [await self._deletions.describe(each) for each in entries]
        items = await self._sources.plans.described(entries)
        return plan, [replace(each, reason=_reason(plan.request)) for each in items]

    async def take(self, plan_id: str) -> Plan:
        """Take a plan to run it. It can be taken only once.

        :raises PlanExpiredError: if there is no such plan any more.
        :raises PlanChangedError: if it would remove more than was shown.
        :raises OSError: if the index cannot be read.
        """
        plan = self._plans.get(plan_id)
        if plan is None:
            raise PlanExpiredError("there is no such plan any more: make it anew")
        self._plans.drop(plan_id)  # before the check, so that no other call can take it meanwhile
        checked_at = self._clock.seconds()
        try:
            if plan.selection is None:
                await self._check(plan)
        except BaseException:  # also if the client has left
            self.give_back(plan)
            raise
        return replace(plan, checked_at=checked_at)

    async def confirm(self, plan: Plan) -> None:
        """Check a plan again that was taken some time ago, before it is run.

        :raises PlanChangedError: if it would remove more than was shown.
        :raises OSError: if the index cannot be read.
        """
        if plan.selection is None and self._clock.seconds() - plan.checked_at >= SOON:
            await self._check(plan)

    def give_back(self, plan: Plan) -> None:
        """Put back a plan that is not run now. It can be taken again until it expires."""
        left = plan.expires - self._clock.seconds()
        if left > 0:
            self._plans.put(plan.id, plan, seconds=left)

    async def run(self, plan: Plan, progress: Callable[[int], None], by: str = "") -> PlanOutcome:
        """Remove what a plan has shown.

        :param progress: called with the bytes of disk that were freed so far.
        :param by: the account that asked for it; "" for none.
        :raises OSError: if the index or the disk fails.
        """
        if plan.selection is None:
            return await self._delete(plan, progress, by)
        return await self._evict(plan, plan.selection, progress)

    async def _check(self, plan: Plan) -> None:
        """:raises PlanChangedError: if more would be removed than was shown."""
        try:
            now = await self.make(plan.request)
        except NothingPlannedError:
            return  # nothing is left, so no more is removed
        if now.exceeds(plan):
            raise PlanChangedError(now)
        self._plans.drop(now.id)

    async def _evict(
        self, plan: Plan, selection: Selection, progress: Callable[[int], None]
    ) -> PlanOutcome:
        swept = await self._sweeper.sweep(selection, progress)
        stayed = dict.fromkeys(swept.busy, "open")
        whole = [each for each in plan.entries if not each.frees]
        for start in range(0, len(whole), AT_ONCE):
            for digest, why in await self._sources.plans.stayed(whole[start : start + AT_ONCE]):
                stayed.setdefault(digest, why)
        named, more = await self._named(list(stayed.items()))
        return PlanOutcome(swept.contents, swept.all_freed, tuple(named), more)

    async def _delete(self, plan: Plan, progress: Callable[[int], None], by: str) -> PlanOutcome:
        contents = freed = 0
        skipped = []
        for target in plan.targets:
            try:
                removed = await self._removal.remove(target, by)
            except NotHereError:
                continue  # an earlier removal has removed it, too
            except PinnedError:
                skipped.append(skipped_target(target))
                continue
            contents, freed = contents + removed.contents, freed + removed.freed
            progress(freed)
        if plan.request.repositories or plan.request.upstream is not None:
            for repository in dict.fromkeys(each.repository for each in plan.targets):
                await self._removal.clear(repository)
        if plan.request.upstream is not None and plan.partials.files:
            made = plan.expires - LASTS
            freed += await self._sweeper.sweep_partials(made, plan.request.upstream.name)
            progress(freed)
        named = tuple(skipped[:MOST_SKIPPED])
        return PlanOutcome(contents, freed, named, len(skipped) - len(named))

    def _new_id(self) -> str:
        return secrets.token_hex(12)

    async def _sweep(self, request: PlanRequest) -> Plan:
        selection = await self._selection(request)
        sums, partials = PlanSums(), PartialSums()
        entries: Sequence[PlanEntry] = ()
        items: Sequence[PlanItem] = ()
        if selection is not None:
            sums, entries, items = await self._sources.plans.sums(selection)
            if selection.takes_partials:
                partials = await self._sources.partials(selection.last_use, selection.upstream)
        pinned, more_pinned = await self._sources.plans.pinned_tags()
        busy, more_busy = await self._named(list(self._sources.busy()))
        return Plan(
            self._new_id(),
            request,
            self._clock.seconds() + LASTS,
            sums=sums + PlanSums(freed=partials.bytes),
            kept=max(0, self._sources.stored() - sums.freed),
            partials=partials,
            entries=tuple(entries),
            items=tuple(replace(each, reason=_reason(request)) for each in items),
            skipped=(*pinned, *busy),
            skipped_more=more_pinned + more_busy,
            selection=selection or Selection(0.0, unused_since=0.0),
        )

    async def _selection(self, request: PlanRequest) -> Selection | None:
        """The selection of a sweep; None if nothing has to be removed."""
        now = self._clock.seconds()
        upstream = request.upstream.name if request.upstream else ""
        selection = Selection(now, upstream=upstream)
        if request.unused_for is not None:
            selection = replace(selection, unused_since=now - request.unused_for)
        if request.to_bytes is not None:
            wanted = self._sources.stored() - request.to_bytes
            until = await self._sources.plans.end_of(wanted, selection)
            if until is None:
                return None
            selection = replace(selection, until=until)
        return selection

    async def _named(self, staying: Sequence[tuple[Digest, str]]) -> tuple[list[PlanSkipped], int]:
        """Name some contents that stay, and count the others."""
        named = [
            PlanSkipped(await self._sources.plans.name_of(digest), str(digest), why)
            for digest, why in staying[:MOST_NAMED]
        ]
        return named, len(staying) - len(named)


def _reason(request: PlanRequest) -> str:
    """The reason that a sweep gives for an item."""
    if request.to_bytes is not None:
        return "size"
    return "asked" if request.action is PlanAction.PURGE else "age"
