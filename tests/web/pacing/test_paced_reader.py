"""A reader whose client gets no more than its allowance: pieces, stretches, pauses and ends."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from regcache.access.principals import UNLIMITED
from regcache.cache.download.reader import FileSource, Reader
from regcache.interfaces import IContentFile, IReader, IReaderSink
from regcache.web.pacing.bucket import SAVED
from regcache.web.pacing.paced_reader import PacedReader
from regcache.web.pacing.pacing import Pacing
from tests.support.readers import FakeReader

KIB = 1024
RATE = 100 * KIB
CONTENT = bytes(each % 251 for each in range(300 * KIB))
#: What may be sent at once when all begins (bytes), about.
FIRST = int(RATE * SAVED)


class MemoryFile:
    """A file that is in memory."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.closed = 0

    def read_now(self, start: int, length: int) -> bytes:
        """A piece."""
        return self.content[start : start + length]

    def close(self) -> None:
        """Count it."""
        self.closed += 1


@implementer(IReaderSink)
class Sink:
    """Takes what comes, and says it is full when the test wants.

    :ivar takes_files: files are sent by themselves here.
    :ivar full_after: it is full after each so many bytes; 0: never.
    :ivar stretches: those that are under way: their start, end, and whom to tell.
    """

    def __init__(self) -> None:
        self.reader: Any = None
        self.data = bytearray()
        self.ended = 0
        self.reasons: list[str] = []
        self.takes_files = False
        self.stretches: list[tuple[int, int, Callable[[int], None]]] = []
        self.full_after = 0
        self.full = False
        self._taken = 0
        self.next_parts: list[tuple[int, int]] = []

    def write(self, data: bytes) -> None:
        """Take it."""
        assert type(data) is bytes, type(data)
        self.data += data
        self._taken += len(data)
        if self.full_after and self._taken >= self.full_after:
            self.full = True
            self.reader.pauseProducing()

    def drain(self) -> None:
        """There is room again."""
        self._taken, self.full = 0, False
        self.reader.resumeProducing()

    def send_file(
        self, file: IContentFile, start: int, end: int, sent: Callable[[int], None]
    ) -> bool:
        """Note it."""
        if self.takes_files:
            self.stretches.append((start, end, sent))
        return self.takes_files

    def range_ended(self) -> None:
        """Begin the next part, or count the end."""
        if self.next_parts:
            self.reader.begin(*self.next_parts.pop(0), self)
            return
        self.ended += 1
        self.reader.leave()

    def broken(self, reason: str) -> None:
        """Note it."""
        self.reasons.append(reason)
        self.reader.leave()


