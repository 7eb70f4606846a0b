"""The caches over a real store in a temporary directory, a fake index and fake upstreams."""

import os
import random
from collections.abc import Callable, Hashable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from regcache.cache import configured
from regcache.cache.blobs import BlobCache, record
from regcache.cache.cached_only import CachedOnly
from regcache.cache.cached_tags import CachedTags
from regcache.cache.configured import ConfiguredCache
from regcache.cache.download.context import DownloadContext
from regcache.cache.download.distrusted_urls import DistrustedUrls
from regcache.cache.download.downloads import DownloadTable
from regcache.cache.download.relays import Relays
from regcache.cache.forgetting import Forgetting, IndexOfContent
from regcache.cache.image_sizes import ImageSizes
from regcache.cache.listings import Listings
from regcache.cache.manifest_checker import ManifestChecker
from regcache.cache.manifests import ManifestCache
from regcache.cache.negative import NegativeCache, with_negative_cache
from regcache.cache.policy import Policy, ServedRepository, ServedUpstream
from regcache.cache.remembered_manifests import RememberedManifests
from regcache.cache.removal import Removal
from regcache.cache.revalidation import Revalidations
from regcache.cache.sight.closed_repositories import ClosedRepositories
from regcache.cache.sight.rights import Rights
from regcache.cache.sight.visibility import Visibility
from regcache.cache.small_blobs import SmallBlobs
from regcache.cache.spare_bodies import SpareBodies
from regcache.cache.tag_table import TagTable
from regcache.cache.tags import TagCache
from regcache.cache_parts import BlobParts
from regcache.digests import Digest
from regcache.facts import ManifestUse
from regcache.generations import Generations
from regcache.identity import Repository
from regcache.interfaces import (
    ICacheEvents,
    IContentFile,
    IReader,
    IReaderSink,
    ISpace,
    ISpaceClaim,
    IWorkPool,
)
from regcache.parsing import Parser
from regcache.store.blob_store import BlobStore
from regcache.store.paths import StorePaths
from tests.support.indexes import MemoryIndex
from tests.support.pools import ImmediatePool
from tests.support.registries import FakeRegistry


@implementer(ISpaceClaim)
class FakeClaim:
    """A claim of a :class:`FakeSpace`."""

    def __init__(self, space: "FakeSpace", size: int) -> None:
        self._space = space
        self.size = size
        self.released = False

    def grow(self, size: int) -> bool:
        """What it has is granted; more is within the limit."""
        granted = size <= max(self.size, self._space.limit)
        if granted:
            self.size = max(self.size, size)
        else:
            self._space.refused += 1
        return granted

    def room(self) -> "Deferred[None]":
        """There is room, unless the space says otherwise."""
        return self._space.room()

    def holds(self, count: int) -> None:
        """Nothing to account for."""

    def wrote(self, count: int) -> None:
        """Nothing to account for."""

    def release(self) -> None:
        """Give it back."""
        self.released = True


@implementer(ISpace)
class FakeSpace:
    """Grants every claim up to a limit.

    :ivar refused: how often it did not.
    """

    def __init__(self, limit: int = 2**60) -> None:
        self.limit = limit
        self.closed = ""
        self.refused = 0
        self.claims: list[FakeClaim] = []
        self.room: Callable[[], Deferred[None]] = lambda: succeed(None)

    def max_blob(self) -> int:
        """As large as any claim."""
        return self.limit

    def claim(self, size: int) -> FakeClaim | None:
        """A claim, or None above the limit."""
        if size > self.limit:
            self.refused += 1
            return None
        self.claims.append(FakeClaim(self, size))
        return self.claims[-1]

    def why_not(self, size: int) -> str:
        """There is none."""
        return "no space"


@implementer(ICacheEvents)
class Events:
    """Counts."""

    def __init__(self) -> None:
        self.mismatches: list[str] = []
        self.storage_errors = 0

    def digest_mismatch(self, upstream: str) -> None:
        """Count it."""
        self.mismatches.append(upstream)

    def storage_error(self) -> None:
        """Count it."""
        self.storage_errors += 1


#: Bytes that are taken at once from a file.
STRETCH = 100 * 1024


@implementer(IReaderSink)
class Sink:
    """A client that collects, and pauses its reader while it is ``slow``.

    :ivar takes_files: it takes bytes from the file itself; while it is slow it has them coming.
    """

    def __init__(self, takes_files: bool = False) -> None:
        self.takes_files = takes_files
        self._stretch: tuple[IContentFile, int, int, Callable[[int], None]] | None = None
        self.data = bytearray()
        self.ended = False
        self.reason: str | None = None
        self.reader: IReader | None = None
        self.slow = False

    def write(self, data: bytes) -> None:
        """Collect."""
        assert not self.ended
        assert self.reason is None
        self.data += data
        if self.slow and self.reader is not None:
            self.reader.pauseProducing()

    def send_file(
        self, file: IContentFile, start: int, end: int, sent: Callable[[int], None]
    ) -> bool:
        """Take some now, or later."""
        if not self.takes_files or self.ended:
            return False
        assert self._stretch is None
        self._stretch = (file, start, end, sent)
        if not self.slow:
            self.take_stretch()
        return True

    def take_stretch(self) -> None:
        """Take some of what is coming, if that is still there."""
        if self._stretch is not None:
            (file, start, end, sent), self._stretch = self._stretch, None
            data = b""
            if file.cached(start, end - start):
                data = os.pread(file.fileno(), min(end - start, STRETCH), start)
                self.write(data)
            sent(len(data))

    def range_ended(self) -> None:
        """Complete."""
        assert self.reason is None
        self.ended = True

    def broken(self, reason: str) -> None:
        """Aborted."""
        assert self.reason is None
        self.reason = reason


