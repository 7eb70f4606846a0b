"""GET and HEAD of blobs, with ranges (RFC 9110, 14)."""

import secrets
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from regcache.cache.blobs import BlobCache
from regcache.cache.policy import Upstream
from regcache.cache.status import CacheStatus
from regcache.digests import Digest
from regcache.errors import RangeNotSatisfiableError
from regcache.interfaces import IReader
from regcache.ranges import UnsatisfiableRangeError, parse_range, resolve_ranges
from regcache.web.headers import BLOB_TYPE, set_content_headers
from regcache.web.hosts import Route
from regcache.web.request import Request
from regcache.web.respond import is_not_modified, set_header
from regcache.web.sender import Part, Sender


@dataclass(frozen=True, slots=True)
class BlobHandler:
    """Answers requests for blobs.

    :ivar stall: seconds after which a client that takes nothing is cut off.
    :ivar private: access is restricted, so shared caches must not keep answers.
    """

    blobs: BlobCache
    clock: IReactorTime
    stall: float
    private: bool

    async def answer(self, request: Request, upstream: Upstream, route: Route, text: str) -> None:
        """Answer a GET or HEAD for a digest."""
        digest = Digest.parse(text)
        if request.method == b"HEAD" or request.requestHeaders.hasHeader("If-None-Match"):
            if await self._answer_head(request, upstream, route, digest):
                return
        opened = await self.blobs.open(upstream, route.repository, digest)
        self._set_headers(request, digest, opened.status)
        try:
            sending = self._send(request, opened.reader, str(digest))
        except BaseException:
            opened.reader.leave()
            raise
        await sending.send()

    async def _answer_head(
        self, request: Request, upstream: Upstream, route: Route, digest: Digest
    ) -> bool:
        """Answer with the head alone; False where the client needs the body after all."""
        head = await self.blobs.head(upstream, route.repository, digest)
        etag = f'"{digest}"'
        not_modified = is_not_modified(request, etag)
        if request.method != b"HEAD" and not not_modified:
            return False
        self._set_headers(request, digest, head.status)
        request.setResponseCode(304 if not_modified else 200)
        if head.size is not None and not not_modified:
            set_header(request, "Content-Length", str(head.size))
        if not not_modified:
            request.write(b"")
        request.finish()
        return True

    def _set_headers(self, request: Request, digest: Digest, status: CacheStatus) -> None:
        set_content_headers(request, digest, BLOB_TYPE, status, self.private)
        set_header(request, "Accept-Ranges", "bytes")

    def _send(self, request: Request, reader: IReader, digest: str) -> Sender:
        """Set what depends on the range, and prepare the sender."""
        intervals = _wanted(request, reader.size, digest)
        size = reader.size
        if size is None or not intervals:
            if size is not None:
                set_header(request, "Content-Length", str(size))
            return self._sender(request, reader, [Part(0, size)])
        request.setResponseCode(206)
        if len(intervals) > 1:
            return self._multipart(request, reader, intervals, size)
        start, end = intervals[0]
        set_header(request, "Content-Range", f"bytes {start}-{end - 1}/{size}")
        set_header(request, "Content-Length", str(end - start))
        return self._sender(request, reader, [Part(start, end)])

    def _multipart(
        self, request: Request, reader: IReader, intervals: list[tuple[int, int]], size: int
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
        return Sender(request, reader, parts, self.clock, self.stall, epilogue)


def _wanted(request: Request, size: int | None, digest: str) -> list[tuple[int, int]]:
    """The intervals that the client asks for; empty for the whole content.

    :raises RangeNotSatisfiableError: where none lies within the content.
    """
    lines = request.requestHeaders.getRawHeaders("Range", [])
    if size is None or len(lines) != 1 or not _if_range_holds(request, digest):
        return []
    specs = parse_range(lines[0])
    try:
        return resolve_ranges(specs, size) if specs else []
    except UnsatisfiableRangeError:
        raise RangeNotSatisfiableError(size) from None


def _if_range_holds(request: Request, digest: str) -> bool:
    """RFC 9110, 13.1.5: without it, or with our own strong entity tag."""
    lines = request.requestHeaders.getRawHeaders("If-Range", [])
    return not lines or [line.strip() for line in lines] == [f'"{digest}"']
