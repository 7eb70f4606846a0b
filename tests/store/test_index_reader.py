"""Tests for readings of the index beside its own thread."""

import os
import sqlite3

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.store.index_file import IndexFile
from regcache.store.index_reader import MOST_WAITING, IndexBusyError, IndexReader
from regcache.store.index_thread import IndexThread
from tests.support.index_cases import blob
from tests.support.indexes import HeldPool, ImmediatePool


def sizes(connection: sqlite3.Connection) -> list[int]:
    """The sizes of all that is stored."""
    return [size for (size,) in connection.execute("SELECT size FROM places")]


class ReaderTests(SynchronousTestCase):
    """Readings of a file."""

    def setUp(self) -> None:
        directory = self.mktemp()
        os.mkdir(directory)
        self.file = IndexFile(os.path.join(directory, "index.sqlite"))
        self.problem = ""
        self.pool = HeldPool()
        self.thread = IndexThread(self.file, ImmediatePool(), Clock())
        self.successResultOf(self.thread.open())
        self.addCleanup(self.thread.close)
        self.reader = IndexReader(self.file.path, self.pool, self.thread, lambda: self.problem)
        self.addCleanup(self.close)

    def close(self) -> None:
        """Close it."""
        self.reader.close()
        self.pool.release()

    def read(self) -> list[int]:
        """What is stored."""
        reading = self.reader.read(sizes)
        self.pool.release()
        found: list[int] = self.successResultOf(reading)
        return found

    def test_sees_changes(self) -> None:
        """A reading sees what was written before it began."""
        self.assertEqual(self.read(), [])
        self.file.write([blob(size=7)])
        self.assertEqual(self.read(), [7])

    def test_busy(self) -> None:
        """If too many wait, a further one is refused at once."""
        waiting = [self.reader.read(sizes) for _ in range(MOST_WAITING)]
        self.failureResultOf(self.reader.read(sizes), IndexBusyError)
        self.pool.release()
        for each in waiting:
            self.successResultOf(each)
        self.assertEqual(self.read(), [])

    def test_replaced(self) -> None:
        """A file that takes the place of a damaged one is read from then on."""
        self.file.write([blob(size=7)])
        self.assertEqual(self.read(), [7])
        self.file.recover("a test")
        self.assertEqual(self.read(), [])

    def test_substitute(self) -> None:
        """While the index has a substitute, its thread reads that."""
        self.file.write([blob(size=7)])
        self.problem = "the disk is full"
        self.assertEqual(self.successResultOf(self.reader.read(sizes)), [7])
        self.assertEqual(self.pool.held, 0)

    def test_unreadable(self) -> None:
        """A file that cannot be read beside its thread is read by that."""
        self.file.write([blob(size=7)])
        os.rename(self.file.path, self.file.path + ".away")
        self.assertEqual(self.read(), [7])
