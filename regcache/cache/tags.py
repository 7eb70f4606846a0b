"""Tags: which manifest a tag names now, asked as rarely as the policy allows.

One revalidation at a time per tag; whoever asks meanwhile shares it, for at most the
deadline, and gets the cached copy then. The answer is taken when it comes. The digest that
an answer names is always the digest of the body that goes with it.
"""

from dataclasses import dataclass

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from regcache.cache import status
from regcache.cache.bounded import BoundedTable
from regcache.cache.flights import Flights
from regcache.cache.freshness import Decision, decide, is_fresh
from regcache.cache.manifests import ManifestCache
from regcache.cache.policy import Upstream
from regcache.cache.status import CacheStatus
from regcache.digests import Digest
from regcache.errors import UpstreamFailure, UpstreamResting
from regcache.facts import ContentHead, Manifest, TagFact
from regcache.interfaces import IIndex

#: Tags remembered in memory (entries).
MOST_TAGS = 20_000


@dataclass(frozen=True, slots=True)
class Served:
    """A manifest, and how it came about."""

    manifest: Manifest
    status: CacheStatus


@dataclass(frozen=True, slots=True)
class ServedHead:
    """What HEAD says of a manifest whose body is not here."""

    digest: Digest
    size: int
    media_type: str
    status: CacheStatus


