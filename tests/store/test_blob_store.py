"""Tests for regcache.store.blob_store: complete content, its syncing, and sweeping."""

import errno
import os
import stat
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.logger import capturedLogs, formatEvent
from zope.interface.verify import verifyObject

from regcache.digests import Digest
from regcache.interfaces import IBlobStore
from regcache.store.blob_store import BlobStore
from regcache.store.paths import PartialKey
from regcache.store.space import in_blocks
from regcache.store.sync import QUIET
from tests.store.stores import StoreTestCase, open_descriptors
from tests.support.pools import HeldPool, ImmediatePool, RecordingPool

CONTENT = b"some content" * 100
SIZE = len(CONTENT)
DIGEST = Digest.of(CONTENT)


class BadDisk(ImmediatePool):
    """A disk on which some functions of the os module fail."""

    def __init__(self, case: StoreTestCase, **faults: int) -> None:
        super().__init__()
        self._case = case
        self._faults = faults

    def run(self, function: Any, *args: Any) -> Any:
        """Do it now, with the faults."""
        patches = [self._case.patch(os, name, _raiser(code)) for name, code in self._faults.items()]
        try:
            return super().run(function, *args)
        finally:
            for patch in patches:
                patch.restore()


def _raiser(code: int) -> Any:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


class BlobStoreTests(StoreTestCase):
    """Tests for :class:`BlobStore`."""

    def mode(self, digest: Digest = DIGEST) -> int:
        """The mode of stored content."""
        return stat.S_IMODE(os.stat(self.paths.blob(digest)).st_mode)

    def damage(self, digest: Digest = DIGEST) -> None:
        """What a crash may leave: the right name and size, but zeros."""
        with open(self.paths.blob(digest), "r+b") as target:
            target.write(b"\0" * 50)

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

    def test_load_damaged(self) -> None:
        """Damaged content is not given but removed, and told of."""
        self.commit(CONTENT)
        self.damage()
        self.assertIsNone(self.successResultOf(self.store.load(DIGEST, SIZE, SIZE)))
        self.assertEqual(self.damages, [(DIGEST, SIZE)])
        self.assertEqual(sum(self.changes), 0)
        self.assertIsNone(self.found(DIGEST))

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

    def test_look_up(self) -> None:
        """One look tells whether content is there, or a part of it, or nothing."""
        found = self.successResultOf(self.store.look_up(DIGEST, SIZE))
        self.assertEqual((found.file, found.partial), (None, False))
        partial = self.open_partial(DIGEST)
        found = self.successResultOf(self.store.look_up(DIGEST, SIZE))
        self.assertEqual((found.file, found.partial), (None, True))
        self.successResultOf(partial.discard())
        self.commit(CONTENT)
        found = self.successResultOf(self.store.look_up(DIGEST, SIZE))
        assert found.file is not None
        self.assertEqual(found.file.read_now(0, 10), CONTENT[:10])
        found.file.close()

    def test_cancelled_look_up(self) -> None:
        """A file that nobody waits for any more is closed when it has been opened."""
        self.commit(CONTENT)
        pool = HeldPool()
        looking = self.new_store(pool).look_up(DIGEST, SIZE)
        before = open_descriptors()
        looking.cancel()
        self.failureResultOf(looking, CancelledError)
        pool.release_all()
        self.assertEqual(open_descriptors(), before)

    def test_look_up_fails(self) -> None:
        """Content that cannot be opened is a fault, not absent."""
        self.commit(CONTENT)
        for code in (errno.EMFILE, errno.EACCES):
            store = self.new_store(BadDisk(self, open=code))
            failure = self.failureResultOf(store.look_up(DIGEST, SIZE), OSError)
            self.assertEqual(failure.value.errno, code)

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

    def test_own_content_is_not_verified_again(self) -> None:
        """What this process verified is served at once, synced or not."""
        pool = RecordingPool(ImmediatePool())
        self.store = self.new_store(pool)
        self.commit(CONTENT)
        pool.names.clear()
        self.assertEqual(self.found(DIGEST), CONTENT)
        self.assertNotIn("catch_up", pool.names)

    def test_after_a_crash(self) -> None:
        """Content that was not synced before a crash is verified, once, and then marked."""
        self.commit(CONTENT)
        pool = RecordingPool(ImmediatePool())
        store = self.new_store(pool, "boot-2")
        self.assertEqual(self.found(DIGEST, store), CONTENT)
        self.assertIn("catch_up", pool.names)
        self.assertEqual(self.mode(), 0o400)
        pool.names.clear()
        self.assertEqual(self.found(DIGEST, self.new_store(pool, "boot-3"), SIZE), CONTENT)
        self.assertNotIn("catch_up", pool.names)

    def test_damaged_by_a_crash(self) -> None:
        """Content with zeros for bytes is removed and told of, once for all who ask."""
        self.commit(CONTENT)
        self.damage()
        pool = HeldPool()
        store = self.new_store(pool)
        finding = [store.look_up(DIGEST, SIZE) for _ in range(3)]
        pool.release_all()
        self.assertEqual([self.successResultOf(found).file for found in finding], [None] * 3)
        self.assertEqual(self.damages, [(DIGEST, SIZE)])
        self.assertEqual(sum(self.changes), 0)

    def test_empty_by_a_crash(self) -> None:
        """So is content without any bytes."""
        self.commit(CONTENT)
        os.truncate(self.paths.blob(DIGEST), 0)
        self.assertIsNone(self.found(DIGEST, self.new_store()))
        self.assertEqual(self.damages, [(DIGEST, 0)])

    def test_unreadable_after_a_crash(self) -> None:
        """Content that cannot be read or synced when it is verified is not served."""
        for call in ("preadv", "fdatasync"):
            self.commit(CONTENT)
            store = self.new_store(BadDisk(self, **{call: errno.EIO}))
            self.assertIsNone(self.found(DIGEST, store))
            self.assertIsNone(self.found(DIGEST))


