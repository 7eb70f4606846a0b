"""Which protocol is spoken, as the client chose by ALPN."""

import contextlib
from pathlib import Path
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded
from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.tls import CertificateStore
from regcache.tls_context import CertificateFiles
from regcache.web.http1.channel import LAST_REQUEST
from regcache.web.http2.negotiation import Negotiation
from regcache.web.respond import send_text
from regcache.web.site import ConnectionLimits
from tests.support.certificates import Authority
from tests.support.http2_client import Http2Transport, fields, make_http2_site

LIMITS = ConnectionLimits(header_timeout=30, idle=75)


class TLSConnection:
    """A client and a server with TLS between them, and no network.

    :ivar client: the client's side of TLS.
    """

    def __init__(self, clock: Clock, site: Any, store: CertificateStore, *offers: bytes) -> None:
        self.clock = clock
        self.transport = Http2Transport()
        factory = TLSMemoryBIOFactory(store, False, site, clock)
        self.server: Any = factory.buildProtocol(None)
        self.server.makeConnection(self.transport)
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if offers:
            context.set_alpn_protos(list(offers))
        self.client = SSL.Connection(context, None)
        self.client.set_connect_state()

    def carry(self) -> bytes:
        """Carry what waits on both sides; what the client received."""
        received = b""
        for _ in range(10):
            try:
                if self.client.get_cipher_name() is None:
                    self.client.do_handshake()
                received += self.client.recv(1 << 20)
            except (SSL.WantReadError, SSL.ZeroReturnError):
                pass
            with contextlib.suppress(SSL.WantReadError):
                self.server.dataReceived(self.client.bio_read(1 << 20))
            self.clock.advance(0)
            data = self.transport.drain()
            if data:
                self.client.bio_write(data)
        return received


class NegotiationTests(SynchronousTestCase):
    """From the handshake to the first answer."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.connections: list[TLSConnection] = []
        self.site = make_http2_site(
            lambda request: send_text(request, request.clientproto.decode()),
            self.clock,
            limits=LIMITS,
        )
        folder = Path(self.mktemp())
        folder.mkdir()
        self.certificate = Authority(folder).issue("a.test")
        self.store = self.make_store(http2=True)

    def make_store(self, **options: bool) -> CertificateStore:
        """The certificates of a listener."""
        files = CertificateFiles(str(self.certificate.chain), str(self.certificate.key))
        store = CertificateStore([files], **options)  # type: ignore[arg-type]
        store.load()
        return store

    def connect(self, *offers: bytes) -> TLSConnection:
        """A client that offers these protocols."""
        connection = TLSConnection(self.clock, self.site, self.store, *offers)
        self.connections.append(connection)
        return connection

    def tearDown(self) -> None:
        """Nothing is left of connections that are gone."""
        for connection in self.connections:
            connection.server.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.site.channels, set())
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_interface(self) -> None:
        """Twisted tells of the end of the handshake."""
        verifyObject(IHandshakeListener, Negotiation(self.site, None))

    def test_http2(self) -> None:
        """A client that offers h2 gets it, even if it prefers another protocol."""
        connection = self.connect(b"http/1.1", b"h2")
        connection.carry()
        self.assertEqual(connection.client.get_alpn_proto_negotiated(), b"h2")
        h2 = H2Connection(H2Configuration(client_side=True))
        h2.initiate_connection()
        h2.send_headers(1, fields(), end_stream=True)
        connection.client.send(h2.data_to_send())
        events = h2.receive_data(connection.carry())
        data = [event.data for event in events if isinstance(event, DataReceived)]
        self.assertEqual(b"".join(data), b"HTTP/2")
        self.assertTrue(any(isinstance(event, StreamEnded) for event in events))
        self.site.drain()
        self.assertTrue(connection.transport.disconnecting)

    def test_http1(self) -> None:
        """Any other client gets HTTP/1.1."""
        for offers in ((b"http/1.1",), ()):
            connection = self.connect(*offers)
            connection.carry()
            connection.client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = connection.carry()
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
            self.assertTrue(answer.endswith(b"\r\n\r\nHTTP/1.1"), answer)

    def test_not_offered(self) -> None:
        """Without ``http2`` there is no h2, though the client prefers it."""
        self.store = self.make_store()
        connection = self.connect(b"h2", b"http/1.1")
        connection.carry()
        self.assertEqual(connection.client.get_alpn_proto_negotiated(), b"http/1.1")

    def test_preface_without_negotiation(self) -> None:
        """Nobody comes to HTTP/2 by another way than ALPN."""
        connection = self.connect(b"http/1.1")
        connection.carry()
        h2 = H2Connection(H2Configuration(client_side=True))
        h2.initiate_connection()
        connection.client.send(h2.data_to_send())
        self.assertTrue(connection.carry().startswith(b"HTTP/1.1 400 "))

    def test_no_handshake(self) -> None:
        """A client that does not end its handshake is cut off."""
        connection = self.connect(b"h2")
        self.clock.advance(29)
        self.assertFalse(connection.transport.aborted)
        self.clock.advance(1)
        self.assertTrue(connection.transport.aborted)

    def test_stop_within_the_handshake(self) -> None:
        """A connection whose handshake goes on does not hold up a stop."""
        connection = self.connect(b"h2")
        self.site.drain()
        self.assertFalse(connection.transport.aborted)
        self.clock.advance(LAST_REQUEST)
        self.assertTrue(connection.transport.aborted)

    def test_handshake_at_a_stop(self) -> None:
        """One that ends in time is answered once over HTTP/1.1; over HTTP/2 it is told to go."""
        connection = self.connect(b"http/1.1")
        self.site.drain()
        connection.carry()
        connection.client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIn(b"\r\nConnection: close\r\n", connection.carry())
        connection = self.connect(b"h2")
        connection.carry()
        self.assertTrue(connection.transport.disconnecting)

    def test_left_within_the_handshake(self) -> None:
        """Nothing is left of a client that leaves before."""
        self.assertEqual(len(self.site.channels), 0)
        self.connect(b"h2")
        self.assertEqual(len(self.site.channels), 1)
