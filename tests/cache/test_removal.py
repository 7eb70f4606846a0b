"""Tests that removed content leaves the memory, the index and the disk during other work."""

import errno
import json
import os
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache import files_ahead
from regcache.cache.forgetting import Forgotten
from regcache.cache.removal import NotHereError, PinnedError, Removed
from regcache.digests import Digest
from regcache.errors import UpstreamFailure
from regcache.facts import in_blocks
from regcache.identity import Repository, RepositoryContent
from regcache.media_types import OCI_MANIFEST
from regcache.pins import Pin
from regcache.removals import RemovalTarget, blob_of, manifest_of, tag_of
from regcache.store import content_names
from regcache.store.index import SqliteIndex
from regcache.store.index_file import IndexFile
from regcache.store.partial_names import PartialNames
from tests.support.caches import Caches, Sink
from tests.support.pools import ImmediatePool
from tests.support.registries import FakeRegistry

KIB = 1024
EVERY = Digest("sha256", "0" * 64), Digest("sha256", "f" * 64)


def refuse(*_: Any) -> None:
    """What the disk does: it removes nothing."""
    raise OSError(errno.EROFS, "read only")


async def _done(deferred: "Deferred[Any]") -> Any:
    """What comes of it."""
    return await deferred


class RemovalCase(SynchronousTestCase):
    """Two upstreams, a cache over a real store and a real index."""

    def setUp(self) -> None:
        """Nothing is here yet."""
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        self.up = FakeRegistry(self.clock, chunk=10 * KIB)
        self.quay = FakeRegistry(self.clock, chunk=10 * KIB, name="quay.test")
        self.random = random.Random(7)
        self.running: Caches | None = None
        self.start()
        self.addCleanup(self.stop)

    def start(self, resumes: bool = True) -> None:
        """A daemon on the directory.

        :param resumes: whether it has time to finish what an earlier one had begun to remove.
        """
        path = os.path.join(self.directory, "index.sqlite")
        index = SqliteIndex(IndexFile(path), ImmediatePool(), ImmediatePool(), self.clock)
        self.successResultOf(index.open())
        self.caches = self.running = Caches(
            self.directory, self.clock, self.up, self.quay, index=index
        )
        self.result(self.caches.removal.begin())
        if resumes:
            self.result(self.caches.removal.resume())

    def stop(self) -> None:
        """It ends in good order."""
        if self.running is not None:
            self.running.stop()
            self.kill()

    def kill(self) -> None:
        """It ends at once: nothing that is only in memory is left."""
        self.caches.removal.stop()
        self.successResultOf(self.caches.index.close())
        self.running = None

    def restart(self) -> None:
        """Kill it, and start it again."""
        self.kill()
        self.start()

    def result(self, work: Any) -> Any:
        """What comes of something; failures are raised."""
        doing = Deferred.fromCoroutine(work)
        self.caches.run()
        return self.successResultOf(doing)

    def image(
        self, *layers: bytes, repository: str = "org/a", tag: str = "1", up: Any = None
    ) -> tuple[Digest, list[Digest]]:
        """An upstream has an image; its digest, and those of its layers."""
        registry = up or self.up
        digests = [registry.add(layer) for layer in layers]
        described = [
            {"mediaType": "", "digest": str(each), "size": len(layer)}
            for each, layer in zip(digests, layers, strict=True)
        ]
        body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": described[1:]}
        content = json.dumps({**body, "config": described[0]}).encode()
        return registry.add_manifest(repository, tag, content, OCI_MANIFEST), digests

    def layer(self, size: int = 100 * KIB) -> bytes:
        """Bytes that no other has."""
        return self.random.randbytes(size)

    def pull(self, repository: str = "org/a", tag: str = "1", up: str = "up.test") -> None:
        """Pull an image as a client does, and compare all of it."""
        served = self.caches.served(repository, up)
        manifest = self.result(self.caches.tags.by_tag(served, tag)).manifest
        body = json.loads(manifest.content)
        for each in (body["config"], *body["layers"]):
            digest = Digest.parse(each["digest"])
            self.assertEqual(Digest.of(self.blob(digest, repository, up)), digest)

    def blob(self, digest: Digest, repository: str = "org/a", up: str = "up.test") -> bytes:
        """What a client gets of a blob."""
        opened = self.result(self.caches.blobs.open(self.caches.served(repository, up), digest))
        sink = Sink()
        opened.reader.begin(0, opened.reader.size, sink)
        self.caches.run()
        opened.reader.leave()
        self.caches.run()
        self.assertTrue(sink.ended)
        return bytes(sink.data)

    def names(self) -> set[str]:
        """The files of all content, complete or not."""
        found: set[str] = set()
        for part in ("blobs", "partial"):
            for _, _, names in os.walk(os.path.join(self.directory, part)):
                found.update(names)
        return found

    def check(self) -> None:
        """The index has just what is on the disk."""
        stored = self.successResultOf(self.caches.index.checks.stored_between(*EVERY))
        self.assertEqual({each.hex for each in stored}, self.names())

    def repository(self, name: str = "org/a", up: str = "up.test") -> Any:
        """Its identity."""
        return self.caches.served(name, up).identity

    def remove(self, target: RemovalTarget, by: str = "") -> Removed:
        """Remove it."""
        removed: Removed = self.result(self.caches.removal.remove(target, by))
        return removed

    def remove_all(self, repository: Repository) -> tuple[int, int]:
        """Remove all that a repository has, and forget it; how many tags and contents went."""
        tags = contents = 0
        left_in = self.caches.index.removals.left_in
        while (target := self.successResultOf(left_in(repository, None))) is not None:
            removed = self.remove(target)
            tags, contents = tags + removed.tags, contents + removed.contents
        self.result(self.caches.removal.clear(repository))
        return tags, contents

    def refusal(self, target: RemovalTarget, kind: type[Exception]) -> None:
        """It is not removed."""
        removing = Deferred.fromCoroutine(self.caches.removal.remove(target))
        self.caches.run()
        self.failureResultOf(removing, kind)

    def asked(self) -> list[str]:
        """What the upstreams were asked since this was asked last."""
        asked = [each[0] for registry in (self.up, self.quay) for each in registry.requests]
        self.up.requests.clear()
        self.quay.requests.clear()
        return asked


