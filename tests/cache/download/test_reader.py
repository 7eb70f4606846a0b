"""Tests for readers."""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.cache.download.reader import LEAST_READ, MOST_READ, FileSource, Reader
from regcache.interfaces import IContentFile, IReader, IReaderSink
from tests.support.sources import FakeFile, FakeSink, GrowingSource

KIB = 1024


class ReaderTestCase(SynchronousTestCase):
    """A source of 1 MiB that grows, and a reader of it."""

    def setUp(self) -> None:
        """Nothing is released yet."""
        self.content = bytes(each % 251 for each in range(1024)) * KIB
        self.file = FakeFile(self.content)
        self.source = GrowingSource(self.file)
        self.reader = Reader(self.source)
        self.sink = FakeSink()

    def release(self, end: int) -> None:
        """More is there."""
        self.source.end = end
        self.reader.step()


class GrowingTests(ReaderTestCase):
    """Reading what grows."""

    def test_interfaces(self) -> None:
        """It is a reader, and the fakes are what they stand for."""
        verifyObject(IReader, self.reader)
        verifyObject(IContentFile, self.file)
        verifyObject(IReaderSink, self.sink)

    def test_sends_what_is_released(self) -> None:
        """It sends what is there, says where it waits, and ends with the range."""
        self.reader.begin(10, 5000, self.sink)
        self.assertEqual(self.source.waits, [10])
        self.release(1000)
        self.assertEqual(self.sink.data, self.content[10:1000])
        self.assertEqual((self.source.waits, self.sink.ends), ([10, 1000], 0))
        self.release(9000)
        self.assertEqual((self.sink.data, self.sink.ends), (self.content[10:5000], 1))

    def test_end_of_content(self) -> None:
        """Without an end it ends where the content does, once that is known."""
        self.file.size = None
        self.reader.begin(0, None, self.sink)
        self.release(len(self.content))
        self.assertEqual(self.sink.ends, 0)
        self.file.size = len(self.content)
        self.reader.step()
        self.assertEqual((self.sink.data, self.sink.ends), (self.content, 1))

    def test_empty_content(self) -> None:
        """Content of no bytes is a range that ends at once."""
        reader = Reader(FileSource(FakeFile(b"")))
        reader.begin(0, 0, self.sink)
        self.assertEqual((self.sink.data, self.sink.ends), (b"", 1))

    def test_release_while_it_says_that_it_waits(self) -> None:
        """What is released while the reader says that it waits is sent at once."""

        def release() -> None:
            if self.source.end < 3000:
                self.release(self.source.end + 1000)

        self.source.on_wait = release
        self.reader.begin(0, 3000, self.sink)
        self.assertEqual((self.sink.data, self.sink.ends), (self.content[:3000], 1))

    def test_paused(self) -> None:
        """Nothing is sent, or waited for, while the client takes nothing."""
        self.reader.pauseProducing()
        self.reader.begin(0, 5000, self.sink)
        self.release(5000)
        self.assertEqual((self.sink.pieces, self.source.waits), ([], []))
        self.reader.resumeProducing()
        self.assertEqual(self.sink.data, self.content[:5000])

    def test_pause_within_a_write(self) -> None:
        """A client that pauses with a write gets that one piece."""
        self.sink.on_write = self.reader.pauseProducing
        self.source.end = len(self.content)
        self.reader.begin(0, None, self.sink)
        self.assertEqual([len(piece) for piece in self.sink.pieces], [LEAST_READ])


