"""Tests for what upstreams, disks and clients do to a download at the worst moment."""

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.download.context import BlobSource, DownloadTask
from regcache.cache.download.ending import Closing
from regcache.cache.download.readers import Readers
from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamNotFound,
    UpstreamResting,
)
from regcache.identity import Repository, UpstreamIdentity
from regcache.intervals import Intervals
from regcache.store.interval_saver import SAVE_BEHIND
from tests.support.bodies import Fault
from tests.support.caches import Caches, Sink
from tests.support.download_case import KIB, DownloadTestCase, make_content

MIB = 1024 * KIB


class LyingTests(DownloadTestCase):
    """Wrong bytes, again and again."""

    def test_fetched_afresh_once_only(self) -> None:
        """Content that two answers spoilt twice is given up, and the URL is left alone."""
        digest = self.registry.add(make_content(60 * KIB, seed=8))
        spoilt = [Fault(flip=5, cut=20 * KIB), Fault()]
        self.registry.faults = spoilt * 5
        opening = self.caches.open(digest)
        self.caches.run(seconds=2)
        self.failureResultOf(opening, UpstreamBadAnswer)
        self.assertEqual(self.registry.count("get_blob"), 4)
        refused = self.caches.open(digest)
        self.caches.run(seconds=2)
        self.failureResultOf(refused, UpstreamBadAnswer)
        self.assertEqual(self.registry.count("get_blob"), 4)

    def test_relays_count(self) -> None:
        """Lies to a relay are lies, and a liar is not asked for a relay either."""
        self.caches.downloads.storage_failed(self.digest, OSError("full"))
        self.registry.faults = [Fault(flip=5), Fault(flip=5)]
        for _ in range(2):
            self.assertIsNotNone(self.pull().reason)
        opening = self.caches.open(self.digest)
        self.caches.run()
        self.failureResultOf(opening, UpstreamBadAnswer)
        self.assertEqual(self.caches.events.mismatches, ["up.test", "up.test"])

    def test_honest_url_is_asked(self) -> None:
        """With two URLs the one that lied twice is left alone, and the other serves."""
        self.registry.url_count = 2
        digest = self.registry.add(make_content(1000))
        self.registry.faults = [Fault(flip=5), Fault(flip=6)]
        for _ in range(2):
            opening = self.caches.open(digest)
            self.caches.run()
            self.failureResultOf(opening, UpstreamBadAnswer)
        self.assertEqual(bytes(self.pull(digest).data), self.registry.blobs[digest])
        self.assertEqual([body.url_index for body in self.registry.bodies], [0, 0, 1])


class RefusedClaimTests(DownloadTestCase):
    """A body that came with a size that there is no space for."""

    def test_nobody_waits_any_more(self) -> None:
        """The body is not left waiting where the only client has gone."""
        self.caches.space.limit = 1000
        opening = self.caches.open(self.digest)
        opening.cancel()
        self.failureResultOf(opening)
        self.caches.run()
        self.assertTrue(self.registry.bodies[0].aborted)

    def test_first_takes_the_body(self) -> None:
        """Of many who wait the first takes it; the others ask for themselves."""
        self.caches.space.limit = 1000
        opening = [self.caches.open(self.digest) for _ in range(3)]
        self.caches.run(turns=5)
        sinks = [self.read(each) for each in opening]
        self.caches.run()
        for sink in sinks:
            self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.registry.count("get_blob"), 3)


class SeveralRangesTests(DownloadTestCase):
    """One answer with several ranges of a blob that is cold."""

    def test_far_ahead_and_back(self) -> None:
        """Each range is brought where it is, and sent in the order asked for."""
        self.registry.chunk = 256 * KIB
        content = make_content(40 * MIB, seed=5)
        digest = self.registry.add(content)
        opening = self.caches.open(digest)
        self.caches.run(turns=4)
        sink = Sink()
        reader = sink.reader = self.successResultOf(opening).reader
        self.addCleanup(reader.leave)
        queue = [(30 * MIB, 30 * MIB + 1000), (20, 50), (20 * MIB, 20 * MIB + 10), (0, 5)]
        expected = b"".join(content[start:end] for start, end in queue)

        def begin() -> None:
            if queue:
                reader.begin(*queue.pop(0), sink)

        sink.range_ended = begin  # type: ignore[method-assign]
        begin()
        self.caches.run(turns=12)
        self.assertEqual(bytes(sink.data), expected)
        self.assertLess(self.registry.sent, 12 * MIB)
        reader.leave()
        self.caches.run()
        self.assertLess(self.registry.sent, len(content) + 3 * self.registry.chunk)


class IgnoredRangeTests(DownloadTestCase):
    """Tests an upstream that sends the whole content for every range."""

    def test_one_answer_is_enough(self) -> None:
        """While such an answer brings everything, nothing else is asked for."""
        self.registry.chunk = 64 * KIB
        content = make_content(20 * MIB, seed=6)
        digest = self.registry.add(content)
        self.registry.faults = [Fault(cut=MIB), *[Fault(ignore_range=True)] * 100]
        partial = self.successResultOf(self.caches.store.open_partial(digest))
        partial.set_size(len(content))
        self.successResultOf(partial.write(10 * MIB, [content[10 * MIB : 11 * MIB]]))
        self.successResultOf(partial.save())
        partial.close()
        opening = self.caches.open(digest)
        self.caches.run(turns=5)
        # The question on behalf of this reader is answered when the first answer has broken off.
        self.registry.delay = 0.05
        far_sink = self.read(opening, 15 * MIB, 16 * MIB)
        self.caches.run(seconds=30)
        self.assertEqual(bytes(far_sink.data), content[15 * MIB : 16 * MIB])
        self.assertEqual(bytes(self.pull(digest).data), content)
        self.assertEqual(self.registry.count("get_blob"), 2)
        self.assertLessEqual(self.registry.sent, len(content) + MIB)


