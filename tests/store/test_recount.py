"""Tests that the count of stored content is that of the files after any changes meanwhile."""

import os
import random

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.store.blob_store import BlobStore
from regcache.store.recount import (
    AGAIN,
    FIRST,
    LEAST_BETWEEN,
    PAUSE,
    CountStoppedError,
    Recount,
    count_folder,
    folder_of,
)
from regcache.store.space import SpaceLedger, SpaceLimits
from tests.store.stores import StoreTestCase
from tests.support.pools import HeldPool

ALL = 2 * 256
"""Folders that are counted."""


class RecountTests(StoreTestCase):
    """A ledger that begins with what the index believes, over a store of real files."""

    def setUp(self) -> None:
        super().setUp()
        self.ledger = SpaceLedger(SpaceLimits(2**40, 2**40, 0))
        self.pool = HeldPool()
        self.recount = Recount(
            self.clock,
            self.pool,
            self.paths,
            ledger=self.ledger,
            is_changing=lambda folder: folder in map(folder_of, self.store.changing()),
        )
        self.store = BlobStore(
            self.clock, self.pool, self.paths, boot_id="boot", changed=self.recount.changed
        )

    def start(self) -> None:
        """Start, and begin to count."""
        self.recount.startService()
        self.addCleanup(self.stop)
        self.clock.advance(FIRST)

    def stop(self) -> None:
        """Stop, if that was not done before."""
        if self.recount.running:
            self.recount.stopService()

    def keep(self, *contents: bytes) -> None:
        """Have contents in the store."""
        kept = [self.store.keep(Digest.of(content), content) for content in contents]
        self.pool.release_all()
        for each in kept:
            self.successResultOf(each)

    def count(self, folders: int = ALL) -> None:
        """Let so many folders be counted."""
        for _ in range(folders):
            self.pool.release_all()
            self.clock.advance(PAUSE)

    def true_count(self) -> int:
        """What all files take."""
        total = 0
        for folder, _, names in os.walk(self.paths.blobs):
            total += sum(in_blocks(os.stat(os.path.join(folder, name)).st_size) for name in names)
        return total

    def test_what_nobody_knew_of(self) -> None:
        """Files that the index does not know count; what it believes to be there does not."""
        self.keep(*(b"%d" % number * 5000 for number in range(40)))
        for believed in (0, 10**9):
            self.ledger.contents = believed
            self.start()
            with capturedLogs() as logged:
                self.count()
            self.assertEqual(self.ledger.contents, self.true_count())
            [line] = [formatEvent(event) for event in logged]
            self.assertIn(f"take {self.true_count()} bytes, and not {believed}", line)
            self.stop()

    def test_nothing_to_correct(self) -> None:
        """A count that agrees is no news, and comes again a day later."""
        self.keep(b"x" * 5000)
        self.start()
        with capturedLogs() as logged:
            self.count()
            self.assertEqual(logged, [])
            self.keep(b"y" * 5000)
            os.unlink(self.paths.blob(Digest.of(b"y" * 5000)))
            self.clock.advance(AGAIN)
            self.count()
        self.assertEqual((len(logged), self.ledger.contents), (1, in_blocks(5000)))

    def test_changes_meanwhile(self) -> None:
        """What comes and goes while it counts is counted once, wherever the count is."""
        chance = random.Random(7)
        contents = [b"%d" % number * chance.randrange(1, 4000) for number in range(400)]
        self.keep(*contents[:200])
        self.ledger.contents = 123
        self.start()
        pending: list[Deferred[None] | Deferred[bool]] = []
        for number in range(200, 400):
            gone, come = contents[number - 200], contents[number]
            pending.append(self.store.remove(Digest.of(gone)))
            pending.append(self.store.keep(Digest.of(come), come))
            for _ in range(chance.randrange(8)):
                if self.pool.jobs:
                    self.pool.release(chance.randrange(len(self.pool.jobs)))
                self.clock.advance(PAUSE)
        self.pool.release_all()
        self.count(2 * ALL)
        for each in pending:
            self.successResultOf(each)
        self.assertEqual(self.ledger.contents, self.true_count())
        self.assertGreater(self.ledger.contents, 0)

    def test_commit_meanwhile(self) -> None:
        """A download that gets its name while its folder is counted counts once."""
        content = b"x" * 9000
        opening = self.store.open_partial(Digest.of(content))
        self.pool.release_all()
        file = self.successResultOf(opening)
        file.set_size(len(content))
        for step in (lambda: file.write(0, [content]), file.verify):
            done = step()
            self.pool.release_all()
            self.successResultOf(done)
        self.start()
        committing = file.commit()
        self.count(2 * ALL)
        self.successResultOf(committing)
        file.close()
        self.assertEqual(self.ledger.contents, in_blocks(9000))

    def test_soon(self) -> None:
        """Content that is gone is counted no more soon after it was missed, not again and again."""
        self.keep(b"one", b"two")
        self.start()
        self.count()
        os.unlink(self.paths.blob(Digest.of(b"one")))
        counted_at = self.clock.seconds()
        for _ in range(3):
            self.recount.soon()
        self.clock.advance(LEAST_BETWEEN - 5)
        self.assertEqual(self.ledger.contents, in_blocks(3) * 2)
        self.clock.advance(5)
        self.count()
        self.assertEqual(self.ledger.contents, in_blocks(3))
        self.assertLess(self.clock.seconds() - counted_at, LEAST_BETWEEN + 60)
        self.clock.advance(2 * LEAST_BETWEEN)
        os.unlink(self.paths.blob(Digest.of(b"two")))
        self.recount.soon()
        self.clock.advance(FIRST)
        self.count()
        self.assertEqual(self.ledger.contents, 0)

    def test_disk_that_fails(self) -> None:
        """A disk that cannot be read changes nothing, and is tried again a day later."""
        self.keep(b"x" * 5000)
        self.ledger.contents = 77

        def refuse(path: str) -> None:
            raise OSError(5, "Input/output error", path)

        patch = self.patch(os, "scandir", refuse)
        self.start()
        with capturedLogs() as logged:
            self.count()
        self.assertEqual((len(logged), self.ledger.contents), (1, 77))
        patch.restore()
        self.clock.advance(AGAIN)
        self.count()
        self.assertEqual(self.ledger.contents, self.true_count())

    def test_stopped(self) -> None:
        """A stop leaves no timer, and what is under way ends without a word."""
        self.keep(b"x" * 5000)
        for jobs in (0, 1):
            self.recount.startService()
            if jobs:
                self.clock.advance(FIRST)
            counting = [job for job in self.pool.jobs if job[1] is count_folder]
            self.assertEqual(len(counting), jobs)
            self.recount.stopService()
            with capturedLogs() as logged:
                self.pool.release_all()
            self.assertEqual(logged, [])
            self.clock.advance(FIRST)
        self.assertEqual(self.pool.jobs, [])

    def test_folder(self) -> None:
        """Only files count; a folder that is not there is empty; a count may be called off."""
        path = os.path.join(self.paths.blobs, "sha256", "ab")
        self.assertEqual(count_folder(path, lambda: False), 0)
        os.makedirs(os.path.join(path, "folder"))
        os.symlink("/etc/passwd", os.path.join(path, "link"))
        os.mkfifo(os.path.join(path, "fifo"))
        for name, size in (("empty", 0), ("one", 1), ("block", 4096), ("more", 4097)):
            with open(os.path.join(path, name), "wb") as file:
                file.write(bytes(size))
        self.assertEqual(count_folder(path, lambda: False), 4 * 4096)
        self.assertRaises(CountStoppedError, count_folder, path, lambda: True)