class WholeTests(RemovalCase):
    """An image, removed."""

    def test_manifest(self) -> None:
        """Nothing is left of it, and the next pull fetches it anew and is right."""
        digest, layers = self.image(self.layer(), self.layer(300 * KIB))
        self.pull()
        removed = self.remove(manifest_of(self.repository(), digest))
        self.assertEqual((removed.tags, removed.contents), (1, 3))
        self.assertGreater(removed.freed, 400 * KIB)
        self.assertEqual(self.names(), set())
        self.asked()
        self.pull()
        self.assertEqual(sorted(self.asked()), ["get_blob", "get_blob", "get_manifest"])
        self.assertEqual(self.names(), {digest.hex, *(each.hex for each in layers)})

    def test_tag(self) -> None:
        """A tag is out of memory at once, and out of the lists."""
        digest, _ = self.image(self.layer())
        self.up.manifests["org/a", "2"] = self.up.manifests["org/a", "1"]
        self.pull()
        self.pull(tag="2")
        self.remove(tag_of(self.repository(), "1"), "root")
        gone = self.caches.removal.gone.find(self.repository(), "1")
        self.assertEqual((gone and gone.by), "root")
        self.assertIsNone(self.caches.tag_table.in_memory(self.repository(), "1"))
        self.assertEqual(
            self.successResultOf(self.caches.index.tags(self.repository(), "", 9)), ["2"]
        )
        self.assertIn(digest.hex, self.names())
        self.refusal(tag_of(self.repository(), "1"), NotHereError)

    def test_shared(self) -> None:
        """What another upstream's image lists stays for it, and is no more this one's."""
        base = self.layer()
        digest, layers = self.image(base, self.layer())
        self.image(base, self.layer(), repository="org/b", up=self.quay)
        self.pull()
        self.pull("org/b", up="quay.test")
        self.remove(manifest_of(self.repository(), digest))
        self.assertEqual({layers[0].hex, layers[1].hex} & self.names(), {layers[0].hex})
        self.asked()
        self.blob(layers[0], "org/b", "quay.test")
        self.assertEqual(self.asked(), [])
        self.blob(layers[0])
        self.assertEqual(self.asked(), ["head_blob"], "the proof of the right")

    def test_right_is_proved_again(self) -> None:
        """To what another repository of the upstream holds, by one HEAD, and only once."""
        base = self.layer()
        digest, layers = self.image(base)
        self.image(base, self.layer(), repository="org/b")
        self.pull()
        self.pull("org/b")
        self.remove(manifest_of(self.repository(), digest))
        self.asked()
        for expected in (["head_blob"], []):
            self.blob(layers[0])
            self.assertEqual(self.asked(), expected)

    def test_fetched_for_another(self) -> None:
        """Nor does it join what another repository is fetching, before it has proved the right."""
        base = self.layer(300 * KIB)
        digest, layers = self.image(base)
        self.image(base, self.layer(), repository="org/b")
        self.pull()
        self.pull("org/b")
        self.remove(manifest_of(self.repository(), digest))
        self.result(_done(self.caches.store.remove(layers[0])))
        other = self.caches.served("org/b")
        opening = Deferred.fromCoroutine(self.caches.blobs.open(other, layers[0]))
        self.caches.run(turns=10)
        self.asked()
        self.blob(layers[0])
        self.assertIn("head_blob", self.asked())
        self.successResultOf(opening).reader.leave()

    def test_spare_body(self) -> None:
        """What came with a question before the removal is no answer after it."""
        digest, _ = self.image(self.layer())
        self.up.takes_head = False
        self.pull()
        named = self.caches.upstreams["up.test"].registry
        self.result(_done(named.head_manifest("org/a", "1")))
        self.asked()
        self.remove(manifest_of(self.repository(), digest))
        self.pull()
        self.assertIn("get_manifest", self.asked())

    def test_right_is_refused(self) -> None:
        """Where the upstream does not have it there any more nobody is shown it."""
        base = self.layer()
        digest, layers = self.image(base)
        self.image(base, self.layer(), repository="org/b")
        self.pull()
        self.pull("org/b")
        self.remove(manifest_of(self.repository(), digest))
        self.up.holds = lambda repository, _: repository == "org/b"
        opening = Deferred.fromCoroutine(
            self.caches.blobs.open(self.caches.served("org/a"), layers[0])
        )
        self.caches.run()
        self.failureResultOf(opening, UpstreamFailure)

    def test_pinned(self) -> None:
        """What is pinned stays as it was."""
        digest, _ = self.image(self.layer())
        self.pull()
        self.successResultOf(self.caches.index.pins.pin(self.repository(), "1", Pin("", 1.0)))
        self.refusal(manifest_of(self.repository(), digest), PinnedError)
        self.pull()
        self.assertEqual(len(self.names()), 2)

    def test_blob(self) -> None:
        """A blob alone, which the next pull of its image fetches anew."""
        _, layers = self.image(self.layer(), self.layer(KIB))
        self.pull()
        for each in layers:
            self.remove(blob_of(self.repository(), each))
        self.assertEqual(len(self.names()), 1)
        self.asked()
        self.pull()
        self.assertEqual(self.asked(), ["get_blob", "get_blob"])

    def test_repository(self) -> None:
        """A whole repository, with what only ever was named by digest, and then another one."""
        for number in range(3):
            self.image(self.layer(), tag=str(number))
            self.pull(tag=str(number))
        single = self.up.add(self.layer())
        self.blob(single)
        self.image(self.layer(), repository="org/b")
        self.pull("org/b")
        self.assertEqual(self.remove_all(self.repository()), (3, 7))
        self.assertEqual(len(self.names()), 2)
        upstream = self.repository().upstream
        listed = self.successResultOf(self.caches.index.repositories(upstream, "", 10))
        self.assertEqual(listed, ["org/b"])
        self.assertEqual(self.remove_all(self.repository("org/b")), (1, 2))
        self.assertEqual(self.names(), set())

    def test_clear(self) -> None:
        """A repository that is forgotten has no tags in memory either, however they were noted."""
        digest, _ = self.image(self.layer())
        noting = self.caches.tag_table.note(self.repository(), "late", digest, 0)
        self.successResultOf(Deferred.fromCoroutine(noting))
        self.result(self.caches.removal.clear(self.repository()))
        self.assertIsNone(self.caches.tag_table.in_memory(self.repository(), "late"))


