"""Content that is hashed while it is sent: its last bytes wait for that."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.checked_source import source_of
from regcache.cache.download.context import WITHHELD
from regcache.cache.download.reader import FileSource, Reader
from regcache.cache.opened import MemoryFile
from regcache.digests import Digest
from tests.support.caches import Sink

CONTENT = bytes(range(256)) * 1024


class CheckedSourceTests(SynchronousTestCase):
    """One reader."""

    def setUp(self) -> None:
        """It begins to read."""
        self.checking: Deferred[bool] = Deferred()
        self.sink = Sink()
        file: Any = MemoryFile(Digest.of(CONTENT), CONTENT)
        self.reader = Reader(source_of(file, self.checking))

    def begin(self, start: int = 0, end: int = len(CONTENT)) -> None:
        """Ask for a range."""
        self.reader.begin(start, end, self.sink)

    def test_whole(self) -> None:
        """All but the last bytes goes out at once, and these when the check has ended."""
        self.begin()
        self.assertEqual(len(self.sink.data), len(CONTENT) - WITHHELD)
        self.checking.callback(True)
        self.assertEqual((bytes(self.sink.data), self.sink.ended), (CONTENT, True))

    def test_checked_before(self) -> None:
        """Nothing waits if the check has ended already."""
        self.checking.callback(True)
        self.begin()
        self.assertTrue(self.sink.ended)

    def test_damaged(self) -> None:
        """The answer is cut off before its last bytes, whenever the check ends."""
        for before in (True, False):
            self.setUp()
            if before:
                self.checking.callback(False)
            self.begin()
            if not before:
                self.checking.callback(False)
            self.assertEqual(self.sink.reason, "the stored content is damaged")
            self.assertFalse(self.sink.ended)
            self.assertLessEqual(len(self.sink.data), len(CONTENT) - WITHHELD)

    def test_check_fails(self) -> None:
        """A check that fails has not found it whole."""
        self.begin()
        self.checking.errback(OSError("gone"))
        self.assertIsNotNone(self.sink.reason)

    def test_earlier_range(self) -> None:
        """A range before the last bytes does not wait."""
        self.begin(0, len(CONTENT) - WITHHELD)
        self.assertTrue(self.sink.ended)

    def test_reader_leaves(self) -> None:
        """Nothing is sent to who has left."""
        self.begin()
        self.reader.leave()
        self.checking.callback(True)
        self.assertEqual(len(self.sink.data), len(CONTENT) - WITHHELD)

    def test_unchecked(self) -> None:
        """Without a check nothing is withheld."""
        file: Any = MemoryFile(Digest.of(CONTENT), CONTENT)
        source = source_of(file, None)
        self.assertIs(type(source), FileSource)
        self.assertEqual(source.released(0), len(CONTENT))
