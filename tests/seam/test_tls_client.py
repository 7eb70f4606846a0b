"""What a client gets over TLS, between two ends in memory."""

import gc
import sys
from pathlib import Path
from typing import Any

from OpenSSL.SSL import Error
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regcache.seam.tls_client import MOST, RECORD, TLSClientEndpoint, TLSClientStream
from regcache.seam.tls_stream import TLSStreamFactory
from regcache.tls import CertificateStore
from regcache.tls_context import CertificateFiles
from tests.support.certificates import Authority

CONTENT = bytes(each % 251 for each in range(1024)) * 3 * 1024


class Receiver(Protocol):
    """Notes what arrives, how it comes, and why it ended."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.lost: Failure | None = None
        self.on_data = lambda: None

    def dataReceived(self, data: bytes) -> None:
        """Some bytes."""
        self.chunks.append(data)
        self.on_data()

    def connectionLost(self, reason: Any = None) -> None:
        """The end."""
        self.lost = reason


class Wire(StringTransport):
    """A connection that can be aborted."""

    def abortConnection(self) -> None:
        """As losing it."""
        self.loseConnection()


class Dialled:
    """An endpoint that is connected at once, over a wire of its own."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.stream: Any = None

    def connect(self, protocolFactory: IProtocolFactory) -> "Deferred[IProtocol]":
        """Connect."""
        self.stream = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        self.stream.makeConnection(self.wire)
        return succeed(self.stream)


class ClientTests(SynchronousTestCase):
    """A server that writes, and our client that reads."""

    def setUp(self) -> None:
        self.clock = Clock()
        issued = Authority(Path(self.mktemp())).issue("localhost")
        store = CertificateStore([CertificateFiles(str(issued.chain), str(issued.key))])
        store.load()
        factory = TLSStreamFactory(store, False, Factory.forProtocol(Receiver), self.clock)
        self.server: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        self.far = Wire()
        self.server.makeConnection(self.far)

    def connect(self, creator: Any = None) -> None:
        """Connect the client, and let both ends shake hands."""
        self.dialled = Dialled()
        creator = creator or CertificateOptions(verify=False)
        endpoint = TLSClientEndpoint(creator, self.dialled, self.clock)  # type: ignore[arg-type]
        self.client: Any = self.successResultOf(endpoint.connect(Factory.forProtocol(Receiver)))
        self.stream = self.dialled.stream
        self.carry()

    def carry(self) -> None:
        """What each end wrote reaches the other, all at once."""
        while self.far.value() or self.dialled.wire.value():
            self.clock.advance(0)
            to_client, to_server = self.far.value(), self.dialled.wire.value()
            self.far.clear()
            self.dialled.wire.clear()
            if to_server:
                self.server.dataReceived(to_server)
            if to_client:
                self.stream.dataReceived(to_client)

    def send(self, data: bytes) -> bytes:
        """Have the server write; what goes over the wire."""
        self.server.write(data)
        self.clock.advance(0)
        sent: bytes = self.far.value()
        self.far.clear()
        return sent

    def test_endpoint(self) -> None:
        """Who connects gets the protocol inside TLS, which can answer."""
        self.connect()
        self.assertIsInstance(self.client, Receiver)
        self.assertIsInstance(self.stream, TLSClientStream)
        self.client.transport.write(b"hello")
        self.clock.advance(0)
        self.carry()
        self.assertEqual(self.server.wrappedProtocol.chunks, [b"hello"])

    def test_one_chunk(self) -> None:
        """All records of one read come as one chunk."""
        self.connect()
        self.stream.dataReceived(self.send(CONTENT[: 20 * RECORD]))
        self.assertEqual(self.client.chunks, [CONTENT[: 20 * RECORD]])

    def test_bounded(self) -> None:
        """What is more than a chunk may be comes as several, in order."""
        self.connect()
        self.stream.dataReceived(self.send(CONTENT))
        self.assertEqual(b"".join(self.client.chunks), CONTENT)
        self.assertEqual(len(self.client.chunks), len(CONTENT) // MOST)
        self.assertLessEqual(max(map(len, self.client.chunks)), MOST)

    def test_nothing_is_kept(self) -> None:
        """What a read brought is free when it was delivered, before Python's collector comes."""
        self.connect()
        sent = self.send(CONTENT[: 3 * RECORD])
        self.addCleanup(gc.enable if gc.isenabled() else gc.disable)
        gc.disable()
        users = sys.getrefcount(sent)
        self.stream.dataReceived(sent)
        self.assertEqual(sys.getrefcount(sent), users)
        self.assertEqual(self.client.chunks, [CONTENT[: 3 * RECORD]])

    def test_any_cut(self) -> None:
        """Nothing is lost wherever the reads cut the records."""
        self.connect()
        sent = self.send(CONTENT[: 3 * RECORD])
        for cut in (1, 5, 100, RECORD, RECORD + 50, len(sent)):
            piece, sent = sent[:cut], sent[cut:]
            self.stream.dataReceived(piece)
        self.assertEqual(b"".join(self.client.chunks), CONTENT[: 3 * RECORD])

    def test_end(self) -> None:
        """What came before the end of TLS is delivered, and then the end."""
        self.connect()
        sent = self.send(CONTENT[:RECORD])
        self.server.loseConnection()
        self.clock.advance(0)
        self.stream.dataReceived(sent + self.far.value())
        self.assertEqual(self.client.chunks, [CONTENT[:RECORD]])
        self.assertTrue(self.dialled.wire.disconnecting)
        self.stream.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(self.client.lost.check(ConnectionDone))

    def test_damaged(self) -> None:
        """What came before a damaged record is delivered; then the connection fails."""
        self.connect()
        first, second = self.send(CONTENT[:RECORD]), bytearray(self.send(CONTENT[:RECORD]))
        second[100] ^= 1
        self.stream.dataReceived(first + bytes(second))
        self.assertEqual(self.client.chunks, [CONTENT[:RECORD]])
        self.assertTrue(self.dialled.wire.disconnecting)
        self.stream.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(self.client.lost.check(Error))

    def test_cut_short(self) -> None:
        """A connection that ends without the end of TLS is lost."""
        self.connect()
        self.stream.dataReceived(self.send(CONTENT[:RECORD])[:-10])
        self.stream.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.client.chunks, [])
        self.assertTrue(self.client.lost.check(ConnectionLost))

    def test_aborted_meanwhile(self) -> None:
        """Who aborts while a chunk is delivered gets no other one."""
        self.connect()
        self.client.on_data = self.client.transport.abortConnection
        self.stream.dataReceived(self.send(CONTENT))
        self.assertEqual(len(self.client.chunks), 1)
        self.stream.connectionLost(Failure(ConnectionAborted()))
        self.assertIsNotNone(self.client.lost)

    def test_wrong_certificate(self) -> None:
        """A certificate that is not trusted ends the handshake, and nothing is delivered."""
        self.connect(optionsForClientTLS("localhost"))
        self.stream.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.client.chunks, [])
        self.assertTrue(self.client.lost.check(Error))
