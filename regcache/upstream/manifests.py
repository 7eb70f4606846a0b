"""Manifests of one URL of an upstream."""

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

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPES = (
    OCI_INDEX,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
COMMON = (("Accept-Encoding", "identity"), ("User-Agent", "regcache"))


def manifest_request(
    remote: Remote, method: bytes, repository: str, reference: str, anonymous: bool
) -> UpstreamRequest:
    """A request for a manifest, with all four media types accepted."""
    url = remote.url(repository, f"manifests/{reference}")
    accept = ("Accept", ", ".join(MANIFEST_TYPES))
    return UpstreamRequest(method, url, (accept, *COMMON), repository, anonymous)


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
    return await manifest_answer(remote, await remote.ask(request), LARGEST_MANIFEST)


async def manifest_answer(remote: Remote, answer: Answer, limit: int) -> ManifestAnswer:
    """Read an answer whole, its headers included. :raises UpstreamFailure: if it cannot be."""
    content = await remote.read(answer, limit)
    return ManifestAnswer(
        content,
        media_type(only_value(answer.headers, "content-type")),
        content_digest(answer.headers),
        answer.credentials,
    )
