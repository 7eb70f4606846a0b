"""Asking an upstream whether a cached tag still names the same: one question for all.

The answer is taken whenever it comes, whether or not anybody waits for it any more.
"""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from regcache.cache.freshness import Copy, Decision, decide
from regcache.cache.manifests import ManifestCache
from regcache.cache.policy import Upstream
from regcache.cache.tag_table import TagTable
from regcache.digests import Digest
from regcache.errors import UpstreamFailure, UpstreamNotFound
from regcache.facts import Manifest
from regcache.single_flight import Flights


class Revalidations:
    """The questions that are open, one for each tag."""

    def __init__(self, manifests: ManifestCache, table: TagTable, clock: IReactorTime) -> None:
        self._manifests = manifests
        self._table = table
        self._flights: Flights[Manifest | None] = Flights(clock)

    def wait(
        self, upstream: Upstream, repository: str, tag: str, copy: Copy
    ) -> "Deferred[Manifest | None]":
        """What the tag names now: None for the copy, else the manifest that took its place.

        Fails with UpstreamFailure.
        """
        key = (upstream.name, repository, tag, copy.digest)
        return self._flights.join(key, lambda: self._answer(upstream, repository, tag, copy))

    def wait_within_deadline(
        self, upstream: Upstream, repository: str, tag: str, copy: Copy, by: float
    ) -> "Deferred[Manifest | None]":
        """The same; fails with OverdueError when the upstream's deadline has passed.

        :param by: Unix seconds at which the client is answered with what is known.
        """
        return self._flights.join_within(
            (upstream.name, repository, tag, copy.digest),
            lambda: self._answer(upstream, repository, tag, copy),
            upstream.policy.deadline,
            by,
            lambda: upstream.registry.note_overdue(repository, tag),
        )

    async def _answer(
        self, upstream: Upstream, repository: str, tag: str, copy: Copy
    ) -> Manifest | None:
        try:
            return await self._ask(upstream, repository, tag, copy)
        except UpstreamFailure as failure:
            if decide(copy, upstream.policy, failure) is Decision.GONE:
                await self._table.drop(upstream.name, repository, tag)
            raise

    async def _ask(
        self, upstream: Upstream, repository: str, tag: str, copy: Copy
    ) -> Manifest | None:
        """HEAD, which public registries do not count; the body only if the tag moved."""
        head = await upstream.registry.head_manifest(repository, tag)
        if decide(copy, upstream.policy, head.digest) is Decision.REVALIDATED:
            await self._table.note(upstream.name, repository, tag, copy.digest)
            return None
        manifest = await self._moved_to(upstream, repository, tag, head.digest)
        await self._table.note(upstream.name, repository, tag, manifest.digest)
        return manifest

    async def _moved_to(
        self, upstream: Upstream, repository: str, tag: str, digest: Digest | None
    ) -> Manifest:
        """By digest, so that nothing moves any more; by tag where that is of no use."""
        if digest is not None:
            try:
                cached = await self._manifests.cached(upstream, repository, digest)
                return cached or await self._manifests.fetch(upstream, repository, str(digest))
            except UpstreamNotFound:
                # It moved again, and took away what it named.
                pass
        return await self._manifests.fetch(upstream, repository, tag)
