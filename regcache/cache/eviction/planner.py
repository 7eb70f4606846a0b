"""Plans: what a sweep, a purge or a deletion would remove, shown first and then done.

A plan of a sweep is run as it was shown: what is pinned, used or came since stays. A plan of a
deletion is looked at once more: if it would remove something that was not shown, or free more, it
is refused, and the new plan is told instead.

=======  ===============================  =====================================================
state    event                            what holds afterwards
=======  ===============================  =====================================================
shown    it is run                        running; the plan cannot be run again
shown    it would remove more now         refused; there is a new plan, shown
shown    five minutes pass                expired
shown    too many others are made         expired
running  another run is not over yet      shown
running  all of it is done                over
running  index or disk fail               over; what was done until then stays done
=======  ===============================  =====================================================
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.cache.eviction.sweeper import Sweeper
from regcache.cache.removal import NotHereError, PinnedError, Removal
from regcache.digests import Digest
from regcache.identity import Repository
from regcache.interfaces import IPins, IPlaces, IPlanIndex, IRemovalIndex
from regcache.plans import (
    NothingPlannedError,
    Plan,
    PlanAction,
    PlanChangedError,
    PlanExpiredError,
    PlanItem,
    PlanOutcome,
    PlanRequest,
    PlanSkipped,
    PlanSums,
    TooManyTargetsError,
)
from regcache.removals import RemovalEffect, RemovalTarget, RemovedKind
from regcache.retention import Selection

SOON = 1.0
"""Seconds for which a plan that was looked at is not looked at again."""

LASTS = 300.0
"""Seconds for which a plan can be run."""

MOST_PLANS = 64
"""Plans that can be run at a time."""

MOST_TARGETS = 10_000
"""What one plan deletes at most."""

PAGE = 200
"""Names of repositories that are read at once."""

AT_ONCE = 20
"""Removals that are looked at together: they hold the index's thread."""

MOST_ITEMS = 200
"""What of a deletion is described; all of it counts."""

MOST_BUSY = 50
"""Contents in use that are named in a plan."""


@dataclass(frozen=True, slots=True)
class PlanSources:
    """What plans are made of.

    :ivar stored: bytes that are stored.
    :ivar busy: what is in use now, and why it stays: ``open`` or ``downloading``.
    """

    plans: IPlanIndex
    places: IPlaces
    pins: IPins
    removals: IRemovalIndex
    stored: Callable[[], int]
    busy: Callable[[], Iterable[tuple[Digest, str]]]


