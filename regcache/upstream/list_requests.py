"""Lists of one URL of an upstream that come in pages: tags, and referrers.

Only the query of a Link is used, so the upstream cannot choose the target of the next request.
Pages, bytes and entries are bounded.
"""

import json
import re
from dataclasses import replace

from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer, UpstreamNotFound
from regcache.facts import ManifestAnswer
from regcache.parsing import load_json
from regcache.upstream.exchange import UpstreamRequest
from regcache.upstream.fields import field_values, next_link
from regcache.upstream.manifest_requests import COMMON, LARGEST_MANIFEST, OCI_INDEX, manifest_answer
from regcache.upstream.remote import Remote
from regcache.upstream.urls import InvalidUrlError, Url, join_url

LARGEST_TAGS_PAGE = 4 * 1024 * 1024
MOST_TAG_BYTES = 16 * 1024 * 1024
MOST_PAGES = 100
MOST_TAGS = 100_000
TAGS_PER_PAGE = 1000

# What registries without the referrers API say, beside 404.
_NO_SUCH_API = frozenset({400, 405, 406, 415})
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")


async def list_tags(remote: Remote, repository: str) -> list[str]:
    """All tags of a repository, page by page. Invalid tags are left out.

    :raises UpstreamBadAnswer: if a page is malformed, or there are too many.
    """
    pages = _Pages(
        remote, repository, "tags/list", accept="application/json", limit=LARGEST_TAGS_PAGE
    )
    tags: dict[str, None] = {}
    page: ManifestAnswer | None = await pages.first(f"n={TAGS_PER_PAGE}")
    while page is not None:
        found = await remote.parse(len(page.content), _tags_of, page.content)
        tags.update(dict.fromkeys(found))
        if pages.size > MOST_TAG_BYTES or len(tags) > MOST_TAGS:
            raise UpstreamBadAnswer(remote.upstream, "its list is too long")
        page = await pages.next()
    return list(tags)


async def get_referrers(remote: Remote, repository: str, digest: Digest) -> ManifestAnswer:
    """The referrers of a digest (OCI distribution specification, "Listing Referrers").

    A list of one page is returned as it is. Several pages are joined into the first; together they
    may have 4 MiB.

    :raises UpstreamNotFound: also if the upstream does not have this API.
    :raises UpstreamBadAnswer: if a further page is malformed, or there are too many.
    """
    pages = _Pages(
        remote, repository, f"referrers/{digest}", accept=OCI_INDEX, limit=LARGEST_MANIFEST
    )
    try:
        first = await pages.first("")
    except UpstreamBadAnswer as failure:
        if failure.status not in _NO_SUCH_API:
            raise
        raise UpstreamNotFound(
            remote.upstream, "it has no referrers API", status=failure.status
        ) from None
    further: list[ManifestAnswer] = []
    while (page := await pages.next()) is not None:
        if pages.size > LARGEST_MANIFEST:
            raise UpstreamBadAnswer(remote.upstream, "its list is too long")
        further.append(page)
    if not further:
        return first
    contents = [page.content for page in (first, *further)]
    content = await remote.parse(pages.size, _joined, contents)
    # The joined list has another digest.
    return replace(first, content=content, claimed=None)


class _Pages:
    """The pages of one list, one after the other.

    :ivar size: bytes of all pages so far.
    """

    def __init__(
        self, remote: Remote, repository: str, resource: str, *, accept: str, limit: int
    ) -> None:
        self._remote = remote
        self._repository = repository
        self._resource = resource
        self._accept = accept
        self._limit = limit
        self._following: Url | None = None
        self._count = 0
        self.size = 0

    async def first(self, query: str) -> ManifestAnswer:
        """The first page. :raises UpstreamFailure: if there is none."""
        return await self._page(self._remote.url(self._repository, self._resource, query))

    async def next(self) -> ManifestAnswer | None:
        """The next page; None if that was the last. :raises UpstreamFailure: if it fails."""
        if self._following is None:
            return None
        if self._count >= MOST_PAGES:
            raise UpstreamBadAnswer(self._remote.upstream, "its list is too long")
        try:
            return await self._page(self._following)
        except UpstreamNotFound:
            raise UpstreamBadAnswer(self._remote.upstream, "its list breaks off") from None

    async def _page(self, url: Url) -> ManifestAnswer:
        self._count += 1
        request = UpstreamRequest(
            b"GET", url, (("Accept", self._accept), *COMMON), repository=self._repository
        )
        answer = await self._remote.ask(request)
        page = await manifest_answer(self._remote, answer, self._limit)
        self.size += len(page.content)
        self._following = self._next_page(url, field_values(answer.headers, "link"))
        return page

    def _next_page(self, url: Url, links: list[str]) -> Url | None:
        reference = next_link(links)
        if reference is None:
            return None
        upstream = self._remote.upstream
        try:
            target = join_url(url, reference)
        except InvalidUrlError:
            raise UpstreamBadAnswer(upstream, "its Link is unusable") from None
        path = target.path.replace("%3A", ":").replace("%3a", ":")
        if target.origin != url.origin or not path.endswith(f"/{self._resource}"):
            raise UpstreamBadAnswer(upstream, "its Link leads elsewhere")
        query = "&".join(part for part in target.query.split("&") if not part.startswith("ns="))
        following = self._remote.url(self._repository, self._resource, query)
        if following == url:
            raise UpstreamBadAnswer(upstream, "its Link leads in a circle")
        return following


def _tags_of(upstream: str, content: bytes) -> list[str]:
    tags = _member(upstream, content, "tags")
    return [tag for tag in tags if isinstance(tag, str) and _TAG.match(tag)]


def _joined(upstream: str, pages: list[bytes]) -> bytes:
    """The first page with the descriptors of all."""
    manifests = [member for page in pages for member in _member(upstream, page, "manifests")]
    index = {**json.loads(pages[0]), "manifests": manifests}
    return json.dumps(index, separators=(",", ":")).encode()


def _member(upstream: str, content: bytes, name: str) -> list[object]:
    """A list of a JSON object; null counts as empty."""
    try:
        value = load_json(content)[name]
    except (ValueError, KeyError, TypeError):
        value = ""
    if not isinstance(value, list | None):
        raise UpstreamBadAnswer(upstream, "its list is malformed")
    return value or []
