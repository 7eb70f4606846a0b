"""Blob bodies whose connection is lent to a thread: what is counted, and when they stall."""

from collections.abc import Callable
from typing import Any

from regcache.errors import UpstreamTimedOut
from regcache.upstream.blob_body import BlobBody
from tests.upstream.blob_cases import BlobTestCase
from tests.upstream.network import response


class Lent:
    """A lent connection of which a thread takes so many bytes."""

    def __init__(self, connection: Any, count: int) -> None:
        self._connection = connection
        self._count = count
        self.taken = 0
        self.given_back = False
        self.seconds = 0.0

    def receive(self, put: Callable[[memoryview], None], most: int, seconds: float) -> None:
        """Take them."""
        self.taken, self.seconds = self._count, seconds
        put(memoryview(bytes(self._count)))

    def give_back(self) -> None:
        """The parser learns of it."""
        self._connection.took(self.taken)
        self.given_back = True


class LentBodyTests(BlobTestCase):
    """One body."""

    def start(self, length: int) -> BlobBody:
        """A body of which nothing has come yet, delivered and paused."""
        body = self.begin(response(200, b"", Content_Length=str(length)))
        body.deliver(self.consumer)
        body.pause()
        return body

    def lend(self, body: BlobBody, count: int) -> Any:
        """Lend it to a thread that takes so much."""
        lent = Lent(self.line.transport.protocol._wrappedProtocol, count)
        self.patch(body._answer, "_lend", lambda: lent)
        loan = body.lend()
        assert loan is not None
        loan.receive(lambda piece: None, 1000, 0.05)
        self.assertEqual(lent.seconds, 0.05)
        return loan

    def test_counted(self) -> None:
        """What threads took counts as what came otherwise, once; the end is where it was."""
        body = self.start(10)
        for _ in range(2):
            self.lend(body, 3).give_back()
        self.assertEqual(self.meter.sent, 6)
        body.resume()
        self.line.send(b"rest")
        self.network.settle()
        self.assertEqual((self.consumer.content, self.consumer.ended), (b"rest", 1))
        self.assertEqual((self.meter.sent, self.consumer.failures), (10, []))

    def test_aborted(self) -> None:
        """What was taken of a body that was aborted meanwhile counts; nobody is told of it."""
        body = self.start(10)
        loan = self.lend(body, 3)
        body.abort()
        loan.give_back()
        self.assertEqual(self.meter.sent, 3)
        self.assertIsNone(body.lend())
        self.network.settle()
        self.assertEqual((self.consumer.ended, self.consumer.failures), (0, []))
        self.assertTrue(self.line.closed_by_client)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_not_lent(self) -> None:
        """A body that flows, that nobody has asked for, or whose end is not known, is not lent."""
        undelivered = self.begin(response(200, b"", Content_Length="10"))
        undelivered.pause()
        self.assertIsNone(undelivered.lend())
        undelivered.abort()
        flowing = self.start(10)
        flowing.resume()
        self.assertIsNone(flowing.lend())
        flowing.abort()
        chunked = self.begin(
            response(200, b"", Content_Length="absent", Transfer_Encoding="chunked")
        )
        chunked.deliver(self.consumer)
        chunked.pause()
        self.assertIsNone(chunked.lend())
        chunked.abort()

    def test_no_stall_while_lent(self) -> None:
        """A thread that waits for the disk is not the upstream's delay."""
        body = self.start(10)
        loan = self.lend(body, 3)
        self.network.pass_time(300, 5)
        self.assertEqual(self.consumer.failures, [])
        loan.give_back()
        body.abort()

    def test_stall(self) -> None:
        """Behind a loan the time without a byte counts from the moment it is read again."""
        body = self.start(10)
        self.lend(body, 3).give_back()
        body.resume()
        self.network.pass_time(29)
        self.assertEqual(self.consumer.failures, [])
        self.network.pass_time(2)
        self.assertIsInstance(self.consumer.failures[0], UpstreamTimedOut)
        self.assertTrue(self.line.closed_by_client)

    def test_drips(self) -> None:
        """Bytes that drip into loans and between them do not keep a body for longer."""
        body = self.start(10_000)
        for _ in range(29):
            self.lend(body, 1).give_back()
            body.resume()
            self.network.pass_time(2, 1)
            self.assertEqual(self.consumer.failures, [])
            body.pause()
        self.lend(body, 1).give_back()
        body.resume()
        self.network.pass_time(2, 1)
        self.assertIsInstance(self.consumer.failures[0], UpstreamTimedOut)

    def test_enough(self) -> None:
        """What threads took is part of what a minute has to bring."""
        body = self.start(10_000_000)
        for _ in range(60):
            self.lend(body, 3000).give_back()
            body.resume()
            self.network.pass_time(2, 1)
            body.pause()
        self.assertEqual(self.consumer.failures, [])
        body.abort()
