"""Images come, are used, pinned, deleted and evicted, and the daemon is killed, in any order."""

import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.removal import NotHereError, PinnedError, Removal, Removed
from regcache.digests import Digest
from regcache.interfaces import NoRoomError
from regcache.pins import Pin
from regcache.removals import RemovalTarget, blob_of, manifest_of, tag_of
from tests.support.evictions import MIB, Storage
from tests.support.index_cases import repository_of

KIB = 1024
REPOSITORY = repository_of("a")
STEPS, SEEDS = 60, 4


class AnyOrderTests(SynchronousTestCase):
    """A store of 6 MiB.

    :ivar images: their manifests and layers, by tag.
    :ivar pinned: tags that are pinned.
    """

    def begin(self, seed: int) -> None:
        """An empty disk."""
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.directory = self.mktemp()
        self.images: dict[str, list[Digest]] = {}
        self.pinned: set[str] = set()
        self.start()

    def start(self) -> None:
        """A daemon begins."""
        self.storage = Storage(self.directory, self.clock, 6 * MIB)
        self.storage.start()
        storage = self.storage
        self.removal = Removal(
            storage.index.removals, storage.store, storage.forgetting, self.clock
        )
        self.result(self.removal.resume())

    def result(self, work: Any) -> Any:
        """What comes of something."""
        doing = Deferred.fromCoroutine(work)
        self.settle()
        return self.successResultOf(doing)

    def settle(self) -> None:
        """Let what is under way come to its end."""
        for _ in range(50):
            self.clock.advance(0.01)

    def test_any_order(self) -> None:
        """The ledger is what is on the disk, the index knows just that, and pins hold."""
        self.removed = self.evicted = 0
        for seed in range(SEEDS):
            self.begin(seed)
            acts = [self.add, self.remove, self.claim] * 2
            acts += [self.use, self.pin, self.unpin, self.kill]
            for _ in range(STEPS):
                act = self.chance.choice(acts)
                act()
                self.settle()
                self.check()
            self.storage.stop()
        self.assertGreater(min(self.removed, self.evicted), SEEDS)

    def add(self) -> None:
        """An image comes, if there is room for it; some layers are those of others."""
        name = f"t{self.chance.randrange(12)}"
        number = self.chance.randrange(10_000)
        size = self.chance.randrange(1, 800) * KIB
        if not self.has_room(size + 2 * MIB):
            return
        layers = [self.storage.add_blob(f"own {number}", size)]
        layers.append(self.storage.add_blob(f"shared {number % 3}", 300 * KIB))
        manifest = self.storage.add_manifest(f"image {number}", *layers)
        index = self.storage.index
        index.record_tag(REPOSITORY, name, manifest.digest, self.clock.seconds())
        self.images[name] = [manifest.digest, *layers]

    def use(self) -> None:
        """Something is used, and time passes."""
        for digest in self.some_image():
            self.storage.index.touch(digest, self.clock.seconds())
        self.clock.advance(self.chance.choice((1.0, 700.0)))

    def pin(self) -> None:
        """The tag of a whole image is pinned; not many, or there is no room for anything."""
        files = self.storage.files()
        whole = [name for name, image in self.images.items() if set(image) <= set(files)]
        name = self.chance.choice(sorted(whole) or [""])
        if name and len(self.pinned) < 2:
            self.successResultOf(self.storage.index.pins.pin(REPOSITORY, name, Pin("", 1.0)))
            self.pinned.add(name)

    def unpin(self) -> None:
        """A pin is taken back."""
        if self.pinned:
            name = self.chance.choice(sorted(self.pinned))
            self.successResultOf(self.storage.index.pins.unpin(REPOSITORY, name))
            self.successResultOf(self.storage.index.pins.settle())
            self.pinned.discard(name)

    def remove(self) -> None:
        """Something is deleted, be it there or not; at times while other things make way."""
        claim = self.storage.claim(self.chance.randrange(6) * MIB)
        if claim is not None:
            claim.room().addErrback(lambda failure: failure.trap(NoRoomError))
        name = self.chance.choice(sorted(self.images) or [""])
        image = self.images.get(name, [])
        targets: list[RemovalTarget] = [tag_of(REPOSITORY, name)]
        if image:
            targets += [manifest_of(REPOSITORY, image[0]), blob_of(REPOSITORY, image[1])]
            targets.append(blob_of(REPOSITORY, image[2]))
        removing = Deferred.fromCoroutine(self.removal.remove(self.chance.choice(targets)))
        removing.addErrback(lambda failure: failure.trap(NotHereError, PinnedError))
        self.settle()
        self.removed += isinstance(self.successResultOf(removing), Removed)
        if claim is not None:
            self.clock.advance(5)
            claim.release()

    def claim(self) -> None:
        """Something large wants room; what is used least makes way, but for what is pinned."""
        self.has_room(self.chance.randrange(1, 6) * MIB)
        self.evicted += len(self.storage.evicted)
        self.storage.evicted.clear()

    def has_room(self, size: int) -> bool:
        """Whether there is room for something, once other things have made way."""
        claim = self.storage.claim(size)
        if claim is None:
            return False
        waiting = claim.room()
        refused: list[object] = []
        waiting.addErrback(lambda failure: refused.append(failure.trap(NoRoomError)))
        for _ in range(40):
            self.clock.advance(0.1)
        self.successResultOf(waiting)
        claim.release()
        return not refused

    def kill(self) -> None:
        """The daemon is killed, and starts again."""
        self.storage.evictor.stopService()
        self.successResultOf(self.storage.index.close())
        self.start()

    def some_image(self) -> list[Digest]:
        """An image that there was at some time."""
        return self.images[self.chance.choice(sorted(self.images))] if self.images else []

    def check(self) -> None:
        """What holds after each step."""
        files = self.storage.files()
        self.assertEqual(self.storage.ledger.contents, self.storage.on_disk())
        known = {}
        for algorithm in ("sha256",):
            first, last = (Digest.parse(f"{algorithm}:{digit * 64}") for digit in "0f")
            reading = self.storage.index.checks.stored_between(first, last)
            known.update(self.successResultOf(reading))
        self.assertEqual(known, files)
        for name in self.pinned:
            fact = self.successResultOf(self.storage.index.tag(REPOSITORY, name))
            image = self.images.get(name, [])
            if fact is not None and image and fact.digest == image[0]:
                self.assertLessEqual(set(image), set(files), name)
