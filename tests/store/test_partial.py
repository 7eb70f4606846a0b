"""Tests for regcache.store.partial: what happens to one file."""

import errno
import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from zope.interface.verify import verifyObject

from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.interfaces import IPartialFile
from regcache.store import aside, interval_saver
from regcache.store.content_file import CachedReads, FileClosedError, OpenFile
from regcache.store.partial import PartialFile
from regcache.store.partial_names import PartialNames, read_sidecar
from regcache.store.partials import PartialInUseError
from regcache.store.paths import PartialKey
from tests.store.stores import StoreTestCase
from tests.support.pools import HeldPool, ImmediatePool, RecordingPool

CONTENT = bytes(range(251)) * 40
SIZE = len(CONTENT)
DIGEST = Digest.of(CONTENT)


class PartialFileTests(StoreTestCase):
    """Tests for :class:`PartialFile`."""

    def write(self, file: PartialFile, start: int, end: int, step: int = 1000) -> None:
        """Write a part of the content, in chunks."""
        chunks = [CONTENT[at : min(at + step, end)] for at in range(start, end, step)]
        self.successResultOf(file.write(start, chunks))

    def complete(self, digest: Digest = DIGEST, store: Any = None) -> PartialFile:
        """A file with all bytes."""
        file = self.open_partial(digest, store)
        file.set_size(SIZE)
        self.write(file, 0, SIZE)
        return file

    def test_interface(self) -> None:
        """It is a partial file, empty at first."""
        file = self.open_partial(DIGEST)
        verifyObject(IPartialFile, file)
        self.assertEqual((file.digest, file.size, file.anonymous), (DIGEST, None, True))
        self.assertEqual(list(file.present), [])

    def test_in_order(self) -> None:
        """Content that comes from front to back is verified without reading it."""
        pool = RecordingPool(ImmediatePool())
        file = self.complete(store=self.new_store(pool))
        pool.names.clear()
        self.assertTrue(self.successResultOf(file.verify()))
        self.assertEqual(pool.names, ["matches"])

    def test_out_of_order(self) -> None:
        """Content that comes in any order is verified by reading what was not hashed."""
        file = self.open_partial(DIGEST)
        for start, end in ((5000, 7000), (0, 100), (7000, SIZE), (90, 5000)):
            self.write(file, start, end)
        file.set_size(SIZE)
        self.assertTrue(self.successResultOf(file.verify()))

    def test_hash_catches_up(self) -> None:
        """After a gap is filled, later writes carry the hash over what lies behind it."""
        pool = RecordingPool(ImmediatePool())
        file = self.open_partial(DIGEST, self.new_store(pool))
        for start, end in ((3000, 4000), (0, 3000), (4000, SIZE)):
            self.write(file, start, end)
        file.set_size(SIZE)
        pool.names.clear()
        self.assertTrue(self.successResultOf(file.verify()))
        self.assertEqual(pool.names, ["matches"])

    def test_wrong_bytes(self) -> None:
        """One wrong byte is a mismatch, and cannot be committed."""
        file = self.open_partial(DIGEST)
        file.set_size(SIZE)
        self.successResultOf(file.write(0, [CONTENT[:-1], b"!"]))
        self.assertFalse(self.successResultOf(file.verify()))
        self.failureResultOf(file.commit(), ValueError)
        self.assertFalse(os.path.exists(self.paths.blob(DIGEST)))

    def test_incomplete(self) -> None:
        """With a byte missing, or the size unknown, nothing is verified."""
        file = self.open_partial(DIGEST)
        self.write(file, 0, SIZE)
        self.assertFalse(self.successResultOf(file.verify()))
        file.set_size(SIZE + 1)
        self.assertFalse(self.successResultOf(file.verify()))

    def test_empty_content(self) -> None:
        """Content of no bytes is content."""
        digest = Digest.of(b"")
        file = self.open_partial(digest)
        file.set_size(0)
        self.assertTrue(self.successResultOf(file.verify()))
        self.successResultOf(file.commit())
        self.assertEqual(self.found(digest), b"")

    def test_size(self) -> None:
        """The size is fixed once, and is not less than what is there."""
        file = self.open_partial(DIGEST)
        self.write(file, 0, 100)
        self.assertRaises(ValueError, file.set_size, 99)
        file.set_size(100)
        file.set_size(100)
        self.assertRaises(ValueError, file.set_size, 101)

    def test_write_outside(self) -> None:
        """Bytes behind the end, or before the beginning, are refused."""
        file = self.open_partial(DIGEST)
        file.set_size(100)
        self.failureResultOf(file.write(99, [b"ab"]), ValueError)
        self.failureResultOf(file.write(-1, [b"a"]), ValueError)
        self.assertEqual(list(file.present), [])

    def test_first_writer_wins(self) -> None:
        """What is present is not overwritten, so it stays what was hashed and read."""
        file = self.open_partial(DIGEST)
        self.write(file, 0, 1000)
        self.write(file, 2000, 3000)
        self.successResultOf(file.write(0, [b"x" * 500, CONTENT[500:2500], b"y" * 500]))
        self.write(file, 3000, SIZE)
        file.set_size(SIZE)
        self.assertEqual(self.successResultOf(file.read(0, SIZE)), CONTENT)
        self.assertTrue(self.successResultOf(file.verify()))

    def test_overlapping_writes_at_once(self) -> None:
        """Of two writes under way to one place the first wins."""
        pool = HeldPool()
        opening = self.new_store(pool).open_partial(DIGEST)
        pool.release_all()
        file = self.successResultOf(opening)
        self.addCleanup(file.close)
        writes = [file.write(0, [b"first"]), file.write(0, [b"second!"])]
        pool.release_all()
        for write in writes:
            self.successResultOf(write)
        reading = file.read(0, 100)
        pool.release_all()
        self.assertEqual(self.successResultOf(reading), b"firstd!")

    def test_read_only_what_is_present(self) -> None:
        """Reading ends where bytes are missing: a hole is not zeros."""
        file = self.open_partial(DIGEST)
        self.write(file, 0, 100)
        self.write(file, 200, 300)
        self.assertEqual(self.successResultOf(file.read(50, 100)), CONTENT[50:100])
        failure = self.failureResultOf(file.read(100, 10), OSError)
        self.assertEqual(failure.value.errno, errno.ENODATA)
        self.assertIsNone(file.read_now(100, 10))
        self.assertIn(file.read_now(90, 100), (CONTENT[90:100], None))

    def test_read_at_end(self) -> None:
        """Behind the end of content of known size there are no bytes, and no fault."""
        file = self.open_partial(DIGEST)
        file.set_size(SIZE)
        self.assertEqual(self.successResultOf(file.read(SIZE, 10)), b"")
        self.assertEqual(file.read_now(SIZE, 10), b"")

    def test_commit(self) -> None:
        """Committed content has its final name and the mode of what was not synced yet."""
        file = self.complete()
        self.successResultOf(file.save())
        self.assertTrue(self.successResultOf(file.verify()))
        self.successResultOf(file.commit())
        status = os.stat(self.paths.blob(DIGEST))
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o600)
        self.assertEqual(os.listdir(self.paths.partials), [])
        self.assertEqual(self.successResultOf(file.read(5, 5)), CONTENT[5:10])
        self.assertEqual((self.parked, self.changes), ([0], [in_blocks(SIZE)]))

    def test_commit_over_existing(self) -> None:
        """Content that is there already is replaced, and counted once."""
        self.commit(CONTENT)
        self.commit(CONTENT)
        self.assertEqual(self.found(DIGEST), CONTENT)
        self.assertEqual(sum(self.changes), in_blocks(SIZE))

    def test_commit_unverified(self) -> None:
        """Only verified content is committed, and once."""
        file = self.complete()
        self.failureResultOf(file.commit(), ValueError)
        self.successResultOf(file.verify())
        self.successResultOf(file.commit())
        self.failureResultOf(file.commit(), ValueError)

    def test_nothing_changes_committed_content(self) -> None:
        """After the commit neither save, discard nor clear touches a file."""
        file = self.complete()
        self.successResultOf(file.verify())
        self.successResultOf(file.commit())
        self.successResultOf(file.save())
        self.successResultOf(file.discard())
        self.failureResultOf(file.clear(), ValueError)
        self.assertEqual(os.listdir(self.paths.partials), [])
        self.assertEqual(self.found(DIGEST), CONTENT)

    def test_clear(self) -> None:
        """After clear the file is as new, on disk too."""
        file = self.complete()
        file.anonymous = False
        self.successResultOf(file.save())
        cleared = file.clear()
        self.assertEqual((list(file.present), file.size, file.anonymous), ([], None, True))
        self.successResultOf(cleared)
        self.assertEqual(os.stat(self.paths.partial(PartialKey(DIGEST))).st_size, 0)
        self.assertFalse(os.path.exists(self.paths.sidecar(PartialKey(DIGEST))))
        self.write(file, 0, SIZE)
        file.set_size(SIZE)
        self.assertTrue(self.successResultOf(file.verify()))

    def test_clear_between(self) -> None:
        """Writes, reads and verifications from before a clear count for nothing after it."""
        pool = HeldPool()
        opening = self.new_store(pool).open_partial(DIGEST)
        pool.release_all()
        file = self.successResultOf(opening)
        self.addCleanup(file.close)
        first = file.write(0, [CONTENT])
        pool.release_all()
        self.successResultOf(first)
        file.set_size(SIZE)
        read, verified = file.read(0, 10), file.verify()
        late = file.write(0, [b"late"])
        cleared = file.clear()
        pool.release_all()
        failure = self.failureResultOf(read, OSError)
        self.assertEqual(failure.value.errno, errno.ESTALE)
        self.assertFalse(self.successResultOf(verified))
        self.successResultOf(late)
        self.successResultOf(cleared)
        self.assertEqual(list(file.present), [])
        commit = file.commit()
        pool.release_all()
        self.failureResultOf(commit, ValueError)

    def test_write_under_way_at_clear(self) -> None:
        """A write whose thread runs when clear comes does not make its bytes present."""
        pool = HeldPool()
        opening = self.new_store(pool).open_partial(DIGEST)
        pool.release_all()
        file = self.successResultOf(opening)
        self.addCleanup(file.close)
        writing = file.write(0, [b"old bytes"])
        cleared = file.clear()
        again = file.write(0, [CONTENT])
        pool.release_all()
        for outcome in (writing, cleared, again):
            self.successResultOf(outcome)
        file.set_size(SIZE)
        verified = file.verify()
        pool.release_all()
        self.assertTrue(self.successResultOf(verified))

    def test_discard(self) -> None:
        """Discarded files are gone from the disk and stay readable until they are closed."""
        file = self.complete()
        self.successResultOf(file.save())
        self.successResultOf(file.discard())
        self.assertEqual(os.listdir(self.paths.partials), [])
        self.assertEqual(self.successResultOf(file.read(0, SIZE)), CONTENT)
        fresh = self.open_partial(DIGEST)
        self.assertEqual(list(fresh.present), [])
        file.close()
        self.successResultOf(fresh.save())
        self.assertEqual(len(os.listdir(self.paths.partials)), 2)

    def test_in_use(self) -> None:
        """A file that is open cannot be opened by another."""
        self.open_partial(DIGEST)
        self.failureResultOf(self.store.open_partial(DIGEST), PartialInUseError)

    def test_opening(self) -> None:
        """Nor can one that is being opened."""
        pool = HeldPool()
        store = self.new_store(pool)
        opening = store.open_partial(DIGEST)
        self.failureResultOf(store.open_partial(DIGEST), PartialInUseError)
        pool.release_all()
        self.successResultOf(opening).close()
        pool.release_all()

    def test_cancelled_opening(self) -> None:
        """A file that nobody waits for any more is closed when it has been opened."""
        pool = HeldPool()
        store = self.new_store(pool)
        opening = store.open_partial(DIGEST)
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        pool.release_all()
        again = store.open_partial(DIGEST)
        pool.release_all()
        self.successResultOf(again).close()
        pool.release_all()

    def test_open_waits_for_closing(self) -> None:
        """Who opens a file that is being closed waits for what is under way there."""
        pool = HeldPool()
        store = self.new_store(pool)
        opening = store.open_partial(DIGEST)
        pool.release_all()
        first = self.successResultOf(opening)
        written, saved = first.write(0, [CONTENT]), first.save()
        first.close()
        second = store.open_partial(DIGEST)
        self.assertNoResult(second)
        pool.release_all()
        self.successResultOf(written)
        self.successResultOf(saved)
        file = self.successResultOf(second)
        self.assertEqual(list(file.present), [(0, SIZE)])
        file.close()
        pool.release_all()

    def test_after_close(self) -> None:
        """A closed file refuses everything clearly."""
        file = self.complete()
        file.close()
        for call in (file.verify, file.commit, file.save, file.discard, file.clear):
            self.failureResultOf(call(), FileClosedError)
        self.failureResultOf(file.write(0, [b"x"]), FileClosedError)
        self.failureResultOf(file.read(0, 1), FileClosedError)

    def test_allocate(self) -> None:
        """Allocating takes disk, but changes neither size nor presence; parking gives it back."""
        file = self.open_partial(DIGEST)
        self.successResultOf(file.allocate(0, 1 << 20))
        path = self.paths.partial(PartialKey(DIGEST))
        self.assertEqual((os.stat(path).st_size, list(file.present)), (0, []))
        file.close()
        self.assertEqual(os.stat(path).st_blocks, 0)

    def test_open_fails(self) -> None:
        """A file that cannot be opened is an OSError, and may be tried again."""
        self.patch(aside, "MOST_ASIDE", 0)
        os.makedirs(os.path.join(self.paths.partial(PartialKey(DIGEST)), "of somebody"))
        self.failureResultOf(self.store.open_partial(DIGEST), OSError)
        shutil.rmtree(self.paths.partial(PartialKey(DIGEST)))
        self.open_partial(DIGEST)

    def test_space_of_parked_files(self) -> None:
        """A file that is closed as it is counts as stored, and no more once it is open."""
        file = self.complete()
        file.close()
        blocks = os.stat(self.paths.partial(PartialKey(DIGEST))).st_blocks
        self.assertEqual(self.parked, [0, blocks * 512])
        self.open_partial(DIGEST)
        self.assertEqual(sum(self.parked), 0)