class Planner:
    """Makes plans, and runs them."""

    def __init__(
        self, clock: IReactorTime, sources: PlanSources, sweeper: Sweeper, removal: Removal
    ) -> None:
        self._clock = clock
        self._sources = sources
        self._sweeper = sweeper
        self._removal = removal
        self._plans: BoundedTable[str, Plan] = BoundedTable(MOST_PLANS, clock)

    async def make(self, request: PlanRequest) -> Plan:
        """Make a plan.

        :raises NothingPlannedError: if nothing of what is to be deleted is here.
        :raises TooManyTargetsError: if there is too much to be deleted one by one.
        :raises OSError: if the index cannot be read.
        """
        await self._sources.pins.settle()
        await self._sources.places.write_uses()
        if request.action is PlanAction.DELETE:
            plan = await self._deletion(request)
        else:
            plan = await self._sweep(request)
        self._plans.put(plan.id, plan, seconds=LASTS)
        return plan

    async def take(self, plan_id: str) -> Plan:
        """Take a plan, to run it; it can be taken once.

        :raises PlanExpiredError: if there is no such plan any more.
        :raises PlanChangedError: if it would remove more than was shown.
        :raises OSError: if the index cannot be read.
        """
        plan = self._plans.get(plan_id)
        if plan is None:
            raise PlanExpiredError("there is no such plan any more: make it anew")
        checked_at = self._clock.seconds()
        if plan.selection is None:
            await self._check(plan)
        self._plans.drop(plan_id)
        return replace(plan, checked_at=checked_at)

    async def confirm(self, plan: Plan) -> None:
        """Look once more at a plan that was taken some time ago, before it is run.

        :raises PlanChangedError: if it would remove more than was shown.
        :raises OSError: if the index cannot be read.
        """
        if plan.selection is None and self._clock.seconds() - plan.checked_at >= SOON:
            await self._check(plan)

    def give_back(self, plan: Plan) -> None:
        """A plan that was taken is not run now; it can be taken again until it expires."""
        self._plans.put(plan.id, plan, seconds=max(0.0, plan.expires - self._clock.seconds()))

    async def run(self, plan: Plan, progress: Callable[[int], None]) -> PlanOutcome:
        """Do what a plan has shown.

        :param progress: told how many bytes went until then.
        :raises OSError: if index or disk fail.
        """
        if plan.selection is None:
            return await self._delete(plan, progress)
        return await self._evict(plan.selection, progress)

    async def _check(self, plan: Plan) -> None:
        """:raises PlanChangedError: if more would go than was shown."""
        try:
            now = await self.make(plan.request)
        except NothingPlannedError:
            return  # less is there, which is no more
        if now.exceeds(plan):
            raise PlanChangedError(now)
        self._plans.drop(now.id)

    async def _evict(self, selection: Selection, progress: Callable[[int], None]) -> PlanOutcome:
        swept = await self._sweeper.sweep(selection, progress)
        skipped = [
            PlanSkipped(await self._sources.plans.name_of(digest), str(digest), "open")
            for digest in swept.busy[:MOST_BUSY]
        ]
        return PlanOutcome(swept.contents, swept.freed, tuple(skipped))

    async def _delete(self, plan: Plan, progress: Callable[[int], None]) -> PlanOutcome:
        contents = freed = 0
        skipped = []
        for target in plan.targets:
            try:
                removed = await self._removal.remove(target)
            except NotHereError:
                continue  # it went along with another one
            except PinnedError:
                skipped.append(_skipped(target))
                continue
            contents, freed = contents + removed.contents, freed + removed.freed
            progress(freed)
        if plan.request.repositories or plan.request.upstream is not None:
            for repository in dict.fromkeys(each.repository for each in plan.targets):
                await self._removal.index.clear(repository)
        return PlanOutcome(contents, freed, tuple(skipped))

    def _new_id(self) -> str:
        return secrets.token_hex(12)

    async def _sweep(self, request: PlanRequest) -> Plan:
        selection = await self._selection(request)
        sums: PlanSums = PlanSums()
        items: Sequence[PlanItem] = ()
        if selection is not None:
            sums, items = await self._sources.plans.sums(selection)
        reason = "asked" if request.action is PlanAction.PURGE else "age"
        reason = "size" if request.to_bytes is not None else reason
        return Plan(
            self._new_id(),
            request,
            self._clock.seconds() + LASTS,
            sums=sums,
            kept=max(0, self._sources.stored() - sums.freed),
            items=tuple(replace(each, reason=reason) for each in items),
            skipped=(*await self._sources.plans.pinned_tags(), *await self._busy()),
            selection=selection or Selection(0.0, unused_since=0.0),
        )

    async def _selection(self, request: PlanRequest) -> Selection | None:
        """What is to go; None: nothing."""
        now = self._clock.seconds()
        upstream = request.upstream.name if request.upstream else ""
        selection = Selection(now, upstream=upstream)
        if request.unused_for is not None:
            selection = replace(selection, unused_since=now - request.unused_for)
        if request.to_bytes is not None:
            until = await self._sources.plans.end_of(self._sources.stored() - request.to_bytes)
            if until is None:
                return None
            selection = replace(selection, until=until)
        return selection

    async def _busy(self) -> list[PlanSkipped]:
        busy = list(self._sources.busy())[:MOST_BUSY]
        return [
            PlanSkipped(await self._sources.plans.name_of(digest), str(digest), why)
            for digest, why in busy
        ]

    async def _deletion(self, request: PlanRequest) -> Plan:
        targets = await self._targets(request)
        effects: list[RemovalEffect] = []
        for start in range(0, len(targets), AT_ONCE):
            effects += await self._sources.plans.look(targets[start : start + AT_ONCE])
        found = [(t, e) for t, e in zip(targets, effects, strict=True) if e.found and not e.pinned]
        if not found and not any(each.pinned for each in effects):
            raise NothingPlannedError("nothing of it is here")
        gone = {each.digest: each.size for _, effect in found for each in effect.gone}
        freed = sum(gone.values())
        named = {(t.repository, t.tag) for t in targets if t.tag}
        tags = {(target.repository, tag) for target, effect in found for tag in effect.tags}
        images = {
            effect.named
            for target, effect in found
            if target.kind is not RemovedKind.BLOB and effect.named in effect.withdrawn
        }
        return Plan(
            self._new_id(),
            request,
            self._clock.seconds() + LASTS,
            sums=PlanSums(len(gone), freed, len(images), len(tags)),
            kept=max(0, self._sources.stored() - freed),
            items=tuple([await _item(self._sources.plans, *each) for each in found[:MOST_ITEMS]]),
            skipped=tuple(
                _skipped(target)
                for target, effect in zip(targets, effects, strict=True)
                if effect.pinned
            ),
            also_lost=tuple(sorted({tag for _, tag in tags - named})),
            targets=tuple(targets),
            meant=frozenset((target, effect.named) for target, effect in found),
            tags=frozenset(tags),
        )

    async def _targets(self, request: PlanRequest) -> list[RemovalTarget]:
        """All that is to be deleted, one by one."""
        targets = list(request.targets)
        removals, upstream = self._sources.removals, request.upstream
        repositories, after = list(request.repositories), ""
        while upstream is not None:
            names = await removals.repositories(upstream, after, PAGE)
            if not names:
                break
            repositories += [Repository(upstream, name) for name in names]
            after = names[-1]
        for repository in repositories:
            target = await removals.left_in(repository, None)
            while target is not None and len(targets) <= MOST_TARGETS:
                targets.append(target)
                target = await removals.left_in(repository, target)
        if len(targets) > MOST_TARGETS:
            raise TooManyTargetsError(f"a plan deletes at most {MOST_TARGETS} things")
        return targets


async def _item(plans: IPlanIndex, target: RemovalTarget, effect: RemovalEffect) -> PlanItem:
    """What goes with one target, and what else needs the rest of it."""
    name, frees = str(target.repository), sum(each.size for each in effect.gone)
    image = effect.named and await plans.image(effect.named)
    if not image:
        return PlanItem(name, effect.named, tags=effect.tags, size=frees, frees=frees)
    others = image.shared_with
    if image.name != name:
        others = tuple(each for each in (image.name, *others) if each not in ("", name))
    size = max(image.size, frees)
    return replace(image, name=name, tags=effect.tags, size=size, frees=frees, shared_with=others)


def _skipped(target: RemovalTarget) -> PlanSkipped:
    return PlanSkipped(str(target.repository), target.tag or str(target.digest), "pinned")
