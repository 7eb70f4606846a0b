"""Tests for blobs of which a manifest states a wrong size: the upstream's answer counts, if its
digest is right."""

from collections.abc import Callable

from twisted.internet.defer import Deferred

from regcache.cache.download.context import WITHHELD, BlobSource
from regcache.cache.download.downloads import MOST_REFUSED, WRONG_SIZE_REST
from regcache.cache.opened import BlobHead
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer
from regcache.facts import Descriptor, Manifest
from tests.support.bodies import Fault
from tests.support.download_case import KIB, DownloadTestCase, make_content

SIZE = 300 * KIB
HIDDEN = Fault(hide_size=True)


class WrongSizeCase(DownloadTestCase):
    """A manifest of the repository lists the blob."""

    def mention(self, size: int, digest: Digest | None = None) -> None:
        """It states a size."""
        content = b"a manifest"
        manifest = Manifest(Digest.of(content), "application/manifest", content)
        self.caches.index.record_manifest(
            self.caches.served().identity,
            manifest,
            [Descriptor(digest or self.digest, size, "")],
            subject=None,
            credentials="",
            now=self.clock.seconds(),
        )

    def outcome(self, end: int | None = SIZE) -> str:
        """Pull the blob; what came of it."""
        opening = self.caches.open(self.digest)
        self.run_on(lambda: opening.called)
        if not hasattr(opening.result, "reader"):
            self.failureResultOf(opening, UpstreamBadAnswer)
            return "refused"
        sink = self.read(opening, 0, end)
        self.run_on(lambda: sink.ended or sink.reason is not None)
        assert sink.reader is not None
        sink.reader.leave()
        self.caches.run()
        if sink.ended:
            self.assertEqual(bytes(sink.data), self.content)
        return "complete" if sink.ended else "broken off"

    def run_on(self, done: Callable[[], bool]) -> None:
        """Let pauses pass until something is reached."""
        for _ in range(20):
            self.caches.run(turns=50)
            if done():
                return
            self.clock.advance(7.0)

    def head(self) -> BlobHead:
        """What HEAD says of it."""
        asking = Deferred.fromCoroutine(self.caches.blobs.head(self.caches.served(), self.digest))
        self.caches.run()
        head: BlobHead = self.successResultOf(asking)
        return head

    def make_small(self) -> None:
        """A blob that is verified before its answer begins."""
        self.content = make_content(30 * KIB, seed=5)
        self.digest = self.registry.add(self.content)


class StatedTests(WrongSizeCase):
    """The upstream states the right size."""

    def test_pull(self) -> None:
        """It is pulled, stored, and its space claimed as the upstream says."""
        for size in (5, WITHHELD + 1, 10 * SIZE, 2**50):
            with self.subTest(size=size):
                self.content = make_content(SIZE, seed=size)
                self.digest = self.registry.add(self.content)
                self.mention(size)
                self.assertEqual(self.outcome(), "complete")
                self.assertEqual(self.caches.space.claims[-1].size, SIZE)
        self.assertEqual(self.caches.events.mismatches, [])

    def test_small(self) -> None:
        """So is a small one."""
        self.make_small()
        self.mention(2**50)
        self.assertEqual(self.outcome(30 * KIB), "complete")

    def test_head(self) -> None:
        """HEAD repeats the manifest until the size was verified, and never after that."""
        self.mention(5)
        self.assertEqual(self.head().size, 5)
        self.assertEqual(self.outcome(), "complete")
        self.assertEqual(self.head().size, SIZE)
        self.successResultOf(self.caches.store.remove(self.digest))
        self.successResultOf(self.caches.index.forget_content(self.digest))
        head = self.head()
        self.assertEqual((head.size, head.status.text), (SIZE, "regcache; hit; detail=descriptor"))
        self.mention(5)
        self.assertEqual(self.head().size, SIZE)

    def test_head_before_it_is_recorded(self) -> None:
        """Nor between the proof and the note of the index."""
        self.mention(5)
        recorded: Deferred[None] = Deferred()
        record = self.caches.index.record_blob
        self.patch(
            self.caches.index,
            "record_blob",
            lambda *a, **k: recorded.addCallback(lambda _: record(*a, **k)),
        )
        self.assertEqual(self.outcome(), "complete")
        self.assertEqual(self.head().size, SIZE)
        recorded.callback(None)

    def test_wrong_bytes(self) -> None:
        """A size that the digest does not confirm is not kept."""
        self.mention(SIZE)
        self.registry.faults = [Fault(claim_size=200 * KIB, cut=200 * KIB)]
        self.registry.blobs[self.digest] = self.content[: 200 * KIB]
        self.assertEqual(self.outcome(200 * KIB), "broken off")
        self.assertEqual(self.head().size, SIZE)
        self.assertEqual(self.caches.events.mismatches, ["up.test"])

    def test_relay(self) -> None:
        """What is passed through is no worse, and its size is noted."""
        self.caches.space.limit = 0
        self.mention(5)
        self.assertEqual(self.outcome(), "complete")
        self.assertEqual(self.head().size, SIZE)

    def test_page(self) -> None:
        """A page of another size is none of it; that is no reason to let the URL rest."""
        self.mention(SIZE)
        page = Fault(media_type="text/html", claim_size=700, ends=700, flip=0)
        for limit in (2**60, 0):
            self.caches.space.limit = limit
            self.registry.faults = [page, Fault(media_type="text/html", hide_size=True)] * 3
            self.assertEqual([self.outcome() for _ in range(6)], ["refused"] * 6)
            self.assertEqual([body for body in self.registry.bodies if body.open], [])
        self.assertEqual(self.caches.events.mismatches, [])
        self.assertEqual(self.outcome(), "complete")


