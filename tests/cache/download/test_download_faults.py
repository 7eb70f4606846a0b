"""Tests for downloads from upstreams that fail, on disks that are full, and over restarts."""

import os
import shutil

from twisted.internet.defer import Deferred, fail

from regcache.cache.download.context import WITHHELD
from regcache.cache.download.downloads import STORAGE_REST
from regcache.cache.download.relay import Relay
from regcache.digests import Digest
from regcache.errors import (
    ServiceUnavailableError,
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamNotFound,
    UpstreamServerError,
)
from regcache.store import aside
from regcache.store.partials import partial_keys
from tests.support.bodies import Fault
from tests.support.caches import Sink
from tests.support.download_case import KIB, DownloadTestCase, make_content


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
        sink = self.read_in_vain(20)
        self.assertIsNotNone(sink.reason)
        self.registry.faults = []
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertEqual(self.registry.sent, len(self.content))

    def test_refused_at_once(self) -> None:
        """A refusal that is known already ends it within the call, and no space stays claimed."""
        self.registry.faults = [Fault(cut=120 * KIB)]
        opening = self.caches.open(self.digest)
        self.caches.run(turns=20)
        sink = self.read(opening)
        refusal = UpstreamNotFound("up.test", "not found", status=404)
        self.patch(self.registry, "get_blob", lambda *_, **__: fail(refusal))
        self.caches.run(seconds=5)
        self.assertIn("not found", sink.reason or "")
        self.assertEqual([claim.released for claim in self.caches.space.claims], [True])

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
        self.assertEqual(os.listdir(os.path.join(self.directory, "partial")), [])
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
        (download,) = self.caches.downloads._all.values()

        def full(*_: object) -> "Deferred[None]":
            failed: Deferred[None] = Deferred()
            failed.errback(OSError(28, "No space left on device"))
            return failed

        self.patch(download.target.file, "write", full)

    def test_something_else_has_its_name(self) -> None:
        """What cannot be put aside has its blob relayed for a while, and keeps no other from it."""
        self.patch(aside, "MOST_ASIDE", 0)
        name = str(partial_keys(self.digest, self.registry.identity)[0])
        in_the_way = os.path.join(self.directory, "partial", name)
        os.makedirs(os.path.join(in_the_way, "of somebody"))
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertFalse(self.caches.downloads.storage_rests)
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        relay = self.successResultOf(opening).reader
        self.assertIsInstance(relay, Relay)
        relay.leave()
        other = self.registry.add(make_content(200 * KIB, seed=9))
        self.pull(other)
        asked = self.registry.count("get_blob")
        self.pull(other)
        self.assertEqual(self.registry.count("get_blob"), asked)
        shutil.rmtree(in_the_way)
        self.clock.advance(STORAGE_REST)
        self.pull()
        asked = self.registry.count("get_blob")
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertEqual(self.registry.count("get_blob"), asked)


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
        partial = self.successResultOf(
            self.caches.store.open_partial(self.digest, self.registry.identity)
        )
        partial.set_size(len(self.content))
        self.successResultOf(partial.write(0, [self.content]))
        self.successResultOf(partial.save())
        partial.close()
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertEqual(self.registry.count("get_blob"), 0)
        self.assertEqual(self.registry.count("head_blob"), 1)

    def test_damaged_partial_file_is_fetched_afresh(self) -> None:
        """Wrong bytes from an earlier day are dropped without blaming the upstream."""
        partial = self.successResultOf(
            self.caches.store.open_partial(self.digest, self.registry.identity)
        )
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

    def test_answer_that_says_no_size_opens_no_partial_file(self) -> None:
        """A page that answers everything is not the word of who holds what is here."""
        held = b"x" * 100 * KIB
        partial = self.successResultOf(
            self.caches.store.open_partial(self.digest, self.registry.identity)
        )
        self.successResultOf(partial.write(0, [held]))
        self.successResultOf(partial.save())
        partial.close()
        self.registry.faults = [Fault(ignore_range=True, hide_size=True)] * 2
        opening = self.caches.open(self.digest)
        self.caches.run(turns=20)
        self.assertNotIn(b"xxxx", bytes(self.read(opening).data))
        self.caches.run()
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
