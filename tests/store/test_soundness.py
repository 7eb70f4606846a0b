"""What is hashed when stored content is read, how often, and what follows."""

import os
import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from regcache.digests import Digest
from regcache.interfaces import Verified
from regcache.store.blob_store import BlobStore
from regcache.store.soundness import HOLDS, SMALL, Reading
from tests.store.stores import StoreTestCase
from tests.support.pools import HeldPool, ImmediatePool, RecordingPool

SMALL_CONTENT = random.Random(1).randbytes(200_000)
LARGE_CONTENT = random.Random(2).randbytes(SMALL + 300_000)


class SoundnessCase(StoreTestCase):
    """Content that was synced by an earlier process."""

    def settled(self, content: bytes) -> Digest:
        """Some content, on the disk."""
        digest = self.commit(content)
        self.successResultOf(self.store.sync())
        self.clock.advance(1)
        return digest

    def damage(self, digest: Digest, *, keep_times: bool = False) -> None:
        """Four bytes are others than they were."""
        path = self.paths.blob(digest)
        status = os.stat(path)
        os.chmod(path, 0o600)
        with open(path, "r+b") as target:
            target.seek(1000)
            target.write(bytes(byte ^ 1 for byte in target.read(4)))
            target.seek(1000)
        with open(path, "r+b") as target:
            target.seek(1000)
            target.write(b"\0\1\2\3")
        if keep_times:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.chmod(path, 0o400)

    def restart(self, reading: Reading = Reading.SMALL) -> tuple[BlobStore, RecordingPool]:
        """The next process, and what its threads do."""
        pool = RecordingPool(ImmediatePool())
        return self.new_store(pool, reading=reading), pool

    def read(self, store: BlobStore, content: bytes) -> bytes | None:
        """What the store gives."""
        return self.found(Digest.of(content), store, len(content))


class SmallTests(SoundnessCase):
    """``small``: blobs up to 1 MiB."""

    def test_first_time(self) -> None:
        """It is hashed when this process first opens it, and once a day from then on."""
        self.settled(SMALL_CONTENT)
        store, pool = self.restart()
        for wait, hashed in ((0.0, 1), (HOLDS - 1, 1), (2.0, 2), (1.0, 2)):
            self.clock.advance(wait)
            self.assertEqual(self.read(store, SMALL_CONTENT), SMALL_CONTENT)
            self.assertEqual(pool.names.count("catch_up"), hashed)

    def test_damaged(self) -> None:
        """Four flipped bytes: it is not here, is removed, and the log says it in one line."""
        digest = self.settled(SMALL_CONTENT)
        self.damage(digest)
        store, _ = self.restart()
        with capturedLogs() as events:
            self.assertIsNone(self.read(store, SMALL_CONTENT))
        [line] = [formatEvent(event) for event in events]
        for word in (str(digest), str(len(SMALL_CONTENT)), "another digest", "removed"):
            self.assertIn(word, line)
        self.assertEqual(self.damages, [(digest, len(SMALL_CONTENT))])
        self.assertFalse(os.path.exists(self.paths.blob(digest)))

    def test_changed_later(self) -> None:
        """A file that changes after it was hashed is hashed again, with any times."""
        for keep_times in (False, True):
            digest = self.settled(SMALL_CONTENT)
            store, _ = self.restart()
            self.assertEqual(self.read(store, SMALL_CONTENT), SMALL_CONTENT)
            self.damage(digest, keep_times=keep_times)
            self.assertIsNone(self.read(store, SMALL_CONTENT))

    def test_changed_while_it_is_read(self) -> None:
        """Nor does somebody who reads it let others read what it became."""
        digest = self.settled(SMALL_CONTENT)
        store, _ = self.restart()
        reading = self.successResultOf(store.look_up(digest, len(SMALL_CONTENT))).file
        assert reading is not None
        self.damage(digest)
        self.assertIsNone(self.read(store, SMALL_CONTENT))
        reading.close()

    def test_large(self) -> None:
        """Larger content is not hashed."""
        digest = self.settled(LARGE_CONTENT)
        store, pool = self.restart()
        found = self.successResultOf(store.look_up(digest, len(LARGE_CONTENT)))
        assert found.file is not None
        self.assertIsNone(found.checking)
        found.file.close()
        self.assertNotIn("catch_up", pool.names)

    def test_none(self) -> None:
        """``none``: the size is all that is looked at."""
        digest = self.settled(SMALL_CONTENT)
        self.damage(digest)
        store, pool = self.restart(Reading.NONE)
        self.assertIsNotNone(self.read(store, SMALL_CONTENT))
        self.assertNotIn("catch_up", pool.names)
        self.assertIsNone(self.found(digest, store, len(SMALL_CONTENT) - 1))


