"""GET and HEAD of blobs, with ranges (RFC 9110, 14)."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, field
from functools import lru_cache
from typing import Any

from twisted.internet.defer import Deferred

from regcache.bounded import BoundedTable
from regcache.cache.content_answers import ContentAnswers
from regcache.cache.opened import BlobHead, OpenBlob
from regcache.cache.status import CacheStatus
from regcache.cache.suspicions import Suspicions
from regcache.digests import Digest
from regcache.errors import RangeNotSatisfiableError
from regcache.identity import Repository, RepositoryContent
from regcache.interfaces import IReader
from regcache.light_dataclass import dataclass
from regcache.ranges import UnsatisfiableRangeError, parse_range, resolve_ranges
from regcache.timings import begin_timings
from regcache.web.content_headers import (
    BLOB_TYPE,
    content_headers,
    note_status,
    set_content_headers,
)
from regcache.web.header_block import HeaderBlock
from regcache.web.request import Request, asked_by
from regcache.web.respond import is_not_modified, set_header
from regcache.web.sender import Part, Sender, Terms

#: How many encoded heads of answers from memory are remembered.
MOST_HEADS = 1024

#: Digest, size, Cache-Status, age.
HeadKey = tuple[Digest, int, str, int | None]

#: Clients ask for the same digests again and again.
_parse_digest = lru_cache(maxsize=1024)(Digest.parse)

#: A half-open interval of bytes.
Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class BlobHandler:
    """Answers requests for blobs.

    :ivar private: whether access is restricted, so that shared caches must not keep answers.
    :ivar feeding: the answers being sent now.
    :ivar suspicions: has blobs verified that clients have found to be damaged.
    :ivar heads: encoded heads of answers that were in memory.
    """

    cache: ContentAnswers
    terms: Terms
    private: bool
    feeding: set[Sender] = field(default_factory=set)
    _: KW_ONLY
    suspicions: Suspicions | None = None
    heads: BoundedTable[HeadKey, HeaderBlock] = field(
        default_factory=lambda: BoundedTable(MOST_HEADS)
    )

    def answer(self, request: Request, repository: Repository, text: str) -> Any:
        """Answer a GET or HEAD for a digest: at once, if it is small and in memory."""
        digest = _parse_digest(text)
        content = RepositoryContent(repository, digest)
        opened = self.cache.open_blob_at_once(content)
        if opened is None:
            return self._answer(request, content)
        if _wants_head(request, digest):
            size = None if opened.content is None else len(opened.content)
            self._send_head(request, digest, BlobHead(size, opened.status))
            return None
        return self._send(request, opened, digest)

    async def _answer(self, request: Request, content: RepositoryContent) -> None:
        digest = content.digest
        request.facts.timings = begin_timings(request.site.seconds, asked_by(request))
        if _wants_head(request, digest):
            head = await self.cache.head_blob(content)
            self._send_head(request, digest, head)
            return
        opened = await self.cache.open_blob(content)
        request.facts.timings = opened.timings or request.facts.timings
        sending = self._send(request, opened, digest)
        if sending is not None:
            await sending

    def _send(self, request: Request, opened: OpenBlob, digest: Digest) -> "Deferred[None] | None":
        """Send a blob or parts of it. Returns None if nothing is left to do."""
        try:
            sender = self._prepare(request, opened, digest)
            sent_to_end = self._watch(request, digest, opened.reader.size)
            if sender is None:
                opened.reader.leave()
                sent_to_end()
                return None
            self.feeding.add(sender)
            sending = sender.send()
        except BaseException:
            opened.reader.leave()
            raise

        def sent(outcome: Any) -> Any:
            self.feeding.discard(sender)
            sent_to_end()
            return outcome

        return sending.addBoth(sent)

    def _watch(self, request: Request, digest: Digest, size: int | None) -> Callable[[], None]:
        """Find out whether the client was just sent the same; the result is called at the end."""
        suspicions = self.suspicions
        if suspicions is None or size is None or not _from_the_start(request):
            return lambda: None
        client = f"{request.facts.account}@{request.peer_address}"
        suspect = suspicions.is_suspect(client, digest)

        def end() -> None:
            if suspect:
                suspicions.verify(digest, size)
            if request.code == 200 and not request.facts.ended_early:
                suspicions.sent(client, digest)

        return end

    def _send_head(self, request: Request, digest: Digest, head: BlobHead) -> None:
        """Answer with the head alone: to HEAD, or with 304."""
        self._set_headers(request, digest, head.status)
        if is_not_modified(request, f'"{digest}"'):
            request.setResponseCode(304)
        elif head.size is not None:
            set_header(request, "Content-Length", str(head.size))
        request.finish()

    def _set_headers(self, request: Request, digest: Digest, status: CacheStatus) -> None:
        set_content_headers(request, digest, BLOB_TYPE, status, private=self.private)
        set_header(request, "Accept-Ranges", "bytes")

    def _head(self, digest: Digest, size: int, status: CacheStatus) -> HeaderBlock:
        """The head of an answer with a whole blob from memory; of hits it is remembered."""
        key = (digest, size, status.text, status.age)
        head = self.heads.get(key) if status.outcome == "hit" else None
        if head is None:
            fields = content_headers(digest, BLOB_TYPE, status, private=self.private)
            fields |= {"Accept-Ranges": "bytes", "Content-Length": str(size)}
            head = HeaderBlock(fields.items())
            if status.outcome == "hit":
                self.heads.put(key, head)
        return head

    def _prepare(self, request: Request, opened: OpenBlob, digest: Digest) -> Sender | None:
        """Set the headers of the answer, which depend on the range, and make the sender.

        :returns: None if no sender is needed, since all was in memory and is written.
        :raises RangeNotSatisfiableError: if no range lies within the content.
        """
        reader, size = opened.reader, opened.reader.size
        wanted = _wanted(request, opened, f'"{digest}"')
        if opened.content is not None and not wanted.intervals:
            note_status(request, opened.status)
            head = self._head(digest, len(opened.content), opened.status)
            request.send_whole((head,), opened.content)
            return None
        self._set_headers(request, digest, opened.status)
        start, end = 0, size
        if size is not None and wanted.intervals:
            request.setResponseCode(206)
            if wanted.several:
                return self._multipart(request, reader, wanted.intervals, size)
            start, end = wanted.intervals[0]
            set_header(request, "Content-Range", f"bytes {start}-{end - 1}/{size}")
        if end is not None:
            set_header(request, "Content-Length", str(end - start))
        if opened.content is not None:
            request.send_whole((), opened.content[start:end])
            return None
        return self._sender(request, reader, [Part(start, end)])

    def _multipart(
        self, request: Request, reader: IReader, intervals: Sequence[Interval], size: int
    ) -> Sender:
        """RFC 9110, 14.6: each part says which range it is."""
        boundary = secrets.token_hex(16)
        parts = []
        for start, end in intervals:
            prologue = (
                f"\r\n--{boundary}\r\nContent-Type: {BLOB_TYPE}\r\n"
                f"Content-Range: bytes {start}-{end - 1}/{size}\r\n\r\n"
            )
            parts.append(Part(start, end, prologue.encode("ascii")))
        epilogue = f"\r\n--{boundary}--\r\n".encode("ascii")
        length = sum(len(part.prologue) for part in parts) + len(epilogue)
        length += sum(end - start for start, end in intervals)
        set_header(request, "Content-Type", f"multipart/byteranges; boundary={boundary}")
        set_header(request, "Content-Length", str(length))
        return self._sender(request, reader, parts, epilogue)

    def _sender(
        self, request: Request, reader: IReader, parts: list[Part], epilogue: bytes = b""
    ) -> Sender:
        return Sender(request, reader, parts, self.terms, epilogue=epilogue)


def _from_the_start(request: Request) -> bool:
    """Whether an answer whose headers are set begins with the first byte of the content."""
    ranges = request.responseHeaders.getRawHeaders("Content-Range", [""])
    return request.code == 200 or str(ranges[0]).startswith("bytes 0-")


def _wants_head(request: Request, digest: Digest) -> bool:
    """Whether the answer has no body: to HEAD, or if the client has the content (304)."""
    return request.method == b"HEAD" or is_not_modified(request, f'"{digest}"')


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be sent. Without intervals it is the whole content.

    :ivar several: whether the client asked for several ranges, and so expects multipart.
    """

    intervals: Sequence[Interval] = ()
    several: bool = False


def _wanted(request: Request, opened: OpenBlob, etag: str) -> _Wanted:
    """The intervals that the client asks for.

    :raises RangeNotSatisfiableError: if none lies within the content.
    """
    size = opened.reader.size
    lines = request.field_lines(b"Range")
    if size is None or len(lines) != 1 or not _if_range_holds(request, etag):
        return _Wanted()
    specs = parse_range(lines[0])
    several = len(specs) > 1
    # A relayed blob can be read only once, so only one range of it can be given.
    if not specs or (several and opened.status.outcome == "relay"):
        return _Wanted()
    try:
        return _Wanted(resolve_ranges(specs, size), several)
    except UnsatisfiableRangeError:
        raise RangeNotSatisfiableError(size) from None


def _if_range_holds(request: Request, etag: str) -> bool:
    """Whether a Range counts (RFC 9110, 13.1.5): no If-Range, or one with our entity tag."""
    lines = request.field_lines(b"If-Range")
    return not lines or [line.strip(" \t") for line in lines] == [etag]
