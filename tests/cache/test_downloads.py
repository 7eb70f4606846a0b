"""Tests for downloads, fills and readers over a real store."""

import os
import random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.blobs import OpenBlob
from regcache.cache.origin import WITHHELD
from regcache.cache.relay import Relay
from regcache.digests import Digest
from regcache.errors import (
    ServiceUnavailableError,
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamNotFound,
    UpstreamServerError,
)
from tests.support.caches import Caches, Sink
from tests.support.pools import HeldPool
from tests.support.registries import FakeRegistry, Fault

KIB = 1024


def make_content(size: int, seed: int = 0) -> bytes:
    """Bytes that differ everywhere."""
    return random.Random(seed).randbytes(size)


class DownloadTestCase(SynchronousTestCase):
    """One upstream, one cache."""

    finish: int | None = None

    def setUp(self) -> None:
        """An upstream with one blob of 300 KiB, sent in chunks of 10 KiB."""
        self.clock = Clock()
        self.directory = os.path.abspath(self.mktemp())
        self.registry = FakeRegistry(self.clock, chunk=10 * KIB)
        self.content = make_content(300 * KIB)
        self.digest = self.registry.add(self.content)
        self.caches = self.make_caches()

    def make_caches(self) -> Caches:
        """A cache over the same directory."""
        return Caches(self.directory, self.clock, self.registry, finish=self.finish)

    def tearDown(self) -> None:
        """Nothing is left: no download, no call, no descriptor."""
        self.caches.stop()
        self.assertEqual(len(self.caches.downloads), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(open_files_below(self.directory), [])

    def read(self, opening: "Deferred[OpenBlob]", start: int = 0, end: int | None = None) -> Sink:
        """Read a range from a blob that is open now."""
        opened = self.successResultOf(opening)
        sink = Sink()
        sink.reader = opened.reader
        self.addCleanup(opened.reader.leave)
        opened.reader.begin(start, opened.reader.size if end is None else end, sink)
        return sink

    def pull(self, digest: Digest | None = None, repository: str = "org/app") -> Sink:
        """Pull a whole blob."""
        opening = self.caches.open(digest or self.digest, repository)
        self.caches.run()
        sink = self.read(opening)
        self.caches.run()
        assert sink.reader is not None
        sink.reader.leave()
        return sink

    def blob_path(self) -> str:
        """Where the blob is once it is complete."""
        name = self.digest.hex
        return os.path.join(self.directory, "blobs", "sha256", name[:2], name)


def open_files_below(directory: str) -> list[str]:
    """Which files of a directory this process has open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if path.startswith(directory):
            found.append(path)
    return found


class PullTests(DownloadTestCase):
    """The way of a byte when all goes well."""

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


class FaultTests(DownloadTestCase):
    """Upstreams that break, lie or refuse."""

    def test_not_found(self) -> None:
        """A blob that the upstream does not have is an UpstreamNotFound for everybody."""
        opening = [self.caches.open(Digest.of(b"nothing")) for _ in range(2)]
        self.caches.run()
        for each in opening:
            self.failureResultOf(each, UpstreamNotFound)

    def test_refused(self) -> None:
        """Who asks while the first answer is awaited gets the same refusal."""
        refusal = UpstreamDenied("up.test", "no", status=403)
        self.registry.faults = [Fault(refuse=refusal)]
        opening = [self.caches.open(self.digest) for _ in range(2)]
        self.caches.run()
        for each in opening:
            self.failureResultOf(each, UpstreamDenied)

    def test_cut_is_resumed(self) -> None:
        """A body that breaks off goes on by Range from its last byte; readers see a pause."""
        self.registry.faults = [Fault(cut=120 * KIB), Fault(cut=50 * KIB)]
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        sink = self.read(opening)
        self.caches.run(seconds=60)
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        starts = [request[3] for request in self.registry.requests]
        self.assertEqual(starts, [0, 120 * KIB, 170 * KIB])
        self.assertEqual(self.registry.sent, len(self.content))

    def test_cut_without_range_support(self) -> None:
        """An upstream without Range is asked anew, and readers keep their place."""
        self.registry.faults = [Fault(cut=120 * KIB), Fault(ignore_range=True)]
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        sink = self.read(opening)
        self.caches.run(seconds=60)
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))

    def test_gives_up_without_progress(self) -> None:
        """Tries that bring nothing end in an aborted answer, and what came is kept."""
        down = UpstreamServerError("up.test", "503", status=503)
        self.registry.faults = [Fault(cut=120 * KIB), *[Fault(refuse=down)] * 20]
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        sink = self.read(opening)
        for _ in range(20):
            self.caches.run(seconds=30)
        self.assertIsNotNone(sink.reason)
        self.assertFalse(sink.ended)
        self.registry.faults = []
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertEqual(self.registry.sent, len(self.content))

    def test_right_withdrawn_half_way(self) -> None:
        """A refusal while resuming aborts the answers at once."""
        refusal = UpstreamDenied("up.test", "no", status=403)
        self.registry.faults = [Fault(cut=120 * KIB), Fault(refuse=refusal)]
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        sink = self.read(opening)
        self.caches.run(seconds=1)
        self.assertIsNotNone(sink.reason)

    def test_wrong_byte(self) -> None:
        """A wrong byte aborts every answer before its last 64 KiB, and nothing is kept."""
        self.registry.faults = [Fault(flip=5)]
        opening = [self.caches.open(self.digest) for _ in range(3)]
        self.caches.run(turns=10)
        sinks = [self.read(each) for each in opening]
        self.caches.run()
        for sink in sinks:
            self.assertIsNotNone(sink.reason)
            self.assertLessEqual(len(sink.data), len(self.content) - WITHHELD)
        self.assertEqual(self.caches.events.mismatches, ["up.test"])
        self.assertFalse(os.path.exists(self.blob_path()))
        self.assertEqual(bytes(self.pull().data), self.content)

    def test_liar_is_left_alone(self) -> None:
        """An upstream that lied twice about a digest is not asked for it for a while."""
        self.registry.faults = [Fault(flip=5), Fault(flip=6)]
        digest = self.registry.add(make_content(1000))
        for _ in range(3):
            opening = self.caches.open(digest)
            self.caches.run()
            self.failureResultOf(opening, UpstreamBadAnswer)
        self.assertEqual(self.registry.count("get_blob"), 2)
        self.clock.advance(601)
        self.assertEqual(bytes(self.pull(digest).data), self.registry.blobs[digest])

    def test_mixed_answers_are_fetched_afresh_once(self) -> None:
        """A small blob that two answers spoilt together is fetched again for who still waits."""
        content = make_content(60 * KIB, seed=8)
        digest = self.registry.add(content)
        self.registry.faults = [Fault(flip=5, cut=20 * KIB)]
        opening = self.caches.open(digest)
        self.caches.run(seconds=60)
        self.assertEqual(bytes(self.read(opening).data), content)
        self.assertEqual(self.caches.events.mismatches, ["up.test"])

    def test_more_bytes_than_announced(self) -> None:
        """Bytes behind the announced end are a broken answer, and are not written."""
        self.registry.faults = [Fault(surplus=b"more")]
        self.assertEqual(bytes(self.pull().data), self.content)

    def test_size_other_than_the_manifest_says(self) -> None:
        """A Content-Length that is not the descriptor's size is a bad answer."""
        self.registry.faults = [Fault(claim_size=7)]
        self.caches.index.content = self._mentions(len(self.content))  # type: ignore[method-assign]
        opening = self.caches.open(self.digest)
        self.caches.run()
        self.failureResultOf(opening, UpstreamBadAnswer)

    def _mentions(self, size: int) -> object:
        """A look-up that knows the size from a manifest."""
        from dataclasses import replace

        look_up = self.caches.index.content

        def content(*key: object) -> object:
            return look_up(*key).addCallback(  # type: ignore[arg-type]
                lambda facts: replace(facts, mentioned_size=size)
            )

        return content


class SpaceTests(DownloadTestCase):
    """Disks that are full."""

    def test_refused_claim_is_relayed(self) -> None:
        """A blob that there is no space for passes through with one upstream request."""
        self.caches.space.limit = 1000
        sink = self.pull()
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.registry.count("get_blob"), 1)
        self.assertFalse(os.path.exists(self.blob_path()))

    def test_relay_of_a_range(self) -> None:
        """A relayed range is cut out of the whole."""
        self.caches.space.limit = 1000
        opening = self.caches.open(self.digest)
        self.caches.run(turns=4)
        sink = self.read(opening, 15 * KIB, 35 * KIB + 7)
        self.assertIsInstance(sink.reader, Relay)
        self.caches.run()
        self.assertEqual(bytes(sink.data), self.content[15 * KIB : 35 * KIB + 7])
        self.assertTrue(sink.ended)

    def test_relay_of_a_wrong_byte(self) -> None:
        """A relay aborts on a mismatch with its last 64 KiB withheld."""
        self.caches.space.limit = 1000
        self.registry.faults = [Fault(flip=5)]
        sink = self.pull()
        self.assertIsNotNone(sink.reason)
        self.assertLessEqual(len(sink.data), len(self.content) - WITHHELD)

    def test_relay_obeys_a_slow_client(self) -> None:
        """A client that pauses pauses the upstream."""
        self.caches.space.limit = 1000
        opening = self.caches.open(self.digest)
        self.caches.run(turns=4)
        sink = Sink()
        sink.slow = True
        sink.reader = self.successResultOf(opening).reader
        self.addCleanup(sink.reader.leave)
        sink.reader.begin(0, len(self.content), sink)
        self.caches.run()
        self.assertTrue(self.registry.bodies[0].paused)
        self.assertLess(self.registry.sent, 150 * KIB)

    def test_unknown_length_over_the_limit(self) -> None:
        """A blob that grows over the limit is cut off, and dropped."""
        self.caches.space.limit = 100 * KIB
        self.registry.faults = [Fault(hide_size=True)]
        opening = self.caches.open(self.digest)
        self.caches.run(turns=9)
        sink = Sink()
        reader = self.successResultOf(opening).reader
        reader.begin(0, None, sink)
        self.caches.run()
        self.assertIsNotNone(sink.reason)
        self.assertEqual(os.listdir(os.path.join(self.directory, "partial")), [])

    def test_write_error_half_way(self) -> None:
        """A disk that fails in the middle aborts who has bytes; later pulls are relayed."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        sink = self.read(opening)
        self.fail_writes()
        self.caches.run()
        self.assertIsNotNone(sink.reason)
        self.assertEqual(self.caches.events.storage_errors, 1)
        opening = self.caches.open(self.digest)
        self.caches.run(turns=4)
        sink = self.read(opening)
        self.assertIsInstance(sink.reader, Relay)
        self.caches.run()
        self.assertEqual(bytes(sink.data), self.content)

    def fail_writes(self) -> None:
        """Every write fails from now on, as on a full disk."""
        download = next(iter(self.caches.downloads._running.values()))

        def full(*_: object) -> "Deferred[None]":
            failed: Deferred[None] = Deferred()
            failed.errback(OSError(28, "No space left on device"))
            return failed

        self.patch(download.file, "write", full)


class StoppingTests(DownloadTestCase):
    """The daemon stops and starts again."""

    def test_resumes_after_a_restart(self) -> None:
        """What was fetched before a stop is not fetched again."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=15)
        sink = self.read(opening)
        self.caches.stop()
        self.assertIsNotNone(sink.reason)
        self.caches = self.make_caches()
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertLessEqual(self.registry.sent, len(self.content) + self.registry.chunk)

    def test_complete_partial_file_needs_one_head(self) -> None:
        """A file that was complete but not committed is proved by one HEAD and verified."""
        partial = self.successResultOf(self.caches.store.open_partial(self.digest, "up.test"))
        partial.set_size(len(self.content))
        self.successResultOf(partial.write(0, [self.content]))
        self.successResultOf(partial.save())
        partial.close()
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertEqual(self.registry.count("get_blob"), 0)
        self.assertEqual(self.registry.count("head_blob"), 1)

    def test_damaged_partial_file_is_fetched_afresh(self) -> None:
        """Wrong bytes from an earlier day are dropped without blaming the upstream."""
        partial = self.successResultOf(self.caches.store.open_partial(self.digest, "up.test"))
        partial.set_size(len(self.content))
        self.successResultOf(partial.write(0, [b"x" * 100 * KIB]))
        self.successResultOf(partial.save())
        partial.close()
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        first = self.read(opening)
        self.caches.run()
        self.assertIsNotNone(first.reason)
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertEqual(self.registry.count("get_blob"), 2)

    def test_nothing_begins_while_stopping(self) -> None:
        """A request that comes while the daemon stops is told so."""
        self.caches.downloads.stop()
        opening = self.caches.open(self.digest)
        self.caches.run()
        self.failureResultOf(opening, ServiceUnavailableError)

    def test_stop_while_opening(self) -> None:
        """A stop before the upstream has answered refuses who waits."""
        self.registry.silent = True
        opening = self.caches.open(self.digest)
        self.caches.run()
        self.caches.stop()
        self.failureResultOf(opening, ServiceUnavailableError)
