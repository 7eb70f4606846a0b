"""Tests for regcache.store.content_file."""

import errno
import gc
import io
import os
import warnings
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.digests import Digest
from regcache.interfaces import IContentFile
from regcache.store.content_file import (
    REMEMBERED,
    CachedReads,
    ContentFile,
    FileClosedError,
    OpenFile,
    Sampled,
)
from regcache.store.pool import PoolStoppedError
from tests.support.pools import HeldPool, ImmediatePool

CONTENT = bytes(range(256)) * 400
#: How far samples of a file are from each other.
STEP = 128 * 1024


def is_open(descriptor: int) -> bool:
    """Whether the process has such a descriptor."""
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


class FakePageCache:
    """A page cache.

    :ivar held: the bytes that it holds.
    :ivar asked: where it was looked at.
    :ivar now: the time in seconds.
    """

    def __init__(self, held: range) -> None:
        self.held = held
        self.asked: list[int] = []
        self.now = 1000.0

    def preadv(self, descriptor: int, buffers: list[memoryview], offset: int, flags: int) -> int:
        """One byte that is there, or EAGAIN."""
        self.asked.append(offset)
        if offset not in self.held:
            raise BlockingIOError(errno.EAGAIN, "not in memory")
        return len(buffers[0])


class FailingPreadv:
    """preadv2 that fails with one error for ever; counts its calls."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.calls = 0

    def __call__(self, *args: Any) -> int:
        self.calls += 1
        raise OSError(self.code, "no")


class ContentFileTests(SynchronousTestCase):
    """Tests for :class:`ContentFile` and :class:`OpenFile`."""

    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        with open(self.path, "wb") as target:
            target.write(CONTENT)

    def open(self, pool: Any, cached: CachedReads | None = None) -> ContentFile:
        """The content through a pool; closed at the end of the test."""
        opened = OpenFile(io.FileIO(self.path), pool)
        self.addCleanup(opened.close)
        return ContentFile(Digest.of(CONTENT), len(CONTENT), opened, cached or CachedReads())

    def test_interface(self) -> None:
        """It is a content file."""
        verifyObject(IContentFile, self.open(ImmediatePool()))

    def test_read(self) -> None:
        """Reading gives the bytes asked for, fewer at the end, none behind it."""
        file = self.open(ImmediatePool())
        self.assertEqual(self.successResultOf(file.read(10, 100)), CONTENT[10:110])
        self.assertEqual(self.successResultOf(file.read(102390, 100)), CONTENT[-10:])
        for offset in (len(CONTENT), len(CONTENT) + 5):
            self.assertEqual(self.successResultOf(file.read(offset, 100)), b"")

    def test_truncated(self) -> None:
        """A file that has become shorter is a fault, not an end."""
        file = self.open(ImmediatePool())
        os.truncate(self.path, 50)
        failure = self.failureResultOf(file.read(0, 100), OSError)
        self.assertEqual(failure.value.errno, errno.EIO)
        self.assertIsNone(file.read_now(0, 100))

    def test_read_now(self) -> None:
        """Reading from the page cache gives all bytes asked for, fewer at the end."""
        cached = CachedReads(
            lambda descriptor, buffers, *rest: os.preadv(descriptor, buffers, rest[0])
        )
        file = self.open(ImmediatePool(), cached)
        self.assertEqual(file.read_now(10, 100), CONTENT[10:110])
        self.assertEqual(file.read_now(0, 10), CONTENT[:10])
        self.assertEqual(file.read_now(102390, 100), CONTENT[-10:])
        self.assertEqual(file.read_now(len(CONTENT), 100), b"")

    def test_read_now_by_the_system(self) -> None:
        """What the system itself gives without waiting is right, or nothing."""
        file = self.open(ImmediatePool())
        self.assertIn(file.read_now(10, 100), (CONTENT[10:110], None))

    def test_read_now_too_much(self) -> None:
        """So much that the shared buffer would grow without bounds is not read at once."""
        file = self.open(ImmediatePool())
        self.assertIsNone(CachedReads().read(file.fileno(), 0, 64 * 1024 * 1024))

    def test_read_now_short(self) -> None:
        """A read that the page cache could serve in part only gives None."""
        file = self.open(ImmediatePool(), CachedReads(lambda *args: 5))
        self.assertIsNone(file.read_now(0, 100))

    def test_read_now_would_block(self) -> None:
        """A page that is not cached gives None, and the next read is tried again."""
        preadv = FailingPreadv(errno.EAGAIN)
        file = self.open(ImmediatePool(), CachedReads(preadv))
        self.assertEqual([file.read_now(0, 9), file.read_now(0, 9)], [None, None])
        self.assertEqual(preadv.calls, 2)

    def test_read_now_unsupported(self) -> None:
        """A system that cannot do it is asked once."""
        for code in (errno.EOPNOTSUPP, errno.ENOSYS):
            preadv = FailingPreadv(code)
            file = self.open(ImmediatePool(), CachedReads(preadv))
            self.assertEqual([file.read_now(0, 9), file.read_now(0, 9)], [None, None])
            self.assertEqual(preadv.calls, 1)

    def test_read_now_without_flag(self) -> None:
        """Where Python knows no such flag nothing is read."""
        if hasattr(os, "RWF_NOWAIT"):
            flag = os.RWF_NOWAIT
            self.addCleanup(setattr, os, "RWF_NOWAIT", flag)
            del os.RWF_NOWAIT
        self.assertIsNone(self.open(ImmediatePool()).read_now(0, 9))

    def test_cached(self) -> None:
        """Bytes are in memory where samples of them are, each 128 KiB and the last one."""
        cache = FakePageCache(range(4 * STEP))
        file = self.large(cache)
        self.assertTrue(file.cached(10, 3 * STEP))
        self.assertEqual(cache.asked, [10, STEP, 2 * STEP, 3 * STEP, 3 * STEP + 9])
        self.assertFalse(file.cached(3 * STEP, STEP + 1))
        self.assertFalse(file.cached(0, 9 * STEP))
        self.assertFalse(file.cached(0, 0))

    def test_cached_again(self) -> None:
        """What was in memory is not asked for again, by whichever reader, for a moment."""
        cache = FakePageCache(range(4 * STEP))
        file = self.large(cache)
        self.assertTrue(file.cached(0, 3 * STEP))
        cache.asked.clear()
        self.assertTrue(file.cached(5, 2 * STEP))
        self.assertEqual(cache.asked, [])
        cache.held = range(0)
        self.assertFalse(file.cached(5, 3 * STEP))
        cache.now += REMEMBERED + 0.01
        self.assertFalse(file.cached(5, 2 * STEP))

    def test_clock_set_back(self) -> None:
        """What was in memory is asked for again when the clock was set back."""
        cache = FakePageCache(range(STEP))
        file = self.large(cache)
        cache.now += 1000
        self.assertTrue(file.cached(0, STEP))
        cache.held = range(0)
        cache.now -= 1000
        self.assertFalse(file.cached(0, STEP))

    def test_not_cached(self) -> None:
        """What was not in memory is asked for again, and so is what begins in a step's midst."""
        cache = FakePageCache(range(100, STEP))
        file = self.large(cache)
        self.assertTrue(file.cached(100, STEP - 100))
        self.assertFalse(file.cached(0, STEP))
        cache.held = range(STEP - 1)
        self.assertFalse(file.cached(0, STEP))
        self.assertFalse(file.cached(0, STEP))
        cache.held = range(STEP)
        self.assertTrue(file.cached(0, STEP))

    def test_written(self) -> None:
        """What was written just now is not asked for, once something was found in memory."""
        cache = FakePageCache(range(1))
        cached, sampled = CachedReads(cache.preadv, lambda: cache.now), Sampled()
        cached.wrote(0, 4 * STEP, sampled)
        self.assertFalse(cached.has(3, 1, 1, sampled))
        self.assertTrue(cached.has(3, 0, 1, sampled))
        cached.wrote(STEP // 2, 3 * STEP + 1, sampled)
        cache.asked.clear()
        self.assertTrue(cached.has(3, STEP + 5, 3 * STEP - 9, sampled))
        self.assertEqual(cache.asked, [])
        self.assertFalse(cached.has(3, STEP, 3 * STEP + 1, sampled))
        cache.now += REMEMBERED + 0.01
        self.assertFalse(cached.has(3, STEP, 1, sampled))

    def large(self, cache: "FakePageCache") -> ContentFile:
        """Content of which a page cache holds a part."""
        os.truncate(self.path, 8 * STEP)
        opened = OpenFile(io.FileIO(self.path), ImmediatePool())
        self.addCleanup(opened.close)
        cached = CachedReads(cache.preadv, lambda: cache.now)
        return ContentFile(Digest.of(CONTENT), 8 * STEP, opened, cached)

    def test_close(self) -> None:
        """Closing twice is closing once; reading then fails with a clear error."""
        file = self.open(ImmediatePool())
        descriptor = file.fileno()
        file.close()
        file.close()
        self.assertFalse(is_open(descriptor))
        for offset in (0, len(CONTENT)):
            self.failureResultOf(file.read(offset, 10), FileClosedError)
        self.assertIsNone(file.read_now(0, 10))
        self.assertRaises(FileClosedError, file.fileno)

    def test_close_waits_for_reads(self) -> None:
        """The descriptor stays open until the last read under way has ended."""
        pool = HeldPool()
        file = self.open(pool)
        descriptor = file.fileno()
        reads = [file.read(0, 10), file.read(10, 10)]
        file.close()
        pool.release()
        self.assertTrue(is_open(descriptor))
        pool.release()
        self.assertFalse(is_open(descriptor))
        self.assertEqual(
            [self.successResultOf(read) for read in reads], [CONTENT[:10], CONTENT[10:20]]
        )

    def test_close_waits_for_cancelled_reads(self) -> None:
        """A read that was cancelled still uses the descriptor until its thread is done."""
        pool = HeldPool()
        file = self.open(pool)
        descriptor = file.fileno()
        read = file.read(0, 10)
        read.cancel()
        self.failureResultOf(read)
        file.close()
        self.assertTrue(is_open(descriptor))
        pool.release_all()
        self.assertFalse(is_open(descriptor))

    def test_removed_file_closes_in_pool(self) -> None:
        """The last close of a removed file frees its blocks, and so is left to the pool."""
        pool = HeldPool()
        file = self.open(pool)
        descriptor = file.fileno()
        os.unlink(self.path)
        file.close()
        self.assertTrue(is_open(descriptor))
        pool.release_all()
        self.assertFalse(is_open(descriptor))

    def test_removed_file_closes_without_pool(self) -> None:
        """Where the pool has stopped the file is closed all the same."""

        class StoppedPool(HeldPool):
            def run(self, function: Any, *args: Any) -> Any:
                return super().run(self.refuse)

            def refuse(self) -> None:
                raise PoolStoppedError("stopped")

        pool = StoppedPool()
        file = self.open(pool)
        descriptor = file.fileno()
        os.unlink(self.path)
        file.close()
        pool.release_all()
        self.assertFalse(is_open(descriptor))

    def test_forgotten_file(self) -> None:
        """A file that nobody closed is closed, and complained of, when it is collected."""
        opened = OpenFile(io.FileIO(self.path), ImmediatePool())
        descriptor = opened.fileno()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del opened
            gc.collect()
        self.assertIn(ResourceWarning, [warning.category for warning in caught])
        self.assertFalse(is_open(descriptor))

    def test_tells_when_closed(self) -> None:
        """The opener of a file is told once that it was given back."""
        told: list[bool] = []
        opened = OpenFile(io.FileIO(self.path), ImmediatePool(), lambda: told.append(True))
        opened.keep_open()
        opened.close()
        self.assertEqual(told, [])
        opened.release()
        opened.close()
        self.assertEqual(told, [True])
