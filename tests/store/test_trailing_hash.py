"""Tests for regcache.store.trailing_hash: the rows of its table, and random lives."""

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.store import trailing_hash
from regcache.store.blob_store import BlobStore
from regcache.store.content_file import FileClosedError
from regcache.store.partial import PartialFile
from regcache.store.paths import StorePaths
from tests.store.stores import StoreTestCase, open_descriptors
from tests.store.test_partial import CONTENT, DIGEST, SIZE
from tests.support.pools import HeldPool

LARGE = 100
MOST_BEHIND = 2000
HASHING = {"write", "hash", "catch_up", "matches"}


def names(pool: HeldPool) -> list[str]:
    """What the jobs do that wait in a pool."""
    return [function.__name__ for _, function, _ in pool.jobs]


class TrailingHashTests(StoreTestCase):
    """Tests for :class:`TrailingHash`, in the file that it belongs to."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(trailing_hash, "LARGE", LARGE)
        self.patch(trailing_hash, "MOST_BEHIND", MOST_BEHIND)
        self.pool = HeldPool()
        opening = self.new_store(self.pool).open_partial(DIGEST)
        self.pool.release_all()
        self.file = self.successResultOf(opening)
        self.addCleanup(self.pool.release_all)
        self.addCleanup(self.file.close)

    def write(self, start: int, end: int) -> "Deferred[None]":
        """Begin to write a part of the content."""
        written: Deferred[None] = self.file.write(start, [CONTENT[start:end]])
        return written

    def keep(self, start: int, end: int) -> None:
        """Write a part of the content while the hash is behind, or so that it is then."""
        written = self.write(start, end)
        self.pool.release(-1)
        self.successResultOf(written)

    def done(self, deferred: "Deferred[Any]") -> Any:
        """What comes of something when all jobs are done."""
        self.pool.release_all()
        return self.successResultOf(deferred)

    def assert_verified(self) -> None:
        """The rest comes, and all of it is found right."""
        for start, end in list(self.file.present.gaps(0, SIZE)):
            self.done(self.write(start, end))
        self.file.set_size(SIZE)
        self.assertTrue(self.done(self.file.verify()))
        self.assertEqual(self.done(self.file.read(0, SIZE)), CONTENT)

    def fail_job(self, index: int) -> None:
        """The disk fails one of the jobs."""
        self.pool.jobs.pop(index)[0].errback(OSError(errno.EIO, "bad disk"))

    def test_small(self) -> None:
        """While the hash is level a small write is one job."""
        written = self.write(0, LARGE - 1)
        self.assertEqual(names(self.pool), ["write"])
        self.pool.release()
        self.successResultOf(written)
        self.assertEqual(names(self.pool), [])
        self.assert_verified()

    def test_large(self) -> None:
        """A large write fires when it is stored, and a job begins to hash it."""
        written = self.write(0, LARGE)
        self.assertEqual(names(self.pool), ["store"])
        self.pool.release()
        self.successResultOf(written)
        self.assertEqual(list(self.file.present), [(0, LARGE)])
        self.assertEqual(names(self.pool), ["hash"])
        self.assert_verified()

    def test_behind(self) -> None:
        """What is stored while a job hashes, small or large, is hashed by one job after it."""
        self.keep(0, 500)
        self.keep(500, 510)
        self.keep(510, 1000)
        self.assertEqual(names(self.pool), ["hash"])
        self.pool.release()
        self.assertEqual(names(self.pool), ["hash"])
        self.pool.release()
        self.assertEqual(names(self.pool), [])
        self.file.set_size(1000)
        verified = self.file.verify()
        self.assertEqual(names(self.pool), ["matches"])
        self.assertFalse(self.done(verified))

    def test_full(self) -> None:
        """A write that is too much to be held waits until it is not."""
        self.keep(0, 1500)
        self.keep(1500, MOST_BEHIND)
        written = self.write(MOST_BEHIND, MOST_BEHIND + 1000)
        self.assertEqual(names(self.pool), ["hash"])
        self.pool.release()
        self.assertEqual(names(self.pool), ["hash", "store"])
        self.pool.release(1)
        self.successResultOf(written)
        self.assert_verified()

    def test_huge(self) -> None:
        """A write larger than all that may be held is held alone."""
        self.keep(0, 2 * MOST_BEHIND)
        written = self.write(2 * MOST_BEHIND, 4 * MOST_BEHIND)
        self.assertEqual(names(self.pool), ["hash"])
        self.pool.release()
        self.assertEqual(names(self.pool), ["store"])
        self.done(written)
        self.assert_verified()

    def test_gap(self) -> None:
        """After a gap was filled the hash reads what is behind it, twice of what is written."""
        for start, end in ((1000, 3000), (0, 1000)):
            self.done(self.write(start, end))
        self.keep(3000, 3500)
        (_, function, (_, stretches)) = self.pool.jobs[0]
        self.assertEqual((function.__name__, stretches), ("hash", [(2000, [])]))
        self.pool.release()
        self.keep(3500, 4000)
        (_, _, (_, stretches)) = self.pool.jobs[0]
        self.assertEqual(stretches, [(3000, [])])
        self.pool.release()
        self.keep(4000, 4500)
        (_, _, (_, stretches)) = self.pool.jobs[0]
        self.assertEqual(stretches, [(4000, [(4000, [CONTENT[4000:4500]])])])
        self.assert_verified()

    def test_gap_behind(self) -> None:
        """What does not follow while a job hashes is not held, and is read again later."""
        self.keep(0, 500)
        self.keep(600, 1000)
        self.assertEqual(self.file._hash._unhashed, 500)
        self.keep(500, 600)
        self.keep(1000, 1100)
        self.assertEqual(self.file._hash._unhashed, 600)
        self.pool.release()
        (_, _, (_, stretches)) = self.pool.jobs[0]
        self.assertEqual(stretches, [(500, [(500, [CONTENT[500:600]])])])
        self.assert_verified()

    def test_store_fails(self) -> None:
        """What the disk did not take is not hashed, level or behind."""
        for start in (0, 500):
            failed = self.file.write(start, [bytes(500)])
            self.fail_job(-1)
            self.failureResultOf(failed, OSError)
            self.assertEqual(names(self.pool), ["hash"] if start else [])
            self.keep(start, start + 500)
        self.assertEqual(list(self.file.present), [(0, 1000)])
        self.assert_verified()

    def test_hash_fails(self) -> None:
        """The next write fails with the fault of a hash; what was let go is read again."""
        self.keep(0, 500)
        self.keep(500, 1000)
        self.fail_job(0)
        self.assertEqual(names(self.pool), [])
        failure = self.failureResultOf(self.write(1000, 1500), OSError)
        self.assertEqual(failure.value.errno, errno.EIO)
        self.assertEqual(list(self.file.present), [(0, 1000)])
        self.assert_verified()

    def test_hash_fails_at_last(self) -> None:
        """A verification tries again what failed behind the last write."""
        self.keep(0, SIZE)
        self.fail_job(0)
        self.assert_verified()

    def test_hash_fails_before_a_write_that_waits(self) -> None:
        """A write that waits for the hash fails with it, and is not stored."""
        self.keep(0, MOST_BEHIND)
        waiting = self.write(MOST_BEHIND, SIZE)
        self.fail_job(0)
        self.failureResultOf(waiting, OSError)
        self.assertEqual(list(self.file.present), [(0, MOST_BEHIND)])
        self.assert_verified()

    def test_verify(self) -> None:
        """A verification begins when the hash is level."""
        self.keep(0, 1000)
        self.keep(1000, 2000)
        self.file.set_size(2000)
        verified = self.file.verify()
        for expected in (["hash"], ["hash"], ["matches"]):
            self.assertEqual(names(self.pool), expected)
            self.pool.release()
        self.assertFalse(self.successResultOf(verified))

    def test_clear(self) -> None:
        """Of what was handed over before a clear nothing gets into the hash after it."""
        self.keep(0, 500)
        self.keep(500, 1000)
        cleared = self.file.clear()
        again = self.write(0, SIZE)
        self.assertEqual(names(self.pool), ["hash"])
        self.pool.release()
        self.assertNotIn("hash", names(self.pool))
        while not again.called:
            self.pool.release()
        self.successResultOf(cleared)
        (_, _, (_, stretches)) = self.pool.jobs[0]
        self.assertEqual(stretches, [(0, [(0, [CONTENT])])])
        self.assert_verified()

    def test_clear_while_a_write_waits(self) -> None:
        """A write that waits for the hash when a clear comes counts for nothing."""
        self.keep(0, MOST_BEHIND)
        waiting = self.file.write(MOST_BEHIND, [bytes(500)])
        cleared = self.file.clear()
        self.done(waiting)
        self.done(cleared)
        self.assertEqual(list(self.file.present), [])
        self.assert_verified()

    def test_clear_fails(self) -> None:
        """After a clear that the disk refused the hash knows nothing of before either."""
        self.done(self.file.write(0, [CONTENT[:500]]))
        cleared = self.file.clear()
        self.fail_job(0)
        self.failureResultOf(cleared, OSError)
        self.done(self.file.write(0, [bytes(500)]))
        self.done(self.write(500, SIZE))
        self.file.set_size(SIZE)
        self.assertFalse(self.done(self.file.verify()))

    def test_discard(self) -> None:
        """What waits is let go with a file that is discarded."""
        self.keep(0, 500)
        chunk = CONTENT[500:1000]
        written, before = self.file.write(500, [chunk]), sys.getrefcount(chunk)
        self.pool.release(-1)
        self.successResultOf(written)
        discarded = self.file.discard()
        self.assertLess(sys.getrefcount(chunk), before)
        self.pool.release()
        self.assertNotIn("hash", names(self.pool))
        self.done(discarded)
        self.assertEqual(os.listdir(self.paths.partials), [])

    def test_close(self) -> None:
        """The descriptor stays open as long as a job hashes; what waits is let go."""
        self.keep(0, 500)
        self.keep(500, 1000)
        self.file.close()
        before = open_descriptors()
        self.pool.release()
        self.assertEqual(len(before - open_descriptors()), 1)
        self.assertNotIn("hash", names(self.pool))

    def test_close_while_storing(self) -> None:
        """What is stored when the file is closed already is present, and not hashed."""
        written = self.write(0, 500)
        self.file.close()
        self.pool.release()
        self.successResultOf(written)
        self.assertEqual(list(self.file.present), [(0, 500)])
        self.assertNotIn("hash", names(self.pool))

    def test_close_while_verifying(self) -> None:
        """A verification that waits when the file is closed says so."""
        self.keep(1000, SIZE)
        self.keep(0, 500)
        self.keep(500, 1000)
        self.file.set_size(SIZE)
        verified = self.file.verify()
        self.file.close()
        self.pool.release()
        self.failureResultOf(verified, FileClosedError)


class TrailingHashModel(RuleBasedStateMachine):
    """Random writes, clears and faults, while the jobs are done in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        paths = StorePaths(self.folder)
        paths.prepare()
        self.descriptors = open_descriptors()
        self.pool = HeldPool()
        opening = BlobStore(Clock(), self.pool, paths, boot_id="boot").open_partial(DIGEST)
        self.pool.release_all()
        self.file = self.result(opening)
        assert isinstance(self.file, PartialFile)

    def result(self, deferred: "Deferred[Any]") -> Any:
        """What comes of something when all jobs are done."""
        self.pool.release_all()
        return SynchronousTestCase().successResultOf(deferred)

    @rule(length=st.integers(1, 3000))
    def append(self, length: int) -> None:
        """More comes of what is there, or on its way."""
        start = self.file.present.end_of(0)
        self.write(start, length)

    @rule(start=st.integers(0, SIZE - 1), length=st.integers(1, 3000))
    def write(self, start: int, length: int) -> None:
        """Something comes anywhere."""
        chunk = CONTENT[start : start + length]
        half = len(chunk) // 2
        writing = self.file.write(start, [chunk[:half], chunk[half:]])
        writing.addErrback(lambda failure: failure.trap(OSError))

    @precondition(lambda self: self.pool.jobs)
    @rule(choice=st.integers(0, 9), count=st.integers(1, 4))
    def work(self, choice: int, count: int) -> None:
        """Some jobs are done."""
        for _ in range(min(count, len(self.pool.jobs))):
            self.pool.release(choice % len(self.pool.jobs))

    @precondition(lambda self: self.pool.jobs)
    @rule(choice=st.integers(0, 9))
    def fail(self, choice: int) -> None:
        """The disk refuses one."""
        result, _, _ = self.pool.jobs.pop(choice % len(self.pool.jobs))
        result.errback(OSError(errno.EIO, "bad disk"))

    @rule()
    def clear(self) -> None:
        """Other bytes turn out to be wrong, and everything begins anew."""
        self.file.write(0, [bytes(SIZE)]).addErrback(lambda failure: failure.trap(OSError))
        self.file.clear().addErrback(lambda failure: failure.trap(OSError))

    @rule()
    def finish(self) -> None:
        """What is there is right, and is found so."""
        self.pool.release_all()
        self.result(self.file.write(0, [b""]))
        for _ in range(2):  # the first may fail with what an earlier hash met
            self.append(SIZE)
            self.write(0, SIZE)
            self.pool.release_all()
        self.file.set_size(SIZE)
        assert self.result(self.file.verify())
        assert self.result(self.file.read(0, SIZE)) == CONTENT
        self.result(self.file.clear())

    @invariant()
    def one_thread(self) -> None:
        """No two jobs use the hash."""
        hashing = [name for name in names(self.pool) if name in HASHING]
        assert len(hashing) <= 1, hashing

    @invariant()
    def bounded(self) -> None:
        """What is held to be hashed is bounded."""
        assert self.file._hash._unhashed <= max(MOST_BEHIND, SIZE)
        waiting = self.file._hash._waiting
        held = sum(len(each) for _, pieces in waiting for _, parts in pieces for each in parts)
        assert held <= MOST_BEHIND

    def teardown(self) -> None:
        self.file.close()
        self.pool.release_all()
        leftover = open_descriptors() - self.descriptors
        shutil.rmtree(self.folder)
        assert not leftover, leftover


class TrailingHashModelTests(SynchronousTestCase):
    """Runs :class:`TrailingHashModel`."""

    def test_model(self) -> None:
        """The verified bytes are those of the file after any events in any order."""
        self.patch(trailing_hash, "LARGE", LARGE)
        self.patch(trailing_hash, "MOST_BEHIND", MOST_BEHIND)
        case: Callable[[], Any] = TrailingHashModel.TestCase
        test = case()
        test.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
        test.runTest()
