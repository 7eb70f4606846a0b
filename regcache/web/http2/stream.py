"""One request and its answer within an HTTP/2 connection: the channel of a Request.

==========  ============================  ================================================
state       event                         what holds afterwards
==========  ============================  ================================================
receiving   DATA                          receiving: it is kept, and the window is opened
receiving   END_STREAM                    answering
receiving   header time-out               over: the stream is reset
answering   bytes written                 answering: sent, or buffered, and the producer paused
answering   the buffer is empty           answering: the producer is resumed in its turn
answering   answer finished               finishing
answering   finished, but too short       over: reset, never ended cleanly
answering   abort                         over: reset
finishing   the buffer is empty           over: ended cleanly
finishing   the client takes nothing      over: reset
any         RST_STREAM, connection lost   over: the request is told
==========  ============================  ================================================

Events after the end are ignored.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from h2.errors import ErrorCodes
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress, IConsumer, IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from zope.interface import implementer

from regcache.access.credentials import ClientCertificate
from regcache.web.header_block import HeaderBlock
from regcache.web.http2.buffers import ConnectionBuffers
from regcache.web.http2.head import Head, answer_fields, declared_length
from regcache.web.http2.output import Output
from regcache.web.request import Request
from regcache.web.site import Site
from regcache.web.stall import StallTimer

_SMALL = 16384


class StreamConnection(Protocol):
    """The part of a connection that its streams use.

    :ivar peer: the address of the client.
    :ivar host: our own address.
    :ivar client_certificate: that the client has shown.
    """

    site: Site
    output: Output
    buffers: ConnectionBuffers
    peer: IAddress
    host: IAddress
    client_certificate: ClientCertificate | None

    def stream_over(self, stream_id: int) -> None:
        """A stream has ended."""


class RequestBody:
    """The body of a request, which has to arrive within the header time-out.

    :param too_late: called when that has passed.
    """

    def __init__(
        self, request: Request, clock: IReactorTime, limit: float, too_late: Callable[[], object]
    ) -> None:
        self._request = request
        self._clock = clock
        self._limit = limit
        self._too_late = too_late
        self._overdue: IDelayedCall | None = None

    @property
    def is_expected(self) -> bool:
        """Whether it has not arrived yet."""
        return self._overdue is not None

    def expect(self, length: int) -> None:
        """Wait for a body of this length."""
        self._request.gotLength(length)
        self._overdue = self._clock.callLater(self._limit, self._give_up)

    def receive(self, data: bytes) -> None:
        """Take a part of it. If none is expected, drop it."""
        if self.is_expected:
            self._request.handleContentChunk(data)

    def complete(self) -> None:
        """The body is complete: let it be read from its beginning."""
        self.stop()
        if self._request.content is not None:
            self._request.content.seek(0)

    def stop(self) -> None:
        """Do not wait for it any more. Idempotent."""
        overdue, self._overdue = self._overdue, None
        if overdue is not None:
            overdue.cancel()

    def _give_up(self) -> None:
        self._overdue = None
        self._too_late()


@implementer(IConsumer)
class Http2Stream:
    """Carries the answer to one request, as a connection does over HTTP/1.1.

    :ivar body: that of the request.
    :ivar buffer: bytes of the answer that wait to be sent.
    :ivar finished: whether nothing will be added to the answer.
    :ivar queued: whether it waits for its turn to send.
    :ivar paused: whether its producer waits to be resumed.
    """

    def __init__(self, connection: StreamConnection, stream_id: int, head: Head) -> None:
        self._connection = connection
        self._output = connection.output
        self.site = self.factory = connection.site
        self.client_certificate = connection.client_certificate
        self.stream_id = stream_id
        self.method, self.target = head.method, head.target
        self.finished = self.over = self.queued = self.paused = False
        self.buffer = connection.buffers.open(self.cut)
        self._producer: Any = None
        self._declared: int | None = None
        self._written = 0
        self._stall = StallTimer(
            self.site.reactor, self.site.limits.idle, self.unsent_bytes, self.abort
        )
        self._telling: IDelayedCall | None = None
        request = Request(self)
        for name, value in head.fields:
            request.requestHeaders.addRawHeader(name, value)
        self.request: Request | None = request
        limit = self.site.limits.header_timeout
        self.body = RequestBody(request, self.site.reactor, limit, self.abort)

    # Receiving

    def refuse_body(self) -> None:
        """Let the request be answered with a refusal of its body."""
        if self.request is not None:
            self.request.body_refused = True

    def begin(self) -> None:
        """Let the request, which is complete, be answered."""
        self.body.complete()
        if self.request is not None and not self.over:
            self.request.requestReceived(self.method, self.target, b"HTTP/2")

    # The channel of the request

    own_stream = transport = None
    """The connection's transport carries other streams, too. (Twisted looks for the second.)"""

    @property
    def is_full(self) -> bool:
        """Whether what is written now would have to wait."""
        return not self.over and bool(self.buffer.size or not self._output.has_room(self))

    def getPeer(self) -> IAddress:
        """The address of the client."""
        return self._connection.peer

    def getHost(self) -> IAddress:
        """Our address."""
        return self._connection.host

    def isSecure(self) -> bool:
        """Always: HTTP/2 is only spoken over TLS here."""
        return True

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """Write the head of the answer, and note when."""
        self._write_head(code, headers, ())

    def write_whole(self, request: Request, blocks: Sequence[HeaderBlock], body: bytes) -> None:
        """Write a whole answer.

        :param blocks: fields beside those of ``responseHeaders``.
        """
        self._write_head(b"%d" % request.code, request.responseHeaders, blocks)
        self.write(body)

    def _write_head(self, code: bytes, headers: Headers, blocks: Sequence[HeaderBlock]) -> None:
        request = self.request
        if self.over or request is None:
            return
        request.first_byte_at = self.site.seconds()
        standard = self.site.standard_block(True, request.is_distribution)
        fields = answer_fields(code, (standard, *blocks), headers)
        self._declared = None if self.method == b"HEAD" else declared_length(fields)
        self._output.write_head(self, fields)

    def write(self, data: bytes) -> None:
        """Send a part of the body when it is this stream's turn."""
        if self.over:
            # The producer has not been told yet that the stream is over.
            if self._producer is not None:
                self._producer.pauseProducing()
            return
        if not data:
            return
        self.buffer.add(data)
        self._written += len(data)
        self._output.wants(self)
        self._output.flush(now=self._producer is not None)
        if self.buffer.size and self._producer is not None and not self.over:
            self._pause()
        self.buffer.bound()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let a push producer write the answer from now on."""
        assert streaming, "a pull producer has no use here"
        self._producer = producer
        if self.over:
            producer.stopProducing()
        elif self.is_full:
            self._pause()

    def unregisterProducer(self) -> None:
        """The producer has written everything."""
        self._producer, self.paused = None, False

    def requestDone(self, request: Any) -> None:
        """The answer is complete. What is buffered of it is still to be sent."""
        if self.over:
            return
        self.request, self.finished = None, True
        if self._declared is not None and self._declared != self._written:
            self.abort()
            return
        self._output.wants(self, first=self.buffer.size <= _SMALL)
        self._output.flush()
        if not self.over:
            self._stall.start()

    def close_after(self, request: Request) -> None:
        """Requests beside this one are framed apart: nothing of it can be taken for another."""

    def abort(self, code: ErrorCodes = ErrorCodes.INTERNAL_ERROR) -> None:
        """Reset the stream, so that the client cannot take a part for the whole."""
        if self.over:
            return
        self._output.reset(self, code)
        self.end()
        if self.request is not None:
            # As where a connection is cut, the caller is told only when it has returned.
            self._telling = self.site.reactor.callLater(0, self._tell)

    # Sending

    def resume(self) -> None:
        """All that was buffered has been sent, and there is room for more."""
        if self.paused and self._producer is not None:
            self.paused = False
            self._producer.resumeProducing()

    def unsent_bytes(self) -> int:
        """A value that changes while the client takes something; see :class:`StallTimer`."""
        return self.buffer.size + self._output.progress(self)

    def _pause(self) -> None:
        self.paused = True
        self._output.wants(self)
        self._producer.pauseProducing()

    # Ending

    def cut(self, reason: str) -> None:
        """Reset the stream, for a reason that the access log states."""
        if self.request is not None and not self.request.over:
            self.request.abort(reason)
        else:
            self.abort()

    def lost(self, reason: Failure) -> None:
        """The client reset the stream, or the connection has ended."""
        telling = self._telling
        if not self.over:
            self.end()
        elif telling is None:
            return
        self._tell(reason)

    def end(self) -> None:
        """End the stream, and drop what is buffered. The request is not told."""
        self.over = True
        self.body.stop()
        self._stall.stop()
        self.buffer.close()
        self._output.forget(self)
        self._connection.stream_over(self.stream_id)

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