class Told:
    """Does something when it is to forget something."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work

    def forget(self, _message: Forgotten) -> None:
        """Do it."""
        self._work()


class MeanwhileTests(RemovalCase):
    """What is under way at that moment."""

    def begin(self, digest: Digest) -> Sink:
        """A client reads a blob, and has some of it."""
        opened = Deferred.fromCoroutine(self.caches.blobs.open(self.caches.served("org/a"), digest))
        self.caches.run(turns=15)
        sink = Sink()
        sink.reader = self.successResultOf(opened).reader
        sink.reader.begin(0, sink.reader.size, sink)
        self.addCleanup(sink.reader.leave)
        return sink

    def test_blob_is_fetched(self) -> None:
        """A blob of the removed manifest reaches its reader, and is not kept."""
        layer = self.layer(300 * KIB)
        digest, layers = self.image(self.layer(KIB), layer)
        self.result(self.caches.tags.by_tag(self.caches.served("org/a"), "1"))
        sink = self.begin(layers[1])
        self.assertLess(len(sink.data), len(layer))
        self.remove(manifest_of(self.repository(), digest))
        self.assertEqual((bytes(sink.data), sink.ended), (layer, True))
        self.assertEqual(self.names(), set())

    def test_named_blob_is_fetched(self) -> None:
        """So does a blob that is named itself, with its manifest here and without."""
        layer, single = self.layer(300 * KIB), self.layer(300 * KIB)
        digest, layers = self.image(self.layer(KIB), layer)
        self.result(self.caches.tags.by_tag(self.caches.served("org/a"), "1"))
        for blob, content in ((layers[1], layer), (self.up.add(single), single)):
            sink = self.begin(blob)
            self.assertEqual(self.remove(blob_of(self.repository(), blob)).freed, 0)
            self.assertEqual((bytes(sink.data), sink.ended), (content, True))
            self.assertEqual(self.names(), {digest.hex})
            self.refusal(blob_of(self.repository(), blob), NotHereError)
        self.assertEqual(self.blob(layers[1]), layer)
        self.assertEqual(self.names(), {digest.hex, layers[1].hex})

    def park(self, digest: Digest, repository: str = "org/a") -> None:
        """A client leaves when it has some of a blob; the daemon stops, and starts again."""
        served = self.caches.served(repository)
        opened = Deferred.fromCoroutine(self.caches.blobs.open(served, digest))
        self.caches.run(turns=15)
        sink = Sink()
        reader = self.successResultOf(opened).reader
        reader.begin(0, reader.size, sink)
        reader.leave()
        self.stop()
        self.start()
        self.assertTrue(any(digest.hex in each for each in self.names()), self.names())

    def test_parked_blob(self) -> None:
        """Of a blob that is here in part nothing stays, with its manifest here and without."""
        digest, layers = self.image(self.layer(KIB), self.layer(600 * KIB))
        self.result(self.caches.tags.by_tag(self.caches.served("org/a"), "1"))
        for blob in (layers[1], self.up.add(self.layer(600 * KIB))):
            self.park(blob)
            self.refusal(blob_of(self.repository("org/b"), blob), NotHereError)
            self.assertEqual(len(self.names()), 3)
            self.assertEqual(self.remove(blob_of(self.repository(), blob)).freed, 0)
            self.assertEqual(self.names(), {digest.hex})
            self.refusal(blob_of(self.repository(), blob), NotHereError)

    def test_stored_while_it_is_looked_for(self) -> None:
        """A blob that nothing lists, and that is stored while the index is asked, is removed."""
        single = self.up.add(self.layer(300 * KIB))
        sink = self.begin(single)
        removals, waiting = self.caches.index.removals, Deferred[None]()
        look = removals.look

        def slow_look(target: RemovalTarget) -> "Deferred[Any]":
            self.patch(removals, "look", look)
            seen = self.successResultOf(look(target))
            return waiting.addCallback(lambda _: seen)

        self.patch(removals, "look", slow_look)
        removing = Deferred.fromCoroutine(
            self.caches.removal.remove(blob_of(self.repository(), single))
        )
        self.caches.run()
        self.assertEqual((sink.ended, self.names()), (True, {single.hex}))
        waiting.callback(None)
        self.caches.run()
        self.assertEqual(self.successResultOf(removing).contents, 1)
        self.assertEqual(self.names(), set())

    def test_removed_while_it_is_stored(self) -> None:
        """A blob, named itself or with its manifest, is removed while its file gets its name."""
        layer, single = self.layer(300 * KIB), self.layer(300 * KIB)
        digest, layers = self.image(self.layer(KIB), layer)
        self.result(self.caches.tags.by_tag(self.caches.served("org/a"), "1"))
        by_manifest = manifest_of(self.repository(), digest)
        named = blob_of(self.repository(), self.up.add(single))
        for target, blob in ((by_manifest, layers[1]), (named, self.up.add(single))):
            sink = self.begin(blob)
            self.remove_at_name(target)
            self.caches.run()
            self.successResultOf(self.removing)
            self.assertTrue(sink.ended)
            self.assertEqual(self.names(), set())

    def remove_at_name(self, target: RemovalTarget) -> None:
        """Remove something as soon as the next file has its final name."""
        install = PartialNames.install

        def install_and_remove(names: PartialNames) -> int:
            self.patch(PartialNames, "install", install)
            replaced = install(names)
            self.removing = Deferred.fromCoroutine(self.caches.removal.remove(target))
            return replaced

        self.patch(PartialNames, "install", install_and_remove)

    def test_pinned_blob_is_fetched(self) -> None:
        """A blob of a pinned image is refused while it is fetched, and is kept."""
        layer = self.layer(300 * KIB)
        _, layers = self.image(self.layer(KIB), layer)
        self.result(self.caches.tags.by_tag(self.caches.served("org/a"), "1"))
        self.successResultOf(self.caches.index.pins.pin(self.repository(), "1", Pin("", 1.0)))
        sink = self.begin(layers[1])
        self.refusal(blob_of(self.repository(), layers[1]), PinnedError)
        self.assertEqual(bytes(sink.data), layer)
        self.assertIn(layers[1].hex, self.names())

    def test_blob_is_fetched_for_another(self) -> None:
        """Who does not have it removes nothing of what another repository is fetching."""
        single = self.up.add(self.layer(300 * KIB))
        self.begin(single)
        self.refusal(blob_of(self.repository("org/b"), single), NotHereError)
        self.refusal(blob_of(self.repository("org/a", "quay.test"), single), NotHereError)
        self.assertEqual(self.names(), {single.hex})

    def test_blob_is_needed_by_another(self) -> None:
        """What another image lists is kept for that, and the right to it is proved again."""
        layer = self.layer(300 * KIB)
        _, layers = self.image(layer)
        self.image(layer, self.layer(KIB), repository="org/b")
        for name in ("org/a", "org/b"):
            self.result(self.caches.tags.by_tag(self.caches.served(name), "1"))
        self.begin(layers[0])
        self.remove(blob_of(self.repository(), layers[0]))
        self.assertIn(layers[0].hex, self.names())
        self.asked()
        self.assertEqual(self.blob(layers[0]), layer)
        (_, _, _, start, end) = self.up.requests[-1]
        self.assertEqual((self.asked(), end - start), (["get_blob"], 4 * KIB), "a piece of it")

    def test_blob_is_read(self) -> None:
        """Who reads a stored blob gets all of it."""
        layer = self.layer(300 * KIB)
        digest, layers = self.image(self.layer(KIB), layer)
        self.pull()
        opened = self.result(self.caches.blobs.open(self.caches.served("org/a"), layers[1]))
        self.remove(manifest_of(self.repository(), digest))
        self.assertEqual(self.names(), set())
        sink = Sink()
        opened.reader.begin(0, opened.reader.size, sink)
        self.caches.run()
        opened.reader.leave()
        self.assertEqual(bytes(sink.data), layer)

    def test_pinned(self) -> None:
        """What is pinned when all have forgotten it stays, and is told as pinned."""
        digest, _ = self.image(self.layer())
        self.pull()
        pin = self.caches.index.pins.pin
        pinning = partial(pin, self.repository(), "1", Pin("", 1.0))
        self.caches.removal.forgetting.subscribe(Told(pinning))
        self.refusal(manifest_of(self.repository(), digest), PinnedError)
        self.assertEqual(len(self.names()), 2)
        self.pull()

    def test_tag_is_asked_about(self) -> None:
        """What a question that was open says of a removed tag is not noted."""
        self.image(self.layer())
        self.pull()
        self.clock.advance(3600.0)
        asking = Deferred.fromCoroutine(self.caches.tags.by_tag(self.caches.served("org/a"), "1"))
        removing = Deferred.fromCoroutine(
            self.caches.removal.remove(tag_of(self.repository(), "1"))
        )
        self.caches.run()
        self.successResultOf(asking)
        self.successResultOf(removing)
        self.assertEqual(self.successResultOf(self.caches.index.tags(self.repository(), "", 9)), [])
        self.assertEqual(self.names() - {"x"}, self.names())

    def test_manifest_is_fetched(self) -> None:
        """A tag that is being fetched anew while it is removed is served, and not kept."""
        self.image(self.layer())
        served = self.caches.served("org/a")
        self.result(self.caches.tags.by_tag(served, "1"))
        content = self.up.manifests["org/a", "1"][0]
        self.image(self.layer())
        self.clock.advance(3600.0)
        asking = Deferred.fromCoroutine(self.caches.tags.by_tag(served, "1"))
        self.caches.run(turns=1)
        self.remove(tag_of(self.repository(), "1"))
        self.caches.run()
        self.assertNotEqual(self.successResultOf(asking).manifest.content, content)
        self.assertEqual(self.successResultOf(self.caches.index.tags(self.repository(), "", 9)), [])

    def test_twice_at_once(self) -> None:
        """Two who remove the same thing at the same time have both removed it."""
        digest, _ = self.image(self.layer())
        self.pull()
        target = manifest_of(self.repository(), digest)
        turn = self.successResultOf(self.caches.removal._turns.acquire())
        removing = [Deferred.fromCoroutine(self.caches.removal.remove(target)) for _ in range(2)]
        turn.release()
        self.caches.run()
        for each in removing:
            self.assertEqual(self.successResultOf(each).contents, 2)

    def test_client_leaves(self) -> None:
        """It is removed whether or not somebody waits for that."""
        digest, _ = self.image(self.layer())
        self.pull()
        # Another one holds it up.
        turn = self.successResultOf(self.caches.removal._turns.acquire())
        target = manifest_of(self.repository(), digest)
        removing = Deferred.fromCoroutine(self.caches.removal.remove(target))
        removing.addErrback(lambda _: None)
        removing.cancel()
        turn.release()
        self.caches.run()
        self.assertEqual(self.names(), set())


class CrashTests(RemovalCase):
    """A daemon that ends in the middle."""

    def test_before_the_index_knows(self) -> None:
        """Then nothing was removed."""
        self.digest, _ = self.image(self.layer())
        self.pull()
        removals = self.caches.index.removals
        self.patch(removals, "remove", lambda *_: fail(OSError("killed")))
        self.refusal(manifest_of(self.repository(), self.digest), OSError)
        self.restart()
        self.asked()
        self.pull()
        self.assertEqual(self.asked(), [])

    def test_before_files_are_removed(self) -> None:
        """The next start removes them."""
        digest, _ = self.image(self.layer())
        self.pull()
        refusing = self.patch(content_names, "remove_content", refuse)
        self.refusal(manifest_of(self.repository(), digest), OSError)
        refusing.restore()
        self.restart()
        self.assertEqual(self.names(), set())
        self.assertEqual(self.successResultOf(self.caches.index.tags(self.repository(), "", 9)), [])
        self.pull()

    def test_files_go_behind_answers(self) -> None:
        """Until the next start has removed them, they are nobody's; they are counted as used."""
        self.digest, layers = self.image(self.layer())
        self.pull()
        walk = os.walk(os.path.join(self.directory, "blobs"))
        files = [os.path.join(folder, name) for folder, _, names in walk for name in names]
        size = sum(in_blocks(os.path.getsize(each)) for each in files)
        refusing = self.patch(content_names, "remove_content", refuse)
        self.refusal(manifest_of(self.repository(), self.digest), OSError)
        refusing.restore()
        self.kill()
        self.start(resumes=False)
        removal, store = self.caches.removal, self.caches.store
        self.assertEqual(self.successResultOf(store.occupied(removal.left)), size)
        self.assertIsNone(self.size(layers[0]))
        self.asked()
        self.pull()
        self.assertIn("get_manifest", self.asked())
        self.result(removal.resume())
        self.assertEqual(len(self.names()), 2)
        self.pull()
        self.assertEqual(self.asked(), [])

    def test_before_that_is_noted(self) -> None:
        """What came again is not removed by the next start."""
        self.digest, _ = self.image(self.layer())
        self.pull()
        self.patch(self.caches.index.removals, "have_left", lambda *_: fail(OSError("killed")))
        self.refusal(manifest_of(self.repository(), self.digest), OSError)
        self.pull()
        self.assertEqual(len(self.names()), 2)
        self.restart()
        self.assertEqual(len(self.names()), 2)
        self.asked()
        self.pull()
        self.assertNotIn("get_blob", self.asked())

    def test_full_disk(self) -> None:
        """On a full disk the files go first, so that there is room to say so."""
        digest, _ = self.image(self.layer())
        self.pull()
        removals = self.caches.index.removals
        remove, states = removals.remove, []

        def full_at_first(*what: Any) -> Any:
            states.append(len(self.names()))
            return remove(*what) if len(states) > 1 else fail(OSError(errno.ENOSPC, "full"))

        self.patch(removals, "remove", full_at_first)
        self.assertEqual(self.remove(manifest_of(self.repository(), digest)).contents, 2)
        self.assertEqual((states, self.names()), ([2, 0], set()))
        self.pull()

    def test_pinned_on_a_full_disk(self) -> None:
        """What is pinned when files have made room stays but for the largest, as the index says."""
        digest, layers = self.image(self.layer(KIB), self.layer())
        self.pull()
        removals, store = self.caches.index.removals, self.caches.store
        remove, remove_file, failures = (
            removals.remove,
            store.held.remove,
            [OSError(errno.ENOSPC, "")],
        )

        def pin_meanwhile(each: Digest) -> Any:
            pin = Pin("", 1.0)
            self.successResultOf(self.caches.index.pins.pin(self.repository(), "1", pin))
            return remove_file(each)

        def full_at_first(*what: Any) -> Any:
            return fail(failures.pop()) if failures else remove(*what)

        self.patch(files_ahead, "ENOUGH", 1)
        self.patch(removals, "remove", full_at_first)
        self.patch(store.held, "remove", pin_meanwhile)
        self.refusal(manifest_of(self.repository(), digest), PinnedError)
        self.assertEqual(self.names(), {digest.hex, layers[0].hex})
        sizes = [self.size(each) is not None for each in (digest, *layers)]
        self.assertEqual(sizes, [True, True, False])
        self.asked()
        self.pull()
        self.assertEqual(self.asked(), ["get_blob"])

    def size(self, digest: Digest) -> int | None:
        """What the index says of content."""
        content = RepositoryContent(self.repository(), digest)
        size: int | None = self.successResultOf(self.caches.index.content(content)).size
        return size

    def test_full_to_the_end(self) -> None:
        """Where no file makes enough room, the index knows what is gone as soon as it can."""
        digest, layers = self.image(self.layer(KIB), self.layer())
        self.pull()
        full = OSError(errno.ENOSPC, "full")
        self.patch(self.caches.index.removals, "remove", lambda *_: fail(full))
        self.refusal(manifest_of(self.repository(), digest), OSError)
        self.assertEqual(self.names(), set())
        self.assertEqual([self.size(each) for each in (digest, *layers)], [None] * 3)

    def test_disk_refuses(self) -> None:
        """A file that cannot be removed is nobody's any more."""
        digest, layers = self.image(self.layer())
        self.pull()
        self.patch(content_names, "remove_content", refuse)
        self.refusal(manifest_of(self.repository(), digest), OSError)
        self.assertEqual(len(self.names()), 2)
        self.asked()
        self.blob(layers[0])
        self.assertEqual(self.asked(), ["get_blob"])


