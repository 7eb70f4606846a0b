"""The order of starting and stopping.

=========  ===============================================================================
step       what holds
=========  ===============================================================================
opening    the storage is locked, the listeners are bound; connections are refused at once
running    the index is open, and the listeners; requests are answered; removals of an
           earlier process are finished, and old partial files are removed
draining   nothing is accepted; answers finish for up to ``drain`` seconds; downloads without
           readers are saved
closing    answers are cut; downloads are saved; blobs are synced; the index is closed
stopped    threads have ended and the storage is unlocked
=========  ===============================================================================

A second request to stop ends the draining at once. If the disk hangs a step may never end;
therefore the process has a deadline, too (:mod:`regcache.process`).

A failure while opening stops the reactor and gives the process the exit status 1.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

import os
from collections.abc import Awaitable, Callable, Sequence
from math import inf

from twisted.application.service import Service
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    FirstError,
    gatherResults,
    succeed,
)
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.download.downloads import DownloadTable
from regcache.cache.removal import Removal
from regcache.gate import Gate
from regcache.light_dataclass import dataclass
from regcache.listener_set import ListenerSet
from regcache.manager_reports import ManagerReports
from regcache.store.blob_store import BlobStore
from regcache.store.index import SqliteIndex
from regcache.store.index_schema import IndexVersionError
from regcache.store.lock import StoreLock
from regcache.store.pool import WorkPool
from regcache.store.space import SpaceLedger
from regcache.store.space_monitor import SpaceMonitor
from regcache.web.listener_spec import ListenError
from regcache.web.send_threads import SendThreads
from regcache.web.site import Site

#: Partial files that were not used for so long are removed at the start (seconds).
PARTIAL_FILE_AGE = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is started and stopped.

    :ivar watchers: services that look at files or the disk now and then.
    :ivar hang_up: closes idle connections to upstreams.
    :ivar reports: tells the service manager how it goes.
    """

    lock: StoreLock
    index_pool: WorkPool
    looking_pool: WorkPool
    disk_pool: WorkPool
    password_pool: WorkPool
    idle_pool: WorkPool
    senders: SendThreads
    index: SqliteIndex
    store: BlobStore
    downloads: DownloadTable
    removal: Removal
    ledger: SpaceLedger
    space: SpaceMonitor
    watchers: Sequence[Service]
    listeners: ListenerSet
    sites: Sequence[Site]
    hang_up: Callable[[], Awaitable[None]]
    reports: ManagerReports


