"""Revalidation: asking an upstream whether a cached tag still names the same manifest.

There is one question at a time for a tag, and all requests wait for it. Its answer is used
even if no request waits any more. At most :data:`MOST_LEFT` questions go on like that; a further
one cancels the oldest.
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

#: Questions that go on although no request waits for them any more.
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
        """What the tag names now: None if still the copy, else the new manifest.

        Fails with UpstreamFailure.
        """
        key = (repository.identity, tag, copy.digest)
        return self._flights.join(key, lambda: self._answer(repository, tag, copy))

    def wait_within_deadline(
        self, repository: ServedRepository, tag: str, copy: Copy, by: float
    ) -> "Deferred[Manifest | None]":
        """The same, but fails with OverdueError when the upstream's deadline has passed.

        :param by: Unix seconds at which the client is answered with what is known then.
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
        """Send HEAD, which public registries do not count; fetch only if the tag moved."""
        began = self._table.generation
        head = await repository.registry.head_manifest(repository.name, tag)
        if decide(copy, repository.policy, head.digest) is TagDecision.REVALIDATED:
            await self._table.note(repository.identity, tag, copy.digest, began)
            return None
        manifest = await self._moved_to(repository, tag, head.digest)
        await self._table.note(repository.identity, tag, manifest.digest, began)
        return manifest

    async def _moved_to(
        self, repository: ServedRepository, tag: str, digest: Digest | None
    ) -> Manifest:
        """Fetch by digest, which always names the same; by tag where there is no digest."""
        await self._manifests.admit_fetch(repository, tag)
        if digest is not None:
            try:
                cached = await self._manifests.cached(repository, digest)
                return cached or await self._manifests.fetch(repository, str(digest))
            except UpstreamNotFound:
                # The tag moved again, and what it named before was deleted.
                pass
        return await self._manifests.fetch(repository, tag)
