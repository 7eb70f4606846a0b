"""The requests of one HTTP/2 connection: from frames to streams, bodies and answers."""

# mypy: disable-error-code="no-untyped-call"
# (much of Twisted has no annotations)

from collections.abc import Sequence
from typing import Protocol

from h2 import events
from twisted.internet.error import ConnectionAborted
from twisted.python.failure import Failure

from regcache.web.admission import Places
from regcache.web.http2.h2_state import ErrorCodes, H2State
from regcache.web.http2.head import Head, MalformedHeadError, read_head
from regcache.web.http2.limits import MOST_BODIES, MOST_STREAMS, RESETS, FloodError, TokenBucket
from regcache.web.http2.stream import Http2Stream, StreamConnection
from regcache.web.request import PUSH_METHODS

_MALFORMED = b"The request is malformed.\n"
_MALFORMED_FIELDS = [
    (b":status", b"400"),
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"%d" % len(_MALFORMED)),
]


class RequestsConnection(StreamConnection, Protocol):
    """The part of a connection that its requests use, besides what their streams use.

    :ivar places: one for the connection with its first stream, and one for each further stream.
    """

    places: Places

    def busy(self) -> None:
        """A request has arrived."""

    def report(self, reason: str, status: int = 400) -> None:
        """Record something that was refused before it was a whole request."""


class Requests:
    """The requests of a connection, each with its stream.

    :ivar streams: by number, until each is over.
    """

    def __init__(self, connection: RequestsConnection, h2: H2State) -> None:
        self.streams: dict[int, Http2Stream] = {}
        self._connection = connection
        self._h2 = h2
        self._resets = TokenBucket(connection.site.reactor, *RESETS)
        self._bodies: dict[int, int] = {}
        self._refused_above: int | None = None

    def handle(self, received: Sequence[events.Event]) -> None:
        """Handle frames that arrived together.

        :raises FloodError: if the client must be stopped.
        """
        # A request that is reset by the same bytes is not begun.
        reset = {each.stream_id for each in received if isinstance(each, events.StreamReset)}
        for event in received:
            if isinstance(event, events.RequestReceived):
                if event.stream_id not in reset:
                    self._request_received(event)
            elif isinstance(event, events.DataReceived):
                self._data_received(event)
            elif isinstance(event, events.StreamEnded):
                self._stream_ended(event.stream_id)
            elif isinstance(event, events.StreamReset):
                self._stream_reset(event.stream_id)
            elif isinstance(event, events.WindowUpdated):
                self.takes_more(event.stream_id or 0)
            elif isinstance(event, events.RemoteSettingsChanged):
                for stream_id in list(self.streams):
                    self.takes_more(stream_id)

    def refuse_further(self) -> None:
        """Refuse requests that come from now on. The client may send them elsewhere."""
        if self._refused_above is None:
            self._refused_above = self._h2.highest_inbound_stream_id

    def lose(self, reason: Failure, ended_early: str = "") -> None:
        """Tell all requests that the connection has ended or failed.

        :param ended_early: the reason for the access log, if it was not the client who left.
        """
        for stream in list(self.streams.values()):
            if stream.request is not None and ended_early:
                stream.request.facts.ended_early = ended_early
            stream.lost(reason)

    def stream_over(self, stream_id: int) -> None:
        """A stream has ended."""
        self.streams.pop(stream_id, None)
        self._bodies.pop(stream_id, None)
        self._connection.places.hold(max(1, len(self.streams)))

    def _request_received(self, event: events.RequestReceived) -> None:
        stream_id = event.stream_id
        if self._refused_above is not None and stream_id > self._refused_above:
            self._h2.reset(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        count = len(self.streams) + 1
        if count > MOST_STREAMS or not self._connection.places.hold(count):
            self._count_reset()
            self._h2.reset(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        try:
            head = read_head(event.headers or (), ended=event.stream_ended is not None)
        except MalformedHeadError:
            self._answer_malformed(stream_id, (b":method", b"HEAD") in (event.headers or ()))
            return
        stream = self.streams[stream_id] = Http2Stream(self._connection, stream_id, head)
        self._connection.busy()
        if event.stream_ended is None:
            self._expect_body(stream, head)
        else:
            stream.begin()

    def _expect_body(self, stream: Http2Stream, head: Head) -> None:
        """Decide about a body before any of it is read, by the same rules as in HTTP/1.1."""
        length = head.length
        awaited = head.awaits and head.method in PUSH_METHODS and head.target.startswith(b"/v2/")
        too_much = length is None or length > self._connection.site.limits.body
        if too_much or awaited or sum(self._bodies.values()) + (length or 0) > MOST_BODIES:
            stream.refuse_body()
            stream.begin()
            return
        self._bodies[stream.stream_id] = length or 0
        if head.awaits:
            self._h2.send_headers(stream.stream_id, [(b":status", b"100")])
        stream.body.expect(length or 0)

    def _data_received(self, event: events.DataReceived) -> None:
        stream = self.streams.get(event.stream_id)
        count = event.flow_controlled_length or 0
        goes_on = stream is not None and stream.body.is_expected and event.stream_ended is None
        if stream is not None:
            stream.body.receive(event.data or b"")
        if count and goes_on:
            self._h2.acknowledge_received_data(count, event.stream_id)
        elif count:
            # Open the connection's window again, for others, but not that of a refused body.
            self._h2.increment_flow_control_window(count)

    def _stream_ended(self, stream_id: int) -> None:
        stream = self.streams.get(stream_id)
        if stream is not None and stream.body.is_expected:
            self._bodies.pop(stream_id, None)
            stream.begin()

    def _stream_reset(self, stream_id: int) -> None:
        self._count_reset()
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.lost(Failure(ConnectionAborted()))

    def takes_more(self, stream_id: int) -> None:
        """The client opened the window of a stream; the connection's (0) is looked at anyway."""
        stream = self.streams.get(stream_id)
        if stream is not None and (stream.buffer.size or stream.paused):
            self._connection.output.wants(stream)

    def _answer_malformed(self, stream_id: int, head: bool) -> None:
        """Answer 400, if the windows have room for it; to HEAD without a body."""
        self._count_reset()
        self._connection.report("a malformed request")
        room = min(self._h2.room(stream_id), self._h2.outbound_flow_control_window)
        if room < len(_MALFORMED):
            self._h2.reset(stream_id, ErrorCodes.PROTOCOL_ERROR)
            return
        self._h2.send_headers(stream_id, _MALFORMED_FIELDS)
        if not head:
            self._h2.send_data(stream_id, _MALFORMED)
        self._h2.end(stream_id)

    def _count_reset(self) -> None:
        if not self._resets.take():
            raise FloodError(ErrorCodes.ENHANCE_YOUR_CALM, "too many HTTP/2 streams were reset")
