"""Tests that the removal of files agrees with the index whatever clients store meanwhile."""

import errno
import os
import random
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import deferLater

from regcache.cache import files_ahead
from regcache.cache.removal import PinnedError
from regcache.digests import Digest
from regcache.interfaces import IReader
from regcache.pins import Pin
from regcache.removals import blob_of, manifest_of
from regcache.store import content_names
from regcache.store.contents import remove_content
from regcache.store.index import SqliteIndex
from regcache.store.index_file import IndexFile
from tests.cache import test_removal
from tests.cache.test_removal import KIB, RemovalCase
from tests.support.caches import Caches
from tests.support.pools import ImmediatePool, SlowPool


class FilesCase(RemovalCase):
    """An image that is deleted and pulled at the same time."""

    def begin_pull(self) -> "Deferred[list[Digest]]":
        """A client begins to pull the image; what it has read in the end."""

        async def pull() -> list[Digest]:
            served = self.caches.served("org/a")
            manifest = (await self.caches.tags.by_tag(served, "1")).manifest
            for layer in self.layers:
                opened = await self.caches.blobs.open(served, layer)
                sink = test_removal.Sink()
                opened.reader.begin(0, opened.reader.size, sink)
                while not sink.ended:
                    await deferLater(self.clock, 0.001)
                opened.reader.leave()
                self.assertEqual(Digest.of(bytes(sink.data)), layer)
            return [manifest.digest, *self.layers]

        return Deferred.fromCoroutine(pull())


class PulledMeanwhileTests(FilesCase):
    """A client stores contents while their files are removed."""

    def test_after_the_index_was_asked(self) -> None:
        """What a client stores after the index said which files go stays, and the index has it."""
        sizes = (KIB, 2 * KIB, 100 * KIB, 150 * KIB)
        digest, self.layers = self.image(*map(self.layer, sizes))
        self.pull()
        removals, pulls = self.caches.index.removals, list["Deferred[list[Digest]]"]()
        still_leaving = removals.still_leaving

        def slowly(digests: Any) -> "Deferred[Any]":
            answer = still_leaving(digests)
            if not pulls:
                pulls.append(self.begin_pull())
            return deferLater(self.clock, 0.2, lambda: answer)

        self.patch(removals, "still_leaving", slowly)
        removing = Deferred.fromCoroutine(
            self.caches.removal.remove(manifest_of(self.repository(), digest))
        )
        self.caches.run(turns=2000)
        self.successResultOf(removing)
        self.assertEqual(self.successResultOf(pulls[0]), [digest, *self.layers])
        self.assertEqual(self.names(), {each.hex for each in (digest, *self.layers)})
        self.check()

    def test_proved_meanwhile(self) -> None:
        """A right that is proved by a file that goes meanwhile does not make the index have it."""
        digest, (layer,) = self.image(self.layer(200 * KIB))
        self.pull()
        stored, rights = self.caches.blobs._stored, self.caches.rights
        open_file, waiting = stored._open_file, Deferred[None]()

        async def late(*what: Any) -> Any:
            stored._open_file = open_file
            await waiting
            return await open_file(*what)

        self.patch(stored, "_open_file", late)
        self.patch(rights, "entitled", lambda *_: True)
        opening = list["Deferred[Any]"]()
        remove = self.caches.index.removals.remove

        def removed(*what: Any) -> "Deferred[Any]":
            removing = remove(*what)
            opening.append(self.caches.open(layer, "org/b"))
            self.caches.run(turns=20)
            return removing

        self.patch(self.caches.index.removals, "remove", removed)
        self.remove(manifest_of(self.repository(), digest))
        self.assertEqual(self.names(), set())
        waiting.callback(None)
        self.caches.run()
        self.successResultOf(opening[0]).reader.leave()
        self.caches.run()
        self.check()

    def test_index_fails(self) -> None:
        """Where the index cannot say which files go, all stay, and clients go on."""
        digest, self.layers = self.image(self.layer(KIB))
        self.pull()
        removals = self.caches.index.removals
        failing = self.patch(removals, "still_leaving", lambda _: fail(OSError("broken")))
        self.refusal(manifest_of(self.repository(), digest), OSError)
        failing.restore()
        self.assertEqual(self.names(), {digest.hex, self.layers[0].hex})
        self.pull()
        self.check()

    def test_stored_at_that_moment(self) -> None:
        """What is just being stored is waited for alone: others go, and nobody waits for them."""
        digest, (busy, other) = self.image(self.layer(KIB), self.layer(2 * KIB))
        self.pull()
        names = self.caches.store._names
        self.assertTrue(names._locks.take(busy))
        removing = Deferred.fromCoroutine(
            self.caches.removal.remove(manifest_of(self.repository(), digest))
        )
        self.caches.run()
        self.assertNoResult(removing)
        self.assertEqual(self.names(), {busy.hex})
        self.blob(other)
        names._locks.release(busy)
        self.caches.run()
        self.successResultOf(removing)
        self.assertEqual(self.names(), {other.hex})


