"""The order of starting and stopping.

=========  ===============================================================================
step       what holds
=========  ===============================================================================
opening    the storage is locked, the listeners are bound; requests wait at the gate
running    the index is open; requests are answered
draining   nothing is accepted; answers finish for up to ``drain`` seconds; downloads that
           nobody reads are saved
closing    answers are cut; downloads are saved; blobs are synced; the index is closed
stopped    threads have ended and the storage is unlocked
=========  ===============================================================================

A failure while opening stops the reactor and gives the process the exit status 1.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from twisted.application.service import Service
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    FirstError,
    gatherResults,
)
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.download.downloads import DownloadTable
from regcache.errors import ServiceUnavailableError
from regcache.gate import Gate
from regcache.store.blob_store import BlobStore
from regcache.store.index import SqliteIndex
from regcache.store.index_schema import IndexVersionError
from regcache.store.ledger import SpaceLedger
from regcache.store.lock import StoreLock
from regcache.store.pool import WorkPool
from regcache.store.space import SpaceMonitor
from regcache.web.listeners import Listeners
from regcache.web.send_threads import SendThreads
from regcache.web.site import Site

#: Partial files that nobody asked for in this time are removed at start (seconds).
PARTIAL_FILE_AGE = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is started and stopped.

    :ivar watchers: services that look at files or the disk now and then.
    :ivar hang_up: closes idle connections to upstreams.
    """

    lock: StoreLock
    index_pool: WorkPool
    disk_pool: WorkPool
    password_pool: WorkPool
    senders: SendThreads
    index: SqliteIndex
    store: BlobStore
    downloads: DownloadTable
    ledger: SpaceLedger
    space: SpaceMonitor
    watchers: Sequence[Service]
    listeners: Listeners
    sites: Sequence[Site]
    hang_up: Callable[[], Awaitable[None]]


class Daemon(Service):
    """Starts and stops everything in order."""

    _log = Logger()

    def __init__(
        self,
        parts: Parts,
        gate: Gate,
        clock: IReactorTime,
        *,
        drain: float,
        failed: Callable[[str], None],
    ) -> None:
        """
        :param gate: opens when requests may be answered.
        :param drain: seconds that client answers may take to finish when stopping.
        :param failed: ends the process with a message and the exit status 1.
        """
        self._parts = parts
        self._gate = gate
        self._clock = clock
        self._drain = drain
        self._failed = failed
        self._opened = Gate()
        self._stopped = Gate()
        self._started = False
        self._stopping = False
        self._index_is_open = False

    def privilegedStartService(self) -> None:
        """Bind the listeners while the process may take low ports.

        :raises ListenError: if one cannot be bound.
        """
        self._parts.listeners.privilegedStartService()

    def startService(self) -> None:
        """Open the storage, and let requests in."""
        super().startService()
        self._started = True
        parts = self._parts
        for service in (
            parts.index_pool,
            parts.disk_pool,
            parts.password_pool,
            parts.senders,
            parts.listeners,
        ):
            service.startService()
        opening = Deferred.fromCoroutine(self._open()).addErrback(self._cannot_open)
        opening.addBoth(lambda _: self._opened.succeed())
        opening.addCallback(lambda _: self._tidy())

    async def _open(self) -> None:
        parts = self._parts
        await parts.index.open()
        self._index_is_open = True
        parts.ledger.change(await parts.index.total_bytes())
        partials = await parts.store.partials()
        parts.ledger.change(sum(each.allocated for each in partials))
        await parts.space.refresh()
        if self._stopping:
            return
        for service in (parts.space, *parts.watchers):
            service.startService()
        self._gate.succeed()

    def _cannot_open(self, failure: Failure) -> None:
        if not failure.check(OSError, IndexVersionError):
            self._log.failure("the storage cannot be opened", failure)
        self._failed(f"the storage cannot be opened: {failure.getErrorMessage()}")

    def _tidy(self) -> "Deferred[None] | None":
        """Remove old partial files, behind the answers."""
        if not self._gate.open:
            return None
        tidying = self._parts.store.sweep_partials(self._clock.seconds() - PARTIAL_FILE_AGE)
        return tidying.addCallbacks(self._log_freed, self._cannot_tidy)

    def _log_freed(self, freed: int) -> None:
        if freed:
            self._log.info("removed {freed} bytes of old partial files", freed=freed)

    def _cannot_tidy(self, failure: Failure) -> None:
        if not self._stopping:
            why = failure.getErrorMessage()
            self._log.warn("old partial files could not be removed: {why}", why=why)

    def stopService(self) -> "Deferred[None]":
        """Drain and close. Fires when the process may end."""
        super().stopService()
        if not self._stopping:
            self._stopping = True
            Deferred.fromCoroutine(self._stop()).addErrback(self._log_fault).addBoth(
                lambda _: self._stopped.succeed()
            )
        return self._stopped.wait()

    async def _stop(self) -> None:
        """Every step is taken, whatever became of the one before."""
        for step in (
            self._stop_listening,
            self._finish_opening,
            self._wait_for_answers,
            self._cut_answers,
            self._parts.downloads.stop,
            self._parts.hang_up,
            self._stop_watching,
            self._parts.store.close,
            self._close_index,
            self._stop_threads,
        ):
            try:
                await step()
            except Exception:  # noqa: BLE001 - the next steps save what clients were promised
                self._log_fault(Failure())
        self._parts.lock.release()
        self._log.info("stopped")

    def _log_fault(self, failure: Failure) -> None:
        self._log.failure("stopping did not go as it should", failure)

    async def _stop_listening(self) -> None:
        self._log.info("stopping: answers may take {drain} s to finish", drain=self._drain)
        await self._parts.listeners.stopService()

    async def _finish_opening(self) -> None:
        """What waits at the gate is refused if it never opened."""
        if self._started:
            await self._opened.wait()
        self._gate.fail(Failure(ServiceUnavailableError("the daemon is stopping")))

    async def _wait_for_answers(self) -> None:
        self._parts.downloads.stop_unread()
        left = await _drained(self._parts.sites, self._clock, self._drain)
        if left:
            self._log.warn("{left} answers did not finish in time and are cut", left=left)

    async def _cut_answers(self) -> None:
        for site in self._parts.sites:
            site.abort_all()

    async def _stop_watching(self) -> None:
        for service in (*self._parts.watchers, self._parts.space):
            if service.running:
                await _finished(service)

    async def _close_index(self) -> None:
        if self._index_is_open:
            await self._parts.index.close()

    async def _stop_threads(self) -> None:
        parts = self._parts
        for pool in (parts.senders, parts.password_pool, parts.disk_pool, parts.index_pool):
            await _finished(pool)


async def _drained(sites: Sequence[Site], clock: IReactorTime, seconds: float) -> int:
    """Let answers finish for so long; how many have not."""
    for site in sites:
        site.drain()
    idle = gatherResults([site.when_idle() for site in sites], consumeErrors=True)
    timer = clock.callLater(seconds, idle.cancel)
    try:
        await idle
    except (CancelledError, FirstError):
        return sum(len(site.active_requests) for site in sites)
    timer.cancel()
    return 0


async def _finished(service: Service) -> None:
    result = service.stopService()
    if isinstance(result, Deferred):
        await result
