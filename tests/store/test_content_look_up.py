"""Tests for regcache.store.content_look_up: what is found, and what turns out to be damaged."""

import errno
import os
import stat
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.logger import capturedLogs, formatEvent

from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.store.blob_store import BlobStore
from regcache.store.soundness import Reading
from tests.store.stores import BadDisk, StoreTestCase, open_descriptors, raiser
from tests.support.pools import HeldPool, ImmediatePool, RecordingPool

CONTENT = b"some content" * 100
SIZE = len(CONTENT)
DIGEST = Digest.of(CONTENT)


class LookUpTests(StoreTestCase):
    """Tests for content that is there, is not there, or cannot be opened."""

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


class SoundnessTests(StoreTestCase):
    """Tests for stored files whose bytes may be wrong."""

    def mode(self) -> int:
        """The mode of stored content."""
        return stat.S_IMODE(os.stat(self.paths.blob(DIGEST)).st_mode)

    def damage(self, digest: Digest = DIGEST) -> None:
        """What a crash may leave: the right name and size, but zeros."""
        with open(self.paths.blob(digest), "r+b") as target:
            target.write(b"\0" * 50)

    def test_load_damaged(self) -> None:
        """Damaged content is not given but removed, and told of."""
        self.commit(CONTENT)
        self.damage()
        self.assertIsNone(self.successResultOf(self.store.load(DIGEST, SIZE, SIZE)))
        self.assertEqual(self.damages, [(DIGEST, SIZE)])
        self.assertEqual(sum(self.changes), 0)
        self.assertIsNone(self.found(DIGEST))

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
        store = self.new_store(pool, "boot-3", Reading.NONE)
        self.assertEqual(self.found(DIGEST, store, SIZE), CONTENT)
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

    def test_system_lacks_something(self) -> None:
        """What is no fault of the file does not have it removed."""
        self.commit(CONTENT)
        store = self.new_store(BadDisk(self, preadv=errno.ENOMEM), "boot-2")
        self.failureResultOf(store.look_up(DIGEST, SIZE), OSError)
        self.assertEqual(self.found(DIGEST, self.new_store()), CONTENT)
        self.assertEqual(self.damages, [])


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
            store = self.new_store(pool, reading=Reading.NONE)
            looking = store.look_up(DIGEST, None, described)
            file = self.successResultOf(looking).file
            assert file is not None
            file.close()
            self.assertEqual(pool.names.count("catch_up"), hashed)

    def test_cannot_be_removed(self) -> None:
        """On a disk that cannot be written it stays, is not served, and is told of once."""
        store = self.settled(lambda path: os.truncate(path, 1))
        self.patch(os, "unlink", raiser(errno.EROFS))
        with capturedLogs() as events:
            for _ in range(3):
                self.assertIsNone(self.found(DIGEST, store, SIZE))
        self.assertEqual(len(events), 1)
        self.assertEqual((self.damages, self.changes), ([(DIGEST, 1)], []))
