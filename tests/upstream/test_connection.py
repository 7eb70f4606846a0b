"""Tests for regcache.upstream.connection."""

from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import Request
from twisted.web.http_headers import Headers

from regcache.upstream.connection import (
    LEAST_READ,
    MOST_READ,
    READ_SIZE,
    BoundedClientProtocol,
)


class _Wrapper(StringTransport):
    """A transport above another one, as TLS is."""

    def __init__(self, below: StringTransport) -> None:
        super().__init__()
        self.transport = below


class ReadSizeTests(SynchronousTestCase):
    """How much is read from a socket at once."""

    def test_below_tls(self) -> None:
        """The transport that reads the socket is told, whatever lies above it."""
        socket = StringTransport()
        protocol = BoundedClientProtocol(lambda _: None, Clock(), 30)
        protocol.makeConnection(_Wrapper(socket))
        self.assertEqual(socket.bufferSize, READ_SIZE)

    def test_plain(self) -> None:
        """A plain transport is the one that reads the socket."""
        socket = StringTransport()
        BoundedClientProtocol(lambda _: None, Clock(), 30).makeConnection(socket)
        self.assertEqual(socket.bufferSize, READ_SIZE)

    def test_fitted(self) -> None:
        """Full reads of a body become larger, small ones smaller, each within its bound."""
        socket = StringTransport()
        protocol = self.receiving(socket, socket)
        for expected in (512 * 1024, MOST_READ, MOST_READ):
            protocol.dataReceived(bytes(socket.bufferSize))
            self.assertEqual(socket.bufferSize, expected)
        protocol.dataReceived(bytes(MOST_READ // 2))
        self.assertEqual(socket.bufferSize, MOST_READ)
        for expected in (512 * 1024, 256 * 1024, 128 * 1024, LEAST_READ, LEAST_READ):
            protocol.dataReceived(b"x")
            self.assertEqual(socket.bufferSize, expected)

    def test_fixed_below_tls(self) -> None:
        """What TLS hands on says nothing of how much the socket held."""
        socket = StringTransport()
        protocol = self.receiving(_Wrapper(socket), socket)
        protocol.dataReceived(b"x")
        self.assertEqual(socket.bufferSize, READ_SIZE)

    def receiving(
        self, transport: StringTransport, socket: StringTransport
    ) -> BoundedClientProtocol:
        """A connection on which the body of an answer arrives."""
        protocol = BoundedClientProtocol(lambda _: None, Clock(), 30)
        protocol.makeConnection(transport)
        asked = protocol.request(Request(b"GET", b"/", Headers({"host": ["up.test"]}), None))
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
        protocol.dataReceived(head)
        self.successResultOf(asked).deliverBody(Protocol())
        self.assertEqual(socket.bufferSize, READ_SIZE)
        return protocol
