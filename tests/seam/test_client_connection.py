"""A client connection of Twisted, in memory."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IResponse

from regcache.seam.client_connection import ClientConnection
from regcache.upstream.exchange import UpstreamRequest
from regcache.upstream.urls import parse_url
from regcache.upstream.wire import WireRequest
from tests.support.producers import NotingProducer

HEAD = b"HTTP/1.1 200 OK\r\nConnection: a, b\r\nConnection: c\r\nContent-Length: 3\r\n\r\n"


class Connection(ClientConnection):
    """Notes what it is asked.

    :ivar last: what it answers.
    """

    last = False

    def __init__(self) -> None:
        self.idle: list[Connection] = []
        self.asked: list[tuple[object, list[bytes], bytes]] = []
        super().__init__(self.idle.append)

    def is_last(self, version: tuple[Any, int, int], options: Sequence[bytes], rest: bytes) -> bool:
        """As it was told."""
        self.asked.append((version, list(options), rest))
        return self.last


class ConnectionTests(SynchronousTestCase):
    """One connection."""

    def setUp(self) -> None:
        self.transport = StringTransport()
        self.connection = Connection()
        self.connection.makeConnection(self.transport)

    def ask(self) -> "Deferred[IResponse]":
        """Send a request."""
        request: Any = WireRequest(UpstreamRequest(b"GET", parse_url("http://up.test/")))
        return self.connection.request(request)

    def receive(self, data: bytes) -> None:
        """Some bytes come."""
        self.connection.dataReceived(data)  # type: ignore[no-untyped-call]

    def test_receiving(self) -> None:
        """An answer is due from the request to the last byte of its body."""
        states = [self.connection.is_receiving]
        asked = self.ask()
        states.append(self.connection.is_receiving)
        self.receive(HEAD + b"ab")
        self.successResultOf(asked).deliverBody(Protocol())
        states.append(self.connection.is_receiving)
        self.receive(b"c")
        states.append(self.connection.is_receiving)
        self.assertEqual(states, [False, True, True, False])

    def test_kept(self) -> None:
        """A whole answer is asked about once; the connection is used again where it may be."""
        for _ in range(2):
            self.ask().addCallback(lambda response: response.deliverBody(Protocol()))
            self.receive(HEAD + b"abc")
        expected = ((b"HTTP", 1, 1), [b"a, b", b"c"], b"")
        self.assertEqual(self.connection.asked, [expected, expected])
        self.assertEqual(self.connection.idle, [self.connection] * 2)
        self.assertFalse(self.transport.disconnecting)

    def test_last(self) -> None:
        """It is closed where the subclass says so."""
        self.connection.last = True
        self.ask().addCallback(lambda response: response.deliverBody(Protocol()))
        self.receive(HEAD + b"abcrest")
        self.assertEqual([rest for _, _, rest in self.connection.asked], [b"rest"])
        self.assertEqual(self.connection.idle, [])
        self.assertTrue(self.transport.disconnecting)

    def test_producer(self) -> None:
        """Another producer is paused behind the head, and resumed when the body is wanted."""
        producer = NotingProducer()
        asked = self.ask()
        self.connection.produce_by(producer)
        self.receive(HEAD)
        self.assertEqual(producer.calls, ["pause"])
        self.successResultOf(asked).deliverBody(Protocol())
        self.assertEqual(producer.calls, ["pause", "resume"])
        self.assertEqual(self.transport.producerState, "producing")

    def test_no_request(self) -> None:
        """Without a request there is nothing to be produced."""
        self.connection.produce_by(NotingProducer())
        self.assertFalse(self.connection.is_receiving)
