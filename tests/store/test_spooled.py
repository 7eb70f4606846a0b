"""Tests for content that begins in memory: the table of regcache/store/spooled.py, row by row."""

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.digests import Digest
from regcache.identity import UpstreamIdentity
from regcache.interfaces import IPartialFile
from regcache.store import spooled
from regcache.store.blob_store import BlobStore
from regcache.store.paths import StorePaths
from tests.support.pools import HeldPool

CONTENT = bytes(range(256)) * 16
DIGEST = Digest.of(CONTENT)
UPSTREAM = UpstreamIdentity("up.test")
HALF = len(CONTENT) // 2


class SpooledCase(SynchronousTestCase):
    """A store whose disk does nothing until it is told to."""

    def setUp(self) -> None:
        """One file that has just begun."""
        self.pool = HeldPool()
        self.paths = StorePaths(os.path.abspath(self.mktemp()))
        self.paths.prepare()
        self.store = BlobStore(Clock(), self.pool, self.paths, boot_id="boot")
        self.file: Any = self.successResultOf(self.store.open_partial(DIGEST, UPSTREAM, True))
        self.addCleanup(self.end)

    def end(self) -> None:
        """Nothing stays open."""
        self.pool.release_all()
        self.file.close()
        closing = self.store.close()
        self.pool.release_all()
        self.successResultOf(closing)

    def partials(self) -> list[str]:
        """What lies in the folder of partial files."""
        return sorted(os.listdir(self.paths.partials))

    def done(self, doing: "Deferred[Any]") -> Any:
        """What comes of something as soon as the disk has done its part."""
        self.pool.release_all()
        return self.successResultOf(doing)

    def fill(self, end: int = len(CONTENT)) -> None:
        """Bring the beginning."""
        self.file.set_size(len(CONTENT))
        self.successResultOf(self.file.write(0, [CONTENT[:100], CONTENT[100:end]]))


class MemoryTests(SpooledCase):
    """What holds while it is in memory."""

    def test_interface(self) -> None:
        """It is a partial file."""
        self.assertTrue(verifyObject(IPartialFile, self.file))

    def test_write(self) -> None:
        """Bytes are present at once, and readable; there is no file and no job."""
        self.fill()
        self.assertEqual(list(self.file.present), [(0, len(CONTENT))])
        self.assertEqual(self.file.read_now(10, 10), CONTENT[10:20])
        self.assertEqual(self.successResultOf(self.file.read(10, 10)), CONTENT[10:20])
        self.assertEqual((self.pool.jobs, self.partials()), ([], []))
        self.assertFalse(self.file.cached(0, 10))
        self.assertRaises(OSError, self.file.fileno)

    def test_size(self) -> None:
        """A size is fixed once, and bounds the content."""
        self.fill(HALF)
        self.assertRaises(ValueError, self.file.set_size, 7)
        self.failureResultOf(self.file.write(HALF, [CONTENT]), ValueError)
        self.assertEqual(self.file.present.total, HALF)

    def test_verify_and_commit(self) -> None:
        """Right content is known to be so at once, and stored by the next job."""
        self.fill()
        self.assertTrue(self.successResultOf(self.file.verify()))
        self.assertEqual(self.file.content, CONTENT)
        committing = self.file.commit()
        self.assertEqual(len(self.pool.jobs), 1)
        self.done(committing)
        self.assertEqual(self.done(self.store.load(DIGEST, 2**20, len(CONTENT))), CONTENT)
        self.assertEqual(self.partials(), [])

    def test_not_whole_or_wrong(self) -> None:
        """A part, and wrong bytes, are not verified."""
        self.fill(HALF)
        self.assertFalse(self.successResultOf(self.file.verify()))
        self.assertIsNone(self.file.content)
        self.successResultOf(self.file.write(HALF, [bytes(len(CONTENT) - HALF)]))
        self.assertFalse(self.successResultOf(self.file.verify()))

    def test_backlog(self) -> None:
        """What is being stored counts, with its overhead, until that is over, well or badly."""
        backlog = self.store.backlog
        self.fill()
        self.patch(spooled, "MOST_BEHIND", len(CONTENT) + spooled.OVERHEAD)
        committing = self.file.commit()
        self.assertTrue(backlog.is_full)
        self.assertTrue(self.file.crowded)
        job, _, _ = self.pool.jobs.pop()
        job.errback(OSError(28, "No space left on device"))
        self.failureResultOf(committing, OSError)
        self.assertFalse(backlog.is_full)

    def test_nothing_to_save(self) -> None:
        """Of nothing nothing is kept."""
        for doing in (self.file.save(), self.file.discard()):
            self.successResultOf(doing)
        self.assertEqual(self.partials(), [])

    def test_clear(self) -> None:
        """It begins anew, in memory."""
        self.fill(HALF)
        self.file.anonymous = False
        self.successResultOf(self.file.clear())
        self.assertEqual((self.file.size, self.file.present.total), (None, 0))
        self.assertTrue(self.file.anonymous)
        self.fill()
        self.assertTrue(self.successResultOf(self.file.verify()))


