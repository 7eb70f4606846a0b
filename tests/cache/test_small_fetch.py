"""Tests for small blobs: into memory first, verified, answered with, and then stored."""

import os
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from regcache.cache import backlog, small_blobs
from regcache.cache.memory_file import MemoryFile
from regcache.cache.small_blobs import RIGHT_FOR
from regcache.cache.small_fetch import SMALL, SmallFetch
from regcache.digests import Digest
from regcache.errors import UpstreamNotFound
from regcache.interfaces import IContentFile
from tests.support.bodies import Fault
from tests.support.caches import Caches
from tests.support.download_case import KIB, DownloadTestCase, make_content
from tests.support.pipeline import Disk
from tests.support.pools import HeldPool


class SmallCase(DownloadTestCase):
    """An upstream with a blob of 40 KiB, in four chunks."""

    def setUp(self) -> None:
        """A small blob."""
        super().setUp()
        self.content = make_content(40 * KIB, seed=11)
        self.digest = self.registry.add(self.content)

    def fetch(self) -> Any:
        """What stands in the table."""
        return self.caches.downloads._running.get(self.digest)

    def partials(self) -> list[str]:
        """What lies in the folder of partial files."""
        return os.listdir(os.path.join(self.directory, "partial"))

    def statuses(self, *openings: Any) -> list[str]:
        """How answers came about; the clients leave."""
        opened = [self.successResultOf(opening) for opening in openings]
        for each in opened:
            each.reader.leave()
        return [each.status.outcome for each in opened]


class AskingTests(SmallCase):
    """What the first answer decides."""

    def test_small_answer(self) -> None:
        """A small blob costs one request and no partial file, and is stored and recorded."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=3)
        self.assertIsInstance(self.fetch(), SmallFetch)
        self.assertEqual(self.partials(), [])
        self.assertNoResult(opening)
        self.caches.run()
        opened = self.successResultOf(opening)
        self.assertEqual((opened.content, opened.status.outcome), (self.content, "miss"))
        opened.reader.leave()
        self.assertEqual(self.registry.count("get_blob"), 1)
        with open(self.blob_path(), "rb") as file:
            self.assertEqual(file.read(), self.content)
        facts = self.successResultOf(self.caches.index.content("up.test", "org/app", self.digest))
        self.assertEqual((facts.size, facts.public), (len(self.content), True))
        self.assertIsNotNone(facts.link)
        self.assertTrue(all(claim.released for claim in self.caches.space.claims))

    def test_credentials_are_recorded(self) -> None:
        """What credentials gave is not public."""
        self.registry.credentials = "ours"
        self.pull()
        asking = self.caches.index.content("up.test", "org/app", self.digest)
        facts = self.successResultOf(asking)
        self.assertEqual((facts.public, facts.link.credentials), (False, "ours"))

    def test_larger_answer_is_handed_over(self) -> None:
        """One byte more than fits goes through a file, from the same answer."""
        self.content = make_content(SMALL + 1, seed=12)
        self.digest = self.registry.add(self.content)
        sink = self.pull()
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.registry.count("get_blob"), 1)

    def test_unknown_size_is_handed_over(self) -> None:
        """An answer that does not say its size goes through a file, too."""
        self.registry.faults = [Fault(hide_size=True)]
        sink = self.pull()
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.registry.count("get_blob"), 1)

    def test_refused(self) -> None:
        """A refusal reaches everybody who waits."""
        refusal = UpstreamNotFound("up.test", "not found", status=404)
        self.registry.faults = [Fault(refuse=refusal)]
        openings = [self.caches.open(self.digest) for _ in range(2)]
        self.caches.run()
        for opening in openings:
            self.assertIs(self.failureResultOf(opening).value, refusal)

    def test_partial_file_is_resumed(self) -> None:
        """Where an earlier attempt left something, only the rest is asked for."""
        partial = self.successResultOf(self.caches.store.open_partial(self.digest, "up.test"))
        partial.set_size(len(self.content))
        self.successResultOf(partial.write(0, [self.content[:1000]]))
        self.successResultOf(partial.save())
        partial.close()
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertEqual([each[3] for each in self.registry.requests], [1000])

    def test_partial_file_cannot_be_opened(self) -> None:
        """An answer that is too large, and has no file to go to, is relayed."""
        self.content = make_content(SMALL + 1, seed=12)
        self.digest = self.registry.add(self.content)
        path = os.path.join(self.directory, "partial")
        os.rmdir(path)
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        sink = self.read(opening)
        self.caches.run()
        os.mkdir(path)
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.registry.count("get_blob"), 1)


class CollectingTests(SmallCase):
    """What happens while the body comes."""

    def test_joined(self) -> None:
        """Who asks meanwhile waits for the same answer."""
        openings = [self.caches.open(self.digest) for _ in range(50)]
        self.caches.run(turns=4)
        openings.append(self.caches.open(self.digest))
        self.caches.run()
        statuses = self.statuses(*openings)
        self.assertEqual(statuses, ["miss", *["collapsed"] * 50])
        self.assertEqual(self.registry.count("get_blob"), 1)

    def test_broken_body_is_resumed(self) -> None:
        """What came before a break is not asked for again."""
        self.registry.faults = [Fault(cut=25 * KIB)]
        opening = self.caches.open(self.digest)
        self.caches.run(seconds=5)
        self.assertEqual(self.statuses(opening), ["miss"])
        self.assertEqual([each[3] for each in self.registry.requests], [0, 25 * KIB])
        self.assertEqual(self.registry.sent, len(self.content))

    def test_wrong_bytes(self) -> None:
        """Wrong bytes reach nobody, are counted, and are nowhere kept."""
        self.registry.faults = [Fault(flip=5)]
        opening = self.caches.open(self.digest)
        self.caches.run()
        self.failureResultOf(opening)
        self.assertEqual(self.caches.events.mismatches, ["up.test"])
        self.assertFalse(os.path.exists(self.blob_path()))
        self.assertEqual(self.partials(), [])
        self.assertIsNone(self.caches.small_blobs.get(self.digest))
        self.assertEqual(bytes(self.pull().data), self.content)

    def test_liar(self) -> None:
        """A URL that gave wrong bytes twice is not asked a third time."""
        self.registry.faults = [Fault(flip=5), Fault(flip=5)]
        for _ in range(3):
            opening = self.caches.open(self.digest)
            self.caches.run()
            self.failureResultOf(opening)
        self.assertEqual(self.registry.count("get_blob"), 2)

    def test_surplus(self) -> None:
        """More bytes than announced are nobody's."""
        self.registry.faults = [Fault(surplus=b"more")]
        opening = self.caches.open(self.digest)
        self.caches.run(seconds=5)
        self.assertEqual(self.statuses(opening), ["miss"])
        with open(self.blob_path(), "rb") as file:
            self.assertEqual(file.read(), self.content)

    def test_everybody_leaves(self) -> None:
        """A small blob that nobody waits for any more is fetched to its end."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=4)
        opening.cancel()
        self.failureResultOf(opening)
        self.caches.run()
        self.assertTrue(os.path.exists(self.blob_path()))

    def test_daemon_stops(self) -> None:
        """At the end of the daemon clients are refused, and the upstream's body is closed."""
        for turns in (1, 4):
            opening = self.caches.open(self.digest)
            self.caches.run(turns=turns)
            self.successResultOf(self.caches.downloads.stop())
            self.failureResultOf(opening)
            self.caches.run()
            self.assertFalse([body for body in self.registry.bodies if body.open])
            self.caches.stop()
            self.caches = self.make_caches()


