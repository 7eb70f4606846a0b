"""How answers are written."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regcache.web.header_block import HeaderBlock
from regcache.web.http1.writing import ReadSwitch, encode_head
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
        head = encode_head(b"HTTP/1.1 200 OK\r\n", headers, blocks=[HeaderBlock([("A", "b")])])
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
