"""Tags that are cached: serve the copy, or ask the upstream first whether it is still right.

What is decided, and when, is the table in :mod:`regcache.cache.freshness`.
"""

from twisted.internet.interfaces import IReactorTime

from regcache.cache import status
from regcache.cache.freshness import Answer, Copy, Overdue, TagDecision, decide
from regcache.cache.manifests import ManifestCache
from regcache.cache.policy import ServedRepository
from regcache.cache.revalidation import Revalidations
from regcache.cache.served_manifests import Served
from regcache.cache.status import CacheStatus
from regcache.cache.tag_table import TagTable
from regcache.errors import UpstreamFailure
from regcache.facts import Manifest, TagFact
from regcache.single_flight import OverdueError

#: Decisions by which the client gets the upstream's failure.
_REFUSED = frozenset({TagDecision.GONE, TagDecision.CLOSED, TagDecision.FAILED})


class CachedTags:
    """Answers for tags of which a copy is here."""

    def __init__(
        self,
        manifests: ManifestCache,
        table: TagTable,
        revalidations: Revalidations,
        clock: IReactorTime,
    ) -> None:
        self._manifests = manifests
        self._table = table
        self._revalidations = revalidations
        self._clock = clock

    async def find(self, repository: ServedRepository, tag: str) -> Served | None:
        """The answer for a tag that is cached; None where it is not.

        :raises UpstreamFailure: if the copy may not be served, and the upstream does not answer.
        :raises RegistryError: if the repository may not be shown.
        """
        by = self._clock.seconds() + repository.policy.deadline
        cached = await self._cached(repository, tag, by)
        if cached is None:
            return None
        fact, manifest = cached
        age = self._clock.seconds() - fact.validated_at
        copy = Copy(fact.digest, age, repository.policy.ttl(tag))
        decision = decide(copy, repository.policy)
        if decision is TagDecision.HIT:
            return Served(manifest, status.hit(age))
        waits = decision is TagDecision.ASK_AND_WAIT
        return await self._ask(repository, tag, copy, manifest, by=None if waits else by)

    async def ask_now(self, repository: ServedRepository, tag: str) -> Served | None:
        """What a cached tag names now, fresh or not; None where it is not cached.

        :raises UpstreamFailure: if the upstream does not say it; the copy stays as it was.
        :raises RegistryError: if the repository may not be shown.
        """
        by = self._clock.seconds() + repository.policy.deadline
        cached = await self._cached(repository, tag, by)
        if cached is None:
            return None
        fact, manifest = cached
        copy = Copy(fact.digest, self._clock.seconds() - fact.validated_at, 0.0)
        moved = await self._revalidations.wait(repository, tag, copy)
        return Served(moved or manifest, status.miss() if moved else status.revalidated())

    async def _cached(
        self, repository: ServedRepository, tag: str, by: float
    ) -> tuple[TagFact, Manifest] | None:
        """Where a cached tag points, and the manifest; None where one of them is not here."""
        await self._manifests.admit(repository, tag, by)
        fact = await self._table.find(repository.identity, tag)
        if fact is None:
            return None
        manifest = await self._manifests.cached(repository, fact.digest, by)
        return None if manifest is None else (fact, manifest)

    async def _ask(
        self,
        repository: ServedRepository,
        tag: str,
        copy: Copy,
        manifest: Manifest,
        *,
        by: float | None,
    ) -> Served:
        """Ask the upstream whether the tag still names the same manifest.

        :param by: Unix seconds at which the copy is served without an answer; None: never.
        """
        answer: Answer
        try:
            if by is None:
                moved = await self._revalidations.wait(repository, tag, copy)
            else:
                moved = await self._revalidations.wait_within_deadline(repository, tag, copy, by)
        except UpstreamFailure as failure:
            answer = failure
        except OverdueError:
            answer = Overdue.OVERDUE
        else:
            manifest = moved or manifest
            answer = manifest.digest
        decision = decide(copy, repository.policy, answer)
        if isinstance(answer, UpstreamFailure) and decision in _REFUSED:
            raise answer
        return Served(manifest, _status(decision, copy, answer))


def _status(decision: TagDecision, copy: Copy, answer: Answer) -> CacheStatus:
    """The status of an answer for which the upstream was asked."""
    if decision is TagDecision.STALE_OVERDUE:
        return status.stale_deadline(copy.age)
    if decision is TagDecision.STALE_UNASKED:
        return status.stale_unasked(copy.age, copy.ttl)
    if isinstance(answer, UpstreamFailure):
        return status.stale_failed(copy.age, answer)
    return status.revalidated() if decision is TagDecision.REVALIDATED else status.miss()
