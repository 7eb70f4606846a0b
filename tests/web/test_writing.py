"""How answers are written."""

import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regcache.prompt_writing import write_now
from regcache.web.blocks import HeaderBlock, encode_head
from regcache.web.pipelining import ReadSwitch
from regcache.web.request import Request
from regcache.web.respond import send_text
from tests.support.producers import NotingProducer
from tests.support.web_client import MemoryClient, MemoryTransport, make_site


class HeadTests(SynchronousTestCase):
    """Heads as bytes."""

    def test_block(self) -> None:
        """A block has its fields in order, and nothing of a value begins a line."""
        block = HeaderBlock([("A", "1"), ("B", "x\r\nC: 2\u2028")])
        self.assertEqual(block.fields, ((b"A", b"1"), (b"B", b"x C: 2")))
        self.assertEqual(block.encoded, b"A: 1\r\nB: x C: 2\r\n")

    def test_head(self) -> None:
        """A head is the status line, the blocks, the other fields and a blank line."""
        headers = Headers({b"X": [b"1", b"2"]})
        head = encode_head(b"HTTP/1.1", b"200", b"OK", headers, [HeaderBlock([("A", "b")])])
        self.assertEqual(head, b"HTTP/1.1 200 OK\r\nA: b\r\nX: 1\r\nX: 2\r\n\r\n")


class CountingTransport(MemoryTransport):
    """Counts what costs a system call elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = self.addresses = 0

    def write(self, data: bytes) -> None:
        """Count."""
        self.writes += 1
        super().write(data)

    def getPeer(self) -> Any:
        """Count."""
        self.addresses += 1
        return super().getPeer()

    def getHost(self) -> Any:
        """Count."""
        self.addresses += 1
        return super().getHost()


class ConnectionTests(SynchronousTestCase):
    """A connection that answers."""

    def test_cost(self) -> None:
        """An answer is one write, and nobody asks the transport again who the client is."""

        def answer(request: Request) -> None:
            self.assertIs(request.client, client.channel.getPeer())
            self.assertIs(request.host, client.channel.getHost())
            send_text(request, "ok")

        site = make_site(answer)
        client = MemoryClient(site)
        client.leave()
        client.transport = transport = CountingTransport()
        client.channel = site.buildProtocol(transport.getPeer())
        client.channel.makeConnection(transport)
        addresses = transport.addresses
        for _ in range(3):
            client.request("GET", "/")
        self.assertEqual((transport.writes, transport.addresses - addresses), (3, 0))
        self.assertEqual([each.body for each in client.answers()], [b"ok"] * 3)
        client.leave()


class SwitchTests(SynchronousTestCase):
    """To read or not."""

    def test_once(self) -> None:
        """The transport hears of changes alone."""
        transport: Any = NotingProducer()
        switch = ReadSwitch(transport)
        switch.resumeProducing()
        for _ in range(2):
            switch.pauseProducing()
        for _ in range(2):
            switch.resumeProducing()
        switch.unregisterProducer()
        self.assertEqual(transport.calls, ["pause", "resume", "unregister"])


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
