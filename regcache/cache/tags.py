"""Answers for tags and digests of manifests. An upstream is asked as rarely as its policy allows.

Cached tags are answered by :mod:`regcache.cache.cached_tags`; a tag that is not cached is fetched
once for all requests that wait. The digest that an answer states is always the digest of its
body.
"""

from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime

from regcache.cache import status
from regcache.cache.cached_tags import CachedTags
from regcache.cache.freshness import is_fresh
from regcache.cache.manifests import ManifestCache
from regcache.cache.policy import ServedRepository
from regcache.cache.served_manifests import Served, ServedHead
from regcache.cache.tag_table import TagTable
from regcache.digests import Digest, is_digest
from regcache.errors import UpstreamNotFound
from regcache.facts import ContentHead, Manifest
from regcache.manifest_body import MOST_BYTES
from regcache.media_types import MANIFEST_TYPES
from regcache.single_flight import Flights

T = TypeVar("T")


class TagCache:
    """Answers for tags and digests, with the policy of each upstream."""

    def __init__(
        self,
        manifests: ManifestCache,
        table: TagTable,
        cached: CachedTags,
        clock: IReactorTime,
    ) -> None:
        self._manifests = manifests
        self._table = table
        self._cached = cached
        self._clock = clock
        self._fetches: Flights[Manifest] = Flights(clock)
        self._heads: Flights[ContentHead] = Flights(clock)

    def by_digest_at_once(self, repository: ServedRepository, digest: Digest) -> Served | None:
        """What :meth:`by_digest` gives, if neither the disk nor the upstream has to be asked."""
        manifest = self._manifests.at_once(repository, digest)
        return None if manifest is None else Served(manifest, status.hit(0))

    def by_tag_at_once(self, repository: ServedRepository, tag: str) -> Served | None:
        """The same for a tag that is fresh."""
        fact = self._table.in_memory(repository.identity, tag)
        if fact is None:
            return None
        age = self._clock.seconds() - fact.validated_at
        if not is_fresh(age, repository.policy.ttl(tag)):
            return None
        manifest = self._manifests.at_once(repository, fact.digest)
        return None if manifest is None else Served(manifest, status.hit(age))

    def child_at_once(self, repository: ServedRepository, index: Served) -> Served | None:
        """What :meth:`child_of` gives, if it is in memory."""
        digest = self._manifests.known_child(index.manifest.digest)
        if digest is None:
            return None
        manifest = self._manifests.at_once(repository, digest)
        return None if manifest is None else Served(manifest, index.status)

    async def child_of(
        self, repository: ServedRepository, index: Served | ServedHead
    ) -> Served | None:
        """The manifest in an index for clients that accept no index; None if it has none.

        Raises as :meth:`by_digest`.
        """
        if isinstance(index, ServedHead):
            index = await self.by_digest(repository, index.digest)
        digest = await self._manifests.default_child(repository.upstream, index.manifest)
        if digest is None:
            return None
        child = await self.by_digest(repository, digest)
        # The status is that of the tag, unless the child had to be fetched.
        return child if child.status.outcome == "miss" else Served(child.manifest, index.status)

    async def by_digest(self, repository: ServedRepository, digest: Digest) -> Served:
        """The manifest of a digest.

        :raises UpstreamFailure: if it is not here and the upstream does not give it.
        :raises RegistryError: if it may not be shown.
        """
        served = await self._by_digest(repository, digest)
        self._manifests.confirm(repository)
        return served

    async def _by_digest(self, repository: ServedRepository, digest: Digest) -> Served:
        manifest = await self._admitted(repository, digest)
        if manifest is not None:
            return Served(manifest, status.hit(0))
        joined = self._manifests.is_fetching(repository, str(digest))
        manifest = await self._manifests.fetch(repository, str(digest))
        return Served(manifest, status.collapsed() if joined else status.miss())

    async def head_by_digest(
        self, repository: ServedRepository, digest: Digest
    ) -> Served | ServedHead:
        """The same for HEAD, for which no body is fetched."""
        served = await self._head_by_digest(repository, digest)
        self._manifests.confirm(repository)
        return served

    async def _head_by_digest(
        self, repository: ServedRepository, digest: Digest
    ) -> Served | ServedHead:
        manifest = await self._admitted(repository, digest)
        if manifest is not None:
            return Served(manifest, status.hit(0))
        head = await self._head(repository, str(digest))
        served = _served_head(digest, head) if head.digest in (None, digest) else None
        return served or await self._by_digest(repository, digest)

    async def by_tag(self, repository: ServedRepository, tag: str) -> Served:
        """The manifest that a tag names; raises as :meth:`by_digest`."""
        served = await self._cached.find(repository, tag)
        if served is None:
            served = await self._cold(repository, tag)
        self._manifests.confirm(repository)
        return served

    async def refresh(self, repository: ServedRepository, tag: str) -> Served:
        """What a tag names now, which the upstream is asked; raises as :meth:`by_digest`."""
        served = await self._cached.ask_now(repository, tag)
        if served is None:
            served = await self._cold(repository, tag)
        self._manifests.confirm(repository)
        return served

    async def head_by_tag(self, repository: ServedRepository, tag: str) -> Served | ServedHead:
        """The same for HEAD."""
        served = await self._head_by_tag(repository, tag)
        self._manifests.confirm(repository)
        return served

    async def _head_by_tag(self, repository: ServedRepository, tag: str) -> Served | ServedHead:
        served = await self._cached.find(repository, tag)
        if served is not None:
            return served
        head = await self._head(repository, tag)
        manifest = None
        if head.digest is not None:
            manifest = await self._manifests.cached(repository, head.digest)
        if manifest is not None:
            return Served(manifest, status.asked())
        return _served_head(head.digest, head) or await self._cold(repository, tag)

    async def _admitted(self, repository: ServedRepository, digest: Digest) -> Manifest | None:
        """The cached manifest, once it is clear that the repository may be shown."""
        by = self._clock.seconds() + repository.policy.deadline
        await self._manifests.admit(repository, str(digest), by)
        return await self._manifests.cached(repository, digest, by)

    async def _head(self, repository: ServedRepository, reference: str) -> ContentHead:
        """Ask the upstream with HEAD, once for all who wait. What a tag names is recorded."""

        async def ask() -> ContentHead:
            began = self._table.generation
            await self._manifests.admit_fetch(repository, reference)
            asking = repository.registry.head_manifest(repository.name, reference)
            head: ContentHead = await self._or_drop(asking, repository, reference)
            if head.digest is not None and not is_digest(reference):
                await self._table.note(repository.identity, reference, head.digest, began)
            return head

        return await self._heads.join((repository.identity, reference), ask)

    async def _cold(self, repository: ServedRepository, tag: str) -> Served:
        """Fetch what is not cached, once for all who wait."""
        key = (repository.identity, tag)
        joined = self._fetches.under_way(key)

        async def fetch() -> Manifest:
            began = self._table.generation
            fetching = self._manifests.fetch(repository, tag)
            manifest = await self._or_drop(fetching, repository, tag)
            await self._table.note(repository.identity, tag, manifest.digest, began)
            return manifest

        manifest = await self._fetches.join(key, fetch)
        return Served(manifest, status.collapsed() if joined else status.miss())

    async def _or_drop(
        self, asking: Awaitable[T], repository: ServedRepository, reference: str
    ) -> T:
        """The answer of an upstream. If it says that there is no such tag, forget the tag."""
        try:
            return await asking
        except UpstreamNotFound:
            if not repository.policy.keep_missing:
                await self._table.drop(repository.identity, reference)
            raise


def _served_head(digest: Digest | None, head: ContentHead) -> ServedHead | None:
    """The answer to HEAD, made of the upstream's; None if the answer to GET might differ.

    GET states the media type that the content has, and refuses manifests that are too large. If
    the body came with the head, the answer is made of the body instead.
    """
    if digest is None or head.size is None or head.size > MOST_BYTES or head.body is not None:
        return None
    if head.media_type not in MANIFEST_TYPES:
        return None
    return ServedHead(digest, head.size, head.media_type, status.asked())