class Caches:
    """Everything above the store, put together as the daemon does."""

    def __init__(
        self,
        directory: str,
        clock: Clock,
        *registries: FakeRegistry,
        policy: Policy | None = None,
        finish: int | None = None,
        pool: IWorkPool | None = None,
        index: Any = None,
        space: ISpace | None = None,
    ) -> None:
        """:param index: in memory by default; only a real one lets something be removed."""
        self.clock = clock
        self.events = Events()
        self.space: Any = space or FakeSpace()
        self.index = index or MemoryIndex()
        pool = pool or ImmediatePool()
        self.paths = StorePaths(directory)
        self.paths.prepare()
        self.store = BlobStore(clock, pool, self.paths, boot_id="boot")
        self.refusals, self.spare_bodies = NegativeCache(clock), SpareBodies(clock)
        removals = getattr(self.index, "removals", None)
        self.closed_repositories = ClosedRepositories(self.index, clock)
        self.upstreams = {
            each.name: with_negative_cache(
                ServedUpstream(each, policy or Policy()),
                self.refusals,
                self.closed_repositories,
                self.spare_bodies,
            )
            for each in registries
        }
        self.removed: Generations[Hashable] = Generations(100)
        self.forgetting = Forgetting(self.removed)
        self.cached_only = CachedOnly(
            self.index, removals, self.store, parser=Parser(pool), clock=clock
        )
        context = DownloadContext(
            self.store,
            self.space,
            clock,
            events=self.events,
            random=random.Random(1).random,
            finish=finish,
            removed=self.removed,
        )
        self.downloads = DownloadTable(
            context, DistrustedUrls(clock), lambda fetched: record(self.index, fetched, clock)
        )
        self.removal = Removal(
            removals, self.store, self.forgetting, clock, downloads=self.downloads
        )
        self.relays = Relays(self.downloads, context, self.index.record_size)
        self.rights = Rights(self.index, clock, random.Random(2).random, self.removed)
        self.visibility = Visibility(self.index, clock, self.closed_repositories)
        self.small_blobs = SmallBlobs(clock)
        self.pulls: list[tuple[Repository, Digest, ManifestUse]] = []
        self._make_caches(Parser(pool))
        self.cache = ConfiguredCache(
            self.upstreams.values(),
            configured.Caches(
                blobs=self.blobs,
                tags=self.tags,
                listings=self.listings,
                used=lambda digest: self.index.touch(digest, clock.seconds()),
                pulled=lambda *pull: self.pulls.append(pull),
            ),
        )

    def _make_caches(self, parser: Parser) -> None:
        self.image_sizes = ImageSizes(self.index)
        self.blobs = self._blob_cache()
        self.remembered_manifests = RememberedManifests(self.clock)
        self.manifests = ManifestCache(
            self.store,
            self.index,
            rights=self.rights,
            visibility=self.visibility,
            remembered=self.remembered_manifests,
            checker=ManifestChecker(parser, self.events),
            sizes=self.image_sizes,
            events=self.events,
            clock=self.clock,
            removed=self.removed,
        )
        self.tag_table = TagTable(self.index, self.clock, self.removed)
        revalidations = Revalidations(self.manifests, self.tag_table, self.clock)
        cached_tags = CachedTags(self.manifests, self.tag_table, revalidations, self.clock)
        self.tags = TagCache(self.manifests, self.tag_table, cached_tags, self.clock)
        self.listings = Listings(self.index, self.visibility, parser, self.clock)
        self.forgetting.subscribe(
            self.downloads,
            self.small_blobs,
            self.spare_bodies,
            self.rights,
            self.remembered_manifests,
            self.tag_table,
            IndexOfContent(self.index),
        )

    def _blob_cache(self) -> BlobCache:
        return BlobParts(
            self.index,
            self.store,
            downloads=self.downloads,
            relays=self.relays,
            rights=self.rights,
            visibility=self.visibility,
            small=self.small_blobs,
            sizes=self.image_sizes,
            events=self.events,
            clock=self.clock,
            removed=self.removed,
        ).build()

    def served(self, repository: str = "org/app", upstream: str = "up.test") -> ServedRepository:
        """A repository of an upstream."""
        return self.upstreams[upstream].repository(repository)

    def open(self, digest: Any, repository: str = "org/app", upstream: str = "up.test") -> Any:
        """Begin to open a blob."""
        opening = self.blobs.open(self.served(repository, upstream), digest)
        return Deferred.fromCoroutine(opening)

    def run(self, seconds: float = 0.0, turns: int = 400) -> None:
        """Let the clock turn a millisecond at a time, in which one thing happens."""
        for _ in range(turns):
            self.clock.advance(0.001)
        if seconds:
            self.clock.advance(seconds)
            self.run()

    def stop(self) -> None:
        """Stop as the daemon does."""
        done: list[object] = []
        self.downloads.stop().addBoth(done.append)
        self.run()
        self.store.close().addBoth(done.append)
        self.run()
        assert done == [None, None], done
