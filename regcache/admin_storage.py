"""Puts together the calls about what is stored: a part of the composition root."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from regcache.admin.api import pin_calls, plan_calls, storage_calls
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.status_calls import DiskFacts
from regcache.admin.jobs import Jobs
from regcache.admin.stored_sums import StoredSumsKeeper
from regcache.cache.eviction.deletion_plans import PlanSources
from regcache.cache.eviction.planner import Planner
from regcache.config.printing import long_form
from regcache.digests import Digest
from regcache.engine import Engine
from regcache.facts import AtMostATenth
from regcache.forecast import full_in_days
from regcache.identity import UpstreamIdentity
from regcache.in_force import CurrentConfiguration
from regcache.plans import Savings, UpstreamSums

_DAY = 86_400.0
_RULES = ("max_size", "max_blob", "min_free", "unused_for", "sweep", "purge", "pin")

#: In the order of docs/api.md.
CALLS = (*storage_calls.CALLS, *pin_calls.CALLS, *plan_calls.CALLS)


class StorageSources:
    """What the calls about storage read.

    :param growth: bytes a second by which the disk fills; None where that is not known.
    """

    def __init__(
        self,
        engine: Engine,
        current: CurrentConfiguration,
        sums: StoredSumsKeeper,
        growth: Callable[[], float | None],
    ) -> None:
        self._engine = engine
        self._current = current
        self._sums = sums
        self._growth = growth

    def routes(self, jobs: Jobs) -> list[CallRoute]:
        """The calls.

        :param jobs: where runs of plans go.
        """
        engine = self._engine
        seconds: Callable[[], float] = engine.reactor.seconds
        plans = plan_calls.PlanCalls(
            self._planner(),
            jobs,
            upstreams=self._upstreams,
            seconds=seconds,
            unused_for=lambda: self._current.in_force.config.storage.unused_for,
        )
        pins = pin_calls.PinCalls(
            engine.index.pins,
            engine.index.plans.image,
            upstreams=self._upstreams,
            seconds=seconds,
        )
        return [
            *storage_calls.storage_routes(
                self.storage, self.savings, lambda: self.disk().full_in_days
            ),
            *pins.routes(),
            *plans.routes(),
        ]

    def _planner(self) -> Planner:
        engine = self._engine
        sources = PlanSources(
            engine.index.plans,
            engine.index.places,
            engine.index.pins,
            engine.index.removals,
            stored=lambda: engine.ledger.contents,
            partials=engine.store.old_partials,
            busy=self._busy,
        )
        return Planner(engine.reactor, sources, engine.sweeper, engine.removal)

    def _busy(self) -> Iterator[tuple[Digest, str]]:
        """What stays because it is in use at this moment."""
        for digest in self._engine.store.reading():
            yield digest, "open"
        for each in self._engine.downloads.progress():
            yield each.content.digest, "downloading"

    def _upstreams(self) -> Mapping[str, UpstreamIdentity]:
        return self._current.in_force.upstreams

    def disk(self) -> DiskFacts:
        """How full the disk is, as far as that is known already."""
        engine = self._engine
        ledger, evictor = engine.ledger, engine.evictor
        sums, limit = self._sums.latest, ledger.max_size() or None
        return DiskFacts(
            used=ledger.used,
            limit=limit,
            partial=ledger.parked,
            free=ledger.free,
            pinned=evictor.pinned_bytes,
            evictable=evictor.evictable(),
            by_age=None if sums is None else sums.by_age,
            full_in_days=full_in_days(ledger.used, limit, self._growth()),
            next_sweep=engine.sweep_times.next_sweep,
            relaying_since=evictor.relaying_since,
        )

    async def storage(self) -> storage_calls.StorageFacts:
        """How the disk is used."""
        sums = await self._sums.fresh()
        swept = await self._engine.sweeper.latest()
        verified = await self._engine.checking.verification.latest()
        return storage_calls.StorageFacts(
            disk=self.disk(),
            upstreams=sums.upstreams,
            rules=self._rules(),
            swept=None if swept is None else (swept.began, swept.freed, swept.seconds),
            verified=verified,
        )

    def upstream_sums(self) -> Mapping[str, UpstreamSums] | None:
        """What is stored of each upstream, by its name; None where it is not known yet."""
        sums = self._sums.latest
        return None if sums is None else {each.name: each for each in sums.upstreams}

    def _rules(self) -> Sequence[storage_calls.RuleFacts]:
        config, ledger = self._current.in_force.config, self._engine.ledger
        written = long_form(config)["storage"]
        effective = {
            "max_size": ledger.max_size(),
            "max_blob": ledger.max_blob(),
            "min_free": ledger.min_free(),
            "unused_for": config.storage.unused_for,
        }
        if isinstance(config.storage.min_free, AtMostATenth):
            written["min_free"] = f"{written['min_free']}, at most 10%"
        return [
            storage_calls.RuleFacts(
                f"storage.{name}",
                written[name],
                None if effective.get(name) is None else int(effective[name] or 0),
            )
            for name in _RULES
        ]

    async def savings(self) -> Sequence[Savings]:
        """What came back lately that had been evicted."""
        since = self._engine.reactor.seconds() - storage_calls.GHOST_DAYS * _DAY
        return await self._engine.index.plans.savings(since)
