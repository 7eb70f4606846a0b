"""Manifests, tags and referrers of one URL of an upstream."""

import json
import re

from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer, UpstreamNotFound
from regcache.facts import ContentHead, ManifestAnswer
from regcache.upstream.exchange import Answer, Request
from regcache.upstream.fields import (
    content_digest,
    content_length,
    field_values,
    media_type,
    next_link,
    only_value,
)
from regcache.upstream.remote import Remote
from regcache.upstream.urls import InvalidUrlError, Url, join_url

LARGEST_MANIFEST = 4 * 1024 * 1024
LARGEST_TAGS_PAGE = 4 * 1024 * 1024
MOST_TAG_BYTES = 16 * 1024 * 1024
MOST_TAG_PAGES = 100
MOST_TAGS = 100_000
TAGS_PER_PAGE = 1000

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPES = (
    OCI_INDEX,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
# What registries without the referrers API say, beside 404.
_NO_SUCH_API = frozenset({400, 405, 406, 415})
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_COMMON = (("Accept-Encoding", "identity"), ("User-Agent", "regcache"))


def manifest_request(
    remote: Remote, method: bytes, repository: str, reference: str, anonymous: bool
) -> Request:
    """A request for a manifest, with all four media types accepted."""
    url = remote.url(repository, f"manifests/{reference}")
    accept = ("Accept", ", ".join(MANIFEST_TYPES))
    return Request(method, url, (accept, *_COMMON), repository, anonymous)


async def head_manifest(
    remote: Remote, repository: str, reference: str, anonymous: bool
) -> ContentHead:
    """HEAD of a manifest. :raises UpstreamFailure: as :meth:`Remote.ask`."""
    request = manifest_request(remote, b"HEAD", repository, reference, anonymous)
    return content_head(await remote.ask(request))


def content_head(answer: Answer) -> ContentHead:
    """What the headers of an answer to HEAD tell."""
    answer.finish()
    return ContentHead(
        content_digest(answer.headers),
        content_length(only_value(answer.headers, "content-length")),
        media_type(only_value(answer.headers, "content-type")),
        answer.credentials,
    )


async def get_manifest(remote: Remote, repository: str, reference: str) -> ManifestAnswer:
    """GET of a manifest of at most 4 MiB. :raises UpstreamFailure: if there is none."""
    request = manifest_request(remote, b"GET", repository, reference, False)
    return await _manifest(remote, await remote.ask(request))


async def get_referrers(remote: Remote, repository: str, digest: Digest) -> ManifestAnswer:
    """GET of the referrers of a digest (OCI distribution specification, "Listing Referrers").

    :raises UpstreamNotFound: also where there is no such API.
    """
    url = remote.url(repository, f"referrers/{digest}")
    request = Request(b"GET", url, (("Accept", OCI_INDEX), *_COMMON), repository)
    try:
        answer = await remote.ask(request)
    except UpstreamBadAnswer as failure:
        if failure.status not in _NO_SUCH_API:
            raise
        raise UpstreamNotFound(
            remote.upstream, "it has no referrers API", status=failure.status
        ) from None
    return await _manifest(remote, answer)


async def _manifest(remote: Remote, answer: Answer) -> ManifestAnswer:
    content = await remote.read(answer, LARGEST_MANIFEST)
    return ManifestAnswer(
        content,
        media_type(only_value(answer.headers, "content-type")),
        content_digest(answer.headers),
        answer.credentials,
    )


async def list_tags(remote: Remote, repository: str) -> list[str]:
    """All tags of a repository, page by page; what is no tag is left out.

    :raises UpstreamBadAnswer: if a page is malformed, or there is no end to them.
    """
    url = remote.url(repository, "tags/list", f"n={TAGS_PER_PAGE}")
    tags: dict[str, None] = {}
    size = 0
    for _ in range(MOST_TAG_PAGES):
        request = Request(b"GET", url, (("Accept", "application/json"), *_COMMON), repository)
        answer = await remote.ask(request)
        links = field_values(answer.headers, "link")
        content = await remote.read(answer, LARGEST_TAGS_PAGE)
        size += len(content)
        tags.update(dict.fromkeys(_tags_of(remote, content)))
        following = _next_page(remote, repository, url, links)
        if following is None:
            return list(tags)
        if size > MOST_TAG_BYTES or len(tags) > MOST_TAGS:
            break
        url = following
    raise UpstreamBadAnswer(remote.upstream, "its list of tags is too long")


def _tags_of(remote: Remote, content: bytes) -> list[str]:
    try:
        tags = json.loads(content)["tags"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise UpstreamBadAnswer(remote.upstream, "its list of tags is malformed") from None
    if not isinstance(tags, list | None):
        raise UpstreamBadAnswer(remote.upstream, "its list of tags is malformed")
    return [tag for tag in tags or () if isinstance(tag, str) and _TAG.match(tag)]


def _next_page(remote: Remote, repository: str, url: Url, links: list[str]) -> Url | None:
    """Where the list goes on: of a Link only the query is taken, never the place."""
    reference = next_link(links)
    if reference is None:
        return None
    try:
        target = join_url(url, reference)
    except InvalidUrlError:
        raise UpstreamBadAnswer(remote.upstream, "its Link is unusable") from None
    if target.origin != url.origin or not target.path.endswith("/tags/list"):
        raise UpstreamBadAnswer(remote.upstream, "its Link leads elsewhere")
    query = "&".join(part for part in target.query.split("&") if not part.startswith("ns="))
    following = remote.url(repository, "tags/list", query)
    if following == url:
        raise UpstreamBadAnswer(remote.upstream, "its Link leads in a circle")
    return following