class PropertyTests(RemovalCase):
    """Any order of pulls, removals and restarts."""

    def test_any_order(self) -> None:
        """Every pull is right, files and index agree, and all can be removed in the end."""
        pool = [self.layer(size) for size in (KIB, 70 * KIB, 130 * KIB, 5 * KIB)]
        for seed in range(6):
            chance = random.Random(seed)
            for number in range(4):
                registry = chance.choice((self.up, self.quay))
                layers = chance.sample(pool, chance.randint(1, 3))
                self.image(*layers, repository=f"org/{number % 2}", tag=str(number), up=registry)
            for _ in range(14):
                self.act(chance)
                self.check()
        for name in ("up.test", "quay.test"):
            for number in range(2):
                self.remove_all(self.repository(f"org/{number}", name))
        self.assertEqual(self.names(), set())
        self.assertEqual(self.successResultOf(self.caches.index.occupied_bytes()), 0)

    def act(self, chance: random.Random) -> None:
        """One thing that may happen."""
        registry = chance.choice([each for each in (self.up, self.quay) if each.manifests])
        repository, reference = chance.choice(sorted(registry.manifests))
        identity = self.repository(repository, registry.name)
        digest = Digest.of(registry.manifests[repository, reference][0])
        roll = chance.random()
        if roll < 0.4:
            if ":" not in reference:
                self.pull(repository, reference, registry.name)
        elif roll < 0.5:
            self.restart()
        else:
            blob = chance.choice(sorted(registry.blobs, key=str))
            targets = [manifest_of(identity, digest), blob_of(identity, blob)]
            if ":" not in reference:
                targets.append(tag_of(identity, reference))
            removing = Deferred.fromCoroutine(self.caches.removal.remove(chance.choice(targets)))
            removing.addErrback(lambda failure: failure.trap(NotHereError))
            if chance.random() < 0.5 and ":" not in reference:
                self.pull(repository, reference, registry.name)
            self.caches.run()
            self.successResultOf(removing)


