"""Puts together what counts space and makes room: a part of the composition root."""

from collections.abc import Callable, Iterable
from typing import Any

from regcache.cache.download.downloads import DownloadTable
from regcache.cache.eviction.content_eviction import ContentEviction
from regcache.cache.eviction.evictor import Evictor
from regcache.cache.eviction.sweep_times import SweepRules, SweepTimes
from regcache.cache.eviction.sweeper import Sweeper
from regcache.cache.forgetting import Forgetting
from regcache.config.storage_settings import StorageSettings
from regcache.digests import Digest
from regcache.interfaces import IWorkPool
from regcache.retention import YOUNG_FOR
from regcache.store.blob_store import BlobStore
from regcache.store.index import SqliteIndex
from regcache.store.paths import StorePaths
from regcache.store.recount import Recount, folder_of
from regcache.store.space import SpaceLedger, SpaceLimits
from regcache.store.space_monitor import SpaceMonitor


def limits_of(storage: StorageSettings) -> SpaceLimits:
    """How much may be stored."""
    return SpaceLimits(storage.max_size, storage.max_blob, storage.min_free)


def rules_of(storage: StorageSettings) -> SweepRules:
    """When what is swept."""
    return SweepRules(storage.unused_for, storage.sweep, storage.purge)


class SpaceParts:
    """The ledger of space, and what keeps it right.

    :param changing: the contents that are being stored or removed.
    :ivar evictor: makes room; like the attributes below it is set by :meth:`build_evictor`.
    """

    evictor: Evictor
    sweeper: Sweeper
    sweep_times: SweepTimes

    def __init__(
        self,
        storage: StorageSettings,
        reactor: Any,
        pool: IWorkPool,
        paths: StorePaths,
        *,
        changing: Callable[[], Iterable[Digest]],
    ) -> None:
        self._reactor = reactor
        self._patterns = storage.pin
        self._rules = rules_of(storage)
        self.ledger = SpaceLedger(
            limits_of(storage),
            evictable=lambda: self.evictor.evictable(),
            make_room=lambda: self.evictor.make_room(),
            refused=lambda reason, too_large: self.evictor.refused(reason, too_large),
        )
        self.monitor = SpaceMonitor(reactor, pool, paths.directory, self.ledger)
        self.recount = Recount(
            reactor,
            pool,
            paths,
            ledger=self.ledger,
            is_changing=lambda folder: folder in map(folder_of, changing()),
        )

    def build_evictor(
        self,
        index: SqliteIndex,
        store: BlobStore,
        forgetting: Forgetting,
        downloads: DownloadTable,
        *,
        evicted: Callable[[int], None],
    ) -> None:
        """Put together what makes room.

        :param evicted: told how many bytes went.
        """
        places, pins = index.places, index.pins
        pins.set_patterns(self._patterns)
        eviction = ContentEviction(places, store, forgetting, downloads)
        self.sweeper = Sweeper(
            self._reactor,
            places,
            eviction,
            pins=pins,
            sweep_partials=store.sweep_partials,
            evicted=evicted,
        )
        self.sweep_times = SweepTimes(self._reactor, self.sweeper, self._rules)
        self.evictor = Evictor(
            self._reactor,
            places,
            eviction,
            pins=pins,
            ledger=self.ledger,
            measure=self.monitor.refresh,
            sweep_partials=lambda: store.sweep_partials(self._reactor.seconds() - YOUNG_FOR),
            evicted=evicted,
        )
