"""Tests for how batches are written one after the other."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.store.batch_writer import INTERVAL, BatchWriter
from regcache.store.index_file import IndexUnavailableError


class BatchWriterTests(SynchronousTestCase):
    """Items that wait, and a disk that answers when the test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.waiting: list[str] = []
        self.batches: list[tuple[list[str], Deferred[None]]] = []
        self.writer = BatchWriter(self.clock, self.write, what="items")
        self.writer.start()

    async def write(self) -> None:
        """Write what waits."""
        batch, self.waiting = self.waiting, []
        written: Deferred[None] = Deferred()
        self.batches.append((batch, written))
        await written

    def wrote(self, *expected: list[str]) -> None:
        """These batches were begun; the last one is done now."""
        self.assertEqual([batch for batch, _ in self.batches], list(expected))
        self.batches[-1][1].callback(None)

    def test_regularly(self) -> None:
        """Each interval, and not before."""
        self.waiting = ["a"]
        self.clock.advance(INTERVAL - 1)
        self.assertEqual(self.batches, [])
        self.clock.advance(1)
        self.assertTrue(self.writer.is_writing)
        self.wrote(["a"])
        self.assertFalse(self.writer.is_writing)

    def test_meanwhile(self) -> None:
        """What comes while a batch is written has the next one, and who flushes waits for it."""
        self.waiting = ["a"]
        first = self.writer.flush()
        self.waiting = ["b"]
        second = self.writer.flush()
        self.wrote(["a"])
        self.assertNoResult(first)
        self.wrote(["a"], ["b"])
        self.successResultOf(first)
        self.successResultOf(second)

    def test_stop_meanwhile(self) -> None:
        """A stop waits for the batch that is being written, and for what came since."""
        self.waiting = ["a"]
        self.clock.advance(INTERVAL)
        self.waiting = ["b"]
        stopped = self.writer.stop()
        self.wrote(["a"])
        self.assertNoResult(stopped)
        self.wrote(["a"], ["b"])
        self.successResultOf(stopped)
        self.successResultOf(self.writer.stop())
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.batches), 2)

    def test_fault(self) -> None:
        """A batch that fails is lost and told of; the next one is written."""
        flushed = self.writer.flush()
        self.batches[-1][1].errback(OSError("the disk is full"))
        self.successResultOf(flushed)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.batches), 2)

    def test_no_index(self) -> None:
        """Without an index nothing is said: that is told elsewhere."""
        flushed = self.writer.flush()
        self.batches[-1][1].errback(IndexUnavailableError("it is away"))
        self.successResultOf(flushed)
        self.assertEqual(self.flushLoggedErrors(), [])
