"""Tests for small blobs on their way to the disk, behind the answers."""

import os
from typing import Any

from twisted.internet.defer import Deferred

from regcache.store import spooled
from tests.support.caches import Caches
from tests.support.download_case import KIB, make_content
from tests.support.pipeline import Disk
from tests.support.pools import HeldPool
from tests.support.small_case import SmallCase


class StoringTests(SmallCase):
    """What happens behind the answer."""

    def test_answer_does_not_wait_for_the_disk(self) -> None:
        """Verified bytes go out before they are stored; who comes then has a hit."""
        pool = HeldPool()
        caches = Caches(os.path.abspath(self.mktemp()), self.clock, self.registry, pool=pool)
        opening = caches.open(self.digest)
        pool.release_all()
        caches.run()
        late = caches.open(self.digest)
        caches.run(turns=5)
        self.assertEqual(self.statuses(opening, late), ["miss", "hit"])
        self.assertFalse(os.path.exists(self.blob_path()))
        self.assertEqual(len(caches.downloads), 1)
        pool.release_all()
        self.assertEqual(len(caches.downloads), 0)
        closing = caches.store.close()
        pool.release_all()
        self.successResultOf(closing)

    def test_full_backlog_waits_for_the_disk(self) -> None:
        """With too much waiting for the disk already, the answer waits, too, but for no more."""
        pool = HeldPool()
        caches = Caches(os.path.abspath(self.mktemp()), self.clock, self.registry, pool=pool)
        opening = self.open_behind(caches, pool)
        self.assertNoResult(opening)
        noted: Deferred[None] = Deferred()
        self.patch(caches.index, "record_blob", lambda *_, **__: noted)
        pool.release_all()
        self.assertEqual(self.statuses(opening), ["miss"])
        noted.callback(None)
        self.assertEqual(len(caches.downloads), 0)
        self.close(caches, pool)

    def test_daemon_stops(self) -> None:
        """The end of the daemon waits for what was answered with already."""
        pool = HeldPool()
        caches = Caches(os.path.abspath(self.mktemp()), self.clock, self.registry, pool=pool)
        opening = caches.open(self.digest)
        pool.release_all()
        caches.run()
        stopping = caches.downloads.stop()
        self.assertNoResult(stopping)
        self.assertEqual(self.statuses(opening), ["miss"])
        pool.release_all()
        self.successResultOf(stopping)
        facts = self.successResultOf(caches.index.content(caches.served().content(self.digest)))
        self.assertEqual(facts.size, len(self.content))
        self.close(caches, pool)

    def open_behind(self, caches: Caches, pool: HeldPool) -> Any:
        """Open a blob; while it comes too much begins to wait for the disk."""
        opening = caches.open(self.digest)
        pool.release_all()
        caches.run(turns=3)
        self.patch(spooled, "MOST_BEHIND", 0)
        caches.run()
        return opening

    def close(self, caches: Caches, pool: HeldPool) -> None:
        """The end."""
        closing = caches.store.close()
        pool.release_all()
        self.successResultOf(closing)

    def test_full_backlog_and_write_refused(self) -> None:
        """Who waits for a disk that refuses gets the bytes, and waits no longer."""
        pool = HeldPool()
        caches = Caches(os.path.abspath(self.mktemp()), self.clock, self.registry, pool=pool)
        opening = self.open_behind(caches, pool)
        partial_claim, _, _ = pool.jobs.pop()
        partial_claim.errback(OSError(5, "Input/output error"))
        self.assertEqual(self.statuses(opening), ["miss"])
        self.assertEqual((caches.events.storage_errors, len(caches.downloads)), (1, 0))
        self.close(caches, pool)

    def test_full_backlog_takes_no_more(self) -> None:
        """However many are asked for and left: a disk that stands still fills no memory."""
        self.patch(spooled, "MOST_BEHIND", 100 * KIB)
        pool = HeldPool()
        caches = Caches(os.path.abspath(self.mktemp()), self.clock, self.registry, pool=pool)
        for seed in range(10):
            opening = caches.open(self.registry.add(make_content(40 * KIB, seed)))
            pool.release(-1)
            caches.run()
            opening.addCallback(lambda opened: opened.reader.leave())
            opening.cancel()
            self.failureResultOf(opening) if seed > 2 else self.successResultOf(opening)
        self.assertEqual(self.registry.sent, 3 * 40 * KIB)
        pool.release_all()
        caches.run()
        pool.release_all()
        self.assertEqual((self.registry.count("get_blob"), len(caches.downloads)), (10, 0))
        self.assertEqual(self.registry.sent, 10 * 40 * KIB)
        self.close(caches, pool)

    def test_no_space(self) -> None:
        """Without space everybody gets the bytes from one answer, and nothing is stored."""
        self.caches.space.limit = 1000
        openings = [self.caches.open(self.digest) for _ in range(3)]
        self.caches.run()
        self.assertEqual(self.statuses(*openings), ["relay"] * 3)
        self.assertEqual(self.registry.count("get_blob"), 1)
        self.assertFalse(os.path.exists(self.blob_path()))
        self.assertIsNone(self.caches.small_blobs.get(self.digest))
        asking = self.caches.index.content(self.caches.served().content(self.digest))
        self.assertIsNone(self.successResultOf(asking).size)

    def test_write_refused(self) -> None:
        """A disk that refuses costs the client nothing; it is counted, and rests."""
        disk = Disk(self.clock)
        caches = Caches(os.path.abspath(self.mktemp()), self.clock, self.registry, pool=disk)
        disk.failing = 1
        self.patch(spooled, "MOST_BEHIND", 1)
        opening = caches.open(self.digest)
        caches.run()
        self.assertFalse(caches.store.backlog.is_full)
        opened = self.successResultOf(opening)
        self.assertEqual((opened.content, opened.status.outcome), (self.content, "miss"))
        opened.reader.leave()
        self.assertEqual((caches.events.storage_errors, len(caches.downloads)), (1, 0))
        self.assertTrue(caches.downloads.storage_rests)
        self.assertTrue(all(claim.released for claim in caches.space.claims))
        caches.stop()


class LateTests(SmallCase):
    """Two ask at once, and the disk takes its time to say to one of them that there is nothing."""

    def setUp(self) -> None:
        """The second one fetches it, and it is on the disk; the first is told so only then."""
        super().setUp()
        self.pool = HeldPool()
        directory = os.path.abspath(self.mktemp())
        self.late_caches = caches = Caches(directory, self.clock, self.registry, pool=self.pool)
        self.noted: Deferred[None] = Deferred()
        record = caches.index.record_blob

        def record_later(*facts: Any, **more: Any) -> "Deferred[None]":
            return self.noted.addCallback(lambda _: record(*facts, **more))

        self.patch(caches.index, "record_blob", record_later)
        self.openings = [caches.open(self.digest) for _ in range(2)]
        self.pool.release(1)
        caches.run()
        self.pool.release(1)

    def end(self) -> None:
        """Both have it, from one question."""
        self.late_caches.run()
        self.assertEqual(self.statuses(*self.openings), ["hit", "miss"])
        self.assertEqual([each[0] for each in self.registry.requests], ["get_blob"])
        closing = self.late_caches.store.close()
        self.pool.release_all()
        self.successResultOf(closing)

    def test_before_the_index_knows(self) -> None:
        """It is joined, while the index is told."""
        self.pool.release()
        self.noted.callback(None)
        self.end()

    def test_after_the_index_knows(self) -> None:
        """The index is asked again before a right is proved that is there already."""
        self.noted.callback(None)
        self.pool.release()
        self.end()