class SendingTests(ReaderTestCase):
    """Sinks that send from the file itself."""

    def setUp(self) -> None:
        """The sink does, and half of the content is there."""
        super().setUp()
        self.sink.takes_files = True
        self.source.end = 512 * KIB

    def test_all_that_is_there(self) -> None:
        """The sink is given all that is released, and the next stretch when that has ended."""
        self.reader.begin(10, None, self.sink)
        self.release(600 * KIB)
        self.assertEqual(self.sink.stretches, [(10, 512 * KIB)])
        self.sink.sent(512 * KIB - 10)
        self.assertEqual(self.sink.stretches[1:], [(512 * KIB, 600 * KIB)])
        self.sink.sent(88 * KIB)
        self.assertEqual(self.source.waits, [600 * KIB])

    def test_end(self) -> None:
        """The range ends when its last stretch has."""
        self.reader.begin(0, 1000, self.sink)
        self.assertEqual((self.sink.stretches, self.sink.ends), ([(0, 1000)], 0))
        self.sink.sent(1000)
        self.assertEqual((self.sink.ends, self.sink.pieces), (1, []))

    def test_part(self) -> None:
        """What was not sent of a stretch is the next one."""
        self.reader.begin(0, 1000, self.sink)
        self.sink.sent(300)
        self.assertEqual(self.sink.stretches, [(0, 1000), (300, 1000)])

    def test_nothing_in_memory(self) -> None:
        """Where nothing could be sent one piece is read in the pool, and then it is tried again."""
        self.file.is_cached = False
        self.reader.begin(0, None, self.sink)
        self.sink.sent(0)
        self.assertEqual([read[1:] for read in self.file.reads], [(0, LEAST_READ)])
        self.file.answer()
        self.assertEqual(self.sink.data, self.content[:LEAST_READ])
        self.assertEqual(self.sink.stretches[1:], [(LEAST_READ, 512 * KIB)])

    def test_shorter_than_it_was(self) -> None:
        """A file that ends too early breaks the answer off."""
        self.file.is_cached = False
        self.reader.begin(0, None, self.sink)
        self.file.content = b""
        self.sink.sent(0)
        self.file.answer()
        self.assertEqual(self.sink.reasons, ["the file ended too early"])

    def test_left(self) -> None:
        """Who left meanwhile is sent nothing more."""
        self.reader.begin(0, None, self.sink)
        self.reader.leave()
        self.sink.sent(1000)
        self.assertEqual((len(self.sink.stretches), self.source.left), (1, 1))

    def test_paused(self) -> None:
        """A client that pauses meanwhile gets the next stretch when it resumes."""
        self.reader.begin(0, None, self.sink)
        self.reader.pauseProducing()
        self.sink.sent(1000)
        self.assertEqual(len(self.sink.stretches), 1)
        self.reader.resumeProducing()
        self.assertEqual(self.sink.stretches[1:], [(1000, 512 * KIB)])


class SeveralRangesTests(ReaderTestCase):
    """One range after another."""

    def begin_next(self, *ranges: tuple[int, int | None]) -> None:
        """Begin each range when the one before has ended."""
        queue = list(ranges)

        def begin() -> None:
            if queue:
                start, end = queue.pop(0)
                self.reader.begin(start, end, self.sink)

        self.sink.then = begin
        begin()

    def test_far_ahead_and_behind_in_complete_content(self) -> None:
        """Ranges may follow each other in any order, and overlap."""
        self.source.end = len(self.content)
        self.begin_next((900 * KIB, 901 * KIB), (0, 10), (500 * KIB, None), (5, 8))
        expected = self.content[900 * KIB : 901 * KIB] + self.content[:10]
        expected += self.content[500 * KIB :] + self.content[5:8]
        self.assertEqual((self.sink.data, self.sink.ends), (expected, 4))

    def test_far_ahead_in_growing_content(self) -> None:
        """The second range is waited for where it begins."""
        self.source.end = 100
        self.begin_next((0, 50), (500 * KIB, 500 * KIB + 7))
        self.assertEqual(set(self.source.waits), {500 * KIB})
        self.release(600 * KIB)
        expected = self.content[:50] + self.content[500 * KIB : 500 * KIB + 7]
        self.assertEqual((self.sink.data, self.sink.ends), (expected, 2))

    def test_leaves_between_two(self) -> None:
        """A client that leaves at the end of a range gets no other."""
        self.source.end = len(self.content)
        self.sink.then = self.reader.leave
        self.reader.begin(0, 10, self.sink)
        self.reader.step()
        self.assertEqual((self.sink.data, self.source.left), (self.content[:10], 1))