class ForsakenTests(RemovalCase):
    """A blob is deleted while its file gets its name, and fetched from another upstream."""

    def setUp(self) -> None:
        """A client has read it; its file waits for its name, and a deletion waits for that."""
        super().setUp()
        layer = self.layer(300 * KIB)
        self.single = self.up.add(layer)
        self.quay.add(layer)
        partials = self.caches.store._partials
        may_commit, self.naming = partials.may_commit, Deferred[None]()

        def late(digest: Digest) -> "Deferred[None]":
            self.patch(partials, "may_commit", may_commit)
            return self.naming.addCallback(lambda _: may_commit(digest))

        self.patch(partials, "may_commit", late)
        self.addCleanup(self.begin("up.test").leave)
        self.caches.run()
        target = blob_of(self.repository(), self.single)
        self.removing = Deferred.fromCoroutine(self.caches.removal.remove(target))
        self.caches.run(turns=5)

    def begin(self, up: str) -> IReader:
        """A client begins to read it."""
        opening = self.caches.open(self.single, "org/a", up)
        self.caches.run(turns=15)
        reader: IReader = self.successResultOf(opening).reader
        reader.begin(0, reader.size, test_removal.Sink())
        return reader

    def test_stored_during_the_removal(self) -> None:
        """What another upstream's download stores while the file is removed stays."""
        self.addCleanup(self.begin("quay.test").leave)
        self.caches.store._names._pool = SlowPool(self.clock, 1.0)
        self.naming.callback(None)
        self.caches.run(turns=3000)
        self.successResultOf(self.removing)
        self.assertEqual(self.names(), {self.single.hex})
        self.check()

    def test_stored_at_that_moment(self) -> None:
        """While another file gets the name nothing is removed, and what nobody recorded is then."""
        with self.caches.store._partials.committing(self.single):
            self.naming.callback(None)
            self.caches.run()
            self.assertNoResult(self.removing)
            self.assertEqual(self.names(), {self.single.hex})
        self.caches.run()
        self.successResultOf(self.removing)
        self.assertEqual(self.names(), set())


