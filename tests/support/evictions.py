"""A store, its index and its ledger, with eviction between them, as the daemon has them."""

import os
from collections.abc import Hashable

from twisted.internet.task import Clock

from regcache.cache.eviction.content_eviction import ContentEviction
from regcache.cache.eviction.deletion_plans import PlanSources
from regcache.cache.eviction.evictor import Evictor
from regcache.cache.eviction.planner import Planner
from regcache.cache.eviction.sweeper import Sweeper
from regcache.cache.forgetting import Forgetting, Forgotten, IndexOfContent
from regcache.cache.removal import Removal
from regcache.digests import Digest
from regcache.facts import Manifest, Percentage, in_blocks
from regcache.generations import Generations
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.interfaces import IPartialFile, IWorkPool
from regcache.retention import YOUNG_FOR
from regcache.store.blob_store import BlobStore
from regcache.store.index import SqliteIndex
from regcache.store.index_file import IndexFile
from regcache.store.paths import StorePaths
from regcache.store.space import (
    FileSystemSpace,
    SpaceClaim,
    SpaceLedger,
    SpaceLimits,
)
from regcache.store.space_monitor import SpaceMonitor
from tests.support.index_cases import HUB, manifest_of, mention, repository_of
from tests.support.pools import ImmediatePool

MIB = 2**20
OWN = repository_of("a")


class Memories:
    """Remembers what it was told to forget."""

    def __init__(self) -> None:
        self.told: list[Forgotten] = []

    def forget(self, message: Forgotten) -> None:
        """Note it."""
        self.told.append(message)


class NoDownloads:
    """No blobs are on their way."""

    async def find(self, digest: Digest, upstream: UpstreamIdentity) -> None:
        """None."""


class Storage:
    """What is on a disk of which the test says how large it is.

    :ivar total: bytes of the file system; what the store has not is free, but for ``others``.
    :ivar downloads: what is being fetched.
    :ivar evicted: bytes, as they were told of.
    """

    def __init__(
        self,
        directory: str,
        clock: Clock,
        max_size: int = 100 * MIB,
        *,
        min_free: int = 0,
        total: int = 1000 * MIB,
        pool: IWorkPool | None = None,
        index_pool: IWorkPool | None = None,
    ) -> None:
        self.clock = clock
        self.total, self.others = total, 0
        self.downloads: set[Digest] = set()
        self.evicted: list[int] = []
        self.memories = Memories()
        pool = pool or ImmediatePool()
        self.paths = StorePaths(os.path.abspath(directory))
        self.paths.prepare()
        self.file = IndexFile(self.paths.index)
        self.index = SqliteIndex(self.file, index_pool or ImmediatePool(), ImmediatePool(), clock)
        self.ledger = SpaceLedger(
            SpaceLimits(max_size, Percentage(100.0), min_free),
            evictable=lambda: self.evictor.evictable(),
            make_room=lambda: self.evictor.make_room(),
            refused=lambda *refusal: self.evictor.refused(*refusal),
        )
        self.store = BlobStore(
            clock,
            pool,
            self.paths,
            boot_id="boot",
            changed=lambda _, *change: self.ledger.change_contents(change[0], unclaimed=change[1]),
            parked=self.ledger.change_parked,
        )
        removed: Generations[Hashable] = Generations(100)
        self.forgetting = Forgetting(removed)
        self.forgetting.subscribe(self.memories, IndexOfContent(self.index))
        self.monitor = SpaceMonitor(clock, pool, directory, self.ledger, measure=self._measure)
        self.eviction = ContentEviction(
            self.index.places, self.store, self.forgetting, self.downloads
        )
        self.sweeper = Sweeper(
            clock,
            self.index.places,
            self.eviction,
            pins=self.index.pins,
            sweep_partials=self.store.sweep_partials,
            evicted=self.evicted.append,
        )
        self.evictor = Evictor(
            clock,
            self.index.places,
            self.eviction,
            pins=self.index.pins,
            ledger=self.ledger,
            measure=self.monitor.refresh,
            sweep_partials=lambda: self.store.sweep_partials(clock.seconds() - YOUNG_FOR),
            evicted=self.evicted.append,
        )

        self.removal = Removal(
            self.index.removals, self.store, self.forgetting, clock, downloads=NoDownloads()
        )
        self.busy: list[tuple[Digest, str]] = []
        self.planner = Planner(clock, self.sources(), self.sweeper, self.removal)

    def sources(self) -> PlanSources:
        """What plans are made of."""
        return PlanSources(
            self.index.plans,
            self.index.places,
            self.index.pins,
            self.index.removals,
            stored=lambda: self.ledger.contents,
            partials=self.store.old_partials,
            busy=lambda: self.busy,
        )

    def _measure(self, _directory: str) -> FileSystemSpace:
        free = max(0, self.total - self.others - self.on_disk())
        return FileSystemSpace(self.total, free, "" if free else "no space is left", not free)

    def start(self) -> None:
        """Open the index, count, and evict from now on."""
        self.index.open()
        self.index.occupied_bytes().addCallback(self.ledger.change_contents)
        self.monitor.refresh()
        self.evictor.startService()

    def stop(self) -> None:
        """Close everything."""
        if self.evictor.running:
            self.evictor.stopService()
        self.store.close()
        self.index.close()

    def files(self) -> dict[Digest, int]:
        """The complete files, and their sizes."""
        found = {}
        for folder, _, names in os.walk(self.paths.blobs):
            for name in names:
                size = os.path.getsize(os.path.join(folder, name))
                found[Digest(os.path.relpath(folder, self.paths.blobs).split("/")[0], name)] = size
        return found

    def on_disk(self) -> int:
        """What they take, in blocks."""
        return sum(map(in_blocks, self.files().values()))

    def add_blob(self, name: str, size: int, repository: Repository = OWN) -> Digest:
        """Store content and have it noted, ignoring the limits."""
        content = name.encode().ljust(size, b".")
        digest = Digest.of(content)
        self.store.keep(digest, content)
        content = RepositoryContent(repository, digest)
        self.index.record_blob(content, size, credentials="", public=True, now=self.clock.seconds())
        return digest

    def tag(self, tag: str, digest: Digest, repository: str = "a") -> None:
        """A tag names a manifest."""
        now = self.clock.seconds()
        self.index.record_tag(repository_of(repository), tag, digest, now)

    def add_partial(self, name: str, size: int, upstream: UpstreamIdentity = HUB) -> Digest:
        """What is left of a download that was left off a while ago."""
        digest = Digest.of(name.encode())
        opened: list[IPartialFile] = []
        self.store.open_partial(digest, upstream).addCallback(opened.append)
        (file,) = opened
        file.write(0, [b"." * size])
        file.save()
        file.close()
        at = self.clock.seconds() - 1
        for each in os.scandir(self.paths.partials):
            os.utime(each, (at, at))
        return digest

    def add_manifest(self, name: str, *listed: Digest) -> Manifest:
        """The same of a manifest."""
        manifest = manifest_of(name=name)
        self.store.keep(manifest.digest, manifest.content)
        self.index.record_manifest(
            repository_of("a"),
            manifest,
            [mention(digest, 1) for digest in listed],
            subject=None,
            credentials="",
            now=self.clock.seconds(),
        )
        return manifest

    def add_image(self, name: str, *sizes: int) -> list[Digest]:
        """A manifest and its layers; their digests."""
        layers = [self.add_blob(f"{name} {place}", size) for place, size in enumerate(sizes)]
        return [self.add_manifest(name, *layers).digest, *layers]

    def claim(self, size: int) -> SpaceClaim | None:
        """A claim of space."""
        return self.ledger.claim(size)
