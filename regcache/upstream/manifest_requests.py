"""Requests for manifests from one URL of an upstream."""

from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer
from regcache.facts import ContentHead, ManifestAnswer
from regcache.upstream.exchange import Answer, UpstreamRequest
from regcache.upstream.fields import (
    content_digest,
    content_length,
    media_type,
    only_value,
)
from regcache.upstream.remote import Remote

LARGEST_MANIFEST = 4 * 1024 * 1024
#: The digest of a larger manifest is taken from its header; hashing it would take too long (bytes).
LARGEST_HASHED = 64 * 1024
#: The answers to HEAD of upstreams that do not support it (RFC 9110, 15.5.6 and 15.6.2).
NO_HEAD = frozenset({405, 501})

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPES = (
    OCI_INDEX,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
COMMON = (("Accept-Encoding", "identity"), ("User-Agent", "regcache"))


def manifest_request(
    remote: Remote, method: bytes, repository: str, reference: str, *, anonymous: bool
) -> UpstreamRequest:
    """A request for a manifest, with all four media types accepted."""
    url = remote.url(repository, f"manifests/{reference}")
    accept = ("Accept", ", ".join(MANIFEST_TYPES))
    return UpstreamRequest(
        method, url, (accept, *COMMON), repository=repository, anonymous=anonymous
    )


async def head_manifest(
    remote: Remote, repository: str, reference: str, anonymous: bool
) -> ContentHead:
    """HEAD of a manifest, or GET if the upstream does not answer HEAD.

    :raises UpstreamFailure: as :meth:`Remote.ask`.
    """
    if remote.takes_head:
        request = manifest_request(remote, b"HEAD", repository, reference, anonymous=anonymous)
        try:
            return content_head(await remote.ask(request))
        except UpstreamBadAnswer as failure:
            if failure.status not in NO_HEAD:
                raise
        remote.note_no_head()
    request = manifest_request(remote, b"GET", repository, reference, anonymous=anonymous)
    answer = await manifest_answer(remote, await remote.ask(request), LARGEST_MANIFEST)
    return _head_of(answer)


def _head_of(answer: ManifestAnswer) -> ContentHead:
    """The head that belongs to a whole manifest."""
    digest, size = answer.claimed, len(answer.content)
    if size <= LARGEST_HASHED:
        digest = Digest.of(answer.content)
    return ContentHead(digest, size, answer.media_type, answer.credentials, body=answer)


def content_head(answer: Answer) -> ContentHead:
    """The facts in the headers of an answer to HEAD."""
    answer.finish()
    return ContentHead(
        content_digest(answer.headers),
        content_length(only_value(answer.headers, "content-length")),
        media_type(only_value(answer.headers, "content-type")),
        answer.credentials,
    )


async def get_manifest(remote: Remote, repository: str, reference: str) -> ManifestAnswer:
    """GET of a manifest of at most 4 MiB. :raises UpstreamFailure: if there is none."""
    request = manifest_request(remote, b"GET", repository, reference, anonymous=False)
    return await manifest_answer(remote, await remote.ask(request), LARGEST_MANIFEST)


async def manifest_answer(remote: Remote, answer: Answer, limit: int) -> ManifestAnswer:
    """Read a whole answer with its headers. :raises UpstreamFailure: if that fails."""
    content = await remote.read(answer, limit)
    return ManifestAnswer(
        content,
        media_type(only_value(answer.headers, "content-type")),
        content_digest(answer.headers),
        answer.credentials,
    )
