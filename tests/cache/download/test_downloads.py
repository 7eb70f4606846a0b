"""Tests for downloads, fills and readers over a real store, when all goes well."""

import os

from regcache.cache.download.context import WITHHELD
from regcache.timings import PARKED
from tests.support.bodies import Fault
from tests.support.caches import Caches, Sink
from tests.support.download_case import KIB, DownloadTestCase, make_content
from tests.support.pools import HeldPool


class PullTests(DownloadTestCase):
    """A download and its readers when nothing fails."""

    def test_miss_then_hit(self) -> None:
        """A blob is fetched once; the second pull comes from the cache."""
        first = self.pull()
        second = self.pull()
        self.assertEqual((bytes(first.data), first.ended), (self.content, True))
        self.assertEqual((bytes(second.data), second.ended), (self.content, True))
        self.assertEqual(self.registry.count("get_blob"), 1)
        self.assertEqual(self.registry.sent, len(self.content))

    def test_many_share_one_fill(self) -> None:
        """Fifty readers of one cold blob cost one upstream request."""
        opening = [self.caches.open(self.digest) for _ in range(50)]
        self.caches.run(turns=3)
        sinks = [self.read(each) for each in opening]
        self.caches.run()
        for sink in sinks:
            self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.registry.count("get_blob"), 1)

    def test_statuses(self) -> None:
        """The first is a miss, who joins is collapsed, who comes later has a hit."""
        opening = [self.caches.open(self.digest) for _ in range(2)]
        self.caches.run()
        opened = [self.successResultOf(each) for each in opening]
        self.assertEqual([each.status.outcome for each in opened], ["miss", "collapsed"])
        late = self.caches.open(self.digest)
        self.caches.run()
        opened.append(self.successResultOf(late))
        self.assertEqual(opened[-1].status.outcome, "hit")
        for each in opened:
            each.reader.leave()

    def test_bytes_flow_while_it_runs(self) -> None:
        """A reader gets bytes before the blob is complete, and joins at any time."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=8)
        sink = self.read(opening)
        self.caches.run(turns=3)
        self.assertTrue(0 < len(sink.data) < len(self.content))
        late = self.caches.open(self.digest)
        self.caches.run(turns=2)
        late_sink = self.read(late)
        self.caches.run()
        self.assertEqual(bytes(sink.data), self.content)
        self.assertEqual(bytes(late_sink.data), self.content)

    def test_small_blob_is_verified_before_its_head(self) -> None:
        """A blob of up to 64 KiB opens only when it was verified."""
        digest = self.registry.add(make_content(WITHHELD))
        opening = self.caches.open(digest)
        self.caches.run(turns=5)
        self.assertNoResult(opening)
        self.caches.run()
        self.assertEqual(bytes(self.read(opening).data), self.registry.blobs[digest])

    def test_empty_blob(self) -> None:
        """A blob of no bytes is a blob."""
        digest = self.registry.add(b"")
        sink = self.pull(digest)
        self.assertEqual((bytes(sink.data), sink.ended), (b"", True))

    def test_blob_of_unknown_length(self) -> None:
        """An answer that does not say its size is stored all the same."""
        self.registry.faults = [Fault(hide_size=True)]
        opening = self.caches.open(self.digest)
        self.caches.run(turns=12)
        opened = self.successResultOf(opening)
        self.assertIsNone(opened.reader.size)
        sink = Sink()
        opened.reader.begin(0, None, sink)
        self.caches.run()
        opened.reader.leave()
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertTrue(os.path.exists(self.blob_path()))

    def test_index_failure_does_not_keep_the_download(self) -> None:
        """A blob whose index entry cannot be written is served, and nothing hangs."""
        self.caches.index.write_failure = OSError("full")
        self.assertEqual(bytes(self.pull().data), self.content)
        self.flushLoggedErrors(OSError)

    def test_disk_writes_are_bounded_by_back_pressure(self) -> None:
        """While the disk writes nothing the upstream is paused at the high mark."""
        pool = HeldPool()
        self.registry.chunk = 64 * KIB
        content = make_content(8 * 1024 * KIB, seed=3)
        digest = self.registry.add(content)
        caches = Caches(os.path.abspath(self.mktemp()), self.clock, self.registry, pool=pool)
        opening = caches.open(digest)
        for _ in range(10):
            pool.release_all()
            caches.run(turns=2)
            if self.registry.sent:
                break
        caches.run(turns=300)
        self.assertTrue(self.registry.bodies[-1].paused)
        self.assertLess(self.registry.sent, 3 * 1024 * KIB)
        for _ in range(300):
            pool.release_all()
            caches.run(turns=2)
        self.successResultOf(opening).reader.leave()
        stopping = caches.downloads.stop()
        closing = caches.store.close()
        pool.release_all()
        self.successResultOf(stopping)
        self.successResultOf(closing)
        self.assertEqual(self.registry.sent, len(content))


class LeavingTests(DownloadTestCase):
    """Clients that leave."""

    finish = 100 * KIB

    def test_goes_on_when_little_is_missing(self) -> None:
        """A download that nobody waits for is finished when at most ``finish`` is missing."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=26)
        self.successResultOf(opening).reader.leave()
        self.caches.run()
        self.assertTrue(os.path.exists(self.blob_path()))

    def test_parks_and_resumes(self) -> None:
        """With more missing it parks, and goes on from there when asked for again."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=12)
        self.successResultOf(opening).reader.leave()
        self.caches.run()
        self.assertEqual(len(self.caches.downloads), 0)
        parked = self.registry.sent
        self.assertTrue(0 < parked < 200 * KIB)
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertLessEqual(self.registry.sent, len(self.content) + self.registry.chunk)
        self.assertGreater(self.registry.requests[-1][3], 0)

    def test_parking_is_told(self) -> None:
        """The request that began a download tells that it was parked, and where it will go on."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=12)
        opened = self.successResultOf(opening)
        assert opened.timings is not None
        self.assertEqual(opened.timings.events, [])
        opened.reader.leave()
        self.caches.run()
        (event,) = opened.timings.events
        self.assertEqual((event.kind, 0 < event.offset <= self.registry.sent), (PARKED, True))

    def test_joins_while_parking(self) -> None:
        """Who comes while the last write is under way takes the download over."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=12)
        self.successResultOf(opening).reader.leave()
        self.assertEqual(bytes(self.pull().data), self.content)

    def test_one_leaves_others_stay(self) -> None:
        """A client that leaves half-way disturbs nobody."""
        opening = [self.caches.open(self.digest) for _ in range(2)]
        self.caches.run(turns=12)
        self.successResultOf(opening[0]).reader.leave()
        sink = self.read(opening[1])
        self.caches.run()
        self.assertEqual(bytes(sink.data), self.content)

    def test_leaves_before_the_answer(self) -> None:
        """A client that leaves before the upstream answers is forgotten."""
        opening = self.caches.open(self.digest)
        opening.cancel()
        self.failureResultOf(opening)
        self.caches.run()
        self.assertEqual(len(self.caches.downloads), 0)

    def test_slow_reader_slows_nobody(self) -> None:
        """A reader that takes nothing neither stops the fill nor the other readers."""
        opening = [self.caches.open(self.digest) for _ in range(2)]
        self.caches.run(turns=12)
        slow = Sink()
        slow.slow = True
        slow.reader = self.successResultOf(opening[0]).reader
        self.addCleanup(slow.reader.leave)
        slow.reader.begin(0, len(self.content), slow)
        quick = self.read(opening[1])
        self.caches.run()
        self.assertEqual(bytes(quick.data), self.content)
        self.assertLess(len(slow.data), len(self.content))
        while not slow.ended:
            slow.reader.resumeProducing()
        self.assertEqual(bytes(slow.data), self.content)


class RangeTests(DownloadTestCase):
    """Ranges of a blob that is cold or grows."""

    def setUp(self) -> None:
        """A blob of 40 MiB, so that its end is far away."""
        super().setUp()
        self.registry.chunk = 256 * KIB
        self.content = make_content(40 * 1024 * KIB, seed=5)
        self.digest = self.registry.add(self.content)

    def test_far_range_gets_its_own_fill(self) -> None:
        """A range far ahead is asked for at once, and nothing is fetched twice."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=4)
        start = 30 * 1024 * KIB
        sink = self.read(opening, start, start + 1000)
        self.caches.run(turns=4)
        self.assertEqual(bytes(sink.data), self.content[start : start + 1000])
        self.assertLess(self.registry.sent, 10 * 1024 * KIB)
        assert sink.reader is not None
        sink.reader.leave()
        self.caches.run()
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertLess(self.registry.sent, len(self.content) + 2 * self.registry.chunk)

    def test_near_range_waits(self) -> None:
        """A range that the fill will soon reach costs no request."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=4)
        start = 3 * 1024 * KIB
        sink = self.read(opening, start, start + 1000)
        self.caches.run(turns=30)
        self.assertEqual(bytes(sink.data), self.content[start : start + 1000])
        self.assertEqual(self.registry.count("get_blob"), 1)

    def test_range_ignored_upstream(self) -> None:
        """An upstream that ignores Range costs no byte of correctness and one fill."""
        self.registry.faults = [Fault(), Fault(ignore_range=True)]
        opening = self.caches.open(self.digest)
        self.caches.run(turns=4)
        start = 30 * 1024 * KIB
        sink = self.read(opening, start, start + 1000)
        self.caches.run()
        self.assertEqual(bytes(sink.data), self.content[start : start + 1000])
        self.assertTrue(self.registry.bodies[1].aborted)
        self.assertEqual(self.registry.sent, len(self.content))

    def test_chunk_storm(self) -> None:
        """Eight open-ended ranges, each closed after its part, cost little more than the blob."""
        part = len(self.content) // 8
        opening = [self.caches.open(self.digest) for _ in range(8)]
        self.caches.run(turns=3)
        sinks = []
        for index, each in enumerate(opening):
            sinks.append(self.read(each, index * part, len(self.content)))
        for _ in range(300):
            self.caches.run(turns=1)
            for sink in sinks:
                if len(sink.data) >= part and sink.reader is not None:
                    sink.reader.leave()
        for index, sink in enumerate(sinks):
            expected = self.content[index * part : (index + 1) * part]
            self.assertEqual(bytes(sink.data[:part]), expected)
        self.caches.run()
        self.assertLess(self.registry.sent, 1.15 * len(self.content))
        self.assertEqual(self.registry.sent, len(self.content))
