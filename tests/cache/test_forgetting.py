"""Tests for what operators remove: who forgets it, and what is under way at that moment."""

import os
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.forgetting import Forgetting, Forgotten, IndexOfContent, Kind
from regcache.digests import Digest
from regcache.generations import Generations
from tests.cache.cases import APP, CacheTestCase
from tests.cache.rights_cases import RightsTestCase
from tests.support.caches import Caches, Sink
from tests.support.download_case import KIB, DownloadTestCase, make_content
from tests.support.indexes import MemoryIndex
from tests.support.pools import HeldPool

DIGEST = Digest.of(b"content")


class Memory:
    """Notes what it is told, and acknowledges when the test says so."""

    def __init__(self) -> None:
        self.told: list[Forgotten] = []
        self.done: Deferred[None] = Deferred()

    def forget(self, message: Forgotten) -> "Deferred[None]":
        """Note it."""
        self.told.append(message)
        return self.done


class MessageTests(SynchronousTestCase):
    """One message for everybody."""

    def setUp(self) -> None:
        """Two who remember something."""
        self.removed: Any = Generations(10)
        self.forgetting = Forgetting(self.removed)
        self.memories = [Memory(), Memory()]
        self.forgetting.subscribe(*self.memories)

    def test_all_have_acknowledged(self) -> None:
        """A removal is done when the last one has forgotten it."""
        removing = self.forgetting.remove(Kind.CONTENT, DIGEST)
        message = Forgotten(Kind.CONTENT, DIGEST, 1)
        self.assertEqual([memory.told for memory in self.memories], [[message], [message]])
        self.memories[0].done.callback(None)
        self.assertNoResult(removing)
        self.memories[1].done.callback(None)
        self.assertIsNone(self.successResultOf(removing))

    def test_generation(self) -> None:
        """It is raised before anybody is told, for a removal and not for a loss."""
        before = self.removed.current
        self.forgetting.lost(DIGEST)
        self.assertFalse(self.removed.concerns(DIGEST, before))
        self.assertEqual(self.memories[0].told[-1].generation, 0)
        self.forgetting.remove(Kind.TAG, (APP, "latest"))
        self.assertTrue(self.removed.concerns((APP, "latest"), before))
        self.assertFalse(self.removed.concerns(DIGEST, before))

    def test_one_cannot_forget(self) -> None:
        """Then nobody is told that it is gone."""
        removing = self.forgetting.remove(Kind.CONTENT, DIGEST)
        self.memories[0].done.errback(OSError("no"))
        self.failureResultOf(removing)
        self.memories[1].done.callback(None)
        self.flushLoggedErrors(OSError)

    def test_index(self) -> None:
        """The index forgets lost content, and a disk that refuses that is no fault of ours."""
        index = MemoryIndex()
        told: list[Digest] = []
        self.patch(index, "forget_content", lambda digest: told.append(digest) or fail(OSError()))
        subscriber = IndexOfContent(index)
        self.assertIsNone(subscriber.forget(Forgotten(Kind.TAG, (APP, "latest"), 1)))
        self.assertIsNone(subscriber.forget(Forgotten(Kind.CONTENT, DIGEST, 1)))
        done = subscriber.forget(Forgotten(Kind.CONTENT, DIGEST))
        assert done is not None
        self.successResultOf(done)
        self.assertEqual(told, [DIGEST])


class RemovalCase(DownloadTestCase):
    """A blob that is removed."""

    def names(self) -> list[str]:
        """All files of the content."""
        found = [name for _, _, names in os.walk(self.directory) for name in names]
        return [name for name in found if self.digest.hex in name]

    def remove(self, caches: Caches | None = None) -> "Deferred[None]":
        """Have it forgotten."""
        return (caches or self.caches).forgetting.remove(Kind.CONTENT, self.digest)

    def size(self, caches: Caches) -> int | None:
        """What the index says of it."""
        content = caches.served().content(self.digest)
        size: int | None = self.successResultOf(caches.index.content(content)).size
        return size


