"""Large bodies from memory, and clients that take them slowly or not at all."""

from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.web.body_producer import PIECE, BodyProducer
from regcache.web.request import LARGEST_WHOLE, Request
from regcache.web.respond import send_body
from regcache.web.site import ConnectionLimits
from tests.support.web_client import MemoryClient, MemoryTransport, RecordList, make_site

BODY = bytes(range(256)) * (4 * LARGEST_WHOLE // 256) + b"end"
STALL = 40.0


class FullTransport(MemoryTransport):
    """Takes nothing by itself, as to a client that does not read.

    :ivar held: bytes in the buffer.
    """

    held = 0
    is_paused = False

    def write(self, data: bytes) -> None:
        """Buffer, and pause who writes when that is much."""
        super().write(data)
        self.held += len(data)
        if self.held > 65536 and self.producer is not None and not self.disconnecting:
            self.is_paused = True
            self.producer.pauseProducing()

    def drain(self) -> None:
        """The client takes all of it."""
        self.held = 0
        if self.is_paused and self.producer is not None:
            self.is_paused = False
            self.producer.resumeProducing()


class BodyCase(SynchronousTestCase):
    """A client that asks for a large body."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.records = RecordList()
        self.site = make_site(
            self.dispatch,
            self.clock,
            recorders=[self.records],
            limits=ConnectionLimits(stall=STALL),
        )
        self.client = MemoryClient(self.site)
        self.client.leave()
        self.transport = self.client.transport = FullTransport()
        self.client.channel = self.site.buildProtocol(self.transport.getPeer())
        self.client.channel.makeConnection(self.transport)

    def dispatch(self, request: Request) -> None:
        """Answer from memory."""
        send_body(request, BODY, "application/json")

    def tearDown(self) -> None:
        """A client that is gone leaves no timer and no request."""
        self.client.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.site.active_requests, set())
        self.assertEqual(len(self.records.records), 1)


class SlowTests(BodyCase):
    """Clients that take it bit by bit."""

    def test_interface(self) -> None:
        """It is a producer."""
        self.client.request("GET", "/")
        producer = BodyProducer(next(iter(self.site.active_requests)), b"", self.clock, STALL)
        self.assertTrue(verifyObject(IPushProducer, producer))

    def test_bounded(self) -> None:
        """The transport never holds more than two pieces and the head, and all arrives."""
        self.client.request("GET", "/")
        turns = 0
        while self.site.active_requests:
            self.assertLess(self.transport.held, 2 * PIECE + 1024)
            self.clock.advance(STALL - 1)
            self.transport.drain()
            turns += 1
        self.assertGreater(turns, 1)
        self.assertEqual(self.client.answer().body, BODY)
        self.assertFalse(self.transport.aborted)
        self.assertEqual(self.records.last.body_bytes, len(BODY))
        self.assertEqual(self.records.last.ended_early, "")

    def test_next_request(self) -> None:
        """A request behind it waits, and is answered when the client has taken this one."""
        self.client.request("GET", "/")
        self.client.request("HEAD", "/")
        for _ in range(20):
            self.transport.drain()
        self.assertEqual(self.client.raw.count(b"HTTP/1.1 200 OK"), 2)
        self.assertEqual(self.records.records.pop().method, "HEAD")

    def test_head(self) -> None:
        """HEAD has no body, however large that would be."""
        self.client.request("HEAD", "/")
        answer = self.client.answer(heads_only=True)
        self.assertEqual(answer.headers["content-length"], str(len(BODY)))
        self.assertEqual(self.records.last.body_bytes, 0)


class StuckTests(BodyCase):
    """Clients that take nothing, or leave."""

    def test_stalled(self) -> None:
        """Who takes nothing is cut off, and the record says why."""
        self.client.request("GET", "/")
        self.clock.pump([STALL / 4] * 3)
        self.assertFalse(self.transport.aborted)
        self.clock.advance(STALL / 4)
        self.assertTrue(self.transport.aborted)
        self.client.leave()
        self.assertEqual(self.records.last.ended_early, "the client took nothing for too long")

    def test_left(self) -> None:
        """A client that leaves is forgotten at once, also if the transport still calls."""
        self.client.request("GET", "/")
        (request,) = self.site.active_requests
        producer = request.producer
        self.client.leave()
        self.assertEqual(self.site.active_requests, set())
        size = len(self.client.raw)
        for event in (producer.resumeProducing, producer.pauseProducing, producer.stopProducing):
            event()
        self.assertEqual(len(self.client.raw), size)
        self.assertEqual(self.records.last.ended_early, "the client closed the connection")

    def test_full_already(self) -> None:
        """A transport that is full already is not given a piece."""
        self.client.channel.pauseProducing()
        self.client.request("GET", "/")
        self.assertLess(self.transport.held, 1024)
        self.client.channel.resumeProducing()
        self.assertGreater(self.transport.held, PIECE)
