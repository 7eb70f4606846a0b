"""Small writes, over a real socket pair, by a transport that the test drives."""

import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from regcache.seam.prompt_writing import write_now


class WriteNowTests(SynchronousTestCase):
    """Past the buffer of a transport."""

    def setUp(self) -> None:
        ours, self.peer = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(self.peer.close)
        ours.setblocking(False)
        self.peer.setblocking(False)
        self.reactor = MemoryReactor()
        self.transport: Any = tcp.Server(ours, Protocol(), ("", 0), None, 0, self.reactor)

    def received(self) -> bytes:
        """What has come to the client."""
        data = b""
        while True:
            try:
                data += self.peer.recv(1 << 20)
            except BlockingIOError:
                return data

    def is_waiting(self) -> bool:
        """Whether the reactor is to call when the socket takes more."""
        return self.transport in self.reactor.getWriters()

    def test_at_once(self) -> None:
        """What the socket takes is on its way at once, and the reactor has nothing to do."""
        write_now(self.transport, b"answer")
        self.assertEqual(self.received(), b"answer")
        self.assertFalse(self.is_waiting())

    def test_order(self) -> None:
        """Behind what waits already everything waits."""
        self.transport.write(b"first ")
        write_now(self.transport, b"second")
        self.assertEqual(self.received(), b"")
        self.transport.doWrite()
        self.assertEqual(self.received(), b"first second")

    def test_somebody_else_writes(self) -> None:
        """Nothing comes in between where another one has taken the transport's writing over."""
        self.transport.doWrite = lambda: None
        write_now(self.transport, b"answer")
        self.assertEqual(self.received(), b"")
        del self.transport.doWrite
        self.transport.doWrite()
        self.assertEqual(self.received(), b"answer")

    def test_rest(self) -> None:
        """What the socket does not take waits its turn; not a byte is lost or doubled."""
        data = bytes(range(256)) * 8192
        write_now(self.transport, data)
        self.assertTrue(self.is_waiting())
        received = b""
        while self.is_waiting() or len(received) < len(data):
            received += self.received()
            self.transport.doWrite()
        self.assertEqual(received, data)

    def test_lost(self) -> None:
        """A connection that is lost is found to be so by the transport itself."""
        self.peer.close()
        write_now(self.transport, b"a")
        self.assertTrue(self.is_waiting())
        self.transport.connected = 0
        write_now(self.transport, b"b")

    def test_others(self) -> None:
        """Any other transport is written to as ever."""
        transport = StringTransport()
        write_now(transport, b"data")
        self.assertEqual(transport.value(), b"data")
        self.transport.TLS = True
        self.transport.protocol = tls = StringTransport()
        write_now(self.transport, b"secret")
        self.assertEqual((self.received(), tls.value()), (b"", b"secret"))