class Daemon(Service):
    """Starts and stops everything in order.

    :ivar parts: all that is started and stopped.
    """

    _log = Logger()

    def __init__(
        self,
        parts: Parts,
        clock: IReactorTime,
        *,
        drain: Callable[[], float],
        failed: Callable[[str], None],
    ) -> None:
        """
        :param drain: gives the seconds that client answers may take to finish when stopping.
        :param failed: ends the process with a message and the exit status 1.
        """
        self.parts = parts
        self._clock = clock
        self._drain = drain
        self._failed = failed
        self._opened = Gate()
        self._stopped = Gate()
        self._started = self._running = False
        self._stopping = False
        self._index_is_open = False
        self._draining: Deferred[None] = succeed(None)
        self._hurried = False

    @property
    def drain(self) -> float:
        """Seconds that client answers may take to finish when stopping."""
        return self._drain()

    def privilegedStartService(self) -> None:
        """Bind the listeners while the process may take low ports.

        :raises ListenError: if one cannot be bound.
        """
        self.parts.listeners.privilegedStartService()

    def startService(self) -> None:
        """Open the storage, and then the listeners."""
        super().startService()
        self._started = True
        parts = self.parts
        parts.lock.tell(os.getpid())  # twistd has forked since it was taken, unless told not to
        parts.reports.startService()
        pools = (parts.index_pool, parts.looking_pool, parts.disk_pool, parts.password_pool)
        for service in (*pools, parts.idle_pool, parts.senders):
            service.startService()
        opening = Deferred.fromCoroutine(self._open()).addErrback(self._cannot_open)
        opening.addBoth(lambda _: self._opened.succeed())
        opening.addCallback(lambda _: self._tidy())

    async def _open(self) -> None:
        parts = self.parts
        await parts.index.open()
        self._index_is_open = True
        try:
            await parts.removal.begin()
        except OSError as error:
            self._log.warn("what was removed cannot be found out: {why}", why=error)
        for count in (self._count_contents, self._count_partials, parts.space.refresh):
            try:
                await count()
            except OSError as error:  # a disk that is ill stops nothing from being served
                self._log.warn("what is stored cannot be counted: {why}", why=error)
        if self._stopping:
            return
        for service in (parts.space, *parts.watchers, parts.listeners):
            service.startService()
        self._running = True
        parts.reports.ready()

    async def _count_contents(self) -> None:
        parts = self.parts
        occupied = await parts.index.occupied_bytes()
        parts.ledger.change_contents(occupied + await parts.store.occupied(parts.removal.left))

    async def _count_partials(self) -> None:
        partials = await self.parts.store.old_partials(inf)
        self.parts.ledger.change_parked(partials.bytes)

    def _cannot_open(self, failure: Failure) -> None:
        why = failure.getErrorMessage()
        if not failure.check(ListenError, IndexVersionError):
            self._log.failure("the daemon cannot start", failure)
            why = f"the daemon cannot start: {why}"
        self._failed(why)

    def _tidy(self) -> None:
        """Begin what has time until clients are let in."""
        if self._running:
            _Tidying(self.parts, lambda: self._stopping).begin(self._clock.seconds())

    def stopService(self) -> "Deferred[None]":
        """Drain and close. Fires when the process may end."""
        super().stopService()
        if not self._stopping:
            self._stopping = True
            self.parts.reports.stopping()
            Deferred.fromCoroutine(self._stop()).addErrback(self._log_fault).addBoth(
                lambda _: self._stopped.succeed()
            )
        return self._stopped.wait()

    def hurry(self) -> None:
        """Stop at once: do not wait for answers, and sync nothing."""
        self._hurried = True
        self._draining.cancel()

    async def _stop(self) -> None:
        """Take every step, even if the one before failed."""
        for step in (
            self._stop_listening,
            self._finish_opening,
            self._wait_for_answers,
            self._cut_answers,
            self.parts.downloads.stop,
            self.parts.hang_up,
            self._stop_watching,
            self._close_store,
            self._close_index,
            self._stop_threads,
        ):
            try:
                await step()
            except Exception:  # noqa: BLE001 - the next steps save what clients were promised
                self._log_fault(Failure())
        self.parts.reports.stopService()
        self.parts.lock.release()
        self._log.info("stopped")

    def _log_fault(self, failure: Failure) -> None:
        self._log.failure("stopping did not go as it should", failure)

    async def _stop_listening(self) -> None:
        self._log.info("stopping: answers may take {drain} s to finish", drain=self.drain)
        await self.parts.listeners.stopService()

    async def _finish_opening(self) -> None:
        if self._started:
            await self._opened.wait()

    async def _wait_for_answers(self) -> None:
        self.parts.downloads.stop_unread()
        sites = self.parts.sites
        for site in sites:
            site.drain()
        idle = gatherResults([site.when_idle() for site in sites], consumeErrors=True)
        self._draining = idle.addCallback(lambda _: None)
        timer = self._clock.callLater(0.0 if self._hurried else self.drain, idle.cancel)
        try:
            await idle
        except (CancelledError, FirstError):
            left = sum(len(site.active_requests) for site in sites)
            self._log.warn("{left} answers did not finish in time and are cut", left=left)
        if timer.active():
            timer.cancel()

    async def _cut_answers(self) -> None:
        for site in self.parts.sites:
            site.abort_all()

    async def _stop_watching(self) -> None:
        self.parts.removal.stop()
        for service in (*self.parts.watchers, self.parts.space):
            if service.running:
                await _finished(service)

    async def _close_store(self) -> None:
        """Sync new content. In a hurry it is not synced, and verified when it is next used."""
        if not self._hurried:
            await self.parts.store.close()

    async def _close_index(self) -> None:
        if self._index_is_open:
            await self.parts.index.close()

    async def _stop_threads(self) -> None:
        parts = self.parts
        pools = (parts.idle_pool, parts.disk_pool, parts.looking_pool, parts.index_pool)
        for pool in (parts.senders, parts.password_pool, *pools):
            await _finished(pool)


class _Tidying:
    """Removes in the background what an earlier process has left.

    :param stopping: whether the daemon stops: then the rest has time until the next start.
    """

    _log = Logger()

    def __init__(self, parts: Parts, stopping: Callable[[], bool]) -> None:
        self._parts = parts
        self._stopping = stopping

    def begin(self, now: float) -> None:
        """Finish its removals, and remove old partial files."""
        removing = Deferred.fromCoroutine(self._finish_removals())
        removing.addErrback(self._failed, "what was removed cannot be removed from the disk")
        sweeping = self._parts.store.sweep_partials(now - PARTIAL_FILE_AGE)
        sweeping.addCallback(self._log_freed)
        sweeping.addErrback(self._failed, "old partial files could not be removed")

    async def _finish_removals(self) -> None:
        await self._parts.removal.resume()

    def _log_freed(self, freed: int) -> None:
        if freed:
            self._log.info("removed {freed} bytes of old partial files", freed=freed)

    def _failed(self, failure: Failure, what: str) -> None:
        if self._stopping():
            return
        if failure.check(OSError):
            self._log.warn("{what}: {why}", what=what, why=failure.getErrorMessage())
        else:
            self._log.failure("{what}", failure, what=what)


async def _finished(service: Service) -> None:
    result = service.stopService()
    if isinstance(result, Deferred):
        await result