class HiddenTests(WrongSizeCase):
    """The upstream states no size, so that of the manifest is taken, until it does not fit."""

    def test_right(self) -> None:
        """One that is right tells clients the length, and costs nothing."""
        self.mention(SIZE)
        self.registry.faults = [HIDDEN]
        opening = self.caches.open(self.digest)
        self.caches.run()
        sink = self.read(opening)
        self.assertEqual(sink.reader and sink.reader.size, SIZE)
        self.caches.run()
        self.assertTrue(sink.ended)
        self.assertEqual(self.registry.sent, SIZE)

    def test_wrong(self) -> None:
        """Who was told a wrong length is broken off; the next one gets the blob."""
        for size in (100 * KIB, 10 * SIZE):
            for ranges in (True, False):
                with self.subTest(size=size, ranges=ranges):
                    self.content = make_content(SIZE, seed=size + ranges)
                    self.digest = self.registry.add(self.content)
                    self.mention(size)
                    fault = Fault(hide_size=True, ignore_range=not ranges)
                    self.registry.faults = [fault] * 100
                    self.assertEqual(self.outcome(None), "broken off")
                    self.assertEqual(self.outcome(None), "complete")
                    self.assertEqual(self.head().size, SIZE)
                    self.registry.faults = []
        self.assertEqual(self.caches.events.mismatches, [])

    def test_small(self) -> None:
        """Where nobody was told it is fetched afresh at once."""
        for size in (20 * KIB, 50 * KIB):
            with self.subTest(size=size):
                self.content = make_content(30 * KIB, seed=size)
                self.digest = self.registry.add(self.content)
                self.mention(size)
                self.registry.faults = [HIDDEN] * 100
                self.assertEqual(self.outcome(30 * KIB), "complete")
                self.registry.faults = []

    def test_bounded(self) -> None:
        """Where no size is believed the space that is granted bounds it."""
        self.mention(100 * KIB)
        self.registry.faults = [HIDDEN] * 100
        self.assertEqual(self.outcome(None), "broken off")
        self.caches.space.limit = 200 * KIB
        self.assertEqual(self.outcome(None), "broken off")
        self.assertNotEqual(self.caches.downloads.not_storing(self.digest), "")
        self.assertEqual(self.outcome(None), "complete")

    def test_relay(self) -> None:
        """What is passed through has the same second chance."""
        self.caches.downloads.storage_failed(self.digest, OSError("no space"))
        self.patch(self.caches.downloads, "not_storing", lambda digest: "the disk refused")
        for size in (100 * KIB, 10 * SIZE):
            with self.subTest(size=size):
                self.content = make_content(SIZE, seed=size)
                self.digest = self.registry.add(self.content)
                self.mention(size)
                self.registry.faults = [HIDDEN] * 100
                self.assertEqual(self.outcome(None), "broken off")
                self.assertEqual(self.outcome(None), "complete")
                self.assertEqual(self.head().size, SIZE)

    def test_unreachable(self) -> None:
        """An upstream that is away says nothing of a size: what came is kept."""
        self.mention(SIZE)
        self.registry.faults = [Fault(hide_size=True, cut=200 * KIB), *[Fault(cut=0)] * 20]
        self.assertEqual(self.outcome(), "broken off")
        self.registry.faults = []
        self.assertEqual(self.outcome(), "complete")
        self.assertEqual(self.registry.sent, SIZE)


class BeliefTests(WrongSizeCase):
    """Which sizes are not believed."""

    def believed(self, digest: Digest) -> bool:
        """Whether a size of it is."""
        return self.caches.downloads.believed_size(digest, 5) == 5

    def test_for_a_while(self) -> None:
        """After some minutes a manifest is believed again: it may be another one."""
        self.caches.downloads.size_is_wrong(self.digest)
        self.assertFalse(self.believed(self.digest))
        self.clock.advance(WRONG_SIZE_REST)
        self.assertTrue(self.believed(self.digest))

    def test_memory_is_bounded(self) -> None:
        """The oldest make room, since manifests come from the network."""
        for number in range(MOST_REFUSED + 1):
            self.caches.downloads.size_is_wrong(Digest.of(b"%d" % number))
        self.assertTrue(self.believed(Digest.of(b"0")))
        self.assertFalse(self.believed(Digest.of(b"1")))
        self.assertEqual(len(self.caches.downloads._wrong_sizes), MOST_REFUSED)

    def test_joined(self) -> None:
        """Who joins a download that goes on without the size waits for its new head."""
        self.make_small()
        self.mention(20 * KIB)
        self.registry.faults = [HIDDEN] * 100
        source = BlobSource(self.registry, self.caches.served().identity)
        download = self.caches.downloads.begin(self.digest, source, 20 * KIB, True)
        readers = [download.join()]
        self.caches.run(turns=8)
        readers.append(download.join())
        self.run_on(lambda: download.readers.verified)
        self.assertEqual([reader.size for reader in readers], [30 * KIB] * 2)
        for reader in readers:
            self.successResultOf(reader.ready())
            reader.leave()
