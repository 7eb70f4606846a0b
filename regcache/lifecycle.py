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
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.downloads import Downloads
from regcache.cache.waiters import Gate
from regcache.store.blobs import BlobStore
from regcache.store.index import SqliteIndex
from regcache.store.ledger import SpaceLedger
from regcache.store.lock import StoreLock
from regcache.store.pool import WorkPool
from regcache.store.space import SpaceMonitor
from regcache.web.listeners import Listeners
from regcache.web.request import Dispatch, Request
from regcache.web.site import Site

#: Partial files that nobody asked for in this time are removed at start (seconds).
PARTIAL_FILE_AGE = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What is started and stopped.

    :ivar watchers: services that look at files or the disk now and then.
    :ivar hang_up: closes idle connections to upstreams.
    """

    lock: StoreLock
    index_pool: WorkPool
    disk_pool: WorkPool
    index: SqliteIndex
    store: BlobStore
    downloads: Downloads
    ledger: SpaceLedger
    space: SpaceMonitor
    watchers: Sequence[Service]
    listeners: Listeners
    sites: Sequence[Site]
    hang_up: Callable[[], Awaitable[None]]


def behind_gate(gate: Gate, dispatch: Dispatch) -> Dispatch:
    """A dispatcher whose requests wait until a gate opens."""

    def wait_and_dispatch(request: Request) -> Any:
        if gate.open:
            return dispatch(request)
        return gate.wait().addCallback(lambda _: dispatch(request))

    return wait_and_dispatch


class Daemon(Service):
    """Starts and stops everything in order."""

    _log = Logger()

    def __init__(
        self,
        parts: Parts,
        gate: Gate,
        clock: IReactorTime,
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
        self._stopped = Gate()

    def privilegedStartService(self) -> None:
        """Bind the listeners while the process may take low ports.

        :raises ListenError: if one cannot be bound.
        """
        self._parts.listeners.privilegedStartService()

    def startService(self) -> None:
        """Open the storage, and let requests in."""
        super().startService()
        parts = self._parts
        for service in (parts.index_pool, parts.disk_pool, parts.listeners):
            service.startService()
        Deferred.fromCoroutine(self._open()).addErrback(self._cannot_open)

    async def _open(self) -> None:
        parts = self._parts
        await parts.index.open()
        parts.ledger.change(await parts.index.total_bytes())
        partials = await parts.store.partials()
        parts.ledger.change(sum(each.allocated for each in partials))
        await parts.space.refresh()
        for service in (parts.space, *parts.watchers):
            service.startService()
        self._gate.succeed()
        freed = await parts.store.sweep_partials(self._clock.seconds() - PARTIAL_FILE_AGE)
        if freed:
            self._log.info("removed {freed} bytes of old partial files", freed=freed)

    def _cannot_open(self, failure: Failure) -> None:
        if not failure.check(OSError):
            self._log.failure("the storage cannot be opened", failure)
        if not self._gate.open:
            self._failed(f"the storage cannot be opened: {failure.getErrorMessage()}")

    def stopService(self) -> "Deferred[None]":
        """Drain and close. Fires when the process may end."""
        super().stopService()
        if self._stopped.settled:
            return self._stopped.wait()
        stopping = Deferred.fromCoroutine(self._stop())
        stopping.addErrback(
            lambda failure: self._log.failure("stopping did not go as it should", failure)
        )
        return stopping

    async def _stop(self) -> None:
        parts = self._parts
        self._log.info("stopping: answers may take {drain} s to finish", drain=self._drain)
        await parts.listeners.stopService()
        parts.downloads.stop_unread()
        await self._wait_for_answers()
        for site in parts.sites:
            site.abort_all()
        await parts.downloads.stop()
        await parts.hang_up()
        for service in (*parts.watchers, parts.space):
            if service.running:
                await _finished(service)
        if self._gate.open:
            await parts.store.close()
            await parts.index.close()
        for pool in (parts.disk_pool, parts.index_pool):
            await _finished(pool)
        parts.lock.release()
        self._stopped.succeed()
        self._log.info("stopped")

    async def _wait_for_answers(self) -> None:
        for site in self._parts.sites:
            site.drain()
        idle = gatherResults([site.when_idle() for site in self._parts.sites])
        timer = self._clock.callLater(self._drain, idle.cancel)
        try:
            await idle
        except (CancelledError, FirstError):
            left = sum(len(site.active_requests) for site in self._parts.sites)
            self._log.warn("{left} answers did not finish in time and are cut", left=left)
        if timer.active():
            timer.cancel()


async def _finished(service: Service) -> None:
    result = service.stopService()
    if isinstance(result, Deferred):
        await result