class MovingTests(SpooledCase):
    """How it comes to the disk."""

    def assert_on_disk(self) -> None:
        """The content is in a file, is right, and gets its name."""
        self.assertFalse(self.file.in_memory)
        self.assertIsNone(self.file.content)
        self.assertTrue(self.done(self.file.verify()))
        self.done(self.file.commit())
        self.assertEqual(self.done(self.store.load(DIGEST, 2**20, len(CONTENT))), CONTENT)
        self.assertEqual(self.partials(), [])

    def test_outgrown(self) -> None:
        """The write that is too much for memory waits until all is in a file."""
        self.patch(spooled, "MEMORY", HALF)
        self.fill(HALF)
        writing = self.file.write(HALF, [CONTENT[HALF:]])
        self.assertNoResult(writing)
        self.assertEqual(self.file.present.total, HALF)
        self.done(writing)
        self.assertEqual(list(self.file.present), [(0, len(CONTENT))])
        self.assert_on_disk()

    def test_out_of_order(self) -> None:
        """Bytes that do not follow on what is here go to the disk."""
        self.file.set_size(len(CONTENT))
        self.done(self.file.write(HALF, [CONTENT[HALF:]]))
        self.done(self.file.write(0, [CONTENT[:HALF]]))
        self.assert_on_disk()

    def test_told_to(self) -> None:
        """What was told to go there several times goes once, with what is known of it."""
        self.fill(HALF)
        self.file.anonymous = False
        moving = [self.file.to_disk() for _ in range(2)]
        writing = self.file.write(HALF, [CONTENT[HALF:]])
        for each in (*moving, writing):
            self.done(each)
        self.assertEqual((self.file.size, self.file.anonymous), (len(CONTENT), False))
        self.assert_on_disk()

    def test_prepare(self) -> None:
        """Much is announced, or much waits for the disk: so a file is there before the bytes."""
        self.successResultOf(self.file.prepare())
        self.file.set_size(len(CONTENT))
        self.successResultOf(self.file.prepare())
        self.patch(spooled, "MOST_BEHIND", 0)
        preparing = self.file.prepare()
        self.assertNoResult(preparing)
        self.done(preparing)
        self.done(self.file.write(0, [CONTENT]))
        self.assert_on_disk()

    def test_save(self) -> None:
        """What is kept for another day is in a file, and found there."""
        self.fill(HALF)
        self.done(self.file.save())
        self.file.close()
        self.pool.release_all()
        self.file = self.done(self.store.open_partial(DIGEST, UPSTREAM))
        self.assertEqual(list(self.file.present), [(0, HALF)])
        self.assertEqual(self.file.size, len(CONTENT))

    def test_what_was_left_is_dropped(self) -> None:
        """Bytes of an attempt that nobody knew of do not get into this one."""
        other = self.done(self.store.open_partial(DIGEST, UPSTREAM))
        other.set_size(len(CONTENT) + 1)
        self.done(other.write(HALF, [b"wrong"]))
        self.done(other.save())
        other.close()
        self.pool.release_all()
        self.fill(HALF)
        self.done(self.file.to_disk())
        self.assertEqual(list(self.file.present), [(0, HALF)])
        self.done(self.file.write(HALF, [CONTENT[HALF:]]))
        self.assert_on_disk()

    def test_cleared_meanwhile(self) -> None:
        """What begins anew on its way holds nothing in the end."""
        self.fill(HALF)
        moving, clearing = self.file.to_disk(), self.file.clear()
        self.done(clearing)
        self.successResultOf(moving)
        self.assertEqual((self.file.size, self.file.present.total), (None, 0))

    def test_discarded_and_closed_meanwhile(self) -> None:
        """What is dropped on its way leaves nothing on the disk, and nothing open."""
        self.fill(HALF)
        moving, discarding = self.file.to_disk(), self.file.discard()
        self.done(discarding)
        self.successResultOf(moving)
        self.file.close()
        self.pool.release_all()
        self.assertEqual(self.partials(), [])
        self.assertRaises(OSError, self.file.fileno)

    def test_closed_meanwhile(self) -> None:
        """A file that is opened for nobody is closed at once."""
        self.fill(HALF)
        moving = self.file.to_disk()
        self.file.close()
        self.done(moving)
        self.assertRaises(OSError, self.file.fileno)

    def test_disk_refuses(self) -> None:
        """All who wait are told, and all who come later; nothing has to be removed."""
        self.fill(HALF)
        waiting = [self.file.to_disk(), self.file.write(HALF, [b"x"]), self.file.save()]
        job, _, _ = self.pool.jobs.pop()
        job.errback(OSError(28, "No space left on device"))
        for each in (*waiting, self.file.to_disk()):
            self.failureResultOf(each, OSError)
        self.successResultOf(self.file.discard())

    def test_disk_refuses_the_bytes(self) -> None:
        """A file that cannot take what is here is removed."""
        self.fill(HALF)
        moving = self.file.to_disk()
        self.pool.release()
        job, _, _ = self.pool.jobs.pop()
        job.errback(OSError(28, "No space left on device"))
        self.pool.release_all()
        self.failureResultOf(moving, OSError)
        self.assertEqual(self.partials(), [])
