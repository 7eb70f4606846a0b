"""One request and its answer within an HTTP/2 connection: the channel of a Request.

==========  ============================  ================================================
state       event                         what holds afterwards
==========  ============================  ================================================
receiving   DATA                          receiving: it is kept; the client may send more
receiving   END_STREAM                    answering
receiving   header time-out               over: the stream is reset
answering   bytes written                 answering: sent, or held, and the producer paused
answering   all that is held was sent     answering: the producer resumes in its turn
answering   answer finished               finishing
answering   finished, but too short       over: reset, never ended cleanly
answering   abort                         over: reset
finishing   all that is held was sent     over: ended cleanly
finishing   the client takes nothing      over: reset
any         RST_STREAM, connection lost   over: the request is told
==========  ============================  ================================================

Whatever comes when it is over is ignored.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from h2.errors import ErrorCodes
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress, IConsumer, IDelayedCall
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from zope.interface import implementer

from regcache.web.http2.head import Head
from regcache.web.http2.request_body import HeldPieces, RequestBody
from regcache.web.request import Request
from regcache.web.stall import StallTimer

if TYPE_CHECKING:
    from regcache.web.http2.connection import Http2Connection
    from regcache.web.http2.site import Http2Site

_NOT_OURS = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
_BODILESS = frozenset({b"204", b"304"})
_SMALL = 16384


@implementer(IConsumer)
class Http2Stream:
    """Stands where a request over HTTP/1.1 has its connection.

    :ivar body: that of the request.
    :ivar finished: nothing will be added to the answer.
    :ivar queued: it waits for its turn to send.
    """

    def __init__(self, connection: "Http2Connection", stream_id: int, head: Head) -> None:
        self.connection = connection
        self.site: Http2Site = connection.site
        self.factory = connection.site
        self.stream_id = stream_id
        self.method, self.target = head.method, head.target
        self.finished = self.over = self.queued = False
        self._pieces = HeldPieces()
        self._producer: Any = None
        self._paused = False
        self._declared: int | None = None
        self._written = 0
        self._stall = StallTimer(
            self.site.reactor, self.site.limits.idle, self.unsent_bytes, self.abort
        )
        self._telling: IDelayedCall | None = None
        request = Request(self)  # type: ignore[arg-type]
        for name, value in head.fields:
            request.requestHeaders.addRawHeader(name, value)
        self.request: Request | None = request
        limit = self.site.limits.header_timeout
        self.body = RequestBody(request, self.site.reactor, limit, self.abort)

    # Receiving

    def refuse_body(self) -> None:
        """The body is not wanted; the answer says so."""
        if self.request is not None:
            self.request.body_refused = True

    def begin(self) -> None:
        """The request is there: have it answered."""
        self.body.complete()
        if self.request is not None and not self.over:
            self.request.requestReceived(self.method, self.target, b"HTTP/2")

    # The channel of the request

    @property
    def transport(self) -> "Http2Stream":
        """What tells how much of the answer is unsent: see :meth:`unsent_bytes`."""
        return self

    @property
    def is_full(self) -> bool:
        """Whether what is written now would have to wait."""
        return not self.over and bool(self.held or not self.connection.output.has_room(self))

    def getPeer(self) -> IAddress:
        """The address of the client."""
        return self.connection.peer

    def getHost(self) -> IAddress:
        """Our address."""
        return self.connection.host

    def isSecure(self) -> bool:
        """HTTP/2 is spoken over TLS only."""
        return True

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """Write the head of the answer, and note when."""
        if self.over or self.request is None:
            return
        self.request.first_byte_at = self.site.seconds()
        fields = [(b":status", code)]
        for name, values in headers.getAllRawHeaders():
            lower = name.lower()
            if lower not in _NOT_OURS:
                fields.extend((lower, value) for value in values)
        length = headers.getRawHeaders(b"Content-Length")
        if length and code not in _BODILESS and self.method != b"HEAD":
            self._declared = int(length[0])
        self.connection.output.write_head(self, fields)

    def write(self, data: bytes) -> None:
        """Send a part of the body, as soon as it is its turn."""
        if self.over:
            # Whoever made this has not been told yet; he need not go on.
            if self._producer is not None:
                self._producer.pauseProducing()
            return
        if not data:
            return
        self._pieces.add(data)
        self._written += len(data)
        self.connection.hold(len(data))
        output = self.connection.output
        output.wants(self)
        output.flush(now=self._producer is not None)
        if self.held and self._producer is not None and not self.over:
            self._pause()
        self.site.bound_held(self.connection)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several parts of the body."""
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """From now on the answer comes from a push producer."""
        assert streaming, "a pull producer has no use here"
        self._producer = producer
        if self.over:
            producer.stopProducing()
        elif self.is_full:
            self._pause()

    def unregisterProducer(self) -> None:
        """Nothing more comes from the producer."""
        self._producer, self._paused = None, False

    def requestDone(self, request: Any) -> None:
        """The answer is complete; what is held of it has yet to be sent."""
        if self.over:
            return
        self.request, self.finished = None, True
        if self._declared is not None and self._declared != self._written:
            self.abort()
            return
        output = self.connection.output
        output.wants(self, first=self.held <= _SMALL)
        output.flush()
        if not self.over:
            self._stall.start()

    def abort(self, code: ErrorCodes = ErrorCodes.INTERNAL_ERROR) -> None:
        """Reset the stream, so that the client cannot take a part for the whole."""
        if self.over:
            return
        self.connection.output.reset(self, code)
        self._end()
        if self.request is not None:
            # As where a connection is cut: whoever aborts is not told before he returns.
            self._telling = self.site.reactor.callLater(0, self._tell)

    # Sending

    @property
    def held(self) -> int:
        """Bytes of the answer that wait to be sent."""
        return self._pieces.size

    def take(self, most: int) -> list[memoryview]:
        """Bytes to be sent now, no more than this many."""
        taken = self._pieces.take(most)
        self.connection.hold(-sum(map(len, taken)))
        return taken

    @property
    def is_paused(self) -> bool:
        """Whether its producer waits to be resumed."""
        return self._paused

    def resume(self) -> None:
        """All that was held has been sent, and there is room for more."""
        if self._paused and self._producer is not None:
            self._paused = False
            self._producer.resumeProducing()

    def sent_all(self) -> None:
        """The answer has been sent whole, and the stream has been ended."""
        self._end()

    def unsent_bytes(self) -> int:
        """Changes as long as the client takes something; see :class:`StallTimer`."""
        return self.held + self.connection.output.progress(self)

    def _pause(self) -> None:
        self._paused = True
        self.connection.output.wants(self)
        self._producer.pauseProducing()

    # Ending

    def cut(self, reason: str) -> None:
        """Reset the stream for a reason that the access log is to have."""
        if self.request is not None and not self.request.over:
            self.request.abort(reason)
        else:
            self.abort()

    def lost(self, reason: Failure) -> None:
        """The client reset the stream, or the connection is gone."""
        telling = self._telling
        if not self.over:
            self._end()
        elif telling is None:
            return
        self._tell(reason)

    def _end(self) -> None:
        self.over = True
        self.body.stop()
        self._stall.stop()
        self.connection.hold(-self.held)
        self._pieces.clear()
        self.connection.output.forget(self)
        self.connection.stream_over(self)

    def _tell(self, reason: Failure | None = None) -> None:
        telling, self._telling = self._telling, None
        if telling is not None and telling.active():
            telling.cancel()
        request, self.request = self.request, None
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        if request is not None:
            request.connectionLost(reason or Failure(ConnectionAborted()))