class ReadingPropertyTests(PropertyTests):
    """The same, while clients read what is being fetched, leave, and come back."""

    def setUp(self) -> None:
        """Nobody reads yet."""
        self.turns = 0
        self.reading: list[tuple[Digest, Sink]] = []
        super().setUp()

    def act(self, chance: random.Random) -> None:
        """One thing that may happen; every now and then somebody begins to read, or leaves."""
        roll = chance.random()
        if roll < 0.3:
            self.begin(chance)
        elif roll < 0.4 and self.reading:
            _, sink = self.reading.pop(chance.randrange(len(self.reading)))
            assert sink.reader is not None
            sink.reader.leave()
        else:
            super().act(chance)

    def begin(self, chance: random.Random) -> None:
        """A client has begun to read a blob, and everything else has to wait for nothing."""
        registry = chance.choice([each for each in (self.up, self.quay) if each.blobs])
        digest = chance.choice(sorted(registry.blobs, key=str))
        served = self.caches.served(f"org/{chance.randrange(2)}", registry.name)
        opening = Deferred.fromCoroutine(self.caches.blobs.open(served, digest))
        self.caches.run(turns=chance.randrange(5, 12))
        if not opening.called:
            self.caches.run()
        sink = Sink()
        sink.reader = self.successResultOf(opening).reader
        sink.reader.begin(0, sink.reader.size, sink)
        self.reading.append((digest, sink))

    def restart(self) -> None:
        """Everybody has to be gone; what was fetched until then is kept."""
        for _, sink in self.reading:
            assert sink.reader is not None
            sink.reader.leave()
        self.reading.clear()
        self.caches.stop()
        super().restart()

    def check(self) -> None:
        """Check that each reader gets all of it in the end; then files and index agree.

        Most of the time something else happens before that.
        """
        self.turns += 1
        if self.turns % 3:
            return
        self.caches.run()
        for digest, sink in self.reading:
            self.assertEqual((Digest.of(bytes(sink.data)), sink.ended), (digest, True))
            assert sink.reader is not None
            sink.reader.leave()
        self.reading.clear()
        self.caches.run()
        super().check()

    def names(self) -> set[str]:
        """The files of complete content: parts are kept for the next who asks."""
        folder = os.path.join(self.directory, "blobs")
        return {name for _, _, names in os.walk(folder) for name in names}
