"""One client connection of HTTP/1.1: its time limits, the bodies it refuses, and how it ends.

========  ============================  ===================================================
phase     event                         what holds afterwards
========  ============================  ===================================================
new       the first byte                head, or busy; closing where it is TLS on a plain
                                        listener, or there are too many connections
new,idle  a part of a head              head: the header time-out runs
new,idle, a whole request               busy: no time-out runs
head
busy      the answer is written         idle; closing where either side wants to close; sending
                                        where the client has yet to take the answer
sending   the client took the answer    as busy when the answer is written
head      time-out                      closing: 408 is written
new,idle, time-out                      closing
sending
any       malformed bytes               closing: 400 is written
any       close after a refused body    linger: what comes is dropped, so that the client reads
                                        the answer before the connection is reset
linger    time-out                      closing
closing   time-out                      cut, unless the client still takes what waits for it
new,idle  the daemon stops              closing; head has a last second, and then its time-out
========  ============================  ===================================================
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from http import HTTPStatus
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web import http

from regcache.seam.streams import stream_below
from regcache.web.admission import TOO_MANY_CONNECTIONS, Places
from regcache.web.deadline import Deadline
from regcache.web.http1.writing import WritingChannel
from regcache.web.request import PUSH_METHODS, Request
from regcache.web.site import Site
from regcache.web.stall import LastBytes

CLOSE_TIMEOUT = 15.0
"""Seconds for a connection to close by itself, while nothing moves, before it is cut."""
LINGER = 2.0
"""Seconds that a refused body is thrown away, so that the client reads the answer."""
LAST_REQUEST = 1.0
"""Seconds for a request that is arriving when the daemon stops, or that somebody who has just
connected is about to send: clients repeat none that was the first of its connection."""

_FULL_TEXT = b"There are too many connections.\n"
_LATE_TEXT = b"The request did not arrive in time.\n"
_TLS_HANDSHAKE = b"\x16"
_TLS_TEXT = b"This port speaks plain HTTP, and the client began with TLS.\n"


class Channel(WritingChannel):
    """Server side of one connection. Made by :class:`Http1Site`."""

    requestFactory = Request  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self._phase = "new"
        self._discarding = False
        self._last_bytes: LastBytes | None = None

    def connectionMade(self) -> None:
        """A client has connected. The header time-out runs until its first request."""
        super().connectionMade()
        self._places = Places(self.site.admission, self.getPeer())
        self._deadline = Deadline(self.site.reactor, self._too_late)
        self.site.channels.add(self)
        self._expect("new", self.site.limits.header_timeout)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The connection has ended. Its timer ends, and its place is free."""
        self._closing = True
        if self._phase == "new":
            self.site.refused_certificates.connection_lost(self.getPeer(), reason)
        self.site.channel_closed(self)
        self._places.hold(0)
        self._deadline.stop()
        super().connectionLost(reason)

    # Reading

    def dataReceived(self, data: bytes) -> None:
        """Take bytes that have arrived. They extend no time-out."""
        if self._closing:
            return
        if self._phase == "new" and not self._places.hold(1):
            self.refuse(_FULL_TEXT, TOO_MANY_CONNECTIONS, HTTPStatus.SERVICE_UNAVAILABLE)
            return
        if self._phase == "new" and data[:1] == _TLS_HANDSHAKE and not self.isSecure():
            self.refuse(_TLS_TEXT, "a TLS handshake on a plain listener")
            return
        if self._phase in ("new", "idle") and self.is_between_lines:
            # Data at the beginning of a request is nearly always one plain head.
            if self.take_plain_head(data):
                return
        LineReceiver.dataReceived(self, data)
        if self._phase in ("new", "idle") and self.has_begun_request:
            self._expect("head", self.site.limits.header_timeout)

    def rawDataReceived(self, data: bytes) -> None:
        """Take bytes of a body, or what follows it while the request is being answered."""
        if not self._closing and not self._discarding:
            super().rawDataReceived(data)

    def head_received(self) -> None:
        """The head is complete: decide about the body before any of it is read.

        Chunked bodies are always refused, since no request here needs one.
        """
        request = self.requests[-1]
        length = self.length
        if length is None or length > self.site.limits.body or self._is_awaited_push(request):
            request.body_refused = True
            self._discarding = True
            self.drop_body()
        if self.length == 0:
            request.requestHeaders.removeHeader(b"Expect")
        super().head_received()
        if self._discarding:
            self.close_after(request)

    def _is_awaited_push(self, request: Request) -> bool:
        """Whether the client waits for 100 (RFC 9110, 10.1.1) before it pushes a body."""
        method, target, _ = self.request_line
        return (
            bool(self.length)
            and method in PUSH_METHODS
            and target.startswith(b"/v2/")
            and request.requestHeaders.hasHeader(b"Expect")
        )

    def request_received(self) -> None:
        """The request is complete. No time-out of the channel runs while it is being answered."""
        self._phase = "busy"
        self._deadline.clear()
        super().request_received()

    def report_refused(self, peer: IAddress, reason: str, status: int) -> None:
        """Record something that was refused before it was a whole request."""
        self.site.refused(peer, reason, status)

    # Answering

    def requestDone(self, request: http.Request) -> None:
        """An answer has been written: wait for the next request, or close."""
        if self.site.draining:
            self.persistent = False
        self._expect("idle", self.site.limits.idle)
        super().requestDone(request)
        if self.untaken is not None:
            self._expect("sending", self.site.limits.idle)

    # Closing

    def close_after(self, request: Request) -> None:
        """Take no further request behind this one."""
        self.persistent = False
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])

    def close_if_idle(self) -> None:
        """Close the connection if it is idle. A first request, or one that is arriving, has one
        more second.

        Do not wait for the peer's end of TLS (RFC 8446, 6.1): it might never come.
        """
        if self._phase in ("new", "head"):
            self._expect(self._phase, LAST_REQUEST)
        if self._phase == "idle":
            self.loseConnection()
        if self._phase == "closing" and self.isSecure():
            stream_below(self.transport).loseConnection()

    def loseConnection(self) -> Any:
        """Close when all that was written has been sent; cut if the client takes none of it.

        If a body was refused the client may still be sending it. Closing at once would reset the
        connection before the client has read the answer.
        """
        if self._closing:
            return
        if self._discarding and self._phase != "linger":
            self._expect("linger", LINGER)
            return
        self._closing = True
        self._last_bytes = LastBytes(self.unsent_bytes)
        self._expect("closing", CLOSE_TIMEOUT)
        super().loseConnection()

    def abort(self) -> None:
        """Cut the connection: the peer sees a reset, or at least no clean end."""
        self._closing = True
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def _expect(self, phase: str, seconds: float) -> None:
        """Enter a phase, with its time limit."""
        self._phase = phase
        self._deadline.set(seconds)

    def _too_late(self) -> None:
        if self._phase == "head":
            self.refuse(_LATE_TEXT, "a request that came too slowly", HTTPStatus.REQUEST_TIMEOUT)
        elif self._phase != "closing":
            self.loseConnection()
        elif self._last_bytes is not None and self._last_bytes.are_taken():
            self._expect("closing", CLOSE_TIMEOUT)
        else:
            self.abort()


class Http1Site(Site):
    """A site whose clients speak HTTP/1.1."""

    protocol = Channel  # type: ignore[assignment]