class PacedCase(SynchronousTestCase):
    """A paced reader over one that the test drives, and a sink."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pacing = Pacing(self.clock, lambda step: step())
        self.pacing.limit(RATE)
        self.sink = Sink()
        self.inner = FakeReader(CONTENT)
        self.paced = self.pace(self.inner)

    def pace(self, reader: Any) -> PacedReader:
        """A reader in front of another one, whose client is the sink."""
        allowance = self.pacing.open("alice", UNLIMITED, is_download=True)
        assert allowance is not None
        paced = PacedReader(reader, allowance)
        self.sink.reader = paced
        return paced

    def file_reader(self, content: bytes = CONTENT) -> PacedReader:
        """The same over a real reader of a file."""
        self.file = MemoryFile(content)
        return self.pace(Reader(FileSource(self.file)))  # type: ignore[arg-type]

    def pass_time(self, seconds: float) -> None:
        """Turn the clock in small steps."""
        self.clock.pump([0.005] * round(seconds / 0.005))

    def assert_nothing_left(self) -> None:
        """No timer runs, and nobody waits for anything."""
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PieceTests(PacedCase):
    """Pieces that were read."""

    def test_interfaces(self) -> None:
        """It is a reader, and a reader's sink."""
        verifyObject(IReader, self.paced)
        verifyObject(IReaderSink, self.paced)
        self.assertEqual(self.paced.size, len(CONTENT))
        self.successResultOf(self.paced.ready())
        self.paced.client_is_fast(True)
        self.assertTrue(self.inner.fast)
        self.paced.stopProducing()
        self.assertEqual(self.inner.left, 1)

    def test_rest_is_held(self) -> None:
        """What may be sent of a large piece is, the rest later; the reader pauses meanwhile."""
        self.paced.begin(0, None, self.sink)
        self.inner.send(CONTENT[: 64 * KIB])
        self.assertTrue(self.inner.paused)
        self.assertGreater(len(self.sink.data), 0)
        self.assertLessEqual(len(self.sink.data), FIRST)
        self.pass_time(1)
        self.assertEqual(self.sink.data, CONTENT[: 64 * KIB])
        self.assertFalse(self.inner.paused)

    def test_late_piece(self) -> None:
        """A piece that comes while another one is held waits behind it; so does the end."""
        self.paced.begin(0, None, self.sink)
        self.inner.send(CONTENT[: 64 * KIB])
        self.inner.send(CONTENT[64 * KIB :])
        self.inner.end()
        self.pass_time(2)
        self.assertEqual(self.sink.ended, 0)
        self.pass_time(2)
        self.assertEqual(self.sink.data, CONTENT)
        self.assertEqual((self.sink.ended, self.inner.left), (1, 1))
        self.assert_nothing_left()

    def test_end_at_once(self) -> None:
        """Where all that may be sent is all there is, the end waits for nothing."""
        self.paced.begin(0, None, self.sink)
        allowance = self.paced._allowance
        allowance.ask(lambda: None)
        self.inner.send(bytes(allowance.left))
        self.inner.end()
        self.assertEqual(self.sink.ended, 1)
        self.assert_nothing_left()

    def test_full(self) -> None:
        """A client that takes nothing gets nothing, and holds nobody's turn."""
        self.sink.full_after = 1
        self.paced.begin(0, None, self.sink)
        self.inner.send(CONTENT[: 64 * KIB])
        first = len(self.sink.data)
        self.pass_time(10)
        self.assertEqual(len(self.sink.data), first)
        self.assert_nothing_left()
        self.assertEqual(self.inner.calls[-1], "pause")
        self.sink.full_after = 0
        self.sink.drain()
        self.assertEqual(self.inner.calls[-1], "hold")
        self.pass_time(1)
        self.assertEqual(self.sink.data, CONTENT[: 64 * KIB])

    def test_left(self) -> None:
        """A client that leaves while something is held ends it all, and what comes is dropped."""
        self.paced.begin(0, None, self.sink)
        self.inner.send(CONTENT)
        sent = len(self.sink.data)
        self.paced.leave()
        self.assert_nothing_left()
        self.inner.send(CONTENT)
        self.inner.end()
        self.paced.resumeProducing()
        self.pass_time(5)
        self.assertEqual((len(self.sink.data), self.sink.ended), (sent, 0))

    def test_broken(self) -> None:
        """A break of the content is told at once, also while bytes are held."""
        self.paced.begin(0, None, self.sink)
        self.inner.send(CONTENT)
        self.inner.fail("it broke")
        self.assertEqual(self.sink.reasons, ["it broke"])
        self.assertEqual(self.sink.ended, 0)
        self.assert_nothing_left()

    def test_cut_while_writing(self) -> None:
        """A client that is cut by a write gets nothing more."""
        self.paced.begin(0, None, self.sink)
        self.sink.write = lambda data: self.paced.leave()  # type: ignore[method-assign]
        self.inner.send(CONTENT)
        self.pass_time(2)
        self.assertEqual(self.inner.left, 1)
        self.assert_nothing_left()


