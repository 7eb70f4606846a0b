"""Asking an upstream whether a cached tag still names the same: one question for all.

The answer is taken whenever it comes, whether or not anybody waits for it any more. Of the
questions that nobody waits for :data:`MOST_LEFT` go on; more of them cancel the oldest.
"""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from regcache.cache.freshness import Copy, TagDecision, decide
from regcache.cache.manifests import ManifestCache
from regcache.cache.policy import ServedRepository
from regcache.cache.tag_table import TagTable
from regcache.digests import Digest
from regcache.errors import UpstreamFailure, UpstreamNotFound
from regcache.facts import Manifest
from regcache.single_flight import Flights

#: Questions that go on although nobody waits for them any more.
MOST_LEFT = 1000


class Revalidations:
    """The questions that are open, one for each tag."""

    def __init__(self, manifests: ManifestCache, table: TagTable, clock: IReactorTime) -> None:
        self._manifests = manifests
        self._table = table
        self._flights: Flights[Manifest | None] = Flights(clock, MOST_LEFT)

    def wait(
        self, repository: ServedRepository, tag: str, copy: Copy
    ) -> "Deferred[Manifest | None]":
        """What the tag names now: None for the copy, else the manifest that took its place.

        Fails with UpstreamFailure.
        """
        key = (repository.identity, tag, copy.digest)
        return self._flights.join(key, lambda: self._answer(repository, tag, copy))

    def wait_within_deadline(
        self, repository: ServedRepository, tag: str, copy: Copy, by: float
    ) -> "Deferred[Manifest | None]":
        """The same; fails with OverdueError when the upstream's deadline has passed.

        :param by: Unix seconds at which the client is answered with what is known.
        """
        return self._flights.join_within(
            (repository.identity, tag, copy.digest),
            lambda: self._answer(repository, tag, copy),
            repository.policy.deadline,
            by=by,
            missed=lambda: repository.registry.note_overdue(repository.name, tag),
        )

    async def _answer(self, repository: ServedRepository, tag: str, copy: Copy) -> Manifest | None:
        try:
            return await self._ask(repository, tag, copy)
        except UpstreamFailure as failure:
            if decide(copy, repository.policy, failure) is TagDecision.GONE:
                await self._table.drop(repository.identity, tag)
            raise

    async def _ask(self, repository: ServedRepository, tag: str, copy: Copy) -> Manifest | None:
        """HEAD, which public registries do not count; the body only if the tag moved."""
        head = await repository.registry.head_manifest(repository.name, tag)
        if decide(copy, repository.policy, head.digest) is TagDecision.REVALIDATED:
            await self._table.note(repository.identity, tag, copy.digest)
            return None
        manifest = await self._moved_to(repository, tag, head.digest)
        await self._table.note(repository.identity, tag, manifest.digest)
        return manifest

    async def _moved_to(
        self, repository: ServedRepository, tag: str, digest: Digest | None
    ) -> Manifest:
        """By digest, so that nothing moves any more; by tag where that is of no use."""
        await self._manifests.admit_fetch(repository, tag)
        if digest is not None:
            try:
                cached = await self._manifests.cached(repository, digest)
                return cached or await self._manifests.fetch(repository, str(digest))
            except UpstreamNotFound:
                # It moved again, and took away what it named.
                pass
        return await self._manifests.fetch(repository, tag)