class FullDiskTests(FilesCase):
    """Files that go before the index, to make room for it."""

    def setUp(self) -> None:
        """An image is here; each file makes enough room."""
        super().setUp()
        self.digest, self.layers = self.image(self.layer(KIB), self.layer())
        self.pull()
        self.patch(files_ahead, "ENOUGH", 1)

    def fill(self, times: int = 1) -> "list[Deferred[None]]":
        """The index has no room, so many times; then each change waits for what is returned."""
        removals, calls = self.caches.index.removals, list[int]()
        remove, waiting = removals.remove, [Deferred[None]()]

        def change(*what: Any) -> "Deferred[Any]":
            calls.append(1)
            if len(calls) <= times:
                return fail(OSError(errno.ENOSPC, "full"))
            return waiting[0].addCallback(lambda _: remove(*what))

        self.patch(removals, "remove", change)
        return waiting

    def begin_removal(self) -> "Deferred[Any]":
        """Somebody deletes the image."""
        target = manifest_of(self.repository(), self.digest)
        removing = Deferred.fromCoroutine(self.caches.removal.remove(target))
        self.caches.run()
        return removing

    def test_second_file_stays(self) -> None:
        """Where the disk refuses the second file, the index knows that the first one is gone."""
        self.fill(2)
        removed: list[Any] = []

        def once(*what: Any) -> Any:
            removed.append(what)
            return remove_content(*what) if len(removed) == 1 else test_removal.refuse()

        self.patch(content_names, "remove_content", once)
        self.failureResultOf(self.begin_removal(), OSError)
        self.assertEqual(len(self.names()), 2)
        self.check()
        self.pull()

    def test_pulled_and_pinned(self) -> None:
        """What is pulled while the index is asked again, and pinned, is here, as the index says."""
        (waiting,) = self.fill()
        removing = self.begin_removal()
        self.assertEqual(len(self.names()), 2)
        pulling = self.begin_pull()
        self.caches.run()
        pin = Pin("", 1.0)
        self.successResultOf(self.caches.index.pins.pin(self.repository(), "1", pin))
        waiting.callback(None)
        self.caches.run()
        self.failureResultOf(removing, PinnedError)
        self.assertEqual(self.successResultOf(pulling), [self.digest, *self.layers])
        self.assertEqual(len(self.names()), 3)
        self.successResultOf(self.caches.index.pins.unpin(self.repository(), "1"))
        self.check()

    def test_pulled(self) -> None:
        """What is pulled while the index is asked again is stored anew after the removal."""
        (waiting,) = self.fill()
        removing = self.begin_removal()
        pulling = self.begin_pull()
        self.caches.run()
        waiting.callback(None)
        self.caches.run()
        self.successResultOf(removing)
        self.assertEqual(self.successResultOf(pulling), [self.digest, *self.layers])
        self.check()


class SlowDiskTests(FilesCase):
    """The same at any moment, where each step of the disk and of the index takes its time."""

    def start(self) -> None:
        """A daemon on the directory."""
        path = os.path.join(self.directory, "index.sqlite")
        pool = SlowPool(self.clock, 0.002)
        index = SqliteIndex(IndexFile(path), pool, ImmediatePool(), self.clock)
        opening = index.open()
        self.clock.advance(1.0)
        self.successResultOf(opening)
        self.caches = self.running = Caches(
            self.directory,
            self.clock,
            self.up,
            self.quay,
            index=index,
            pool=SlowPool(self.clock, 0.003),
        )
        self.result(self.caches.removal.resume())

    def kill(self) -> None:
        """It ends at once: nothing that is only in memory is left."""
        self.caches.removal.stop()
        closing = self.caches.index.close()
        self.caches.run()
        self.successResultOf(closing)
        self.running = None

    def result(self, work: Any) -> Any:
        """What comes of something; failures are raised."""
        doing = Deferred.fromCoroutine(work)
        self.caches.run(turns=3000)
        return self.successResultOf(doing)

    def check(self) -> None:
        """The index has just what is on the disk."""
        asking = self.caches.index.checks.stored_between(*test_removal.EVERY)
        self.caches.run()
        self.assertEqual({each.hex for each in self.successResultOf(asking)}, self.names())

    def test_any_moment(self) -> None:
        """Whenever clients pull what is being deleted, each gets it, and index and files agree."""
        chance = random.Random(3)
        sizes = (KIB, 2 * KIB, 100 * KIB, *(3 * KIB + each for each in range(9)))
        digest, self.layers = self.image(*map(self.layer, sizes))
        target = manifest_of(self.repository(), digest)
        for _ in range(40):
            self.result(self._pulled())
            removing = Deferred.fromCoroutine(self.caches.removal.remove(target))
            self.caches.run(turns=chance.randrange(1, 100))
            pulls = [self.begin_pull()]
            self.caches.run(turns=chance.randrange(1, 60))
            pulls.append(self.begin_pull())
            self.caches.run(turns=2000)
            self.successResultOf(removing)
            for each in pulls:
                self.successResultOf(each)
            self.check()

    async def _pulled(self) -> None:
        await self.begin_pull()
