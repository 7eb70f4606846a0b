"""A request of Twisted's server, in memory."""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import http

from regcache.seam.server_request import ServerRequest


class Request(ServerRequest):
    """Is not answered until the test does so."""

    def process(self) -> None:
        """Nothing yet."""


class RequestTests(SynchronousTestCase):
    """One request."""

    def setUp(self) -> None:
        self.transport = StringTransport()
        self.channel: Any = http.HTTPChannel()
        self.channel.requestFactory = Request
        self.channel.factory = http.HTTPFactory(reactor=Clock())  # type: ignore[arg-type]
        self.channel.makeConnection(self.transport)
        self.channel.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.request: Request = self.channel.requests[0]

    def test_answer(self) -> None:
        """An answer has begun when its first byte is written, and its bytes are counted."""
        self.assertEqual((self.request.is_answering, self.request.body_bytes_sent), (False, 0))
        self.request.write(b"abc")
        self.assertEqual((self.request.is_answering, self.request.body_bytes_sent), (True, 3))
        self.request.sent_elsewhere(4)
        self.assertEqual(self.request.body_bytes_sent, 7)

    def test_elsewhere(self) -> None:
        """An answer that was written elsewhere is finished without another byte."""
        self.request.answered_elsewhere(5)
        self.assertEqual((self.request.is_answering, self.request.body_bytes_sent), (True, 5))
        self.request.finish()
        self.assertEqual(self.transport.value(), b"")
        self.assertEqual(self.channel.requests, [])

    def test_disconnected(self) -> None:
        """A client that leaves is gone."""
        self.assertFalse(self.request.is_disconnected)
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(self.request.is_disconnected)

    def test_producer_is_let_go(self) -> None:
        """Of a client that has left neither the request nor its producer keeps the other."""
        self.request.registerProducer(Producer(), True)
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.assertIsNone(self.request.producer)


class Producer:
    """Makes nothing."""

    def pauseProducing(self) -> None:
        """It does anyway."""

    def resumeProducing(self) -> None:
        """There is nothing."""

    def stopProducing(self) -> None:
        """It has."""
