"""The PROXY protocol, as a listener behind a proxy reads it."""

import socket
import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regcache.web.proxy_protocol import (
    HEADER_TIMEOUT,
    ProxiedFactory,
    ProxyHeader,
    ProxyHeaderError,
    ProxyHeaderReader,
)
from regcache.web.request import Request
from regcache.web.respond import send_text
from tests.support.web_client import MemoryTransport, RecordList, make_site

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
PROXY = IPv4Address("TCP", "198.51.100.1", 3000)
PORTS = struct.pack(">HH", 40000, 443)
V4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1") + PORTS
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(15) + b"\x01" + PORTS
MAPPED = socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.7") * 2 + PORTS
CLIENT = IPv4Address("TCP", "192.0.2.7", 40000)
CLIENT_6 = IPv6Address("TCP", "2001:db8::7", 40000)
REQUEST = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n"


def binary(command: int, family: int, body: bytes = b"", length: int | None = None) -> bytes:
    """A header of version 2."""
    stated = len(body) if length is None else length
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", stated) + body


#: Headers, and the peers that they name.
VALID: list[tuple[bytes, IAddress | None]] = [
    (b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n", CLIENT),
    (b"PROXY TCP6 2001:db8::7 ::1 40000 443\r\n", CLIENT_6),
    (b"PROXY TCP6 2001:DB8:0:0:0:0:0:7 ::1 40000 443\r\n", CLIENT_6),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 40000 443\r\n", CLIENT),
    (b"PROXY TCP4 192.0.2.7 192.0.2.1 0 65535\r\n", IPv4Address("TCP", "192.0.2.7", 0)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN \r\n", None),
    (b"PROXY UNKNOWN any \xff\n thing\r\n", None),
    (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", None),
    (binary(0x21, 0x11, V4), CLIENT),
    (binary(0x21, 0x11, V4 + b"\x04\x00\x03abc" * 100), CLIENT),
    (binary(0x21, 0x21, V6), CLIENT_6),
    (binary(0x21, 0x21, MAPPED), CLIENT),
    (binary(0x21, 0x31, bytes(216)), UNIXAddress(None)),
    (binary(0x21, 0x00), None),
    (binary(0x21, 0x00, b"anything"), None),
    (binary(0x21, 0x12, V4), None),
    (binary(0x21, 0x22, V6), None),
    (binary(0x20, 0x00), None),
    (binary(0x20, 0x11, V4), None),
    (binary(0x20, 0x11), None),
    (binary(0x21, 0x11, V4 + bytes(65535 - len(V4))), CLIENT),
]

INVALID = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"PROXX",
    b"proxy TCP4 192.0.2.7 192.0.2.1 40000 443\r\n",
    b"PROXY TCP4\r\n",
    b"PROXY  TCP4 192.0.2.7 192.0.2.1 40000 443\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 40000\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443 \r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\n\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 65536 443\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 99999999\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 040 443\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 -1 443\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 \xb2 443\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 x 443\r\n",
    b"PROXY TCP4 192.0.2.256 192.0.2.1 40000 443\r\n",
    b"PROXY TCP4 192.0.02.7 192.0.2.1 40000 443\r\n",
    b"PROXY TCP4 2001:db8::7 ::1 40000 443\r\n",
    b"PROXY TCP6 192.0.2.7 192.0.2.1 40000 443\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 40000 443\r\n",
    b"PROXY TCP6 1::2::3 ::1 40000 443\r\n",
    b"PROXY UDP4 192.0.2.7 192.0.2.1 40000 443\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY \r\n",
    b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
    b"PROXY UNKNOWN " + b"f" * 93,
    b"\r\n\r\n\x00\r\nQUIT\r",
    binary(0x22, 0x11, V4),
    binary(0x11, 0x11, V4),
    binary(0x31, 0x11, V4),
    binary(0x21, 0x13, V4),
    binary(0x21, 0x41, V4),
    binary(0x21, 0xFF, V4),
    binary(0x21, 0x11, V4, 11),
    binary(0x21, 0x21, V6, 12),
    binary(0x21, 0x31, V6),
]


class ReaderTests(SynchronousTestCase):
    """Headers as bytes."""

    def test_valid(self) -> None:
        """A header names the client, or nobody; what follows it is left alone."""
        for data, peer in VALID:
            header = ProxyHeaderReader().feed(data + b"rest")
            assert header is not None
            self.assertEqual((header.peer, header.rest), (peer, b"rest"), data[:60])
            self.assertEqual(header.host is None, peer is None)

    def test_in_pieces(self) -> None:
        """It does not matter how a header is cut."""
        for data, peer in VALID:
            for size in (1, 5, 13, 16, 17):
                reader, found = ProxyHeaderReader(), list[ProxyHeader | None]()
                for start in range(0, len(data), size):
                    found.append(reader.feed(data[start : start + size]))
                *waiting, last = found
                self.assertEqual(waiting, [None] * len(waiting))
                assert last is not None
                self.assertEqual((last.peer, last.rest), (peer, b""), data[:60])

    def test_invalid(self) -> None:
        """What is not exactly a header is refused."""
        for data in INVALID:
            self.assertRaises(ProxyHeaderError, ProxyHeaderReader().feed, data)

    def test_invalid_in_pieces(self) -> None:
        """However it is cut."""
        for data in INVALID:
            reader = ProxyHeaderReader()
            with self.assertRaises(ProxyHeaderError, msg=data):
                for start in range(len(data)):
                    reader.feed(data[start : start + 1])

    def test_host(self) -> None:
        """The address that the client connected to is known, too."""
        for data in (VALID[0][0], binary(0x21, 0x11, V4)):
            header = ProxyHeaderReader().feed(data)
            assert header is not None
            self.assertEqual(header.host, IPv4Address("TCP", "192.0.2.1", 443))

    @given(
        some.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 1", SIGNATURE + b"!"]),
        some.lists(some.binary(max_size=40), max_size=6),
    )
    def test_any_bytes(self, start: bytes, pieces: list[bytes]) -> None:
        """No bytes raise anything else."""
        reader = ProxyHeaderReader()
        try:
            for piece in (start, *pieces):
                if reader.feed(piece) is not None:
                    return
        except ProxyHeaderError:
            return


class Stream(MemoryTransport):
    """A stream that delivers to its protocol."""

    def __init__(self) -> None:
        super().__init__(peerAddress=PROXY)
        self.protocol: Any = None

    def deliver(self, data: bytes) -> None:
        """Some bytes have arrived."""
        self.protocol.dataReceived(data)


class ConnectionTests(SynchronousTestCase):
    """A site behind a proxy."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.records = RecordList()
        self.site = make_site(self.answer, self.clock, recorders=[self.records])
        self.factory = ProxiedFactory(self.site, self.clock)
        self.streams: list[Stream] = []

    def tearDown(self) -> None:
        """Connections that are gone leave no timer."""
        for stream in self.streams:
            stream.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.site.channels, set())

    def answer(self, request: Request) -> None:
        """Answer with the client's address."""
        send_text(request, f"for {getattr(request.client, 'host', None)}")

    def connect(self) -> Stream:
        """A connection of the proxy."""
        stream = Stream()
        stream.protocol = self.factory.buildProtocol(PROXY)
        stream.protocol.makeConnection(stream)
        self.streams.append(stream)
        return stream

    def test_peer(self) -> None:
        """The client is who the header names, in the answer as in the log, in every request."""
        for data, peer in VALID:
            stream, host = self.connect(), getattr(peer or PROXY, "host", None)
            stream.deliver(data + REQUEST)
            stream.deliver(REQUEST)
            self.assertEqual(stream.value().count(f"for {host}".encode()), 2, data[:60])
            self.assertEqual(self.records.last.peer, host or "unix")
            self.assertEqual(stream.protocol.getPeer(), peer or PROXY)

    def test_nobody_before_the_header(self) -> None:
        """As long as the header is not there the site has no connection."""
        stream = self.connect()
        stream.deliver(b"PROXY TCP4 192.0.2.7 ")
        self.assertEqual(self.site.channels, set())
        stream.deliver(b"192.0.2.1 40000 443\r\n")
        self.assertEqual(len(self.site.channels), 1)

    def test_refused(self) -> None:
        """No header closes the connection, which is one line of the log and no traceback."""
        for data in INVALID:
            stream = self.connect()
            with capturedLogs() as logged:
                stream.deliver(data)
                stream.deliver(REQUEST)
            (line,) = [formatEvent(event) for event in logged]
            self.assertTrue(line.startswith("closed a connection of 198.51.100.1: "), line)
            self.assertTrue(stream.aborted)
            self.assertEqual(stream.value(), b"")
        self.assertEqual(self.records.records, [])

    def test_too_late(self) -> None:
        """A header has some seconds to come; a proxy that says nothing has no more."""
        for data in (b"", b"PROXY TCP4 ", binary(0x21, 0x11, V4)[:20]):
            stream = self.connect()
            stream.deliver(data)
            self.clock.advance(HEADER_TIMEOUT - 1)
            self.assertFalse(stream.aborted)
            with capturedLogs() as logged:
                self.clock.advance(1)
            self.assertTrue(stream.aborted)
            self.assertEqual(
                [formatEvent(event) for event in logged],
                ["closed a connection of 198.51.100.1: it sent no PROXY header in time"],
            )

    def test_leaves_early(self) -> None:
        """A proxy that only looks whether the port is open leaves no line."""
        stream = self.connect()
        with capturedLogs() as logged:
            stream.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(list(logged), [])

    def test_nobody_behind(self) -> None:
        """Where what stands behind takes no connection it is closed."""
        self.site.buildProtocol = lambda addr: None  # type: ignore[assignment]
        stream = self.connect()
        stream.deliver(VALID[0][0])
        self.assertTrue(stream.aborted)