class DownloadTests(RemovalCase):
    """Content that is being fetched."""

    def test_readers_finish(self) -> None:
        """Who reads gets all of it, who comes later a copy of his own, and that is stored."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=15)
        first = self.read(opening)
        self.successResultOf(self.remove())
        self.assertEqual(self.names(), [])
        second = self.pull()
        self.caches.run()
        for sink in (first, second):
            self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.registry.count("get_blob"), 2)
        self.assertEqual(self.names(), [self.digest.hex])
        self.assertEqual(self.size(self.caches), len(self.content))

    def test_nobody_reads(self) -> None:
        """What goes on for nobody ends, and leaves nothing."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=15)
        self.successResultOf(opening).reader.leave()
        self.successResultOf(self.remove())
        self.caches.run()
        self.assertEqual((self.names(), len(self.caches.downloads)), ([], 0))
        self.assertLess(self.registry.sent, len(self.content))

    def test_last_reader_leaves(self) -> None:
        """Nor is it finished for nobody when its last reader has left."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=15)
        sink = self.read(opening)
        self.remove()
        assert sink.reader is not None
        sink.reader.leave()
        self.caches.run()
        self.assertEqual((self.names(), len(self.caches.downloads)), ([], 0))
        self.assertLess(self.registry.sent, len(self.content))

    def test_before_the_answer(self) -> None:
        """One that waits for the upstream, and another one that comes after it, both go on."""
        first = self.caches.open(self.digest)
        self.registry.delay = 0.003
        self.successResultOf(self.remove())
        second = self.caches.open(self.digest)
        self.caches.run(turns=60)
        sinks = [self.read(each) for each in (first, second)]
        self.caches.run()
        for sink in sinks:
            self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.caches.events.storage_errors, 0)
        self.assertEqual(self.names(), [self.digest.hex])

    def test_small(self) -> None:
        """What is small reaches its reader from memory, and is remembered nowhere."""
        self.content = make_content(4 * KIB, seed=5)
        self.digest = self.registry.add(self.content)
        opening = self.caches.open(self.digest)
        self.caches.run(turns=1)
        self.successResultOf(self.remove())
        self.caches.run()
        opened = self.successResultOf(opening)
        self.assertEqual(opened.content, self.content)
        opened.reader.leave()
        self.assertIsNone(self.caches.small_blobs.get(self.digest))
        self.assertEqual((self.names(), self.size(self.caches)), ([], None))

    def test_resumed_one(self) -> None:
        """What is left of an earlier attempt is not taken over by a name that was given up."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=15)
        self.read(opening)
        self.caches.stop()
        self.assertEqual(len(self.names()), 2)
        self.caches = self.make_caches()
        opening = self.caches.open(self.digest)
        self.caches.run(turns=5)
        sink = self.read(opening)
        self.successResultOf(self.remove())
        self.assertEqual(self.names(), [])
        self.caches.run()
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))


class StoringTests(RemovalCase):
    """Content that is getting its name: a removal waits for that."""

    def setUp(self) -> None:
        """A disk that does its work when it is told to."""
        super().setUp()
        self.pool = HeldPool()
        self.directory = os.path.abspath(self.mktemp())
        self.late = Caches(self.directory, self.clock, self.registry, pool=self.pool)

    def tearDown(self) -> None:
        """Nothing stays open."""
        closing = self.late.store.close()
        self.pool.release_all()
        self.successResultOf(closing)
        super().tearDown()

    def work(self, stop_at: str) -> None:
        """Let the disk work until a certain job is next."""
        for _ in range(3000):
            if self.pool.jobs and stop_at in self.pool.jobs[0][1].__qualname__:
                return
            if self.pool.jobs:
                self.pool.release()
            self.late.run(turns=1)
        raise AssertionError("it never came to that")

    def end(self, removing: "Deferred[None]", sink: Sink) -> None:
        """The removal is done when nothing can come back."""
        self.assertNoResult(removing)
        removing.addCallback(lambda _: self.late.store.remove(self.digest))
        removing.addCallback(lambda _: self.late.index.forget_content(self.digest))
        for _ in range(50):
            self.pool.release_all()
            self.late.run(turns=10)
        self.successResultOf(removing)
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual((self.names(), self.size(self.late)), ([], None))

    def begin(self) -> Any:
        """A client of it."""
        opening = self.late.open(self.digest)
        self.work("GrowingContent")
        self.late.run(turns=5)
        return opening

    def test_while_it_is_renamed(self) -> None:
        """The name that it gets is removed afterwards, and it is not noted."""
        opening = self.begin()
        self.work("PartialFile._commit")
        sink = self.read(opening)
        removing = self.remove(self.late)
        self.end(removing, sink)

    def test_while_it_is_noted(self) -> None:
        """What the index is being told is removed from it afterwards."""
        noted: Deferred[None] = Deferred()
        record = self.late.index.record_blob

        def record_later(*facts: Any, **more: Any) -> "Deferred[None]":
            return noted.addCallback(lambda _: record(*facts, **more))

        self.patch(self.late.index, "record_blob", record_later)
        opening = self.begin()
        for _ in range(200):
            self.pool.release_all()
            self.late.run(turns=2)
        sink = self.read(opening)
        removing = self.remove(self.late)
        self.assertNoResult(removing)
        noted.callback(None)
        self.pool.release_all()
        self.assertIsNone(self.successResultOf(removing))
        removing = self.late.store.remove(self.digest)
        self.pool.release_all()
        self.successResultOf(removing)
        self.successResultOf(self.late.index.forget_content(self.digest))
        self.late.run()
        assert sink.reader is not None
        sink.reader.leave()
        self.assertEqual((self.names(), self.size(self.late)), ([], None))