class AllTests(SoundnessCase):
    """``all``: large content, while it is sent."""

    def look(self, store: BlobStore, content: bytes = LARGE_CONTENT) -> Any:
        """Open it."""
        return self.successResultOf(store.look_up(Digest.of(content), len(content)))

    def test_meanwhile(self) -> None:
        """It is open at once, the check tells later, and is made once a day."""
        digest = self.settled(LARGE_CONTENT)
        pool = HeldPool()
        store = self.new_store(pool, reading=Reading.ALL)
        looking = store.look_up(digest, len(LARGE_CONTENT))
        while not looking.called:
            pool.release()
        found = self.successResultOf(looking)
        assert found.checking is not None
        self.assertNoResult(found.checking)
        found.file.close()
        pool.release_all()
        self.assertTrue(self.successResultOf(found.checking))
        looking = store.look_up(digest, len(LARGE_CONTENT))
        pool.release_all()
        again = self.successResultOf(looking)
        self.assertIsNone(again.checking)
        again.file.close()
        pool.release_all()

    def test_damaged(self) -> None:
        """What is damaged is removed while it is read, and told of once."""
        digest = self.settled(LARGE_CONTENT)
        self.damage(digest)
        store, _ = self.restart(Reading.ALL)
        found = self.look(store)
        self.assertFalse(self.successResultOf(found.checking))
        found.file.close()
        self.assertEqual(self.damages, [(digest, len(LARGE_CONTENT))])
        self.assertIsNone(self.look(store).file)

    def test_small(self) -> None:
        """Small content is checked before, as ever."""
        self.damage(self.settled(SMALL_CONTENT))
        store, _ = self.restart(Reading.ALL)
        self.assertIsNone(self.read(store, SMALL_CONTENT))


class VerifyTests(SoundnessCase):
    """Content that is verified because somebody wants that."""

    def verify(self, store: BlobStore, content: bytes, size: int | None = None) -> Verified:
        """Verify it."""
        size = len(content) if size is None else size
        verified: Verified = self.successResultOf(store.verify(Digest.of(content), size))
        return verified

    def test_outcomes(self) -> None:
        """Whole, flipped, cut short, gone; small and large."""
        for content in (SMALL_CONTENT, LARGE_CONTENT):
            digest = self.settled(content)
            store, _ = self.restart()
            self.assertIs(self.verify(store, content), Verified.SOUND)
            self.damage(digest)
            self.assertIs(self.verify(store, content), Verified.DAMAGED)
            self.assertIs(self.verify(store, content), Verified.MISSING)
            self.settled(content)
            os.chmod(self.paths.blob(digest), 0o600)
            os.truncate(self.paths.blob(digest), 500)
            self.assertIs(self.verify(store, content), Verified.DAMAGED)
            self.assertIs(self.verify(store, content), Verified.MISSING)
            self.assertEqual(self.damages, [(digest, len(content)), (digest, 500)])
            self.damages.clear()

    def test_anew(self) -> None:
        """It is hashed even if its hash is remembered, and counts as hashed; its times stay."""
        digest = self.settled(SMALL_CONTENT)
        store, pool = self.restart()
        self.read(store, SMALL_CONTENT)
        changed = os.stat(self.paths.blob(digest)).st_ctime_ns
        self.assertIs(self.verify(store, SMALL_CONTENT), Verified.SOUND)
        self.assertEqual(pool.names.count("catch_up"), 2)
        self.read(store, SMALL_CONTENT)
        self.assertEqual(pool.names.count("catch_up"), 2)
        self.assertEqual(os.stat(self.paths.blob(digest)).st_ctime_ns, changed)

    def test_pace(self) -> None:
        """Each step waits for the one who sets the pace."""
        digest = self.settled(LARGE_CONTENT)
        counts: list[int] = []

        async def pace(count: int) -> None:
            counts.append(count)

        self.successResultOf(self.store.verify(digest, len(LARGE_CONTENT), pace=pace))
        self.assertEqual(sum(counts), len(LARGE_CONTENT))

    def test_slow_pace(self) -> None:
        """Who wants to read it does not wait for a verification that takes its time."""
        digest = self.settled(SMALL_CONTENT)
        store, _ = self.restart()
        waiting: Deferred[None] = Deferred()

        async def pace(_count: int) -> None:
            await waiting

        verifying = store.verify(digest, len(SMALL_CONTENT), pace=pace)
        self.assertEqual(self.read(store, SMALL_CONTENT), SMALL_CONTENT)
        self.assertNoResult(verifying)
        waiting.callback(None)
        self.assertIs(self.successResultOf(verifying), Verified.SOUND)