class StretchTests(PacedCase):
    """Stretches of the file that are sent by themselves."""

    def setUp(self) -> None:
        super().setUp()
        self.paced.leave()
        self.sink.takes_files = True
        self.paced = self.file_reader()

    def send(self, most: int = 2**30) -> None:
        """The stretch that is under way has ended, after so many bytes at most."""
        start, end, sent = self.sink.stretches.pop()
        end = min(end, start + most)
        self.sink.data += CONTENT[start:end]
        sent(end - start)

    def test_cut_to_size(self) -> None:
        """A stretch is as long as may be sent; the next one begins when there is more."""
        self.paced.begin(0, None, self.sink)
        ends = []
        while not self.sink.ended:
            if not self.sink.stretches:
                self.pass_time(0.005)
                continue
            self.assertEqual(self.sink.stretches[0][0], len(self.sink.data))
            self.send()
            ends.append((self.clock.seconds(), len(self.sink.data)))
        for when, count in ends:
            self.assertLessEqual(count, RATE * (when + SAVED) + 1)
        self.assertEqual(self.sink.data, CONTENT)
        self.assertLess(self.clock.seconds(), len(CONTENT) / RATE)
        self.assert_nothing_left()

    def test_shorter(self) -> None:
        """What was not sent of a stretch may be sent still; where nothing was, it is read."""
        self.paced.begin(0, None, self.sink)
        left = self.paced._allowance.left
        _, end, _ = self.sink.stretches[0]
        self.send(1000)
        self.assertEqual(self.sink.stretches[0][:2], (1000, end + left))
        self.send(0)
        self.assertGreater(len(self.sink.data), 1000)
        self.assertEqual(self.sink.data, CONTENT[: len(self.sink.data)])

    def test_left_within(self) -> None:
        """Of a stretch that is cut off all counts as sent."""
        other = self.pacing.open("bob", UNLIMITED, is_download=True)
        assert other is not None
        self.paced.begin(0, None, self.sink)
        start, end, _ = self.sink.stretches[0]
        self.paced.leave()
        self.assertEqual(self.file.closed, 1)
        sent = end - start
        while other.ask(lambda: None):
            sent += other.left
            other.spend(other.left)
        self.assertLessEqual(sent, RATE * SAVED)
        other.end()
        self.assert_nothing_left()

    def test_left_while_waiting(self) -> None:
        """A client that leaves while a stretch has yet to begin gets none."""
        self.paced.begin(0, None, self.sink)
        while self.sink.stretches:
            self.send()
        self.paced.leave()
        self.pass_time(1)
        self.assertEqual(self.sink.stretches, [])
        self.assert_nothing_left()

    def test_not_possible(self) -> None:
        """Where files cannot be sent it is found out once, and pieces are read."""
        self.sink.takes_files = False
        self.paced.begin(0, None, self.sink)
        self.pass_time(4)
        self.assertEqual(self.sink.data, CONTENT)
        self.assertEqual(self.sink.ended, 1)

    def test_refused_later(self) -> None:
        """A stretch that cannot begin any more when it may is read instead."""
        self.paced.begin(0, None, self.sink)
        while self.sink.stretches:
            self.send()
        self.sink.takes_files = False
        self.pass_time(4)
        self.assertEqual(self.sink.data, CONTENT)

    def test_full_while_waiting(self) -> None:
        """A stretch begins although the client is full: the transport sends what is before it."""
        self.paced.begin(0, None, self.sink)
        while self.sink.stretches:
            self.send()
        self.paced.pauseProducing()
        self.pass_time(1)
        self.assertEqual(len(self.sink.stretches), 1)


class OrderTests(PacedCase):
    """Tests that all bytes come in their order, however buffers fill."""

    @given(data=st.data())
    @settings(max_examples=60, deadline=None)
    def test_order(self, data: st.DataObject) -> None:
        """Each part arrives whole and in order, and within its rate, and then all is at rest."""
        self.setUp()
        self.paced.leave()
        size = data.draw(st.integers(1, 200_000))
        paced = self.file_reader(CONTENT[:size])
        bounds = data.draw(st.lists(st.integers(0, size), min_size=2, max_size=4))
        parts = [(min(pair), max(pair)) for pair in pairwise(bounds)]
        self.sink.next_parts = parts[1:]
        self.sink.full_after = data.draw(st.sampled_from([0, 1, 5_000, 70_000]))
        paced.begin(*parts[0], self.sink)
        for _ in range(2000):
            if self.sink.ended:
                break
            self.pass_time(data.draw(st.sampled_from([0.005, 0.05, 0.5])))
            if self.sink.full:
                self.sink.drain()
            sent = len(self.sink.data)
            self.assertLessEqual(sent, RATE * (self.clock.seconds() + SAVED) + 1)
        self.assertEqual(self.sink.ended, 1)
        self.assertEqual(self.sink.data, b"".join(CONTENT[start:end] for start, end in parts))
        self.assertEqual(self.file.closed, 1)
        self.assert_nothing_left()