class TagCache:
    """Answers for tags and digests, with the policy of each upstream."""

    def __init__(self, manifests: ManifestCache, index: IIndex, clock: IReactorTime) -> None:
        self._manifests = manifests
        self._index = index
        self._clock = clock
        self._facts: BoundedTable[tuple[str, str, str], TagFact] = BoundedTable(MOST_TAGS)
        self._revalidations: Flights[TagFact] = Flights(clock)

    async def by_digest(self, upstream: Upstream, repository: str, digest: Digest) -> Served:
        """The manifest of a digest.

        :raises UpstreamFailure: if it is not here and the upstream does not give it.
        :raises RegistryError: if it may not be shown.
        """
        await self._manifests.admit(upstream, repository, str(digest))
        manifest = await self._manifests.cached(upstream, repository, digest)
        if manifest is not None:
            return Served(manifest, status.hit(0))
        manifest = await self._manifests.fetch(upstream, repository, str(digest))
        return Served(manifest, status.miss())

    async def by_tag(self, upstream: Upstream, repository: str, tag: str) -> Served:
        """The manifest that a tag names; raises as :meth:`by_digest`."""
        await self._manifests.admit(upstream, repository, tag)
        fact = await self._fact(upstream, repository, tag)
        if fact is None:
            return await self._cold(upstream, repository, tag)
        age = self._clock.seconds() - fact.validated_at
        if is_fresh(age, upstream.policy.ttl(tag)):
            return await self._serve(upstream, repository, fact, status.hit(age))
        return await self._ask(upstream, repository, tag, fact, age)

    async def head_by_tag(
        self, upstream: Upstream, repository: str, tag: str
    ) -> Served | ServedHead:
        """The same for HEAD: what is not here is not fetched for it."""
        await self._manifests.admit(upstream, repository, tag)
        if await self._fact(upstream, repository, tag) is not None:
            return await self.by_tag(upstream, repository, tag)
        head = await upstream.registry.head_manifest(repository, tag)
        return await self._head(upstream, repository, head) or await self._cold(
            upstream, repository, tag
        )

    async def head_by_digest(
        self, upstream: Upstream, repository: str, digest: Digest
    ) -> Served | ServedHead:
        """The same by digest."""
        await self._manifests.admit(upstream, repository, str(digest))
        manifest = await self._manifests.cached(upstream, repository, digest)
        if manifest is not None:
            return Served(manifest, status.hit(0))
        head = await upstream.registry.head_manifest(repository, str(digest))
        if head.digest in (None, digest):
            head = ContentHead(digest, head.size, head.media_type, head.credentials)
        served = await self._head(upstream, repository, head)
        return served or await self.by_digest(upstream, repository, digest)

    async def _head(
        self, upstream: Upstream, repository: str, head: ContentHead
    ) -> Served | ServedHead | None:
        """An answer to HEAD from an upstream's answer to HEAD, if that says enough."""
        if head.digest is None or head.size is None or not head.media_type:
            return None
        manifest = await self._manifests.cached(upstream, repository, head.digest)
        if manifest is not None:
            return Served(manifest, status.asked())
        return ServedHead(head.digest, head.size, head.media_type, status.asked())

    async def _fact(self, upstream: Upstream, repository: str, tag: str) -> TagFact | None:
        key = (upstream.name, repository, tag)
        fact = self._facts.get(key)
        if fact is None:
            fact = await self._index.tag(*key)
            # A revalidation may have noted something newer meanwhile.
            newer = self._facts.get(key)
            if newer is None and fact is not None:
                self._facts.put(key, fact)
            fact = newer or fact
        return fact

    async def _cold(self, upstream: Upstream, repository: str, tag: str) -> Served:
        manifest = await self._manifests.fetch(upstream, repository, tag)
        await self._note(upstream, repository, tag, manifest.digest)
        return Served(manifest, status.miss())

    async def _serve(
        self, upstream: Upstream, repository: str, fact: TagFact, how: CacheStatus
    ) -> Served:
        """The manifest of a tag whose digest is decided; fetched by digest if it is gone."""
        manifest = await self._manifests.cached(upstream, repository, fact.digest)
        if manifest is not None:
            return Served(manifest, how)
        manifest = await self._manifests.fetch(upstream, repository, str(fact.digest))
        return Served(manifest, status.miss())

    async def _ask(
        self, upstream: Upstream, repository: str, tag: str, fact: TagFact, age: float
    ) -> Served:
        """Ask the upstream within the deadline whether the tag still names the same."""
        key = (upstream.name, repository, tag)
        deadline = upstream.policy.deadline
        under_way = self._revalidations.under_way(key)
        may_be_stale = upstream.policy.may_be_stale(age)
        if under_way is not None and may_be_stale:
            deadline -= self._clock.seconds() - under_way.started_at
        if deadline <= 0:
            return await self._serve(upstream, repository, fact, status.stale_deadline(age))
        asking = self._revalidations.join(
            key, lambda: self._revalidate(upstream, repository, tag, fact)
        )
        try:
            now = await (self._within(asking, deadline) if may_be_stale else asking)
        except UpstreamFailure as failure:
            return await self._fall_back(upstream, repository, tag, fact, age, failure)
        if now is None:
            return await self._serve(upstream, repository, fact, status.stale_deadline(age))
        how = status.revalidated() if now.digest == fact.digest else status.miss()
        return await self._serve(upstream, repository, now, how)

    def _within(self, asking: "Deferred[TagFact]", seconds: float) -> "Deferred[TagFact | None]":
        """The answer, or None when the time is over; the question itself goes on."""
        timer = self._clock.callLater(seconds, asking.cancel)

        def settle(result: "TagFact | Failure") -> "TagFact | Failure | None":
            if timer.active():
                timer.cancel()
                return result
            over = isinstance(result, Failure) and result.check(CancelledError)
            return None if over else result

        return asking.addBoth(settle)

    async def _revalidate(
        self, upstream: Upstream, repository: str, tag: str, fact: TagFact
    ) -> TagFact:
        """HEAD, which public registries do not count; the body only if the tag moved."""
        head = await upstream.registry.head_manifest(repository, tag)
        digest = head.digest
        if digest is None:
            digest = (await self._manifests.fetch(upstream, repository, tag)).digest
        elif digest != fact.digest:
            if await self._manifests.cached(upstream, repository, digest) is None:
                await self._manifests.fetch(upstream, repository, str(digest))
        return await self._note(upstream, repository, tag, digest)

    async def _note(self, upstream: Upstream, repository: str, tag: str, digest: Digest) -> TagFact:
        fact = TagFact(digest, self._clock.seconds())
        self._facts.put((upstream.name, repository, tag), fact)
        await self._index.record_tag(upstream.name, repository, tag, digest, fact.validated_at)
        return fact

    async def _fall_back(
        self,
        upstream: Upstream,
        repository: str,
        tag: str,
        fact: TagFact,
        age: float,
        failure: UpstreamFailure,
    ) -> Served:
        decision = decide(failure, age, upstream.policy)
        if decision is Decision.GONE:
            self._facts.drop((upstream.name, repository, tag))
            await self._index.drop_tag(upstream.name, repository, tag)
        if decision is not Decision.STALE:
            raise failure
        if isinstance(failure, UpstreamResting):
            how = status.stale_unasked(age, upstream.policy.ttl(tag))
        else:
            how = status.stale_failed(age, failure)
        return await self._serve_stale(upstream, repository, fact, how, failure)

    async def _serve_stale(
        self,
        upstream: Upstream,
        repository: str,
        fact: TagFact,
        how: CacheStatus,
        failure: UpstreamFailure,
    ) -> Served:
        """The cached copy; what is not here is not asked for again just now."""
        manifest = await self._manifests.cached(upstream, repository, fact.digest)
        if manifest is None:
            raise failure
        return Served(manifest, how)