class FinishTests(SmallCase):
    """An operator who wants nothing finished that nobody waits for."""

    finish = 10 * KIB

    def test_parks(self) -> None:
        """What came is kept in a file, and the rest is fetched when somebody asks."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=3)
        opening.cancel()
        self.failureResultOf(opening)
        self.caches.run()
        self.assertEqual(len(self.caches.downloads), 0)
        self.assertLess(self.registry.sent, len(self.content))
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertLessEqual(self.registry.sent, len(self.content) + self.registry.chunk)


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
        """With too much waiting for the disk already, the answer waits, too."""
        self.patch(backlog, "MOST_BEHIND", 0)
        pool = HeldPool()
        caches = Caches(os.path.abspath(self.mktemp()), self.clock, self.registry, pool=pool)
        opening = caches.open(self.digest)
        pool.release_all()
        caches.run()
        self.assertNoResult(opening)
        pool.release_all()
        self.assertEqual(self.statuses(opening), ["miss"])
        closing = caches.store.close()
        pool.release_all()
        self.successResultOf(closing)

    def test_no_space(self) -> None:
        """Without space everybody gets the bytes from one answer, and nothing is stored."""
        self.caches.space.limit = 1000
        openings = [self.caches.open(self.digest) for _ in range(3)]
        self.caches.run()
        self.assertEqual(self.statuses(*openings), ["relay"] * 3)
        self.assertEqual(self.registry.count("get_blob"), 1)
        self.assertFalse(os.path.exists(self.blob_path()))
        self.assertIsNone(self.caches.small_blobs.get(self.digest))
        asking = self.caches.index.content("up.test", "org/app", self.digest)
        self.assertIsNone(self.successResultOf(asking).size)

    def test_write_refused(self) -> None:
        """A disk that refuses costs the client nothing; it is counted, and rests."""
        disk = Disk(self.clock)
        caches = Caches(os.path.abspath(self.mktemp()), self.clock, self.registry, pool=disk)
        disk.failing = 1
        opening = caches.open(self.digest)
        caches.run()
        opened = self.successResultOf(opening)
        self.assertEqual((opened.content, opened.status.outcome), (self.content, "miss"))
        opened.reader.leave()
        self.assertEqual((caches.events.storage_errors, len(caches.downloads)), (1, 0))
        self.assertTrue(caches.downloads.storage_rests)
        self.assertTrue(all(claim.released for claim in caches.space.claims))
        caches.stop()


class MemoryTests(SmallCase):
    """Small blobs that memory knows."""

    def at_once(self, repository: str = "org/app") -> Any:
        """What is there without a wait."""
        upstream = self.caches.upstreams["up.test"]
        return self.caches.blobs.open_at_once(upstream, repository, self.digest)

    def test_hit_at_once(self) -> None:
        """What was fetched or loaded a moment ago needs neither index nor disk."""
        self.assertIsNone(self.at_once())
        self.pull()
        opened = self.at_once()
        self.assertEqual((opened.content, opened.status.text), (self.content, "regcache; hit"))
        self.assertEqual(opened.reader.size, len(self.content))

    def test_loaded_from_disk(self) -> None:
        """After a restart the first hit comes from the disk, the next from memory."""
        self.pull()
        index = self.caches.index
        self.caches.stop()
        self.caches = Caches(self.directory, self.clock, self.registry, index=index)
        self.assertIsNone(self.at_once())
        opening = self.caches.open(self.digest)
        self.assertEqual(self.statuses(opening), ["hit"])
        self.assertEqual(self.at_once().content, self.content)

    def test_damaged_on_disk(self) -> None:
        """What is damaged on the disk is not served, and fetched anew."""
        self.pull()
        self.caches.small_blobs.forget(self.digest)
        with open(self.blob_path(), "r+b") as file:
            file.write(b"damage")
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertEqual(self.registry.count("get_blob"), 2)

    def test_right_is_the_repository_s(self) -> None:
        """Another repository has to have a right of its own."""
        self.registry.credentials = "ours"
        self.pull()
        self.assertIsNone(self.at_once("org/two"))
        self.registry.holds = lambda repository, digest: repository == "org/app"
        opening = self.caches.open(self.digest, "org/two")
        self.caches.run()
        self.failureResultOf(opening, UpstreamNotFound)

    def test_right_expires(self) -> None:
        """After a minute the index is asked again."""
        self.pull()
        self.clock.advance(RIGHT_FOR + 1)
        self.assertIsNone(self.at_once())

    def test_closed_repository(self) -> None:
        """What memory holds of a closed repository is not shown."""
        self.pull()
        self.caches.closures.close("up.test", "org/app")
        self.assertIsNone(self.at_once())

    def test_forgotten(self) -> None:
        """What is deleted is dropped from memory, too."""
        self.pull()
        self.caches.small_blobs.forget(self.digest)
        self.assertIsNone(self.at_once())
        self.assertEqual(self.caches.small_blobs.weight, 0)

    def test_head(self) -> None:
        """HEAD is answered from memory."""
        self.pull()
        self.caches.index.content = None  # type: ignore[assignment, method-assign]
        upstream = self.caches.upstreams["up.test"]
        heading = Deferred.fromCoroutine(self.caches.blobs.head(upstream, "org/app", self.digest))
        head = self.successResultOf(heading)
        self.assertEqual((head.size, head.status.outcome), (len(self.content), "hit"))

    def test_bounded(self) -> None:
        """What was not used for longest makes room."""
        self.patch(small_blobs, "MEMORY", 100 * KIB)
        caches = self.make_caches()
        upstream = caches.upstreams["up.test"]
        contents = [make_content(40 * KIB, seed) for seed in range(3)]
        digests = [Digest.of(content) for content in contents]
        for digest, content in zip(digests, contents, strict=True):
            caches.small_blobs.remember(upstream, "org/app", digest, content)
        self.assertIsNone(caches.small_blobs.get(digests[0]))
        self.assertIs(caches.small_blobs.get(digests[2]), contents[2])
        self.assertLessEqual(caches.small_blobs.weight, 100 * KIB)

    def test_memory_file(self) -> None:
        """Content in memory has the shape of a file, but for a descriptor."""
        file = MemoryFile(self.digest, self.content)
        self.assertTrue(verifyObject(IContentFile, file))
        self.assertEqual(self.successResultOf(file.read(5, 3)), self.content[5:8])
        self.assertEqual(file.read_now(5, 3), self.content[5:8])
        self.assertFalse(file.cached(0, 1))
        self.assertRaises(OSError, file.fileno)
        file.close()
