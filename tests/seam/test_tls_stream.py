"""Large writes over TLS, between two ends in memory."""

import gc
import weakref
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regcache.seam.tls_stream import PIECE, SMALL, TLSStream, TLSStreamFactory
from regcache.tls import CertificateStore
from regcache.tls_context import CertificateFiles
from tests.support.certificates import Authority

CONTENT = bytes(each % 251 for each in range(1024)) * 3 * 1024


class Collector(Protocol):
    """Collects what arrives, and why it ended."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.lost: Any = None

    def dataReceived(self, data: bytes) -> None:
        """Some bytes."""
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        """The end."""
        self.lost = reason


class Limited(StringTransport):
    """A transport with a limit, as a TCP connection has."""

    SEND_LIMIT = 1

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[int] = []

    def write(self, data: bytes) -> None:
        """Note how much comes at once."""
        self.pieces.append(len(data))
        super().write(data)

    def abortConnection(self) -> None:
        """As losing it."""
        self.loseConnection()


class StreamTests(SynchronousTestCase):
    """A server that writes, and Twisted's client that reads."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.ours, self.theirs = Limited(), StringTransport()
        issued = Authority(Path(self.mktemp())).issue("localhost")
        store = CertificateStore([CertificateFiles(str(issued.chain), str(issued.key))])
        store.load()
        collectors = Factory.forProtocol(Collector)
        server = self.factory = TLSStreamFactory(store, False, collectors, self.clock)
        trusting = CertificateOptions(verify=False)
        client = TLSMemoryBIOFactory(trusting, True, Factory.forProtocol(Collector), self.clock)
        self.server: Any = server.buildProtocol(None)  # type: ignore[arg-type]
        self.client: Any = client.buildProtocol(None)  # type: ignore[arg-type]
        self.server.makeConnection(self.ours)
        self.client.makeConnection(self.theirs)
        self.carry()

    def carry(self) -> None:
        """What each end wrote reaches the other."""
        while self.ours.value() or self.theirs.value():
            self.clock.advance(0)
            to_client, to_server = self.ours.value(), self.theirs.value()
            self.ours.clear()
            self.theirs.clear()
            if to_server:
                self.server.dataReceived(to_server)
            if to_client:
                self.client.dataReceived(to_client)

    def write(self, data: bytes) -> bytes:
        """The server writes; what the client gets of it."""
        self.ours.pieces.clear()
        received = self.client.wrappedProtocol.data
        received.clear()
        self.server.write(data)
        self.clock.advance(0)
        self.carry()
        return bytes(received)

    def test_kind(self) -> None:
        """The factory makes these streams, and the connection below sends whole pieces."""
        self.assertIsInstance(self.server, TLSStream)
        self.assertGreater(self.ours.SEND_LIMIT, PIECE)

    def test_plain(self) -> None:
        """Who does not speak TLS at all is handed to who answers that; a wrong record is not."""
        plain, tls = (b"GET / HTTP/1.1\r\n\r\n", b"P"), (b"\x16\x03", b"\x80")
        for sent, told in (*((one, 1) for one in plain), *((one, 0) for one in tls)):
            calls: list[Any] = []
            self.factory.plain = lambda below, above, calls=calls: calls.append((below, above))
            server: Any = self.factory.buildProtocol(None)  # type: ignore[arg-type]
            below = Limited()
            server.makeConnection(below)
            server.dataReceived(sent)
            server.dataReceived(b"and more")
            self.assertEqual(calls, [(below, server.wrappedProtocol)] * told)
            self.factory.plain = None

    def without_collector(self) -> None:
        """Let only what is in no cycle go."""
        self.addCleanup(gc.enable if gc.isenabled() else gc.disable)
        gc.disable()

    def test_producer_is_let_go(self) -> None:
        """A connection that is gone does not keep its producer, whose transport it is."""
        self.without_collector()
        producer = Collector()
        self.server.registerProducer(producer, True)
        kept = weakref.ref(producer)
        del producer
        self.assertIsNotNone(kept())
        self.server.connectionLost(Failure(ConnectionDone()))
        self.ours.unregisterProducer()  # as a socket that is closed does
        self.assertIsNone(kept())

    def test_fault_is_kept_without_its_frames(self) -> None:
        """Why a connection ended does not keep what the frames of that error have."""
        self.without_collector()
        kept = self.fail_server()
        self.assertIsNone(kept())

    def fail_server(self) -> "weakref.ref[Collector]":
        """An error of TLS in a frame that has something."""
        found = Collector()
        try:
            raise SSL.Error([("reason", "", "")])
        except SSL.Error:
            self.server._tlsShutdownFinished(Failure())
        return weakref.ref(found)

    def test_any_size(self) -> None:
        """Bytes of any size arrive as they were written."""
        for size in (1, SMALL, SMALL + 1, PIECE - 1, PIECE, PIECE + 1, len(CONTENT)):
            self.assertEqual(self.write(CONTENT[:size]), CONTENT[:size])

    def test_large_pieces(self) -> None:
        """However many records a write makes, they go out in few pieces."""
        self.write(CONTENT[: 2 * PIECE])
        self.assertEqual(len(self.ours.pieces), 2)
        self.write(CONTENT[: SMALL * 4])
        self.assertEqual(len(self.ours.pieces), 1)

    def test_order(self) -> None:
        """Small and large writes arrive in their order."""
        parts = [CONTENT[:10], CONTENT[: SMALL * 2], CONTENT[5:9], CONTENT]
        self.client.wrappedProtocol.data.clear()
        for part in parts:
            self.server.write(part)
        self.clock.advance(0)
        self.carry()
        self.assertEqual(bytes(self.client.wrappedProtocol.data), b"".join(parts))

    def test_held_back(self) -> None:
        """What OpenSSL does not take now is kept, and sent when it does."""
        connection = self.server._tlsConnection
        refusals = [None, SSL.WantReadError()]

        def send(data: Any) -> int:
            error = refusals.pop() if refusals else None
            if error is not None:
                raise error
            return int(SSL.Connection.send(connection, data))

        self.patch(connection, "send", send)
        self.assertEqual(self.write(CONTENT), b"")
        self.client.write(b"anything")
        self.clock.advance(0)
        self.carry()
        self.assertEqual(bytes(self.client.wrappedProtocol.data), CONTENT)

    def test_broken(self) -> None:
        """A fault of OpenSSL ends the connection."""

        def send(data: Any) -> int:
            raise SSL.Error([("a", "b", "c")])

        self.patch(self.server._tlsConnection, "send", send)
        self.assertEqual(self.write(CONTENT), b"")
        self.assertTrue(self.ours.disconnecting)
        self.assertEqual(self.write(CONTENT), b"")
