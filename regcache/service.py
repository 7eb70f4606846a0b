"""The composition root: the only file that knows the concrete classes."""

import os
import random
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import disable_created_metrics
from twisted.logger import Logger

from regcache.admin.health import HealthPages
from regcache.cache.blobs import BlobCache, record
from regcache.cache.configured import Caches, ConfiguredCache
from regcache.cache.download.context import DownloadContext
from regcache.cache.download.downloads import DownloadTable
from regcache.cache.download.url_choice import DistrustedUrls
from regcache.cache.listings import Listings
from regcache.cache.manifests import ManifestCache
from regcache.cache.negative import NegativeCache, with_negative_cache
from regcache.cache.parsing import ManifestParser
from regcache.cache.policy import ServedUpstream
from regcache.cache.sight.closed_repositories import ClosedRepositories
from regcache.cache.sight.rights import Rights
from regcache.cache.sight.visibility import Visibility
from regcache.cache.small_blobs import SmallBlobs
from regcache.cache.tags import TagCache
from regcache.config import model
from regcache.digests import Digest
from regcache.gate import Gate
from regcache.lifecycle import Daemon, Parts, behind_gate
from regcache.listening import ListenerBuilder
from regcache.logs import LineWriter
from regcache.metrics import Metrics
from regcache.store.blobs import BlobStore
from regcache.store.file_system import FileSystem
from regcache.store.index import SqliteIndex
from regcache.store.index_file import IndexFile
from regcache.store.ledger import Percentage, SpaceLedger, SpaceLimits
from regcache.store.lock import StoreLock
from regcache.store.paths import StorePaths
from regcache.store.pool import WorkPool
from regcache.store.sidecar import read_boot_id
from regcache.store.space import SpaceMonitor
from regcache.upstreams import build_upstreams
from regcache.web.access_log import AccessLog, MetricsRecorder, RequestRecord
from regcache.web.blob_handler import BlobHandler
from regcache.web.distribution import Distribution
from regcache.web.hosts import RoutingTable, UpstreamNames
from regcache.web.listing_handler import ListingHandler
from regcache.web.manifest_handler import ManifestHandler
from regcache.web.rounds import Rounds
from regcache.web.send_threads import SendThreads, threads_for, usable_cores
from regcache.web.sender import Terms
from regcache.web.turns import Turns

_log = Logger()

#: Threads for disk and hashing. More would not make one disk faster.
DISK_THREADS = 8


def build_daemon(
    config: model.Config, reactor: Any, writer: LineWriter, failed: Callable[[str], None]
) -> Daemon:
    """Put the daemon together and lock its storage.

    :param failed: see :class:`Daemon`.
    :raises StoreLockedError: if another daemon uses the storage.
    :raises OSError: if the storage cannot be used.
    :raises CertificateError: if a certificate cannot be used.
    :raises UpstreamSetupError: if an upstream's files cannot be used.
    """
    paths = StorePaths(os.path.abspath(config.storage.directory))
    paths.prepare()
    lock = StoreLock(paths.lock, os.getpid())
    lock.acquire()
    system = FileSystem(paths.directory)
    try:
        system.open()
        return _Assembly(config, reactor, writer, paths, lock, system).daemon(failed)
    except BaseException:
        system.close()
        lock.release()
        raise


