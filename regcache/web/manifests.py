"""GET and HEAD of manifests."""

from dataclasses import dataclass

from regcache.cache.manifests import ManifestCache
from regcache.cache.policy import Upstream
from regcache.cache.tags import Served, ServedHead, TagCache
from regcache.digests import Digest, is_digest
from regcache.errors import ManifestUnknownError
from regcache.media_types import INDEX_TYPES, accepts
from regcache.web.headers import set_content_headers
from regcache.web.hosts import Route
from regcache.web.request import Request
from regcache.web.respond import is_not_modified, send_body, set_header

#: What a client gets that takes no index: what distribution has always given.
DEFAULT_PLATFORM = "linux/amd64"


@dataclass(frozen=True, slots=True)
class ManifestHandler:
    """Answers requests for manifests.

    :ivar private: access is restricted, so shared caches must not keep answers.
    """

    tags: TagCache
    manifests: ManifestCache
    private: bool

    async def answer(
        self, request: Request, upstream: Upstream, route: Route, reference: str
    ) -> None:
        """Answer a GET or HEAD for a tag or digest."""
        by_tag = not is_digest(reference)
        found = await self._find(request, upstream, route.repository, reference)
        if by_tag:
            # What a tag stands for depends on what the client takes, for 304 and HEAD too.
            set_header(request, "Vary", "Accept")
            if not _takes(request, found):
                found = await self._child(upstream, route.repository, reference, found)
        if isinstance(found, ServedHead):
            self._send_head(request, found, by_tag)
            return
        manifest = found.manifest
        set_content_headers(
            request, manifest.digest, manifest.media_type, found.status, self.private, by_tag
        )
        send_body(request, manifest.content, manifest.media_type, etag=f'"{manifest.digest}"')

    async def _find(
        self, request: Request, upstream: Upstream, repository: str, reference: str
    ) -> Served | ServedHead:
        head = request.method == b"HEAD"
        if is_digest(reference):
            digest = Digest.parse(reference)
            find = self.tags.head_by_digest if head else self.tags.by_digest
            return await find(upstream, repository, digest)
        if head:
            return await self.tags.head_by_tag(upstream, repository, reference)
        return await self.tags.by_tag(upstream, repository, reference)

    async def _child(
        self, upstream: Upstream, repository: str, tag: str, index: Served | ServedHead
    ) -> Served:
        """The child of an index for clients that take no index."""
        if isinstance(index, ServedHead):
            index = await self.tags.by_digest(upstream, repository, index.digest)
        content, media_type = index.manifest.content, index.manifest.media_type
        body = await self.manifests.parse(upstream, content, media_type)
        digest = body.child_for(DEFAULT_PLATFORM)
        if digest is None:
            raise ManifestUnknownError(
                f"{tag} is an index without {DEFAULT_PLATFORM}, and the client takes no index"
            )
        child = await self.tags.by_digest(upstream, repository, digest)
        # How fresh the answer is the tag decides, unless the child had to be fetched.
        return child if child.status.outcome == "miss" else Served(child.manifest, index.status)

    def _send_head(self, request: Request, found: ServedHead, by_tag: bool) -> None:
        set_content_headers(
            request, found.digest, found.media_type, found.status, self.private, by_tag
        )
        etag = f'"{found.digest}"'
        if is_not_modified(request, etag):
            request.setResponseCode(304)
        else:
            set_header(request, "Content-Length", str(found.size))
        request.finish()


def _takes(request: Request, found: Served | ServedHead) -> bool:
    """Whether the client takes what was found: anything, or an index if it is one."""
    media_type = found.manifest.media_type if isinstance(found, Served) else found.media_type
    if media_type not in INDEX_TYPES:
        return True
    lines = request.requestHeaders.getRawHeaders("Accept", [])
    return any(accepts(lines, index_type) for index_type in INDEX_TYPES)