class SizeTests(StoreTestCase):
    """Tests for stored files whose size is not what the index says."""

    def settled(self, change: Callable[[str], None]) -> BlobStore:
        """Content that was synced, then changed; and the store after a restart."""
        self.commit(CONTENT)
        self.successResultOf(self.store.sync())
        change(self.paths.blob(DIGEST))
        self.changes.clear()
        return self.new_store()

    def changed(self) -> dict[str, Callable[[str], None]]:
        """What may happen to a file."""

        def append(path: str) -> None:
            with open(path, "ab") as target:
                target.write(b"!")

        return {
            "cut to half": lambda path: os.truncate(path, SIZE // 2),
            "empty": lambda path: os.truncate(path, 0),
            "longer": append,
        }

    def test_another_size(self) -> None:
        """Such a file is not here: it is removed and told of, in one line with both sizes."""
        ways: dict[str, Callable[[BlobStore], Any]] = {
            "look_up": lambda store: self.found(DIGEST, store, SIZE),
            "load": lambda store: self.successResultOf(store.load(DIGEST, 2 * SIZE, SIZE)),
            "load with a limit": lambda store: self.successResultOf(store.load(DIGEST, SIZE, SIZE)),
        }
        for name, change in self.changed().items():
            for way, read in ways.items():
                store = self.settled(change)
                size = os.stat(self.paths.blob(DIGEST)).st_size
                with capturedLogs() as events:
                    self.assertIsNone(read(store), (name, way))
                    self.assertIsNone(read(store), (name, way))
                [line] = [formatEvent(event) for event in events]
                for word in (str(DIGEST), f"{size} bytes", f"the index says {SIZE} bytes"):
                    self.assertIn(word, line, (name, way))
                self.assertEqual(self.damages, [(DIGEST, size)], (name, way))
                self.assertEqual(self.changes, [-in_blocks(size)], (name, way))
                self.assertFalse(os.path.exists(self.paths.blob(DIGEST)), (name, way))
                self.damages.clear()

    def test_read_open_files(self) -> None:
        """Who has the file open reads on as far as it goes, and never past that."""
        self.commit(CONTENT)
        file = self.successResultOf(self.store.look_up(DIGEST, SIZE)).file
        assert file is not None
        os.truncate(self.paths.blob(DIGEST), SIZE // 2)
        self.assertIsNone(self.found(DIGEST, size=SIZE))
        self.assertEqual(self.successResultOf(file.read(0, SIZE // 2)), CONTENT[: SIZE // 2])
        failure = self.failureResultOf(file.read(0, SIZE), OSError)
        self.assertEqual(failure.value.errno, errno.EIO)
        self.assertIsNone(file.read_now(0, SIZE))
        self.assertFalse(file.cached(0, SIZE))
        file.close()

    def test_unknown_to_the_index(self) -> None:
        """Without a size to compare with content is hashed, once as long as it is the same."""
        for change in self.changed().values():
            self.assertIsNone(self.found(DIGEST, self.settled(change)))
        pool = RecordingPool(ImmediatePool())
        self.settled(lambda path: None)
        store = self.new_store(pool)
        for expected in (1, 1):
            self.assertEqual(self.found(DIGEST, store), CONTENT)
            self.assertEqual(pool.names.count("catch_up"), expected)
        os.chmod(self.paths.blob(DIGEST), 0o600)
        with open(self.paths.blob(DIGEST), "r+b") as target:
            target.write(b"!")
        os.chmod(self.paths.blob(DIGEST), 0o400)
        os.utime(self.paths.blob(DIGEST), (1, 1))
        self.assertIsNone(self.found(DIGEST, store))

    def test_described_by_a_manifest(self) -> None:
        """A manifest's size spares the hashing where it is right, and condemns nothing."""
        for described, hashed in ((SIZE, 0), (SIZE + 1, 1)):
            self.settled(lambda path: None)
            pool = RecordingPool(ImmediatePool())
            looking = self.new_store(pool).look_up(DIGEST, None, described)
            file = self.successResultOf(looking).file
            assert file is not None
            file.close()
            self.assertEqual(pool.names.count("catch_up"), hashed)

    def test_cannot_be_removed(self) -> None:
        """On a disk that cannot be written it stays, is not served, and is told of once."""
        store = self.settled(lambda path: os.truncate(path, 1))
        self.patch(os, "unlink", _raiser(errno.EROFS))
        with capturedLogs() as events:
            for _ in range(3):
                self.assertIsNone(self.found(DIGEST, store, SIZE))
        self.assertEqual(len(events), 1)
        self.assertEqual((self.damages, self.changes), ([(DIGEST, 1)], []))


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
        """Partial files are listed with their space and time; foreign files are not."""
        digest = self.leave(CONTENT, 1000)
        with open(os.path.join(self.paths.partials, "foreign"), "w"):
            pass
        (fact,) = self.successResultOf(self.store.partials())
        allocated = os.stat(self.paths.partial(PartialKey(digest))).st_blocks * 512
        self.assertEqual((fact.digest, fact.allocated, fact.modified_at), (digest, allocated, 1000))

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