class _Assembly:
    """Builds the parts that depend on each other."""

    def __init__(
        self,
        config: model.Config,
        reactor: Any,
        writer: LineWriter,
        paths: StorePaths,
        lock: StoreLock,
        system: FileSystem,
    ) -> None:
        self._config = config
        self._reactor = reactor
        self._lock = lock
        self._paths = paths
        self._gate = Gate()
        # A series for the time of creation beside each counter would double their number.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._metrics = Metrics([upstream.name for upstream in config.upstreams])
        self._recorders = self._make_recorders(writer)
        self._index_pool = WorkPool(reactor, "index", 1)
        self._disk_pool = WorkPool(reactor, "disk", DISK_THREADS)
        self._ledger = SpaceLedger(_space_limits(config.storage))
        self._index = SqliteIndex(
            IndexFile(paths.index), self._index_pool, self._disk_pool, reactor
        )
        self._store = BlobStore(
            reactor,
            self._disk_pool,
            paths,
            read_boot_id(),
            self._ledger.change,
            self._content_lost,
            system,
        )
        self._small_blobs = SmallBlobs(reactor)
        self._distrusted_urls = DistrustedUrls(reactor)
        # Which piece of a blob an upstream has to show must not be foreseen.
        self._rights = Rights(self._index, reactor, random.SystemRandom().random)
        self._refusals = NegativeCache(reactor)
        self._closed_repositories = ClosedRepositories(self._index, reactor)
        self._visibility = Visibility(self._index, reactor, self._closed_repositories)

    def _content_lost(self, digest: Digest, size: int) -> None:
        """Stored content was damaged and is removed: it is a miss from now on."""
        self._metrics.storage_error()
        self._small_blobs.forget(digest)
        forgetting = self._index.forget_content(digest)
        forgetting.addErrback(
            lambda failure: _log.warn(
                "forgetting {digest} failed: {why}", digest=digest, why=failure.getErrorMessage()
            )
        )

    def _make_recorders(self, writer: LineWriter) -> list[Callable[[RequestRecord], None]]:
        """Who is told of each request when it has ended."""
        recorders: list[Callable[[RequestRecord], None]] = [MetricsRecorder(self._metrics)]
        if self._config.log.access:
            call_later = self._reactor.callLater
            recorders.append(AccessLog(writer, lambda flush: call_later(0, flush)))
        return recorders

    def daemon(self, failed: Callable[[str], None]) -> Daemon:
        """Everything, ready to be started."""
        config, reactor = self._config, self._reactor
        built = build_upstreams(config, reactor, self._disk_pool, self._metrics)
        downloads, blobs = self._blobs()
        senders = SendThreads(threads_for(usable_cores()))
        health = HealthPages(lambda: self._gate.open and not downloads.storage_rests)
        upstreams = {
            name: with_negative_cache(upstream, self._refusals, self._closed_repositories)
            for name, upstream in built.upstreams.items()
        }
        dispatch = behind_gate(self._gate, self._distribution(upstreams, blobs, senders))
        self._watch(downloads)
        front = ListenerBuilder(
            config, reactor, self._disk_pool, self._metrics, self._recorders, health
        ).build(dispatch)
        parts = Parts(
            self._lock,
            self._index_pool,
            self._disk_pool,
            senders,
            self._index,
            self._store,
            downloads,
            self._ledger,
            SpaceMonitor(reactor, self._disk_pool, self._paths.directory, self._ledger),
            [*built.watchers, *front.watchers],
            front.listeners,
            front.sites,
            built.hang_up,
        )
        return Daemon(parts, self._gate, reactor, config.limits.drain, failed)

    def _blobs(self) -> tuple[DownloadTable, BlobCache]:
        context = DownloadContext(
            self._store,
            self._ledger,
            self._reactor,
            self._metrics,
            random.random,
            self._config.storage.finish,
        )
        downloads = DownloadTable(
            context,
            self._distrusted_urls,
            lambda fetched: record(self._index, fetched, self._reactor),
        )
        blobs = BlobCache(
            self._store,
            self._index,
            downloads,
            self._rights,
            self._visibility,
            self._small_blobs,
            self._metrics,
            self._reactor,
        )
        return downloads, blobs

    def _distribution(
        self, upstreams: Mapping[str, ServedUpstream], blobs: BlobCache, senders: SendThreads
    ) -> Distribution:
        parser = ManifestParser(self._disk_pool)
        manifests = ManifestCache(
            self._store,
            self._index,
            self._rights,
            self._visibility,
            parser,
            self._metrics,
            self._reactor,
        )
        tags = TagCache(manifests, self._index, self._reactor)
        private = self._config.access.restricted
        table = _routing_table(self._config)
        listings = Listings(self._index, self._visibility, parser)
        stall = self._config.limits.client_stall
        rounds = Rounds(self._reactor, senders)
        terms = Terms(self._reactor, stall, Turns(self._reactor), rounds)
        caches = Caches(blobs, tags, listings)
        cache = ConfiguredCache(upstreams.values(), caches)
        handler = BlobHandler(cache, terms, private)
        self._metrics.watch("readers", lambda: len(handler.feeding))
        return Distribution(
            table,
            {name: upstream.identity for name, upstream in upstreams.items()},
            ManifestHandler(cache, private),
            handler,
            ListingHandler(cache, table),
        )

    def _watch(self, downloads: DownloadTable) -> None:
        self._metrics.watch("downloads", lambda: len(downloads))
        self._metrics.watch("storage_bytes", lambda: self._ledger.used)
        self._metrics.watch("storage_limit_bytes", self._ledger.max_size)


def _space_limits(storage: model.Storage) -> SpaceLimits:
    return SpaceLimits(_size(storage.max_size), _size(storage.max_blob), storage.min_free)


def _size(size: model.Size) -> int | Percentage:
    return Percentage(size.value) if isinstance(size, model.Percentage) else size


def _routing_table(config: model.Config) -> RoutingTable:
    names = [
        UpstreamNames(
            upstream.name,
            upstream.aliases,
            upstream.hosts,
            upstream.default_namespace or "",
            upstream.allow,
            upstream.deny,
        )
        for upstream in config.upstreams
    ]
    return RoutingTable.build(
        names, config.default_upstream, config.default_hosts, config.domain, config.admin.hosts
    )
