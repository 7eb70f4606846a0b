"""The parts that live as long as the process, through all reloads: a part of the composition root.

These are the storage, the index, the downloads, and all tables in memory. None of them depends on
routes, listeners or settings of upstreams: callers pass the upstream to ask, and its
identity is the key. So several configurations may use one engine, in turn and for a while at once.
"""

import os
import random
from collections.abc import Hashable
from dataclasses import replace
from functools import partial
from typing import Any

from regcache.cache.blobs import record
from regcache.cache.cached_only import CachedOnly
from regcache.cache.configured import Caches
from regcache.cache.download.context import DownloadContext
from regcache.cache.download.distrusted_urls import DistrustedUrls
from regcache.cache.download.downloads import DownloadTable
from regcache.cache.download.relays import Relays
from regcache.cache.eviction.evictor import Evictor
from regcache.cache.eviction.sweep_times import SweepTimes
from regcache.cache.eviction.sweeper import Sweeper
from regcache.cache.forgetting import MOST_REMOVED, Forgetting
from regcache.cache.image_sizes import ImageSizes
from regcache.cache.negative import NegativeCache
from regcache.cache.removal import Removal
from regcache.cache.shown_images import ShownImages
from regcache.cache.sight.closed_repositories import ClosedRepositories
from regcache.cache.small_blobs import SmallBlobs
from regcache.cache.spare_bodies import SpareBodies
from regcache.cache_parts import CacheParts
from regcache.checking import Checking, build_checking
from regcache.config.storage_settings import StorageSettings
from regcache.cores import usable_cores
from regcache.digests import Digest
from regcache.evicting import SpaceParts, limits_of, rules_of
from regcache.file_events import FileEvents
from regcache.generations import Generations
from regcache.light_dataclass import dataclass
from regcache.metering import Metering, build_metering
from regcache.metrics import Metrics
from regcache.parsing import Parser
from regcache.short_lived import ShortLived, build_short_lived
from regcache.store.blob_store import BlobStore
from regcache.store.index import SqliteIndex
from regcache.store.index_file import IndexFile
from regcache.store.lock import StoreLock
from regcache.store.partial_names import read_boot_id
from regcache.store.paths import StorePaths
from regcache.store.pool import WorkPool
from regcache.store.recount import Recount
from regcache.store.soundness import Reading
from regcache.store.space import SpaceLedger
from regcache.store.space_monitor import SpaceMonitor
from regcache.store.sync import FileSystem
from regcache.web.answer_limits import AnswerLimits
from regcache.web.pacing.pacing import Pacing
from regcache.web.rounds import Rounds
from regcache.web.send_threads import SendThreads, threads_for
from regcache.web.sender import Sender, Turns

