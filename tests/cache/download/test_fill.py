"""Tests for regcache.cache.download.fill: when what has arrived is written."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.download.fill import QUEUE_HIGH, QUEUE_LOW, Fill
from regcache.cache.download.planning import Stretch
from regcache.cache.download.unwritten import BATCH, LINGER, WRITE_SIZE
from regcache.errors import UpstreamFailure
from regcache.intervals import Intervals

PIECE = bytes(BATCH // 4)


class File:
    """A partial file of unknown size whose writes end when the test says so."""

    size: int | None = None

    def __init__(self) -> None:
        self.written: list[tuple[int, int]] = []
        self.writes: list[Deferred[None]] = []

    def write(self, offset: int, chunks: Sequence[bytes]) -> "Deferred[None]":
        """Note the write."""
        self.written.append((offset, offset + sum(map(len, chunks))))
        self.writes.append(Deferred())
        return self.writes[-1]


class Target:
    """Takes everything; nothing is there."""

    def __init__(self) -> None:
        self.file = File()
        self.claimed = Intervals()

    def wrote(self, position: int, end: int | None) -> None:
        """Fine."""


class Owner:
    """A download that wants everything."""

    def __init__(self) -> None:
        self.over: list[UpstreamFailure | None] = []
        self.plan: Any = self

    def next_fill(self, position: int) -> int | None:
        """There is no other one."""
        return None

    def met_present(self, position: int) -> bool:
        """Nothing is here."""
        return False

    def fill_over(self, fill: Fill, failure: UpstreamFailure | None) -> None:
        """Note the end."""
        self.over.append(failure)

    def fill_cannot_write(self, error: BaseException | None) -> None:
        """Not here."""
        raise AssertionError(error)


class Body:
    """A body that notes whether it is paused."""

    start = 0
    end: int | None = None
    paused = False
    aborted = False

    def deliver(self, consumer: object) -> None:
        """The test delivers."""

    def pause(self) -> None:
        """Note it."""
        self.paused = True

    def resume(self) -> None:
        """Note it."""
        self.paused = False

    def abort(self) -> None:
        """Note it."""
        self.aborted = True


class WritingTests(SynchronousTestCase):
    """What one write takes, and when it begins."""

    def setUp(self) -> None:
        """A fill whose body flows."""
        self.clock = Clock()
        self.owner = Owner()
        self.body: Any = Body()
        self.target: Any = Target()
        self.fill = Fill(
            self.owner, self.target, Stretch(0, None), upstream="up.test", clock=self.clock
        )
        self.fill.flow(self.body)

    def tearDown(self) -> None:
        """No timer is left."""
        self.fill.drop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @property
    def written(self) -> list[tuple[int, int]]:
        """The writes that have begun."""
        written: list[tuple[int, int]] = self.target.file.written
        return written

    def end_write(self) -> None:
        """The disk has taken what is being written."""
        self.target.file.writes[-1].callback(None)

    def begin(self) -> None:
        """The beginning of the body is written."""
        self.fill.body_chunk(bytes(BATCH))
        self.end_write()
        self.assertEqual(self.written, [(0, BATCH)])

    def test_beginning(self) -> None:
        """The first bytes are written as they come."""
        for count in range(1, 4):
            self.fill.body_chunk(PIECE)
            self.assertEqual(len(self.written), count)
            self.end_write()

    def test_small_pieces(self) -> None:
        """Small pieces are written when enough of them came together."""
        self.begin()
        for _ in range(3):
            self.fill.body_chunk(PIECE)
        self.assertEqual(len(self.written), 1)
        self.fill.body_chunk(PIECE)
        self.assertEqual(self.written[1:], [(BATCH, 2 * BATCH)])

    def test_slow_upstream(self) -> None:
        """What comes alone is written after a moment."""
        self.begin()
        self.fill.body_chunk(b"x")
        self.clock.advance(LINGER / 2)
        self.fill.body_chunk(b"y")
        self.assertEqual(len(self.written), 1)
        self.clock.advance(LINGER / 2)
        self.assertEqual(self.written[1:], [(BATCH, BATCH + 2)])

    def test_end(self) -> None:
        """The end of the body waits for nothing."""
        self.begin()
        self.fill.body_chunk(b"x")
        self.fill.body_ended()
        self.assertEqual(self.written[1:], [(BATCH, BATCH + 1)])
        self.end_write()
        self.assertEqual(self.owner.over, [None])

    def test_break(self) -> None:
        """Nor do the last bytes before a break."""
        self.begin()
        self.fill.body_chunk(b"x")
        failure = UpstreamFailure("up.test", "broke")
        self.fill.body_failed(failure)
        self.end_write()
        self.assertEqual(self.written[1:], [(BATCH, BATCH + 1)])
        self.assertEqual(self.owner.over, [failure])

    def test_one_at_a_time(self) -> None:
        """What comes while something is written is the next write, up to a size."""
        self.begin()
        self.fill.body_chunk(bytes(BATCH))
        for _ in range(WRITE_SIZE // BATCH + 1):
            self.fill.body_chunk(bytes(BATCH))
        self.assertEqual(len(self.written), 2)
        self.end_write()
        self.assertEqual(self.written[2:], [(2 * BATCH, 2 * BATCH + WRITE_SIZE)])

    def test_dropped(self) -> None:
        """What is dropped is not written, however long one waits."""
        self.begin()
        self.fill.body_chunk(b"x")
        self.fill.drop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.written), 1)
        self.assertTrue(self.body.aborted)

    def test_more_than_was_announced(self) -> None:
        """A body that came whole ends by itself after a drop; what sends on is closed."""
        self.body.end = len(PIECE)
        self.fill.body_chunk(PIECE)
        self.fill.drop()
        self.assertFalse(self.body.aborted)
        self.fill.body_chunk(b"more")
        self.assertTrue(self.body.aborted)

    def test_disk_is_never_idle(self) -> None:
        """The upstream is read again while there is a write left for the disk."""
        queued = 0
        while not self.body.paused:
            self.fill.body_chunk(bytes(BATCH))
            queued += BATCH
        self.assertEqual(queued, QUEUE_HIGH + BATCH)
        while self.body.paused:
            self.end_write()
        start, end = self.written[-1]
        self.assertGreater(end, start)
        self.assertEqual(len([each for each in self.target.file.writes if not each.called]), 1)
        self.assertLessEqual(queued - start, QUEUE_LOW + BATCH)