class FaultyDisk:
    """pwritev of a disk with faults: short writes, and full after some bytes."""

    def __init__(self, room: int, longest: int) -> None:
        self.room = room
        self.longest = longest

    def __call__(self, descriptor: int, buffers: Sequence[Any], offset: int) -> int:
        data = b"".join(buffers)[: min(self.longest, self.room)]
        if not data:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(data)
        return os.pwrite(descriptor, data, offset)


class Owner:
    """An owner of one partial file, which wants to know nothing.

    :ivar pause: seconds until a write is noted.
    """

    def __init__(self) -> None:
        self.pause = 3600.0
        self.background_syncs = DeferredSemaphore(1)
        self.clock = Clock()

    def save_pause(self) -> float:
        """As the test wants it."""
        return self.pause

    def may_commit(self, digest: Digest) -> "Deferred[None]":
        """At once."""
        return succeed(None)

    def committing(self, digest: Digest) -> AbstractContextManager[None]:
        """Fine."""
        return nullcontext()

    def committed(self, names: PartialNames, size: int, replaced: int) -> None:
        """Fine."""

    def detached(self, names: PartialNames) -> None:
        """Fine."""


class FaultyDiskTests(StoreTestCase):
    """Tests for :class:`PartialFile` on disks that do not do as they are told."""

    def faulty(self, disk: Any, pool: Any = None, cached: CachedReads | None = None) -> PartialFile:
        """A file on such a disk."""
        names = PartialNames(self.paths, PartialKey(DIGEST), "boot")
        raw, state, _ = names.open()
        opened = OpenFile(raw, pool or ImmediatePool())
        self.owner = Owner()
        file = PartialFile(
            names,
            opened,
            cached=cached or CachedReads(),
            state=state,
            owner=self.owner,
            pwritev=disk,
        )
        self.addCleanup(file.close)
        return file

    def test_written_is_cached(self) -> None:
        """The page cache is not asked for what was written just now, but for a failed write."""
        asked: list[int] = []

        def preadv(descriptor: int, buffers: Any, offset: int, flags: int) -> int:
            asked.append(offset)
            return 1

        step = 128 * 1024
        disk = FaultyDisk(4 * step, 4 * step)
        file = self.faulty(disk, cached=CachedReads(preadv, lambda: 1.0))
        file.set_size(5 * step)
        self.successResultOf(file.write(0, [bytes(step)]))
        self.assertTrue(file.cached(0, 100))
        self.successResultOf(file.write(step, [bytes(3 * step)]))
        self.failureResultOf(file.write(4 * step, [bytes(step)]), OSError)
        self.assertTrue(file.cached(100, 4 * step - 100))
        self.assertFalse(file.cached(4 * step - 1, 2))
        self.assertEqual(asked, [0, 99])

    def test_short_writes(self) -> None:
        """Bytes that the disk takes bit by bit all arrive."""
        file = self.faulty(FaultyDisk(1 << 30, 333))
        chunks = [CONTENT[at : at + 100] for at in range(0, SIZE, 100)]
        self.successResultOf(file.write(0, chunks))
        file.set_size(SIZE)
        self.assertTrue(self.successResultOf(file.verify()))
        self.assertEqual(self.successResultOf(file.read(0, SIZE)), CONTENT)

    def test_many_buffers(self) -> None:
        """More buffers than the system takes at once all arrive."""
        file = self.faulty(os.pwritev)
        self.successResultOf(file.write(0, [CONTENT[at : at + 1] for at in range(5000)]))
        self.assertEqual(self.successResultOf(file.read(0, 5000)), CONTENT[:5000])

    def test_full_disk(self) -> None:
        """A full disk fails the write, whose bytes are not present; a later one may succeed."""
        disk = FaultyDisk(5000, 1000)
        file = self.faulty(disk)
        self.successResultOf(file.write(0, [CONTENT[:1000]]))
        failure = self.failureResultOf(file.write(1000, [CONTENT[1000:]]), OSError)
        self.assertEqual(failure.value.errno, errno.ENOSPC)
        self.assertEqual(list(file.present), [(0, 1000)])
        disk.room = SIZE
        self.successResultOf(file.write(1000, [CONTENT[1000:]]))
        file.set_size(SIZE)
        self.assertTrue(self.successResultOf(file.verify()))

    def test_save_fails(self) -> None:
        """A sidecar that cannot be written is an OSError."""
        file = self.faulty(os.pwritev)
        self.patch(aside, "MOST_ASIDE", 0)
        os.makedirs(os.path.join(self.paths.sidecar(PartialKey(DIGEST)), "of somebody"))
        self.failureResultOf(file.save(), OSError)

    def known(self, boot_id: str = "boot") -> list[tuple[int, int]]:
        """What would count after a kill of the process, or a crash of the machine."""
        size = os.stat(self.paths.partial(PartialKey(DIGEST))).st_size
        path = self.paths.sidecar(PartialKey(DIGEST))
        state = read_sidecar(path, DIGEST, boot_id=boot_id, file_size=size)
        return [] if state is None else list(state.present)

    def test_noted_by_itself(self) -> None:
        """What was written is noted a little later, whether or not more follows."""
        file = self.faulty(os.pwritev)
        self.owner.pause = 0.5
        self.successResultOf(file.write(0, [CONTENT[:1000]]))
        self.owner.clock.advance(0.4)
        self.successResultOf(file.write(1000, [CONTENT[1000:2000]]))
        self.assertEqual(self.known(), [])
        self.owner.clock.advance(0.1)
        self.assertEqual(self.known(), [(0, 2000)])
        self.assertEqual(self.owner.clock.getDelayedCalls(), [])
        self.successResultOf(file.write(2000, [CONTENT[2000:]]))
        self.owner.clock.advance(0.5)
        self.assertEqual(self.known(), [(0, SIZE)])

    def test_much_is_noted_at_once(self) -> None:
        """From a number of bytes on nothing waits for the time."""
        self.patch(interval_saver, "SAVE_BEHIND", 1000)
        file = self.faulty(os.pwritev)
        self.successResultOf(file.write(0, [CONTENT[:999]]))
        self.assertEqual(self.known(), [])
        self.successResultOf(file.write(999, [CONTENT[999:1000]]))
        self.assertEqual(self.known(), [(0, 1000)])
        self.assertEqual(self.owner.clock.getDelayedCalls(), [])

    def test_written_while_it_is_noted(self) -> None:
        """What comes while a note is written has the next one."""
        pool = HeldPool()
        file = self.faulty(os.pwritev, pool)
        self.owner.pause = 0.5
        file.write(0, [CONTENT[:1000]])
        pool.release_all()
        self.owner.clock.advance(0.5)
        file.write(1000, [CONTENT[1000:2000]])
        pool.release_all()
        self.assertEqual(self.known(), [(0, 1000)])
        self.owner.clock.advance(0.5)
        pool.release_all()
        self.assertEqual(self.known(), [(0, 2000)])

    def test_nothing_is_noted_behind_the_end(self) -> None:
        """A file that is closed, removed or committed writes no note any more."""
        for end in ("close", "discard", "commit"):
            file = self.faulty(os.pwritev)
            file.set_size(SIZE)
            self.successResultOf(file.write(0, [CONTENT]))
            self.assertTrue(self.successResultOf(file.verify()))
            self.assertEqual(len(self.owner.clock.getDelayedCalls()), 1)
            getattr(file, end)()
            self.assertEqual(self.owner.clock.getDelayedCalls(), [], end)
            self.assertFalse(os.path.exists(self.paths.sidecar(PartialKey(DIGEST))), end)

    def test_notes_that_fail(self) -> None:
        """A disk that takes no note is asked again after a pause, with a line for each time."""
        self.patch(aside, "MOST_ASIDE", 0)
        file = self.faulty(os.pwritev)
        self.owner.pause = 0.1
        os.makedirs(os.path.join(self.paths.sidecar(PartialKey(DIGEST)), "of somebody"))
        with capturedLogs() as events:
            for at in range(5):
                self.successResultOf(file.write(at, [CONTENT[at : at + 1]]))
                self.owner.clock.advance(0.1)
            self.assertEqual(len(events), 1)
            shutil.rmtree(self.paths.sidecar(PartialKey(DIGEST)))
            self.owner.clock.advance(interval_saver.RETRY_PAUSE)
        self.assertEqual((len(events), self.known()), (1, [(0, 5)]))

    def test_background_sync(self) -> None:
        """Saving without a sync begins one in the background, and the next save counts it."""
        self.patch(interval_saver, "SYNC_BEHIND", 1000)
        pool = HeldPool()
        file = self.faulty(os.pwritev, pool)
        written = file.write(0, [CONTENT])
        pool.release_all()
        self.successResultOf(written)
        self.owner.clock.advance(interval_saver.SYNC_PAUSE)
        for expected in ([], [(0, SIZE)]):
            saved = file.save(sync=False)
            pool.release(-1)
            self.successResultOf(saved)
            known = self.known("other")
            pool.release_all()
            self.assertEqual(known, expected)

    def test_background_syncs_are_seldom(self) -> None:
        """A download that is fast has no sync in its way; after a pause there is another one."""
        self.patch(interval_saver, "SYNC_BEHIND", 1000)
        synced: list[float] = []

        class Watched(ImmediatePool):
            def run(self, function: Any, *args: Any) -> Any:
                if function is os.fdatasync:
                    synced.append(owner.clock.seconds())
                return super().run(function, *args)

        file = self.faulty(os.pwritev, Watched())
        owner = self.owner
        for second in range(11):
            start = second * 1000
            self.successResultOf(file.write(start, [CONTENT[start : start + 1000]]))
            self.successResultOf(file.save(sync=False))
            owner.clock.advance(1.0)
        self.assertEqual(synced, [interval_saver.SYNC_PAUSE, 2 * interval_saver.SYNC_PAUSE])

    def test_background_sync_fails(self) -> None:
        """A sync that fails in the background fails the next save, and forbids the commit."""
        self.patch(interval_saver, "SYNC_BEHIND", 1000)

        class BadSync(ImmediatePool):
            def run(self, function: Any, *args: Any) -> Any:
                if function is os.fdatasync:
                    return super().run(self.fail)
                return super().run(function, *args)

            def fail(self) -> None:
                raise OSError(errno.EIO, "bad disk")

        file = self.faulty(os.pwritev, BadSync())
        self.successResultOf(file.write(0, [CONTENT]))
        self.owner.clock.advance(interval_saver.SYNC_PAUSE)
        self.successResultOf(file.save(sync=False))
        failure = self.failureResultOf(file.save(sync=False), OSError)
        self.assertEqual(failure.value.errno, errno.EIO)
        file.set_size(len(CONTENT))
        self.assertTrue(self.successResultOf(file.verify()))
        failure = self.failureResultOf(file.commit(), OSError)
        self.assertEqual(failure.value.errno, errno.EIO)
