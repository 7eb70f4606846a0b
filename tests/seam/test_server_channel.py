"""A connection of Twisted's server, in memory."""

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import http

from regcache.seam.server_channel import ServerChannel
from tests.support.producers import NotingProducer

HEAD = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
PUT = b"PUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"


class Channel(ServerChannel):
    """Notes what it is told.

    :ivar drops: whether it takes every request for one without a body.
    """

    drops = False

    def __init__(self) -> None:
        super().__init__()
        self.told: list[object] = []

    def head_received(self) -> None:
        """Noted, with the line of the request and the length of its body."""
        self.told.append((self.request_line, self.length))
        if self.drops:
            self.drop_body()
        super().head_received()

    def request_received(self) -> None:
        """Noted."""
        self.told.append("request")
        super().request_received()

    def request_malformed(self) -> None:
        """Noted."""
        self.told.append("malformed")
        super().request_malformed()


class Request(http.Request):
    """Is not answered until the test does so."""

    def process(self) -> None:
        """Nothing yet."""


class ChannelTests(SynchronousTestCase):
    """What the subclass sees of its connection."""

    def setUp(self) -> None:
        factory: Any = http.HTTPFactory(reactor=Clock())  # type: ignore[arg-type]
        self.transport = StringTransport()
        self.channel: Any = Channel()
        self.channel.requestFactory = Request
        self.channel.factory = factory
        self.channel.makeConnection(self.transport)

    def answer(self) -> None:
        """Answer the present request."""
        request = self.channel.requests[0]
        request.setHeader(b"Content-Length", b"0")
        request.finish()

    def test_request(self) -> None:
        """A head is told when it is whole, and a request when its body is."""
        self.channel.dataReceived(PUT)
        line = (b"PUT", b"/b", b"HTTP/1.1")
        self.assertEqual(self.channel.told, [(line, 5)])
        self.channel.dataReceived(b"12345")
        self.assertEqual(self.channel.told, [(line, 5), "request"])
        self.assertEqual(self.channel.requests[0].content.read(), b"12345")

    def test_dropped_body(self) -> None:
        """A request whose body is dropped is whole with its head."""
        self.channel.drops = True
        self.channel.dataReceived(PUT)
        self.assertEqual(self.channel.told[1:], ["request"])
        self.assertEqual(self.channel.requests[0].content.read(), b"")

    def test_malformed(self) -> None:
        """What is no request is told, and refused."""
        self.channel.dataReceived(b"nonsense\r\n\r\n")
        self.assertEqual(self.channel.told, ["malformed"])
        self.assertTrue(self.transport.disconnecting)
        self.assertIn(b"400", self.transport.value())

    def test_line_of_our_own(self) -> None:
        """A request whose first line the subclass has read is like any other."""
        request = Request(self.channel, False)
        request.gotLength(0)
        self.channel.requests.append(request)
        self.channel.set_request_line(b"HEAD", b"/c", b"HTTP/1.1")
        self.channel.request_received()
        self.assertEqual((request.method, request.uri), (b"HEAD", b"/c"))

    def test_between_lines(self) -> None:
        """Where a part of a line waits what comes next does not begin one."""
        states = [(self.channel.is_between_lines, self.channel.has_begun_request)]
        for data in (HEAD[:5], HEAD[5:]):
            self.channel.dataReceived(data)
            states.append((self.channel.is_between_lines, self.channel.has_begun_request))
        self.answer()
        states.append((self.channel.is_between_lines, self.channel.has_begun_request))
        self.assertEqual(states, [(True, False), (False, True), (True, True), (True, False)])

    def test_within_a_read(self) -> None:
        """Nor does what comes from within the reading of a line."""
        seen: list[bool] = []
        channel = self.channel
        self.patch(channel, "lineReceived", lambda _: seen.append(channel.is_between_lines))
        self.channel.dataReceived(b"one\r\ntwo\r\n")
        self.assertEqual(seen, [False, False])

    def test_behind(self) -> None:
        """What comes behind a request waits until that is answered."""
        self.channel.dataReceived(HEAD + b"rest")
        self.assertEqual(self.channel.bytes_behind, 4)
        self.answer()
        self.assertEqual(self.channel.bytes_behind, 0)

    def test_full(self) -> None:
        """A transport that has enough says so until it is empty."""
        self.assertFalse(self.channel.is_full)
        self.channel.pauseProducing()
        self.assertTrue(self.channel.is_full)
        self.channel.resumeProducing()
        self.assertFalse(self.channel.is_full)

    def test_reading(self) -> None:
        """A producer that is put before the transport is told when to read."""
        producer = NotingProducer()
        self.channel.control_reading_by(lambda transport: producer)
        self.channel.dataReceived(HEAD)
        self.channel.stop_reading()
        self.assertEqual(producer.calls[-1], "pause")
        self.answer()
        self.assertEqual(producer.calls[-1], "resume")
