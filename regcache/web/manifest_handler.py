"""GET and HEAD of manifests."""

from collections.abc import Coroutine
from dataclasses import KW_ONLY, field
from functools import lru_cache
from typing import Any

from regcache.bounded import BoundedTable
from regcache.cache.content_answers import ContentAnswers
from regcache.cache.remembered_manifests import DEFAULT_PLATFORM
from regcache.cache.served_manifests import Served, ServedHead
from regcache.digests import Digest, is_digest
from regcache.errors import ManifestUnknownError
from regcache.identity import Repository, RepositoryContent
from regcache.light_dataclass import dataclass
from regcache.media_types import INDEX_TYPES, accepts
from regcache.timings import begin_timings
from regcache.web.content_headers import content_headers, note_status, set_content_headers
from regcache.web.header_block import HeaderBlock
from regcache.web.pull_starts import PullStarts
from regcache.web.request import Request, asked_by, payer_of
from regcache.web.respond import add_vary, is_not_modified, set_header

#: How many encoded heads of answers are kept (entries of about a KiB).
MOST_HEADS = 2048
#: Memory for parsed Accept lines (bytes).
ACCEPT_MEMORY = 256 * 1024
#: What each takes besides its text (bytes).
ACCEPT_OVERHEAD = 256

#: Digest, media type, Cache-Status, age, by tag, with a body.
HeadKey = tuple[Digest, str, str, int | None, bool, bool]

#: Clients ask for the same digests again and again.
_parse_digest = lru_cache(maxsize=1024)(Digest.parse)


@dataclass(frozen=True, slots=True)
class ManifestHandler:
    """Answers requests for manifests.

    :ivar private: whether access is restricted, so that shared caches must not keep answers.
    :ivar heads: encoded heads of answers.
    :ivar index_takers: for Accept lines, whether they accept an index.
    :ivar pulls: tells which requests begin a pull; None where none counts as one.
    """

    cache: ContentAnswers
    private: bool
    pulls: PullStarts | None = None
    _: KW_ONLY
    heads: BoundedTable[HeadKey, HeaderBlock] = field(
        default_factory=lambda: BoundedTable(MOST_HEADS)
    )
    index_takers: BoundedTable[bytes, bool] = field(
        default_factory=lambda: BoundedTable(ACCEPT_MEMORY)
    )

    def answer(
        self, request: Request, repository: Repository, reference: str
    ) -> Coroutine[Any, Any, None] | None:
        """Answer a GET or HEAD for a tag or digest at once, or return the work that is left."""
        if is_digest(reference):
            content = RepositoryContent(repository, _parse_digest(reference))
            found = self.cache.manifest_at_once(content)
        else:
            found = self.cache.tag_at_once(repository, reference)
            if found is not None and not self._takes(request, found):
                found = self.cache.child_at_once(repository, found)
        if found is None:
            return self._answer_later(request, repository, reference)
        self._send(request, found, not is_digest(reference))
        return None

    async def _answer_later(self, request: Request, repository: Repository, reference: str) -> None:
        by_tag = not is_digest(reference)
        request.facts.timings = begin_timings(request.site.seconds, asked_by(request))
        found = await self._find(request, repository, reference)
        if by_tag and not self._takes(request, found):
            found = await self._child(request, repository, reference, found)
        if isinstance(found, ServedHead):
            self._send_head(request, found, by_tag)
        else:
            self._send(request, found, by_tag)

    async def _find(
        self, request: Request, repository: Repository, reference: str
    ) -> Served | ServedHead:
        head = request.method == b"HEAD"
        if is_digest(reference):
            content = RepositoryContent(repository, Digest.parse(reference))
            return await (self.cache.head_manifest if head else self.cache.manifest)(content)
        return await (self.cache.head_tag if head else self.cache.tag)(repository, reference)

    async def _child(
        self, request: Request, repository: Repository, tag: str, index: Served | ServedHead
    ) -> Served:
        """The manifest in an index for clients that accept no index."""
        child = await self.cache.child_of(repository, index)
        if child is None:
            add_vary(request, "Accept")
            raise ManifestUnknownError(
                f"{tag} is an index without {DEFAULT_PLATFORM}, and the client takes no index"
            )
        return child

    def _takes(self, request: Request, found: Served | ServedHead) -> bool:
        """Whether the client accepts what was found. Only an index may be unacceptable."""
        media_type = found.manifest.media_type if isinstance(found, Served) else found.media_type
        if media_type not in INDEX_TYPES:
            return True
        lines = request.requestHeaders.getRawHeaders(b"Accept", [])
        text = b",".join(lines)
        takes = self.index_takers.get(text)
        if takes is None:
            takes = any(accepts([text.decode("latin-1")], each) for each in INDEX_TYPES)
            self.index_takers.put(text, takes, ACCEPT_OVERHEAD + len(text))
        return takes

    def _send(self, request: Request, found: Served, by_tag: bool) -> None:
        manifest, refusal = found.manifest, request.facts.unless_not_modified
        request.facts.digest = manifest.digest
        is_modified = not is_not_modified(request, f'"{manifest.digest}"')
        if is_modified and refusal is not None:
            raise refusal
        note_status(request, found.status)
        self._note_pull(request, found, by_tag)
        if not is_modified:
            request.setResponseCode(304)
            request.send_whole((self._head(found, by_tag, False),), b"")
        else:
            request.send_whole((self._head(found, by_tag, True),), manifest.content)

    def _note_pull(self, request: Request, found: Served, by_tag: bool) -> None:
        if self.pulls is None or request.method != b"GET":
            return
        facts, manifest = request.facts, found.manifest
        request.facts.is_pull = self.pulls.begins(
            (payer_of(request), facts.upstream, facts.repository),
            manifest.digest,
            is_index=manifest.media_type in INDEX_TYPES,
            by_tag=by_tag,
        )

    def _head(self, found: Served, by_tag: bool, whole: bool) -> HeaderBlock:
        """The head of an answer; with the length of its body, if that follows."""
        manifest, status = found.manifest, found.status
        key = (manifest.digest, manifest.media_type, status.text, status.age, by_tag, whole)
        head = self.heads.get(key)
        if head is None:
            fields = content_headers(
                manifest.digest, manifest.media_type, status, private=self.private, by_tag=by_tag
            )
            if by_tag:
                fields["Vary"] = "Accept"
            if whole:
                fields["Content-Length"] = str(len(manifest.content))
            head = HeaderBlock(fields.items())
            self.heads.put(key, head)
        return head

    def _send_head(self, request: Request, found: ServedHead, by_tag: bool) -> None:
        request.facts.digest = found.digest
        set_content_headers(
            request,
            found.digest,
            found.media_type,
            found.status,
            private=self.private,
            by_tag=by_tag,
        )
        if by_tag:
            # By tag the answer depends on what the client accepts; so does 304, and that to HEAD.
            add_vary(request, "Accept")
        etag = f'"{found.digest}"'
        if is_not_modified(request, etag):
            request.setResponseCode(304)
        else:
            set_header(request, "Content-Length", str(found.size))
        request.finish()
