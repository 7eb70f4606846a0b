"""A pool of Twisted with connections of another class."""

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from regcache.seam.client_connection import ClientConnection
from regcache.seam.connection_pool import drop_idle, make_pool
from regcache.upstream.exchange import UpstreamRequest
from regcache.upstream.urls import parse_url
from regcache.upstream.wire import WireRequest

KEY = ("http", "up.test", 80)


@implementer(IStreamClientEndpoint)
class Endpoint:
    """Connects at once, in memory.

    :ivar transports: one for each connection.
    """

    def __init__(self) -> None:
        self.transports: list[StringTransport] = []

    def connect(self, protocolFactory: IProtocolFactory) -> "Deferred[IProtocol]":
        """Connect."""
        protocol: Any = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        self.transports.append(StringTransport())
        protocol.makeConnection(self.transports[-1])
        return succeed(protocol)


class PoolTests(SynchronousTestCase):
    """Connections that come from the pool, and go back."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint()
        self.built: list[ClientConnection] = []
        self.pool = make_pool(self.clock, self.build)
        self.pool.retryAutomatically = False  # else connections are wrapped

    def build(self, quiescent: Any) -> ClientConnection:
        """Make one."""
        self.built.append(ClientConnection(quiescent))
        return self.built[-1]

    def connection(self) -> Any:
        """One from the pool."""
        connecting: Any = self.pool.getConnection(KEY, self.endpoint)
        return self.successResultOf(connecting)

    def use(self, connection: Any) -> None:
        """A request and its answer."""
        request = WireRequest(UpstreamRequest(b"GET", parse_url("http://up.test/")))
        asked = connection.request(request)
        asked.addCallback(lambda response: response.deliverBody(Protocol()))
        connection.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def test_class(self) -> None:
        """Connections are those that were built for it, and are found again when they are idle."""
        first = self.connection()
        self.assertEqual(self.built, [first])
        self.use(first)
        self.assertIs(self.connection(), first)
        second = self.connection()
        self.assertEqual(self.built, [first, second])
        self.use(second)
        self.addCleanup(self.pool.closeCachedConnections)

    def test_closed_when_idle(self) -> None:
        """The pool closes what is idle for too long."""
        self.pool.cachedConnectionTimeout = 60
        self.use(self.connection())
        self.clock.advance(60)
        self.assertTrue(self.endpoint.transports[0].disconnecting)

    def test_dropped(self) -> None:
        """Idle connections to one host are closed at once; a busy one and other hosts' are not."""
        self.pool.maxPersistentPerHost = 3
        connections = [self.connection() for _ in range(4)]
        for each in connections[:3]:
            self.use(each)
        self.assertEqual(drop_idle(self.pool, ("http", "other.test", 80)), 0)
        self.assertEqual(drop_idle(self.pool, KEY), 3)
        closed = [transport.disconnecting for transport in self.endpoint.transports]
        self.assertEqual(closed, [True, True, True, False])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertNotIn(self.connection(), connections)
        self.use(connections[3])
        self.assertIs(self.connection(), connections[3])
