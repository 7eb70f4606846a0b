"""Tests for regcache.upstream.connection."""

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from regcache.upstream.connection import READ_SIZE, BoundedClientProtocol


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