class ManifestTests(CacheTestCase):
    """Manifests and tags."""

    def test_memory(self) -> None:
        """A manifest, its right and the tags that name it are gone from memory at once."""
        self.result(self.tag())
        repository = self.caches.served(APP)
        self.assertIsNotNone(self.caches.tags.by_tag_at_once(repository, "latest"))
        self.caches.forgetting.remove(Kind.CONTENT, self.digest)
        self.assertIsNone(self.caches.tags.by_tag_at_once(repository, "latest"))
        self.assertIsNone(self.caches.tags.by_digest_at_once(repository, self.digest))
        self.assertEqual(len(self.caches.tag_table), 0)

    def test_lost(self) -> None:
        """Where only the bytes are lost the tag still means them."""
        self.result(self.tag())
        self.caches.forgetting.lost(self.digest)
        self.assertEqual(len(self.caches.tag_table), 1)
        self.assertIsNone(self.caches.remembered_manifests.contents.get(self.digest))

    def test_tag_and_repository(self) -> None:
        """A removed tag is forgotten, and all of a removed repository, and no others."""
        for repository in (APP, "org/b"):
            self.registry.manifests[repository, "latest"] = self.registry.manifests[APP, "latest"]
            self.result(self.tag(repository=repository))
        identities = [self.caches.served(name).identity for name in (APP, "org/b")]
        self.caches.forgetting.remove(Kind.TAG, (identities[0], "latest"))
        held = [self.caches.tag_table.in_memory(each, "latest") for each in identities]
        self.assertEqual([fact is None for fact in held], [True, False])
        self.caches.forgetting.remove(Kind.REPOSITORY, identities[1])
        self.assertEqual(len(self.caches.tag_table), 0)

    def test_while_it_is_fetched(self) -> None:
        """Who waits for it is served; it is neither remembered nor stored."""
        asking = self.start(self.by_digest())
        self.caches.forgetting.remove(Kind.CONTENT, self.digest)
        self.caches.run(turns=20)
        self.assertEqual(self.successResultOf(asking).manifest.content, self.content)
        self.assertIsNone(self.caches.remembered_manifests.contents.get(self.digest))
        facts = self.index.content(self.caches.served(APP).content(self.digest))
        self.assertIsNone(self.successResultOf(facts).size)


class ProofTests(RightsTestCase):
    """Rights that are being proved."""

    def test_proof_under_way(self) -> None:
        """A proof that comes after the removal is not noted."""
        self.holders.add(("org/b", self.blob))
        opening = self.start(self.open(self.blob, "org/b"))
        self.caches.forgetting.remove(Kind.CONTENT, self.blob)
        self.caches.run(turns=20)
        self.successResultOf(opening).reader.leave()
        facts = self.index.content(self.caches.served("org/b").content(self.blob))
        self.assertIsNone(self.successResultOf(facts).link)
