"""Tests for regcache.upstream.connections."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed
from twisted.web.iweb import IResponse

from regcache.seam.abort import abort_response
from regcache.upstream.connections import (
    LEAST_READ,
    MOST_READ,
    READ_SIZE,
    BoundedClientProtocol,
    LastHeard,
)
from regcache.upstream.exchange import UpstreamRequest
from regcache.upstream.failures import HeadersTooLongError
from regcache.upstream.urls import parse_url
from regcache.upstream.wire import WireRequest


def _wrapped(below: StringTransport) -> Any:
    """A transport above another one, as TLS is."""
    wrapper = ProtocolWrapper(WrappingFactory(Factory.forProtocol(Protocol)), Protocol())
    wrapper.makeConnection(below)
    return wrapper


class ReadSizeTests(SynchronousTestCase):
    """How much is read from a socket at once."""

    def test_below_tls(self) -> None:
        """The size of reads is set on the transport that reads the socket, below other layers."""
        socket = StringTransport()
        protocol = BoundedClientProtocol(lambda _: None, Clock(), 30, LastHeard())
        protocol.makeConnection(_wrapped(socket))
        self.assertEqual(socket.bufferSize, READ_SIZE)

    def test_plain(self) -> None:
        """A plain transport is the one that reads the socket."""
        socket = StringTransport()
        BoundedClientProtocol(lambda _: None, Clock(), 30, LastHeard()).makeConnection(socket)
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

    def test_fitted_below_tls(self) -> None:
        """Below TLS a read that was full brings a little less than it held."""
        socket = StringTransport()
        protocol = self.receiving(_wrapped(socket), socket)
        records = READ_SIZE // (16 * 1024 + 22)
        protocol.dataReceived(bytes(records * 16 * 1024))
        self.assertEqual(socket.bufferSize, 2 * READ_SIZE)
        protocol.dataReceived(b"x")
        self.assertEqual(socket.bufferSize, READ_SIZE)

    def test_little(self) -> None:
        """What many slow clients may hold is read in small pieces, until its answer is over."""
        socket = StringTransport()
        protocol = self.receiving(socket, socket)
        protocol.read_little()
        for _ in range(3):
            protocol.dataReceived(bytes(LEAST_READ))
            self.assertEqual(socket.bufferSize, LEAST_READ)
        protocol.dataReceived(bytes(100_000_000 - 3 * LEAST_READ))
        asked = self.ask(protocol)
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
        self.successResultOf(asked).deliverBody(Protocol())
        for _ in range(3):
            protocol.dataReceived(bytes(socket.bufferSize))
        self.assertGreater(socket.bufferSize, LEAST_READ)

    def ask(self, protocol: BoundedClientProtocol) -> "Deferred[IResponse]":
        """Send a request."""
        url = parse_url("http://up.test/")
        return protocol.request(WireRequest(UpstreamRequest(b"GET", url)))

    def receiving(self, transport: Any, socket: StringTransport) -> BoundedClientProtocol:
        """A connection on which the body of an answer arrives."""
        protocol = BoundedClientProtocol(lambda _: None, Clock(), 30, LastHeard())
        protocol.makeConnection(transport)
        asked = protocol.request(WireRequest(UpstreamRequest(b"GET", parse_url("http://up.test/"))))
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
        protocol.dataReceived(head)
        self.successResultOf(asked).deliverBody(Protocol())
        self.assertEqual(socket.bufferSize, READ_SIZE)
        return protocol


class _Watched(StringTransport):
    """A transport that notes what it is told to do."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")
        super().pauseProducing()

    def resumeProducing(self) -> None:
        if self.producerState == "paused":
            self.told.append("resume")
            super().resumeProducing()

    def stopProducing(self) -> None:
        self.told.append("stop")

    def abortConnection(self) -> None:
        self.told.append("abort")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"


