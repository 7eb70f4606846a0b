"""Connections over TLS that change hands, between two ends in memory."""

from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from regcache.seam.hand_over import hand_over
from regcache.seam.tls_stream import TLSStreamFactory
from regcache.tls import CertificateStore
from regcache.tls_context import CertificateFiles
from tests.support.certificates import Authority


class Noting(Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def connectionMade(self) -> None:
        """The connection is there."""
        self.told.append("made")

    def dataReceived(self, data: bytes) -> None:
        """Some bytes."""
        self.told.append(data)

    def connectionLost(self, reason: object = None) -> None:
        """The end."""
        self.told.append("lost")


@implementer(IHandshakeListener)
class First(Noting):
    """Hands over to ``second`` as soon as the handshake is over."""

    def __init__(self) -> None:
        super().__init__()
        self.second = Noting()

    def handshakeCompleted(self) -> None:
        """Hand over."""
        self.told.append("handshake")
        hand_over(self.transport, self.second)


class HandOverTests(SynchronousTestCase):
    """A server whose protocol changes after the handshake."""

    def test_changed(self) -> None:
        """What comes with the end of the handshake, or later, goes to the second alone."""
        issued = Authority(Path(self.mktemp())).issue("localhost")
        store = CertificateStore([CertificateFiles(str(issued.chain), str(issued.key))])
        store.load()
        clock, first = Clock(), First()
        factory = Factory()
        factory.buildProtocol = lambda _: first  # type: ignore[assignment]
        server: Any = TLSStreamFactory(store, False, factory, clock).buildProtocol(
            None  # type: ignore[arg-type]
        )
        trusting = CertificateOptions(verify=False)
        client: Any = TLSMemoryBIOFactory(
            trusting, True, Factory.forProtocol(Protocol), clock
        ).buildProtocol(None)  # type: ignore[arg-type]
        for end in (server, client):
            end.makeConnection(StringTransport())
        client.write(b"early")
        self.carry(clock, server, client)
        client.write(b"late")
        self.carry(clock, server, client)
        server.write(b"answer")
        client.loseConnection()
        self.carry(clock, server, client)
        server.connectionLost(None)
        self.assertEqual(first.told, ["made", "handshake"])
        self.assertEqual(first.second.told, ["made", b"early", b"late", "lost"])

    def carry(self, clock: Clock, *ends: Any) -> None:
        """What each end wrote reaches the other."""
        clock.advance(0)
        while any(end.transport.value() for end in ends):
            for end, other in (ends, ends[::-1]):
                data = end.transport.value()
                end.transport.clear()
                if data:
                    other.dataReceived(data)
            clock.advance(0)
