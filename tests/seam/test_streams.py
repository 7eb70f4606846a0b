"""What lies beneath a transport."""

import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from regcache.seam.streams import set_read_size, socket_of, stream_below


class Received(Protocol):
    """Notes in which pieces bytes arrive."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def dataReceived(self, data: bytes) -> None:
        """One piece."""
        self.sizes.append(len(data))


class StreamTests(SynchronousTestCase):
    """A transport over a real socket pair, with and without a wrapper."""

    def setUp(self) -> None:
        ours, self.peer = socket.socketpair()
        for each in (ours, self.peer):
            each.setblocking(False)
            self.addCleanup(each.close)
        self.socket = ours
        self.received = Received()
        self.stream: Any = tcp.Connection(ours, self.received, MemoryReactor())
        factory = WrappingFactory(Factory.forProtocol(Protocol))
        self.wrapper: Any = ProtocolWrapper(factory, Protocol())
        self.wrapper.makeConnection(self.stream)

    def test_below(self) -> None:
        """The stream is found beneath what is wrapped around it."""
        self.assertIs(stream_below(self.wrapper), self.stream)
        self.assertIs(stream_below(self.stream), self.stream)

    def test_socket(self) -> None:
        """So is its socket; that of a port, too."""
        self.assertIs(socket_of(self.wrapper), self.socket)
        self.assertIs(socket_of(self.stream), self.socket)
        port: Any = tcp.Port(0, Factory(), reactor=MemoryReactor())
        self.assertIsNone(socket_of(port))
        port.socket = self.socket
        self.assertIs(socket_of(port), self.socket)

    def test_no_socket(self) -> None:
        """What is in memory has none."""
        self.assertIsNone(socket_of(StringTransport()))

    def test_read_size(self) -> None:
        """So much is read at once."""
        self.peer.send(bytes(3000))
        set_read_size(self.stream, 1000)
        for _ in range(2):
            self.stream.doRead()
        set_read_size(self.stream, 5000)
        self.stream.doRead()
        self.assertEqual(self.received.sizes, [1000, 1000, 1000])
