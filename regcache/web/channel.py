"""One client connection: HTTP/1.1, read strictly, with a clock on everything.

Twisted's channel parses; this one refuses what could be read in two ways (RFC 9112, 11.2),
does not take bodies that nobody wants, and bounds the time for a request to arrive.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http_headers import Headers

from regcache.web.request import PUSH_METHODS, Request

if TYPE_CHECKING:
    from regcache.web.site import Site

CLOSE_TIMEOUT = 15.0
"""Seconds for a connection to close by itself before it is cut."""
LINGER = 2.0
"""Seconds that a refused body is thrown away, so that the client reads the answer."""

_TLS_HANDSHAKE = b"\x16"
_BAD_LINE = re.compile(rb"[\x00\r\n]|^[ \t]")
_TLS_TEXT = b"This port speaks plain HTTP, and the client began with TLS.\n"
_BAD_TEXT = b"The request is malformed.\n"


def _plain_answer(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 400 Bad Request\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)
    )


class Deadline:
    """A time limit that is moved often and seldom reached: one timer per connection serves all.

    :param reached: called at the deadline, unless it was moved or cleared.
    """

    def __init__(self, clock: IReactorTime, reached: Callable[[], object]) -> None:
        self._clock = clock
        self._reached = reached
        self._at: float | None = None
        self._alarm: IDelayedCall | None = None

    def set(self, seconds: float) -> None:
        """The deadline is in so many seconds."""
        self._at = self._clock.seconds() + seconds
        if self._alarm is None:
            self._alarm = self._clock.callLater(seconds, self._look)
        elif self._alarm.getTime() > self._at:
            self._alarm.reset(seconds)

    def clear(self) -> None:
        """There is no deadline for now."""
        self._at = None

    def stop(self) -> None:
        """There will be no deadline any more."""
        self._at = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _look(self) -> None:
        self._alarm = None
        if self._at is None:
            return
        remaining = self._at - self._clock.seconds()
        if remaining > 0:
            self._alarm = self._clock.callLater(remaining, self._look)
        else:
            self._at = None
            self._reached()


class Channel(http.HTTPChannel):
    """Server side of one connection. Made by :class:`~regcache.web.site.Site`."""

    requestFactory = Request  # type: ignore[assignment]
    maxHeaders = 100
    totalHeadersSize = 16384
    requests: list[Request]

    def __init__(self) -> None:
        super().__init__()
        self._phase = "new"
        self._closing = False
        self._discarding = False

    @property
    def site(self) -> "Site":
        """The site that made this connection."""
        site: Site = self.factory
        return site

    def connectionMade(self) -> None:
        """A client has connected. It has the header time-out to say something."""
        super().connectionMade()
        self._deadline = Deadline(self.site.reactor, self._too_late)
        self.site.channels.add(self)
        self._expect("new", self.site.limits.header_timeout)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The connection is gone: so are its timer and its place in the site."""
        self._closing = True
        self.site.channels.discard(self)
        self._deadline.stop()
        super().connectionLost(reason)

    # Reading

    def dataReceived(self, data: bytes) -> None:
        """Some bytes arrived. They extend no time-out."""
        if self._closing:
            return
        if self._phase == "new" and data[:1] == _TLS_HANDSHAKE and not self.isSecure():
            self._refuse(_TLS_TEXT, "a TLS handshake on a plain listener")
            return
        LineReceiver.dataReceived(self, data)
        if self._phase in ("new", "idle") and (self.requests or self._buffer):
            self._expect("head", self.site.limits.header_timeout)

    def lineReceived(self, line: bytes) -> None:
        """A line of the head. Bare CR, LF and NUL, and folded headers, are refused."""
        if self._closing:
            return
        if _BAD_LINE.search(line):
            self._respondToBadRequestAndDisconnect()
            return
        super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line is longer than any of a client's."""
        self._respondToBadRequestAndDisconnect()

    def headerReceived(self, line: bytes) -> bool:
        """One header.

        Twisted would fail on a length of thousands of digits, and ignore the encoding
        "identity" or one that HTTP/1.0 does not know, which others may read differently.
        """
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip().lower()
        if (name == b"content-length" and len(value) > 18) or (
            name == b"transfer-encoding" and (value != b"chunked" or self._version != b"HTTP/1.1")
        ):
            self._respondToBadRequestAndDisconnect()
            return False
        return not self._closing and bool(super().headerReceived(line))

    def rawDataReceived(self, data: bytes) -> None:
        """A body, or what comes behind it while the request is being answered."""
        if not self._closing and not self._discarding:
            super().rawDataReceived(data)

    def allHeadersReceived(self) -> None:
        """The head is there: decide about the body before any of it is read.

        Chunked bodies are never taken, since nothing here wants one.
        """
        request = self.requests[-1]
        length = self.length
        if length is None or length > self.site.limits.body or self._is_awaited_push(request):
            request.body_refused = True
            self._discarding = True
            self._transferDecoder = None
            self.length = 0
        if self.length == 0:
            request.requestHeaders.removeHeader(b"Expect")
        super().allHeadersReceived()
        if self._discarding:
            self.persistent = False
            request.responseHeaders.setRawHeaders(b"Connection", [b"close"])

    def _is_awaited_push(self, request: Request) -> bool:
        """A client that waits for 100 (RFC 9110, 10.1.1) before it pushes is spared the body."""
        return (
            bool(self.length)
            and self._command in PUSH_METHODS
            and self._path.startswith(b"/v2/")
            and request.requestHeaders.hasHeader(b"Expect")
        )

    def checkPersistence(self, request: http.Request, version: bytes) -> bool:
        """Whether the connection may stay open: not for HTTP/1.0, nor with ``close``."""
        lines = request.requestHeaders.getRawHeaders(b"Connection", [])
        tokens = [token.strip().lower() for line in lines for token in line.split(b",")]
        if version == b"HTTP/1.1" and b"close" not in tokens:
            return True
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False

    def allContentReceived(self) -> None:
        """The request is whole; while it is being answered no clock of ours runs."""
        self._phase = "busy"
        self._deadline.clear()
        super().allContentReceived()

    # Answering

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """Write the head of an answer, and note when."""
        self.requests[0].first_byte_at = self.site.seconds()
        if self.site.draining and self.persistent:
            self.persistent = False
            headers.setRawHeaders(b"Connection", [b"close"])
        super().writeHeaders(version, code, reason, headers)

    def requestDone(self, request: http.Request) -> None:
        """An answer has been written: wait for the next request, or close."""
        if self.site.draining:
            self.persistent = False
        self._expect("idle", self.site.limits.idle)
        super().requestDone(request)

    def _respondToBadRequestAndDisconnect(self) -> None:
        self._refuse(_BAD_TEXT, "a malformed request")

    def _refuse(self, body: bytes, reason: str) -> None:
        """Answer what is no request, and close."""
        if self._closing:
            return
        assert self.transport is not None
        self.transport.write(_plain_answer(body))
        self.site.request_malformed(self.transport.getPeer(), reason)
        self.loseConnection()

    # Closing

    def close_if_idle(self) -> None:
        """Close the connection if no request has begun on it."""
        if self._phase in ("new", "idle"):
            self.loseConnection()

    def loseConnection(self) -> Any:
        """Close when what was written has been sent, and cut if that takes too long.

        Where a body was refused the client may still be sending it; closing at once would
        reset the connection under the answer.
        """
        if self._closing:
            return
        if self._discarding and self._phase != "linger":
            self._expect("linger", LINGER)
            return
        self._closing = True
        self._expect("closing", CLOSE_TIMEOUT)
        super().loseConnection()

    def abort(self) -> None:
        """Cut the connection; the peer sees a reset, or at least no clean end."""
        self._closing = True
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def _expect(self, phase: str, seconds: float) -> None:
        """Enter a phase that may last so long."""
        self._phase = phase
        self._deadline.set(seconds)

    def _too_late(self) -> None:
        if self._phase == "closing":
            self.abort()
        else:
            self.loseConnection()
