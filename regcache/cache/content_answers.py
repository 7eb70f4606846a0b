"""The interface by which handlers of requests use a cache."""

from typing import Protocol

from regcache.cache.listings import ReferrerList, TagPage
from regcache.cache.opened import BlobHead, OpenBlob
from regcache.cache.served_manifests import Served, ServedHead
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity


class ContentAnswers(Protocol):
    """Answers questions about repositories. What may not be shown, or is not there, is raised."""

    def open_blob_at_once(self, content: RepositoryContent) -> OpenBlob | None:
        """What :meth:`open_blob` gives, if memory alone can tell."""

    async def open_blob(self, content: RepositoryContent) -> OpenBlob:
        """Open a blob to send it."""

    async def head_blob(self, content: RepositoryContent) -> BlobHead:
        """The size of a blob."""

    def manifest_at_once(self, content: RepositoryContent) -> Served | None:
        """What :meth:`manifest` gives, if memory alone can tell."""

    async def manifest(self, content: RepositoryContent) -> Served:
        """The manifest of a digest."""

    async def head_manifest(self, content: RepositoryContent) -> Served | ServedHead:
        """The same for HEAD."""

    def tag_at_once(self, repository: Repository, tag: str) -> Served | None:
        """What :meth:`tag` gives, if memory alone can tell."""

    async def tag(self, repository: Repository, tag: str) -> Served:
        """The manifest that a tag names."""

    async def head_tag(self, repository: Repository, tag: str) -> Served | ServedHead:
        """The same for HEAD."""

    def child_at_once(self, repository: Repository, index: Served) -> Served | None:
        """What :meth:`child_of` gives, if memory alone can tell."""

    async def child_of(self, repository: Repository, index: Served | ServedHead) -> Served | None:
        """The manifest in an index for clients that take no index; None if it has none."""

    async def tags(self, repository: Repository, after: str, limit: int) -> TagPage:
        """At most ``limit`` tags of a repository, those that sort after ``after``."""

    async def referrers(self, content: RepositoryContent, artifact_type: str) -> ReferrerList:
        """The index of what refers to a digest; ``artifact_type`` "" for all types."""

    async def repositories(self, upstream: UpstreamIdentity, after: str, limit: int) -> list[str]:
        """At most ``limit`` repositories of which something is cached, sorted after ``after``."""