class HurriedUpstreamTests(DownloadTestCase):
    """Upstreams that answer at once, within the question."""

    def test_refuses_at_once(self) -> None:
        """A refusal that comes within the question ends the download cleanly."""
        resting = UpstreamResting("up.test", "resting", retry_after=5)

        def refuse(*_: object, **__: object) -> "Deferred[Any]":
            refused: Deferred[Any] = Deferred()
            refused.errback(resting)
            return refused

        self.registry.get_blob = refuse  # type: ignore[method-assign]
        opening = self.caches.open(self.digest)
        self.failureResultOf(opening, UpstreamResting)
        self.assertEqual(len(self.caches.downloads), 0)

    def test_side_fill_is_not_asked_for_after_the_end(self) -> None:
        """When the next question ends everything, no other is asked in the same breath."""
        self.registry.chunk = 64 * KIB
        digest = self.registry.add(make_content(20 * MIB, seed=6))
        self.registry.faults = [Fault(cut=MIB)]
        opening = self.caches.open(digest)
        self.caches.run(turns=5)
        sink = self.read(opening, 15 * MIB, 16 * MIB)
        refusals = []

        def refuse(*_: object, **__: object) -> "Deferred[Any]":
            refused: Deferred[Any] = Deferred()
            refused.errback(UpstreamNotFound("up.test", "gone", status=404))
            refusals.append(refused)
            return refused

        self.caches.run(turns=2)
        self.registry.get_blob = refuse  # type: ignore[method-assign]
        for body in self.registry.bodies:
            if body.open:
                body._fault.cut = 0
        self.caches.run(seconds=30)
        self.assertIsNotNone(sink.reason)
        self.assertEqual(len(refusals), 1)


class KilledTests(DownloadTestCase):
    """A process that ends without a word."""

    def test_intervals_are_saved_now_and_then(self) -> None:
        """What a kill costs is bounded: the intervals are saved while bytes arrive."""
        self.registry.chunk = 256 * KIB
        content = make_content(3 * SAVE_BEHIND, seed=5)
        digest = self.registry.add(content)
        opening = self.caches.open(digest)
        while self.registry.sent < 2.5 * SAVE_BEHIND:
            self.caches.run(turns=1)
        self.successResultOf(opening)
        (download,) = self.caches.downloads._all.values()
        download._fetching.drop()
        killed, self.caches = self.caches, self.make_caches()
        self.assertEqual(bytes(self.pull(digest).data), content)
        self.assertLess(self.registry.sent, len(content) + SAVE_BEHIND + MIB)
        download.target.file.close()
        self.assertEqual(len(killed.downloads), 1)


class ClosingTests(SynchronousTestCase):
    """The order at the end of a download."""

    def setUp(self) -> None:
        """A download that is over, and a reader of it."""
        self.said: list[str] = []
        case = self

        class File:
            present = Intervals()

            def close(self) -> None:
                case.said.append("closed")

        class Events:
            def released(self, task: object) -> None:
                case.said.append("told")

            def over(self, task: object) -> None:
                case.said.append("over")

        caches = Caches(os.path.abspath(self.mktemp()), Clock())
        context, events, file = caches.downloads.context, Events(), File()
        repository = Repository(UpstreamIdentity("up.test"), "org/app")
        source = BlobSource(None, repository)  # type: ignore[arg-type]
        task = DownloadTask(
            Digest.of(b""),
            source,
            expected_size=None,
            fresh=True,
            skip=frozenset(),
            generation=0,
        )
        self.readers = Readers(Clock(), lambda: self.closing.reader_left())
        self.closing = Closing(task, self.readers, context, events)  # type: ignore[arg-type]
        self.readers.file = self.closing._file = file  # type: ignore[assignment]
        self.reader = self.readers.join()

    def test_file_is_closed_before_the_table_is_told(self) -> None:
        """Who waits for the end opens the file at once, and must find it closed."""
        self.closing.released.wait().addCallback(lambda _: self.said.append("next"))
        self.closing.finish()
        self.assertEqual(self.said, ["closed", "told", "next", "over"])

    def test_readers_of_verified_content_keep_the_file(self) -> None:
        """What was verified may be read to its end; the last who leaves closes it."""
        self.readers.verified = True
        self.closing.finish()
        self.assertEqual(self.said, ["told", "over"])
        self.reader.leave()
        self.assertEqual(self.said, ["told", "over", "closed"])


class ManyReadersTests(DownloadTestCase):
    """A thousand clients of one cold blob."""

    def test_a_thousand_readers(self) -> None:
        """They cost one transfer, and each gets the blob."""
        opening = [self.caches.open(self.digest) for _ in range(1000)]
        self.caches.run(turns=5)
        sinks = [self.read(each) for each in opening]
        self.caches.run(turns=600)
        self.assertEqual({(bytes(sink.data), sink.ended) for sink in sinks}, {(self.content, True)})
        self.assertEqual(self.registry.count("get_blob"), 1)
        self.assertTrue(os.path.exists(self.blob_path()))
