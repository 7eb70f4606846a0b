"""A client of a site that speaks HTTP/2, without a network."""

import struct
from dataclasses import dataclass, field
from typing import Any

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from regcache.web.http2.connection import Http2Connection
from regcache.web.http2.negotiation import Http2Site
from tests.support.web_client import PEER, MemoryTransport

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame as it is on the wire (RFC 9113, 4.1)."""
    length = len(payload)
    return struct.pack(">HBBBL", length >> 8, length & 0xFF, kind, flags, stream) + payload


def fields(
    method: str = "GET", target: str = "/v2/", *more: tuple[str, str], host: str = "localhost"
) -> list[tuple[str, str]]:
    """The fields of a request."""
    return [
        (":method", method),
        (":scheme", "https"),
        (":authority", host),
        (":path", target),
        *more,
    ]


class Http2Transport(MemoryTransport):
    """Holds back its producer when it has this many bytes, until :meth:`drain`.

    :ivar capacity: None takes everything.
    :ivar reading: the server reads.
    """

    capacity: int | None = None
    reading = True

    def __init__(self) -> None:
        super().__init__(peerAddress=PEER)
        alsoProvides(self, ISSLTransport)

    def write(self, data: bytes) -> None:
        """Take bytes, and say when it is enough."""
        super().write(data)
        producer: Any = self.producer
        if self.capacity is not None and producer and len(self.value()) > self.capacity:
            producer.pauseProducing()

    def pauseProducing(self) -> None:
        """The server reads no more for now."""
        self.reading = False

    def resumeProducing(self) -> None:
        """The server reads again."""
        self.reading = True

    def drain(self) -> bytes:
        """What was written goes to the client; the producer is told."""
        data = bytes(self.value())
        self.clear()
        producer: Any = self.producer
        if producer is not None:
            producer.resumeProducing()
        return data


@dataclass
class StreamAnswer:
    """What has come in one stream.

    :ivar ended: cleanly, with END_STREAM.
    :ivar reset: the code of RST_STREAM.
    """

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None
    informational: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.headers[":status"])


class Http2Client:
    """One connection.

    :param takes: the client opens its windows again as it takes data.
    :param window: its initial window of each stream.
    :ivar goaway: the code of GOAWAY, or None.
    """

    def __init__(self, site: Http2Site, *, takes: bool = True, window: int = 65535) -> None:
        self._clock: Any = site.reactor
        self.transport = Http2Transport()
        self.channel = Http2Connection(site, site.buffers)
        self.channel.makeConnection(self.transport)
        self.takes = takes
        self.answers: dict[int, StreamAnswer] = {}
        self.goaway: int | None = None
        self.events: list[events.Event] = []
        self.h2 = H2Connection(
            H2Configuration(
                client_side=True,
                header_encoding="utf-8",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.h2.local_settings = Settings(
            client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window}
        )
        self.h2.initiate_connection()
        self.carry()

    def overlook_limits(self) -> None:
        """Open more streams than the server allows."""
        self.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 10_000
        self.h2.remote_settings.acknowledge()

    def carry(self) -> None:
        """Carry bytes both ways until nobody has any."""
        while True:
            out = self.h2.data_to_send()
            if out:
                self.send(out)
            data = self.transport.drain()
            if not (out or data):
                return
            for event in self.h2.receive_data(data):
                self._note(event)

    def _note(self, event: Any) -> None:
        self.events.append(event)
        if isinstance(event, events.ConnectionTerminated):
            self.goaway = int(event.error_code or 0)
        stream_id = getattr(event, "stream_id", None)
        answer = self.answers.setdefault(stream_id or 0, StreamAnswer())
        if isinstance(event, events.ResponseReceived):
            answer.headers = dict(event.headers)  # type: ignore[arg-type]
        elif isinstance(event, events.InformationalResponseReceived):
            answer.informational.append(dict(event.headers)[":status"])  # type: ignore
        elif isinstance(event, events.DataReceived):
            answer.body += event.data
            if self.takes and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream_id or 0)
        elif isinstance(event, events.StreamEnded):
            answer.ended = True
        elif isinstance(event, events.StreamReset):
            answer.reset = int(event.error_code or 0)

    def begin(
        self, method: str = "GET", target: str = "/v2/", *more: tuple[str, str], **options: Any
    ) -> int:
        """Send a request without waiting; its stream."""
        return self.begin_fields(fields(method, target, *more, **options))

    def begin_fields(self, sent: list[tuple[str, str]], *, end: bool = True) -> int:
        """Send a request of these fields; its stream."""
        stream_id = self.h2.get_next_available_stream_id()
        self.answers[stream_id] = StreamAnswer()
        self.h2.send_headers(stream_id, sent, end_stream=end)
        return stream_id

    def request(self, *args: Any, **options: Any) -> StreamAnswer:
        """Send a request, and what has come as its answer."""
        stream_id = self.begin(*args, **options)
        self.carry()
        return self.answers[stream_id]

    def send(self, data: bytes) -> None:
        """Send bytes, also such as the library would not; the reactor has a turn then."""
        self.channel.dataReceived(data)
        self._clock.advance(0)

    def leave(self) -> None:
        """The client closes the connection."""
        self.channel.connectionLost(Failure(ConnectionLost()))


def make_http2_site(dispatch: Any, clock: Clock | None = None, **options: Any) -> Http2Site:
    """A site with a clock that stands still."""
    return Http2Site(dispatch, clock or Clock(), **options)
