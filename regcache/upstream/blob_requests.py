"""Requests for blobs from one URL of an upstream, and the checks of the answers."""

from collections.abc import Callable
from dataclasses import KW_ONLY

from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer
from regcache.facts import ContentHead
from regcache.light_dataclass import dataclass
from regcache.upstream.blob_body import BlobBody, Extent
from regcache.upstream.exchange import Answer, UpstreamRequest
from regcache.upstream.fields import content_range, only_value
from regcache.upstream.manifest_requests import NO_HEAD, content_head
from regcache.upstream.rate_limits import Limited
from regcache.upstream.remote import Remote

BodyMaker = Callable[[Answer, Remote, Extent], BlobBody]
# What storage behind a redirect says to HEAD where the signature is for GET.
_NO_HEAD = NO_HEAD | {400, 401, 403}
_COMMON = (("Accept", "*/*"), ("Accept-Encoding", "identity"), ("User-Agent", "regcache"))


@dataclass(frozen=True, slots=True)
class BlobRequest:
    """A request for the bytes ``[start, end)`` of a blob.

    :ivar end: None for all that follows.
    :ivar anonymous: whether to ask without the configured credentials.
    :ivar relayed: whether the body is passed on to one client, at its pace.
    """

    repository: str
    digest: Digest
    _: KW_ONLY
    start: int = 0
    end: int | None = None
    anonymous: bool = False
    relayed: bool = False

    @property
    def resource(self) -> str:
        """Its path below the repository."""
        return f"blobs/{self.digest}"

    @property
    def is_whole(self) -> bool:
        """Whether the request has no Range."""
        return self.start == 0 and self.end is None

    def accepts(self, part: Extent, length: int | None) -> bool:
        """Whether a part begins and ends where it may, and is as long as announced."""
        if part.start != self.start or part.end is None:
            return False
        ends_well = self.end is None or part.end <= self.end
        return ends_well and length in (None, part.end - part.start)


async def head_blob(remote: Remote, wanted: BlobRequest, body_of: BodyMaker) -> ContentHead:
    """HEAD of a blob, or GET of its first byte if the storage behind it does not answer HEAD.

    :raises UpstreamFailure: as :meth:`Remote.ask`.
    """
    try:
        return content_head(await remote.ask(_request(remote, b"HEAD", wanted)))
    except UpstreamBadAnswer as failure:
        if failure.status not in _NO_HEAD:
            raise
    first = BlobRequest(
        wanted.repository, wanted.digest, start=0, end=1, anonymous=wanted.anonymous
    )
    body = await open_blob(remote, first, body_of)
    body.abort()
    return ContentHead(None, body.size, "", body.credentials)


async def open_blob(remote: Remote, wanted: BlobRequest, body_of: BodyMaker) -> BlobBody:
    """GET of a blob, with a Range unless all of it is asked for.

    :param body_of: makes the body of an answer.
    :raises UpstreamFailure: if there is none, or the answer does not fit the request.
    """
    request = _request(remote, b"GET", wanted, *_range_field(wanted))
    answer = await remote.transfer(request, wanted.relayed)
    if wanted.relayed:
        answer.read_little()
    if answer.status == 200:
        return body_of(answer, remote, Extent(0, answer.length, answer.length))
    if wanted.is_whole:
        raise remote.bad_answer(answer, "it sent a part where the whole was asked for")
    found = content_range(only_value(answer.headers, "content-range"))
    part = None if found is None else Extent(*found)
    if part is None or not wanted.accepts(part, answer.length):
        raise remote.bad_answer(answer, "it sent another range than was asked for")
    return body_of(answer, remote, part)


def _request(
    remote: Remote, method: bytes, wanted: BlobRequest, *fields: tuple[str, str]
) -> UpstreamRequest:
    return UpstreamRequest(
        method,
        remote.url(wanted.repository, wanted.resource),
        (*_COMMON, *fields),
        repository=wanted.repository,
        anonymous=wanted.anonymous,
        what=Limited.BLOBS,
    )


def _range_field(wanted: BlobRequest) -> tuple[tuple[str, str], ...]:
    if wanted.is_whole:
        return ()
    last = "" if wanted.end is None else str(wanted.end - 1)
    return (("Range", f"bytes={wanted.start}-{last}"),)