#: Threads for disk and hashing. More would not make one disk faster.
DISK_THREADS = 8
#: Threads for bcrypt: each takes all of a core for a moment, and they must not take every core.
PASSWORD_THREADS = 2
#: Their niceness: so 200 logins at the same moment do not delay other work.
PASSWORD_NICENESS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The parts that all configurations of a process share.

    :ivar caches: answer requests, for the upstreams that callers pass.
    :ivar removal: removes content.
    :ivar cached_only: answers operators.
    :ivar shown_images: says what is cached of images.
    :ivar refusals: what upstreams refused a moment ago.
    :ivar spare_bodies: manifests that came although only heads were asked for.
    :ivar checking: finds out whether what is stored is what it has to be.
    :ivar senders: threads that send files.
    :ivar pacing: how fast answers may be sent.
    :ivar metering: counts what accounts use.
    :ivar feeding: the answers being sent now.
    :ivar short_lived: what expires.
    :ivar file_events: tell when files that are watched may have changed.
    """

    reactor: Any
    metrics: Metrics
    lock: StoreLock
    system: FileSystem
    index_pool: WorkPool
    looking_pool: WorkPool
    disk_pool: WorkPool
    password_pool: WorkPool
    parser: Parser
    index: SqliteIndex
    store: BlobStore
    ledger: SpaceLedger
    space: SpaceMonitor
    evictor: Evictor
    sweeper: Sweeper
    sweep_times: SweepTimes
    recount: Recount
    checking: Checking
    downloads: DownloadTable
    caches: Caches
    removal: Removal
    cached_only: CachedOnly
    shown_images: ShownImages
    refusals: NegativeCache
    spare_bodies: SpareBodies
    closed_repositories: ClosedRepositories
    senders: SendThreads
    turns: Turns
    rounds: Rounds
    pacing: Pacing
    metering: Metering
    feeding: set[Sender]
    short_lived: ShortLived
    file_events: FileEvents

    def release(self) -> None:
        """Release the storage of an engine that was never started."""
        self.system.close()
        self.lock.release()

    @property
    def answer_limits(self) -> AnswerLimits:
        """What changes the limits of the answers under way."""
        return AnswerLimits(self.pacing, self.feeding)

    def follow(self, storage: StorageSettings) -> None:
        """Go by other limits and times, from now on; the directory stays."""
        self.ledger.follow(limits_of(storage))
        self.sweep_times.follow(rules_of(storage))
        self.index.pins.set_patterns(storage.pin)
        self.store.soundness.follow(Reading(storage.verify_on_read))
        self.checking.scrub.follow(storage.scrub)
        self.downloads.context = replace(self.downloads.context, finish=storage.finish)

    @property
    def problems(self) -> list[str]:
        """Why new content is not kept, one line for each reason."""
        rests = "storage.directory: the disk refused a write a moment ago"
        found = [self.space.problem, self.index.problem, rests * self.downloads.storage_rests]
        return [problem for problem in found if problem]


def build_engine(storage: StorageSettings, reactor: Any) -> Engine:
    """Put the engine together and lock its storage.

    :raises StoreLockedError: if another daemon uses the storage.
    :raises StorageUnusableError: if there is no storage directory.
    """
    paths = StorePaths(os.path.abspath(storage.directory))
    paths.prepare()
    lock = StoreLock(paths.lock, os.getpid())
    lock.acquire()
    system = FileSystem(paths.directory)
    try:
        system.open()
        return _Builder(storage, reactor, paths, system).engine(lock)
    except BaseException:
        system.close()
        lock.release()
        raise


def _password_pool(reactor: Any) -> WorkPool:
    return WorkPool(reactor, "password", PASSWORD_THREADS, niceness=PASSWORD_NICENESS, drops=True)


def _first_number(reactor: Any) -> int:
    """A number above those of all removals of earlier processes: the time in milliseconds."""
    return int(reactor.seconds() * 1000)


def _make_index(path: str, pools: tuple[WorkPool, WorkPool, WorkPool], reactor: Any) -> SqliteIndex:
    return SqliteIndex(IndexFile(path), pools[0], pools[1], reactor, looking=pools[2])


def _cached_only(index: SqliteIndex, store: BlobStore, parser: Parser, reactor: Any) -> CachedOnly:
    return CachedOnly(index, index.removals, store, parser=parser, clock=reactor)


def _shown_images(index: SqliteIndex, store: BlobStore, parser: Parser) -> ShownImages:
    images = ShownImages(index.catalogue, store, parser)
    index.catalogue.summaries.describe = images.describe
    return images


class _Builder:
    """Builds the parts that depend on each other."""

    def __init__(
        self, storage: StorageSettings, reactor: Any, paths: StorePaths, system: FileSystem
    ) -> None:
        self._reactor = reactor
        self._system = system
        self._directory = paths.directory
        self._metrics = Metrics()
        self._index_pool = WorkPool(reactor, "index", 1, gathers=True)
        self._looking_pool = WorkPool(reactor, "looking", 1)
        self._disk_pool = WorkPool(reactor, "disk", DISK_THREADS)
        self._parser = Parser(self._disk_pool)
        self._space = SpaceParts(
            storage, reactor, self._disk_pool, paths, changing=lambda: self._store.changing()
        )
        pools = (self._index_pool, self._disk_pool, self._looking_pool)
        self._index = _make_index(paths.index, pools, reactor)
        self._index.lost = self._space.recount.soon
        self._store = self._make_store(storage, paths)
        self._removed: Generations[Hashable] = Generations(MOST_REMOVED, _first_number(reactor))
        self._forgetting = Forgetting(self._removed)
        self._checking = build_checking(
            reactor,
            self._store,
            self._index.checks,
            paths,
            lost=self._forgetting.lost,
            every=storage.scrub,
        )
        self._small_blobs = SmallBlobs(reactor)
        self._spare_bodies = SpareBodies(reactor)
        self._image_sizes = ImageSizes(self._index)
        self._closed_repositories = ClosedRepositories(self._index, reactor)
        self._make_downloads(storage.finish)
        self._space.build_evictor(
            self._index,
            self._store,
            self._forgetting,
            self._downloads,
            evicted=self._metrics.evicted,
        )

    def _make_store(self, storage: StorageSettings, paths: StorePaths) -> BlobStore:
        return BlobStore(
            self._reactor,
            self._disk_pool,
            paths,
            boot_id=read_boot_id(),
            changed=self._space.recount.changed,
            parked=self._space.ledger.change_parked,
            damaged=self._content_lost,
            reading=Reading(storage.verify_on_read),
            system=self._system,
            later=partial(self._reactor.callLater, 0),
        )

    def _content_lost(self, digest: Digest, size: int) -> None:
        """Stored content was damaged and is removed: it is a miss from now on."""
        self._metrics.content_damaged()
        self._checking.damage.found(self._reactor.seconds())
        self._forgetting.lost(digest)

    def _make_downloads(self, finish: int | None) -> None:
        context = DownloadContext(
            self._store,
            self._space.ledger,
            self._reactor,
            events=self._metrics,
            random=random.random,
            finish=finish,
            removed=self._removed,
        )
        downloads = self._downloads = DownloadTable(
            context,
            DistrustedUrls(self._reactor),
            lambda fetched: record(self._index, fetched, self._reactor),
        )
        self._relays = Relays(downloads, context, self._index.record_size)
        self._removal = Removal(
            self._index.removals, self._store, self._forgetting, self._reactor, downloads=downloads
        )

    def engine(self, lock: StoreLock) -> Engine:
        """Everything, ready to be started."""
        senders = SendThreads(threads_for(usable_cores()))
        turns = Turns(self._reactor)
        return Engine(
            reactor=self._reactor,
            metrics=self._metrics,
            lock=lock,
            system=self._system,
            index_pool=self._index_pool,
            looking_pool=self._looking_pool,
            disk_pool=self._disk_pool,
            password_pool=_password_pool(self._reactor),
            parser=self._parser,
            index=self._index,
            store=self._store,
            ledger=self._space.ledger,
            space=self._space.monitor,
            evictor=self._space.evictor,
            sweeper=self._space.sweeper,
            sweep_times=self._space.sweep_times,
            recount=self._space.recount,
            checking=self._checking,
            downloads=self._downloads,
            caches=self._caches(),
            removal=self._removal,
            cached_only=_cached_only(self._index, self._store, self._parser, self._reactor),
            shown_images=_shown_images(self._index, self._store, self._parser),
            refusals=NegativeCache(self._reactor),
            spare_bodies=self._spare_bodies,
            closed_repositories=self._closed_repositories,
            senders=senders,
            turns=turns,
            rounds=Rounds(self._reactor, senders),
            pacing=Pacing(self._reactor, turns.take),
            metering=build_metering(self._reactor, self._metrics),
            feeding=set(),
            short_lived=build_short_lived(self._directory, self._disk_pool, self._reactor),
            file_events=FileEvents(self._reactor, self._disk_pool),
        )

    def _caches(self) -> Caches:
        self._forgetting.subscribe(self._downloads, self._small_blobs, self._spare_bodies)
        return CacheParts(
            self._index,
            self._store,
            self._reactor,
            parser=self._parser,
            metrics=self._metrics,
            downloads=self._downloads,
            relays=self._relays,
            forgetting=self._forgetting,
            small_blobs=self._small_blobs,
            image_sizes=self._image_sizes,
            closed_repositories=self._closed_repositories,
        ).build()
