"""The cache under one configuration: the entry point for requests.

Requests name an upstream by its identity. Its registry and policy are looked up here, once
per request. A request that has begun keeps them, even if the configuration is replaced.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from regcache.cache.blobs import BlobCache
from regcache.cache.listings import Listings, ReferrerList, TagPage
from regcache.cache.opened import BlobHead, OpenBlob
from regcache.cache.policy import ServedRepository, ServedUpstream
from regcache.cache.served_manifests import Served, ServedHead
from regcache.cache.tags import TagCache
from regcache.digests import Digest
from regcache.facts import ManifestUse
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.light_dataclass import dataclass

Answered = TypeVar("Answered", Served, Served | None, Served | ServedHead)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caches:
    """The caches that live on when the configuration is replaced.

    :ivar used: is told of each use; must be cheap.
    :ivar pulled: the same of each manifest that a repository was asked for.
    """

    blobs: BlobCache
    tags: TagCache
    listings: Listings
    used: Callable[[Digest], None]
    pulled: Callable[[Repository, Digest, ManifestUse], None]


class ConfiguredCache:
    """Answers requests for what is under the upstreams of one configuration.

    All methods raise UpstreamFailure if something is not cached and the upstream does not give
    it, and RegistryError if it may not be shown.
    """

    def __init__(self, upstreams: Iterable[ServedUpstream], caches: Caches) -> None:
        self._upstreams = {each.identity: each for each in upstreams}
        self._blobs, self._tags, self._listings = caches.blobs, caches.tags, caches.listings
        self._used, self._pulled = caches.used, caches.pulled

    def _served(self, repository: Repository) -> ServedRepository:
        return ServedRepository(self._upstreams[repository.upstream], repository)

    def _note(
        self, served: Answered, repository: Repository, use: ManifestUse | None = None
    ) -> Answered:
        """A manifest is used by GET and by HEAD, and so is all that it lists.

        :param use: how it was asked for; None where the client has asked for what lists it.
        """
        if served is not None:
            digest = served.manifest.digest if isinstance(served, Served) else served.digest
            self._used(digest)
            if use is not None:
                self._pulled(repository, digest, use)
        return served

    def open_blob_at_once(self, content: RepositoryContent) -> OpenBlob | None:
        """Open a small blob if memory knows its content, and the right to it."""
        opened = self._blobs.open_at_once(self._served(content.repository), content.digest)
        if opened is not None:
            self._used(content.digest)
        return opened

    async def open_blob(self, content: RepositoryContent) -> OpenBlob:
        """Open a blob to send it."""
        opened = await self._blobs.open(self._served(content.repository), content.digest)
        self._used(content.digest)
        return opened

    async def head_blob(self, content: RepositoryContent) -> BlobHead:
        """The size of a blob, without fetching it."""
        return await self._blobs.head(self._served(content.repository), content.digest)

    def manifest_at_once(self, content: RepositoryContent) -> Served | None:
        """What :meth:`manifest` gives, where neither disk nor upstream has to be asked."""
        repository = self._served(content.repository)
        found = self._tags.by_digest_at_once(repository, content.digest)
        return self._note(found, content.repository, ManifestUse.GOT)

    async def manifest(self, content: RepositoryContent) -> Served:
        """The manifest of a digest."""
        repository = self._served(content.repository)
        found = await self._tags.by_digest(repository, content.digest)
        return self._note(found, content.repository, ManifestUse.GOT)

    async def head_manifest(self, content: RepositoryContent) -> Served | ServedHead:
        """The same for HEAD: what is not here is not fetched for it."""
        repository = self._served(content.repository)
        found = await self._tags.head_by_digest(repository, content.digest)
        return self._note(found, content.repository, ManifestUse.HEADED)

    def tag_at_once(self, repository: Repository, tag: str) -> Served | None:
        """What :meth:`tag` gives, where neither disk nor upstream has to be asked."""
        found = self._tags.by_tag_at_once(self._served(repository), tag)
        return self._note(found, repository, ManifestUse.BY_TAG)

    async def tag(self, repository: Repository, tag: str) -> Served:
        """The manifest that a tag names."""
        found = await self._tags.by_tag(self._served(repository), tag)
        return self._note(found, repository, ManifestUse.BY_TAG)

    async def refresh_tag(self, repository: Repository, tag: str) -> Served:
        """The manifest that a tag names now: the upstream is asked, however fresh the copy is."""
        return await self._tags.refresh(self._served(repository), tag)

    async def head_tag(self, repository: Repository, tag: str) -> Served | ServedHead:
        """The same for HEAD."""
        found = await self._tags.head_by_tag(self._served(repository), tag)
        return self._note(found, repository, ManifestUse.BY_TAG)

    def child_at_once(self, repository: Repository, index: Served) -> Served | None:
        """What :meth:`child_of` gives, where memory knows it."""
        found = self._tags.child_at_once(self._served(repository), index)
        return self._note(found, repository)

    async def child_of(self, repository: Repository, index: Served | ServedHead) -> Served | None:
        """The manifest in an index for clients that take no index; None if it has none."""
        found = await self._tags.child_of(self._served(repository), index)
        return self._note(found, repository)

    async def tags(self, repository: Repository, after: str, limit: int) -> TagPage:
        """At most ``limit`` tags of a repository, those that sort after ``after``."""
        return await self._listings.tags(self._served(repository), after, limit)

    async def referrers(self, content: RepositoryContent, artifact_type: str) -> ReferrerList:
        """The index of what refers to a digest; ``artifact_type`` "" for all types."""
        repository = self._served(content.repository)
        return await self._listings.referrers(repository, content.digest, artifact_type)

    async def repositories(self, upstream: UpstreamIdentity, after: str, limit: int) -> list[str]:
        """At most ``limit`` repositories of which something is cached, sorted after ``after``."""
        return await self._listings.repositories(self._upstreams[upstream], after, limit)