class PauseTests(SynchronousTestCase):
    """When a plain socket is told not to read."""

    def setUp(self) -> None:
        self.socket = _Watched()
        self.idle: list[BoundedClientProtocol] = []
        self.protocol = BoundedClientProtocol(self.idle.append, Clock(), 30, LastHeard())
        self.protocol.makeConnection(self.socket)

    def ask(self) -> "Deferred[IResponse]":
        """Send a request."""
        return self.protocol.request(
            WireRequest(UpstreamRequest(b"GET", parse_url("http://up.test/")))
        )

    def test_one_piece(self) -> None:
        """A request is one write, with nothing but what it was made of."""
        self.ask()
        self.assertEqual(self.socket.value(), b"GET / HTTP/1.1\r\nHost: up.test\r\n\r\n")

    def test_wanted_at_once(self) -> None:
        """A body that is wanted as soon as its head is there costs the socket nothing."""
        asked = self.ask()
        asked.addCallback(lambda response: response.deliverBody(Protocol()))
        self.protocol.dataReceived(HEAD)
        self.protocol.dataReceived(b"abc")
        self.assertEqual((self.socket.told, self.idle), ([], [self.protocol]))

    def test_not_wanted_yet(self) -> None:
        """A body that nobody wants yet is not read, until somebody does."""
        asked = self.ask()
        self.protocol.dataReceived(HEAD)
        self.assertEqual(self.socket.told, ["pause"])
        self.successResultOf(asked).deliverBody(Protocol())
        self.assertEqual(self.socket.told, ["pause", "resume"])

    def test_paused_by_the_body(self) -> None:
        """A consumer that pauses while it gets a piece pauses the socket behind it."""
        body = Protocol()
        body.dataReceived = lambda _: body.transport.pauseProducing()  # type: ignore
        self.ask().addCallback(lambda response: response.deliverBody(body))
        self.protocol.dataReceived(HEAD + b"a")
        self.assertEqual(self.socket.told, ["pause"])
        body.transport.resumeProducing()  # type: ignore
        self.assertEqual(self.socket.told, ["pause", "resume"])

    def test_idle_is_not_paused(self) -> None:
        """What paused at its last byte leaves a connection that can be used again."""
        body = Protocol()
        body.dataReceived = lambda _: body.transport.pauseProducing()  # type: ignore
        self.ask().addCallback(lambda response: response.deliverBody(body))
        self.protocol.dataReceived(HEAD + b"abc")
        self.assertEqual((self.socket.told, self.idle), ([], [self.protocol]))

    def test_next_request_is_not_paused(self) -> None:
        """A connection that is used again from within its last body's end is read."""
        body = Protocol()
        body.dataReceived = lambda _: body.transport.pauseProducing()  # type: ignore
        body.connectionLost = lambda _: self.ask()  # type: ignore
        self.ask().addCallback(lambda response: response.deliverBody(body))
        self.protocol.dataReceived(HEAD + b"abc")
        self.assertEqual(self.socket.told, [])

    def test_aborted(self) -> None:
        """Cutting a response off closes the connection at once."""
        asked = self.ask()
        self.protocol.dataReceived(HEAD + b"a")
        abort_response(self.successResultOf(asked))
        self.assertEqual(self.socket.told[-1], "abort")


class ReuseTests(SynchronousTestCase):
    """Which connections have a second request, and what counts as its answer."""

    def setUp(self) -> None:
        self.socket = StringTransport()
        self.idle: list[BoundedClientProtocol] = []
        self.protocol = BoundedClientProtocol(self.idle.append, Clock(), 30, LastHeard())
        self.protocol.makeConnection(self.socket)

    def ask(self) -> "Deferred[IResponse]":
        """Send a request."""
        url = parse_url("http://up.test/")
        return self.protocol.request(WireRequest(UpstreamRequest(b"GET", url)))

    def test_end_of_the_last_answer(self) -> None:
        """What ends one body is no part of the headers that answer the request behind it."""
        second: list[Deferred[IResponse]] = []
        body = Protocol()
        body.connectionLost = lambda _: second.append(self.ask())  # type: ignore
        self.ask().addCallback(lambda response: response.deliverBody(body))
        self.protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n")
        self.protocol.dataReceived(bytes(200_000))
        self.assertNoResult(second[0])
        self.protocol.dataReceived(HEAD)
        self.assertEqual(self.successResultOf(second[0]).code, 200)

    def test_headers_of_the_second_answer(self) -> None:
        """The headers of a further answer are bounded as those of the first."""
        self.ask().addCallback(lambda response: response.deliverBody(Protocol()))
        self.protocol.dataReceived(HEAD + b"abc")
        second = self.ask()
        self.protocol.dataReceived(b"HTTP/1.1 200 OK\r\n")
        for _ in range(5):
            self.protocol.dataReceived(b"X-Filler: " + b"x" * 16_000 + b"\r\n")
        reasons = self.failureResultOf(second, ResponseFailed).value.reasons
        reasons[0].trap(HeadersTooLongError)

    def answered(self, head: bytes, body: bytes = b"abc") -> bool:
        """Whether the connection is kept after an answer."""
        self.setUp()
        self.ask().addCallback(lambda response: response.deliverBody(Protocol()))
        self.protocol.dataReceived(head + b"Content-Length: 3\r\n\r\n" + body)
        self.assertEqual(self.socket.disconnecting, not self.idle)
        return bool(self.idle)

    def test_last_answer(self) -> None:
        """``close`` is understood in any case and anywhere in Connection; HTTP/1.0 closes."""
        for field in (b"close", b"Close", b"CLOSE", b"Keep-Alive, Close", b"a,close ,b"):
            self.assertFalse(self.answered(b"HTTP/1.1 200 OK\r\nConnection: " + field + b"\r\n"))
        lines = b"HTTP/1.1 200 OK\r\nConnection: a\r\nCONNECTION: Close\r\n"
        self.assertFalse(self.answered(lines))
        self.assertFalse(self.answered(b"HTTP/1.0 200 OK\r\n"))

    def test_not_the_last_answer(self) -> None:
        """The connection is kept, with any other options in Connection."""
        self.assertTrue(self.answered(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(self.answered(b"HTTP/1.1 200 OK\r\nConnection: closed, Keep-Alive\r\n"))
        self.assertTrue(self.answered(b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n"))

    def test_more_than_was_asked_for(self) -> None:
        """A connection with bytes behind an answer is closed: they answer nothing."""
        self.assertFalse(self.answered(b"HTTP/1.1 200 OK\r\n", b"abcHTTP/1.1 200 OK\r\n"))
