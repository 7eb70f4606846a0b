"""Watching how much space the file system has."""

import os
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.interfaces import IWorkPool
from regcache.store.ledger import FileSystemSpace, SpaceLedger

INTERVAL = 1.0
"""Seconds between two measurements."""


def measure_space(directory: str) -> FileSystemSpace:
    """Ask the file system of a directory. Blocks, on a network for long. :raises OSError:"""
    status = os.statvfs(directory)
    total, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
    if status.f_flag & os.ST_RDONLY:
        return FileSystemSpace(total, free, "its file system is mounted read only")
    for folder in ("", "partial", "blobs", "blobs/sha256", "blobs/sha512"):
        path = os.path.join(directory, folder)
        if os.path.isdir(path) and not os.access(path, os.W_OK | os.X_OK, effective_ids=True):
            return FileSystemSpace(total, free, f"{folder or 'it'} may not be written")
    return FileSystemSpace(total, free, "" if free else "no space is left")


class SpaceMonitor(Service):
    """Tells the ledger every second how much space there is.

    So a claim is decided at once. While the file system does not answer nothing changes, and
    what is written meanwhile is deducted by the ledger.
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
        self._loop = LoopingCall(self._refresh_or_log)
        self._loop.clock = clock

    def startService(self) -> None:
        """Measure at once, and then for ever."""
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
        consumed = self._ledger.consumed
        measuring = self._pool.run(self._measure, self._directory)
        return measuring.addCallback(self._measured, consumed)

    def _measured(self, space: FileSystemSpace, consumed: int) -> None:
        before = self._ledger.closed
        self._ledger.measured(space, consumed)
        if space.problem and space.problem != before:
            self.log.error(
                "{directory}: {problem}: what is there is served, and all else passed through",
                directory=self._directory,
                problem=space.problem,
            )
        elif before and not space.problem:
            self.log.info("{directory}: it can be written again", directory=self._directory)

    @property
    def problem(self) -> str:
        """Why nothing can be stored; "" where it can."""
        return self._ledger.closed and f"storage.directory: {self._ledger.closed}"

    def _refresh_or_log(self) -> "Deferred[None]":
        return self.refresh().addErrback(self._not_measured)

    def _not_measured(self, failure: Failure) -> None:
        self.log.warn("the disk space is unknown: {fault}", fault=failure.value)
