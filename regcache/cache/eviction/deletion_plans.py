"""Makes plans of deletions: works out the effect of many removals before they are run."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, replace

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from regcache.digests import Digest
from regcache.identity import Repository
from regcache.interfaces import IPins, IPlaces, IPlanIndex, IRemovalIndex
from regcache.light_dataclass import dataclass
from regcache.plans import (
    LASTS,
    NothingPlannedError,
    PartialSums,
    Plan,
    PlanEntry,
    PlanItem,
    PlannedRemoval,
    PlanRequest,
    PlanSkipped,
    PlanSums,
    TooManyTargetsError,
)
from regcache.removals import RemovalEffect, RemovalTarget, RemovedKind

MOST_TARGETS = 10_000
"""Targets of one plan at most."""

PAGE = 200
"""Names of repositories that are read at a time."""

AT_ONCE = 20
"""Removals whose effects are found in one job at most, since it occupies the index's thread."""

MOST_ITEMS = 200
"""Items that the first page of a plan describes; the sums count all."""

MOST_SKIPPED = 200
"""Pinned targets that a plan names."""


@dataclass(frozen=True, slots=True)
class PlanSources:
    """The sources of plans.

    :ivar stored: gives how many bytes are stored.
    :ivar partials: counts the partial files of an upstream (by its name; "": of any) that were last
        written before a time.
    :ivar busy: gives contents that are in use now, and why they stay: ``open`` or ``downloading``.
    """

    plans: IPlanIndex
    places: IPlaces
    pins: IPins
    removals: IRemovalIndex
    _: KW_ONLY
    stored: Callable[[], int]
    partials: "Callable[[float, str], Deferred[PartialSums]]"
    busy: Callable[[], Iterable[tuple[Digest, str]]]


class DeletionPlans:
    """Makes plans of deletions."""

    def __init__(self, clock: IReactorTime, sources: PlanSources) -> None:
        self._clock = clock
        self._sources = sources

    async def make(self, request: PlanRequest, plan_id: str) -> Plan:
        """Make a plan.

        :raises NothingPlannedError: if nothing that the request names is here.
        :raises TooManyTargetsError: if there are too many targets.
        :raises OSError: if the index cannot be read.
        """
        targets = await self._targets(request)
        looked = await self._look(targets)
        found = [one for one in looked if one[1].found and not one[1].pinned]
        pinned = [target for target, effect in looked if effect.pinned]
        partials = await self._partials(request)
        if not (found or pinned or partials.files):
            raise NothingPlannedError("nothing of it is here")
        together = await self._sources.plans.together(found)
        both = zip(found, together.each, strict=True)
        going = [(*one, planned) for one, planned in both if not planned.done]
        images = _images(going)
        entries, gone = tuple(_entry(*each) for each in going), together.gone
        tags = {(target.repository, tag) for target, effect, _ in going for tag in effect.tags}
        named = {(target.repository, target.tag) for target in targets if target.tag}
        sums = PlanSums(len(gone), sum(gone.values()), len(images), len(tags))
        return Plan(
            plan_id,
            request,
            self._clock.seconds() + LASTS,
            sums=sums + PlanSums(freed=partials.bytes),
            kept=max(0, self._sources.stored() - sums.freed),
            partials=partials,
            entries=entries,
            items=tuple([await self.describe(each) for each in entries[:MOST_ITEMS]]),
            skipped=tuple(map(skipped_target, pinned[:MOST_SKIPPED])),
            skipped_more=len(pinned[MOST_SKIPPED:]),
            also_lost=tuple(sorted({tag for _, tag in tags - named})),
            targets=tuple(targets),
            meant=frozenset((target, effect.named) for target, effect, _ in going),
            tags=frozenset(tags),
        )

    async def _partials(self, request: PlanRequest) -> PartialSums:
        """Count what is left of downloads, which goes with an upstream."""
        if request.upstream is None:
            return PartialSums()
        return await self._sources.partials(self._clock.seconds(), request.upstream.name)

    async def _look(
        self, targets: Sequence[RemovalTarget]
    ) -> list[tuple[RemovalTarget, RemovalEffect]]:
        """Give the effect of each target, alone or after some of those before it."""
        effects: list[RemovalEffect] = []
        while len(effects) < len(targets):
            start = len(effects)
            effects += await self._sources.plans.look(targets[start : start + AT_ONCE])
        return list(zip(targets, effects, strict=True))

    async def _targets(self, request: PlanRequest) -> list[RemovalTarget]:
        """All targets of a request, with the contents of its repositories and its upstream."""
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

    async def describe(self, entry: PlanEntry) -> PlanItem:
        """Describe what the removal of one target removes, and what shares the rest."""
        plans, frees = self._sources.plans, entry.frees
        assert entry.target is not None, "it is one of a deletion"
        name = str(entry.target.repository)
        image = entry.named and await plans.image(entry.named)
        if not image:
            return PlanItem(name, entry.named, tags=entry.tags, size=frees, frees=frees)
        others = image.shared_with
        if image.name != name:
            others = tuple(each for each in (image.name, *others) if each not in ("", name))
        size = max(image.size, frees)
        return replace(
            image, name=name, tags=entry.tags, size=size, frees=frees, shared_with=others
        )


def _images(
    going: Iterable[tuple[RemovalTarget, RemovalEffect, PlannedRemoval]],
) -> set[Digest | None]:
    """Find the images to which their repositories lose the right."""
    return {
        effect.named
        for target, effect, planned in going
        if planned.lost and target.kind is not RemovedKind.BLOB
    }


def _entry(target: RemovalTarget, effect: RemovalEffect, planned: PlannedRemoval) -> PlanEntry:
    return PlanEntry(target=target, named=effect.named, tags=effect.tags, frees=planned.freed)


def skipped_target(target: RemovalTarget) -> PlanSkipped:
    """Describe a target that is not removed, since it is pinned."""
    return PlanSkipped(str(target.repository), target.tag or str(target.digest), "pinned")
