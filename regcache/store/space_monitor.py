"""What the file system has free: measured every second, for the space ledger."""

import os
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.interfaces import IWorkPool
from regcache.store.space import FileSystemSpace, SpaceLedger

INTERVAL = 1.0
"""Seconds between two measurements of the file system."""


def measure_space(directory: str) -> FileSystemSpace:
    """Measure the file system of a directory. Blocks, perhaps for long. :raises OSError:"""
    status = os.statvfs(directory)
    total, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
    if status.f_flag & os.ST_RDONLY:
        return FileSystemSpace(total, free, "its file system is mounted read only")
    for folder in ("", "partial", "blobs", "blobs/sha256", "blobs/sha512"):
        path = os.path.join(directory, folder)
        if os.path.islink(path) and not os.path.exists(path):
            return FileSystemSpace(total, free, f"{folder or 'it'} is a link that leads nowhere")
        if os.path.isdir(path) and not os.access(path, os.W_OK | os.X_OK, effective_ids=True):
            return FileSystemSpace(total, free, f"{folder or 'it'} may not be written")
    return FileSystemSpace(total, free, "" if free else "no space is left", full=not free)


class SpaceMonitor(Service):
    """Measures every second how much space there is, for the ledger.

    So the ledger can decide about claims at once. While a measurement takes long, the ledger uses
    the last one, and deducts what is written meanwhile.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        pool: IWorkPool,
        directory: str,
        ledger: SpaceLedger,
        *,
        measure: Callable[[str], FileSystemSpace] = measure_space,
    ) -> None:
        self._pool = pool
        self._directory = directory
        self._ledger = ledger
        self._measure = measure
        self._begun = self._latest = 0  # numbers of measurements
        self._loop = LoopingCall(self._refresh_or_log)
        self._loop.clock = clock

    def startService(self) -> None:
        """Measure now, and then every second."""
        super().startService()  # type: ignore[no-untyped-call]
        self._loop.start(INTERVAL, now=True).addErrback(
            lambda failure: self.log.failure("watching the disk space", failure)
        )

    def stopService(self) -> None:
        """Measure no more."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._loop.running:
            self._loop.stop()

    def refresh(self) -> "Deferred[None]":
        """Measure now. Fails with OSError."""
        self._begun += 1
        ledger = self._ledger
        measuring = self._pool.run(self._measure, self._directory)
        return measuring.addCallback(self._measured, self._begun, ledger.consumed, ledger.removed)

    def _measured(self, space: FileSystemSpace, number: int, consumed: int, removed: int) -> None:
        if number < self._latest:
            return  # one that began later is known already
        self._latest = number
        before, is_first = self._ledger.closed, self._ledger.free is None
        self._ledger.measured(space, consumed, removed)
        problem = self._ledger.closed
        if problem and problem != before:
            self.log.error(
                "{directory}: {problem}: what is there is served, and all else passed through",
                directory=self._directory,
                problem=problem,
            )
        elif before and not problem:
            self.log.info("{directory}: it can be written again", directory=self._directory)
        if is_first and not problem and self._ledger.shortfall() > self._ledger.used:
            # Not even if all that is stored went.
            self.log.warn("nothing new is stored: {why}", why=self._ledger.why_not(1))
        if is_first and self._ledger.beyond_file_system:
            self.log.warn("{why}", why=self._ledger.beyond_file_system)

    @property
    def problem(self) -> str:
        """Why nothing can be stored; "" if something can."""
        return self._ledger.closed and f"storage.directory: {self._ledger.closed}"

    def _refresh_or_log(self) -> "Deferred[None]":
        return self.refresh().addErrback(self._not_measured)

    def _not_measured(self, failure: Failure) -> None:
        self.log.warn("the disk space is unknown: {fault}", fault=failure.value)
