"""Tests for regcache.store.blob_store: complete content, its syncing, and sweeping."""

import errno
import os
import stat
from math import inf

from zope.interface.verify import verifyObject

from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.interfaces import IBlobStore
from regcache.plans import PartialSums
from regcache.store import partials
from regcache.store.paths import PartialKey
from regcache.store.sync import QUIET
from tests.store.stores import BadDisk, StoreTestCase
from tests.support.pools import HeldPool, ImmediatePool, RecordingPool

CONTENT = b"some content" * 100
SIZE = len(CONTENT)
DIGEST = Digest.of(CONTENT)


class BlobStoreTests(StoreTestCase):
    """Tests for :class:`BlobStore`."""

    def mode(self, digest: Digest = DIGEST) -> int:
        """The mode of stored content."""
        return stat.S_IMODE(os.stat(self.paths.blob(digest)).st_mode)

    def test_interface(self) -> None:
        """It is a blob store."""
        verifyObject(IBlobStore, self.store)

    def test_absent(self) -> None:
        """What is not here is None, False or nothing, and no fault."""
        self.assertIsNone(self.found(DIGEST))
        self.assertIsNone(self.successResultOf(self.store.load(DIGEST, 1 << 20, None)))
        self.assertFalse(self.successResultOf(self.store.remove(DIGEST)))

    def test_keep_and_load(self) -> None:
        """Small content is kept, loaded, found and counted."""
        for digest in (DIGEST, Digest.of(CONTENT, "sha512")):
            self.successResultOf(self.store.keep(digest, CONTENT))
            self.assertEqual(self.successResultOf(self.store.load(digest, SIZE, SIZE)), CONTENT)
            self.assertEqual(self.found(digest), CONTENT)
        self.assertEqual(self.changes, [in_blocks(SIZE)] * 2)
        self.assertEqual(os.listdir(self.paths.partials), [])

    def test_keep_twice(self) -> None:
        """Content that is kept twice, at once even, is counted once."""
        pool = HeldPool()
        store = self.new_store(pool)
        keeping = [store.keep(DIGEST, CONTENT), store.keep(DIGEST, CONTENT)]
        pool.release_all()
        for kept in keeping:
            self.successResultOf(kept)
        self.assertEqual(sum(self.changes), in_blocks(SIZE))

    def test_keep_other_content(self) -> None:
        """Content with another digest is refused."""
        self.failureResultOf(self.store.keep(DIGEST, b"other"), ValueError)
        self.assertIsNone(self.found(DIGEST))

    def test_keep_on_full_disk(self) -> None:
        """A disk that refuses is an OSError, and nothing stays behind."""
        store = self.new_store(BadDisk(self, replace=errno.ENOSPC))
        self.failureResultOf(store.keep(DIGEST, CONTENT), OSError)
        self.assertEqual(os.listdir(self.paths.partials), [])
        self.assertIsNone(self.found(DIGEST))

    def test_load_limit(self) -> None:
        """Content over the limit is not read, and not removed."""
        self.commit(CONTENT)
        self.assertIsNone(self.successResultOf(self.store.load(DIGEST, SIZE - 1, SIZE)))
        self.assertEqual(self.found(DIGEST), CONTENT)

    def test_remove(self) -> None:
        """Removed content is gone, but for who reads it."""
        self.commit(CONTENT)
        file = self.successResultOf(self.store.look_up(DIGEST, SIZE)).file
        assert file is not None
        self.assertTrue(self.successResultOf(self.store.remove(DIGEST)))
        self.assertIsNone(self.found(DIGEST))
        self.assertEqual(self.successResultOf(file.read(0, SIZE)), CONTENT)
        file.close()
        self.assertEqual(sum(self.changes), 0)

    def test_syncs_later(self) -> None:
        """New content is synced and marked some seconds later, all of it at once."""
        pool = RecordingPool(ImmediatePool())
        self.store = self.new_store(pool)
        digests = [self.commit(CONTENT), self.commit(b"other")]
        self.assertEqual([self.mode(digest) for digest in digests], [0o600, 0o600])
        pool.names.clear()
        self.clock.advance(QUIET)
        self.assertEqual([self.mode(digest) for digest in digests], [0o400, 0o400])
        self.assertEqual(pool.names, ["sync_contents"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_commit_while_syncing(self) -> None:
        """What is committed while a sync runs is synced by the next."""
        pool = HeldPool()
        self.store = self.new_store(pool)
        for content in (b"one", b"two"):
            kept = self.store.keep(Digest.of(content), content)
            pool.release(-1)
            self.successResultOf(kept)
            self.clock.advance(QUIET)
        pool.release()
        self.assertEqual(self.mode(Digest.of(b"one")), 0o400)
        self.assertEqual(self.mode(Digest.of(b"two")), 0o600)
        pool.release_all()
        self.assertEqual(self.mode(Digest.of(b"two")), 0o400)

    def test_close_syncs(self) -> None:
        """A store that is closed has synced everything, and leaves no timer."""
        self.commit(CONTENT)
        self.successResultOf(self.store.close())
        self.assertEqual(self.mode(), 0o400)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_sync_refused(self) -> None:
        """Content that the disk does not take in the end is removed, and told of."""
        store = self.new_store(BadDisk(self, fdatasync=errno.EIO))
        self.successResultOf(store.keep(DIGEST, CONTENT))
        self.successResultOf(store.sync())
        self.assertEqual(self.damages, [(DIGEST, SIZE)])
        self.assertEqual(sum(self.changes), 0)
        self.assertIsNone(self.found(DIGEST))

    def test_sync_without_descriptors(self) -> None:
        """Content that cannot be opened for a while is kept, and synced later."""
        disk = BadDisk(self)
        self.store = self.new_store(disk)
        self.commit(CONTENT)
        disk._faults["open"] = errno.EMFILE
        self.clock.advance(QUIET)
        self.assertEqual((self.mode(), self.damages), (0o600, []))
        disk._faults.clear()
        self.clock.advance(QUIET)
        self.assertEqual(self.mode(), 0o400)

    def test_sync_of_removed_content(self) -> None:
        """Content that was removed before its sync is no fault."""
        self.commit(CONTENT)
        os.unlink(self.paths.blob(DIGEST))
        self.clock.advance(QUIET)
        self.assertEqual(self.damages, [])

    def test_mode_cannot_be_kept(self) -> None:
        """On a file system without modes content is verified once per process."""
        disk = BadDisk(self, fchmod=errno.EPERM)
        self.store = self.new_store(disk)
        self.commit(CONTENT)
        self.clock.advance(QUIET)
        self.assertEqual(self.mode(), 0o600)
        recording = RecordingPool(disk)
        store = self.new_store(recording)
        self.assertEqual(self.found(DIGEST, store), CONTENT)
        self.assertIn("catch_up", recording.names)
        recording.names.clear()
        self.assertEqual(self.found(DIGEST, store), CONTENT)
        self.assertNotIn("catch_up", recording.names)


class SweepTests(StoreTestCase):
    """Tests for listing and sweeping partial files."""

    def leave(self, content: bytes, modified_at: int) -> Digest:
        """A partial file of some time ago."""
        file = self.open_partial(Digest.of(content))
        self.successResultOf(file.write(0, [content]))
        self.successResultOf(file.save())
        file.close()
        os.utime(self.paths.partial(PartialKey(file.digest)), (modified_at, modified_at))
        return file.digest

    def names(self) -> set[str]:
        """What lies in partial/."""
        return set(os.listdir(self.paths.partials))

    def test_listing(self) -> None:
        """Old partial files are counted with their space; foreign files are not."""
        digest = self.leave(CONTENT, 1000)
        with open(os.path.join(self.paths.partials, "foreign"), "w"):
            pass
        allocated = os.stat(self.paths.partial(PartialKey(digest))).st_blocks * 512
        counted = [self.successResultOf(self.store.old_partials(each)) for each in (1000, 1001)]
        self.assertEqual(counted, [(0, 0), (1, allocated)])

    def test_many(self) -> None:
        """However many files there are, all are counted, found and removed, some at a time."""
        digests = [self.leave(b"%d" % number * 5000, 1000) for number in range(7)]
        young = self.leave(b"young" * 5000, 3000)
        self.patch(partials, "MOST_NAMES", 3)
        counted = self.successResultOf(self.store.old_partials(2000))
        self.assertEqual(counted, (7, 7 * 8192))
        self.assertEqual(self.successResultOf(self.store.old_partials(inf)).files, 8)
        for digest in digests[:2]:
            self.assertEqual(self.successResultOf(self.store.remove_partials(digest)), 8192)
        freed = self.successResultOf(self.store.sweep_partials(2000))
        self.assertEqual(freed, counted.bytes - 2 * 8192)
        path = self.paths.partial(PartialKey(young))
        self.assertEqual(self.names(), {os.path.basename(path), os.path.basename(path) + ".json"})

    def test_no_folder(self) -> None:
        """Where the folder of partial files is missing there are none to count or to remove."""
        os.rmdir(self.paths.partials)
        self.assertEqual(self.successResultOf(self.store.old_partials(inf)), PartialSums())
        self.assertEqual(self.successResultOf(self.store.sweep_partials(inf)), 0)
        digest = Digest.of(CONTENT)
        self.assertEqual(self.successResultOf(self.store.remove_partials(digest)), 0)
        self.assertEqual(self.successResultOf(self.store.parked_for(digest)), set())

    def test_sweep(self) -> None:
        """Old files are removed with their sidecars; young ones stay."""
        self.leave(b"old" * 5000, 1000)
        young = self.leave(b"young" * 5000, 3000)
        before = sum(self.parked)
        freed = self.successResultOf(self.store.sweep_partials(2000))
        self.assertGreater(freed, 0)
        self.assertEqual(sum(self.parked), before - freed)
        path = self.paths.partial(PartialKey(young))
        self.assertEqual(self.names(), {os.path.basename(path), os.path.basename(path) + ".json"})

    def test_open_files_stay(self) -> None:
        """A file that is open is not swept, however old."""
        digest = self.leave(CONTENT, 1000)
        self.open_partial(digest)
        self.assertEqual(self.successResultOf(self.store.sweep_partials(2000)), 0)
        self.assertEqual(len(self.names()), 2)

    def test_open_waits_for_sweep(self) -> None:
        """Who opens a file while it is swept gets a new one, not the removed one."""
        digest = self.leave(CONTENT, 1000)
        pool = HeldPool()
        store = self.new_store(pool)
        sweeping = store.sweep_partials(2000)
        pool.release()
        pool.release()
        opening = store.open_partial(digest)
        pool.release_all()
        self.successResultOf(sweeping)
        file = self.successResultOf(opening)
        self.assertEqual(list(file.present), [])
        self.assertTrue(
            os.path.samestat(
                os.fstat(file.fileno()), os.stat(self.paths.partial(PartialKey(digest)))
            )
        )
        file.close()
        pool.release_all()

    def test_leftovers(self) -> None:
        """Sidecars without file and old temporary files go; foreign files stay."""
        orphan = os.path.basename(self.paths.sidecar(PartialKey(DIGEST)))
        old = os.path.basename(self.paths.partial(PartialKey(DIGEST))) + ".tmp"
        young = os.path.basename(self.paths.sidecar(PartialKey(Digest.of(b"young")))) + ".tmp"
        for name in (orphan, old, young, "foreign", "foreign.tmp"):
            path = os.path.join(self.paths.partials, name)
            with open(path, "w"):
                pass
            os.utime(path, (3000, 3000) if name == young else (1000, 1000))
        self.successResultOf(self.store.sweep_partials(2000))
        self.assertEqual(self.names(), {young, "foreign", "foreign.tmp"})