class PoolTests(ReaderTestCase):
    """Content that is not in the page cache."""

    def setUp(self) -> None:
        """Every read goes to the pool."""
        super().setUp()
        self.file.is_cached = False
        self.source.end = len(self.content)

    def test_one_read_at_a_time(self) -> None:
        """However often it is told to go on, one read is under way."""
        self.reader.begin(0, None, self.sink)
        for _ in range(3):
            self.reader.step()
            self.reader.resumeProducing()
        self.assertEqual(len(self.file.reads), 1)
        while self.file.reads:
            self.file.answer()
        self.assertEqual((self.sink.data, self.sink.ends), (self.content, 1))

    def test_leaves_meanwhile(self) -> None:
        """What comes from the disk for a client that is gone is dropped."""
        self.reader.begin(0, None, self.sink)
        self.reader.leave()
        self.file.answer()
        self.assertEqual((self.sink.pieces, self.source.left), ([], 1))

    def test_pauses_meanwhile(self) -> None:
        """A client that pauses meanwhile gets the piece that was read, and no more."""
        self.reader.begin(0, None, self.sink)
        self.reader.pauseProducing()
        self.file.answer()
        self.assertEqual((len(self.sink.pieces), self.file.reads), (1, []))

    def test_read_fails(self) -> None:
        """A disk that fails breaks the answer off, once."""
        self.reader.begin(0, None, self.sink)
        self.file.reads.pop()[0].errback(OSError(5, "Input/output error"))
        self.assertEqual(len(self.sink.reasons), 1)
        self.assertEqual(self.source.left, 1)

    def test_read_is_cancelled(self) -> None:
        """A read that was cancelled is nobody's fault."""
        self.reader.begin(0, None, self.sink)
        self.file.reads.pop()[0].errback(CancelledError())
        self.assertEqual(self.sink.reasons, [])

    def test_file_is_too_short(self) -> None:
        """A file that ends before its content breaks the answer off."""
        self.file.content = b""
        self.reader.begin(0, None, self.sink)
        self.file.answer()
        self.assertEqual(len(self.sink.reasons), 1)


class LeavingTests(ReaderTestCase):
    """The end of a reader."""

    def test_leaves_once(self) -> None:
        """However it ends, and how often: the source is told once."""
        self.reader.begin(0, None, self.sink)
        self.reader.stopProducing()
        self.reader.leave()
        self.reader.abort("too late")
        self.assertEqual((self.source.left, self.sink.reasons), (1, []))

    def test_nothing_after_it(self) -> None:
        """Bytes that are released later are sent nowhere."""
        self.reader.begin(0, None, self.sink)
        self.reader.leave()
        self.release(len(self.content))
        self.reader.resumeProducing()
        self.assertEqual(self.sink.pieces, [])

    def test_file_source_closes_its_file(self) -> None:
        """The only reader of a stored blob closes it."""
        file = FakeFile(b"blob")
        reader = Reader(FileSource(file))
        self.successResultOf(reader.ready())
        reader.begin(0, None, self.sink)
        reader.leave()
        reader.leave()
        self.assertEqual((self.sink.data, file.closed), (b"blob", 1))

    def test_reads_fit_the_client(self) -> None:
        """Clients that are known to be fast get larger pieces than others."""
        self.sink.on_write = self.reader.pauseProducing
        self.source.end = len(self.content)
        self.reader.begin(0, None, self.sink)
        for fast in (True, False):
            self.reader.client_is_fast(fast)
            self.reader.resumeProducing()
        sizes = [len(piece) for piece in self.sink.pieces]
        self.assertEqual(sizes, [LEAST_READ, MOST_READ, LEAST_READ])
