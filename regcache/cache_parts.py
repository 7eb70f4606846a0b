"""Puts together what answers requests, over one store: a part of the composition root."""

import random
from collections.abc import Hashable
from dataclasses import KW_ONLY
from typing import Any

from twisted.internet.interfaces import IReactorTime

from regcache.cache.blob_heads import BlobHeads
from regcache.cache.blobs import BlobCache
from regcache.cache.cached_tags import CachedTags
from regcache.cache.configured import Caches
from regcache.cache.download.downloads import DownloadTable
from regcache.cache.download.relays import Relays
from regcache.cache.fetched_blobs import FetchedBlobs
from regcache.cache.forgetting import Forgetting, IndexOfContent
from regcache.cache.image_sizes import ImageSizes
from regcache.cache.listings import Listings
from regcache.cache.manifest_checker import ManifestChecker
from regcache.cache.manifests import ManifestCache
from regcache.cache.remembered_manifests import RememberedManifests
from regcache.cache.revalidation import Revalidations
from regcache.cache.sight.closed_repositories import ClosedRepositories
from regcache.cache.sight.rights import Rights
from regcache.cache.sight.visibility import Visibility
from regcache.cache.small_blobs import SmallBlobs
from regcache.cache.stored_blobs import StoredBlobs
from regcache.cache.tag_table import TagTable
from regcache.cache.tags import TagCache
from regcache.generations import Generations
from regcache.interfaces import IBlobStore, ICacheEvents, IIndex
from regcache.light_dataclass import dataclass
from regcache.metrics import Metrics
from regcache.parsing import Parser
from regcache.store.blob_store import BlobStore
from regcache.store.index import SqliteIndex


@dataclass(frozen=True, slots=True)
class CacheParts:
    """What the parts that answer requests share."""

    index: SqliteIndex
    store: BlobStore
    reactor: Any
    _: KW_ONLY
    parser: Parser
    metrics: Metrics
    downloads: DownloadTable
    relays: Relays
    forgetting: Forgetting
    small_blobs: SmallBlobs
    image_sizes: ImageSizes
    closed_repositories: ClosedRepositories

    def build(self) -> Caches:
        """Put it together; what remembers anything is told what is removed."""
        visibility = Visibility(self.index, self.reactor, self.closed_repositories)
        # An upstream must not be able to predict which piece of a blob it has to show.
        unforeseen = random.SystemRandom().random
        rights = Rights(self.index, self.reactor, unforeseen, self.forgetting.removed)
        blobs = self._blobs(rights, visibility)
        remembered = RememberedManifests(self.reactor)
        manifests = ManifestCache(
            self.store,
            self.index,
            rights=rights,
            visibility=visibility,
            remembered=remembered,
            checker=ManifestChecker(self.parser, self.metrics),
            sizes=self.image_sizes,
            events=self.metrics,
            clock=self.reactor,
            removed=self.forgetting.removed,
        )
        table = TagTable(self.index, self.reactor, self.forgetting.removed)
        revalidations = Revalidations(manifests, table, self.reactor)
        cached_tags = CachedTags(manifests, table, revalidations, self.reactor)
        tags = TagCache(manifests, table, cached_tags, self.reactor)
        self.forgetting.subscribe(rights, remembered, table, IndexOfContent(self.index))
        listings = Listings(self.index, visibility, self.parser, self.reactor)
        now = self.reactor.seconds
        pulled = self.index.note_pull
        return Caches(
            blobs=blobs,
            tags=tags,
            listings=listings,
            used=lambda digest: self.index.touch(digest, now()),
            pulled=pulled,
        )

    def _blobs(self, rights: Rights, visibility: Visibility) -> BlobCache:
        return BlobParts(
            self.index,
            self.store,
            downloads=self.downloads,
            relays=self.relays,
            rights=rights,
            visibility=visibility,
            small=self.small_blobs,
            sizes=self.image_sizes,
            events=self.metrics,
            clock=self.reactor,
            removed=self.forgetting.removed,
        ).build()


@dataclass(frozen=True, slots=True)
class BlobParts:
    """What the parts that answer requests for blobs share."""

    index: IIndex
    store: IBlobStore
    _: KW_ONLY
    downloads: DownloadTable
    relays: Relays
    rights: Rights
    visibility: Visibility
    small: SmallBlobs
    sizes: ImageSizes
    events: ICacheEvents
    clock: IReactorTime
    removed: Generations[Hashable]

    def build(self) -> BlobCache:
        """Put it together."""
        stored = StoredBlobs(
            store=self.store,
            index=self.index,
            downloads=self.downloads,
            rights=self.rights,
            visibility=self.visibility,
            small=self.small,
            events=self.events,
            clock=self.clock,
        )
        return BlobCache(
            self.index,
            downloads=self.downloads,
            stored=stored,
            fetched=self._fetched(),
            heads=self._heads(stored),
            visibility=self.visibility,
            small=self.small,
            sizes=self.sizes,
            removed=self.removed,
        )

    def _fetched(self) -> FetchedBlobs:
        return FetchedBlobs(
            self.index,
            downloads=self.downloads,
            rights=self.rights,
            visibility=self.visibility,
            relays=self.relays,
            clock=self.clock,
            removed=self.removed,
        )

    def _heads(self, stored: StoredBlobs) -> BlobHeads:
        return BlobHeads(
            self.index,
            downloads=self.downloads,
            stored=stored,
            rights=self.rights,
            visibility=self.visibility,
            small=self.small,
        )
