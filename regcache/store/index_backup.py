"""The hourly copy of the index, which replaces the index if that is damaged."""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.interfaces import IWorkPool
from regcache.store.index_copy import CopyStoppedError, copy_index
from regcache.store.index_file import IndexFile
from regcache.store.index_schema import IndexDamagedError
from regcache.store.index_thread import IndexThread

FIRST_AFTER = 300.0
"""Seconds from the start to the first copy: a daemon that is often restarted has one too."""

INTERVAL = 3600.0
"""Seconds from the end of one copy to the beginning of the next."""

SOON = 60.0
"""The same after something was removed, since the copy before still has the rights to it."""


class IndexBackup:
    """Copies the index every hour, if something was written since, and it is no substitute.

    :param background: a pool other than the index's own, since a copy takes seconds.
    """

    log = Logger()

    def __init__(
        self, file: IndexFile, thread: IndexThread, background: IWorkPool, clock: IReactorTime
    ) -> None:
        self._file = file
        self._thread = thread
        self._background = background
        self._clock = clock
        self._next: IDelayedCall | None = None
        self._running: Deferred[None] = succeed(None)
        self._stopped = False
        self._copied = -1
        self._hurried = False

    def start(self) -> None:
        """Schedule the first copy."""
        self._next = self._clock.callLater(FIRST_AFTER, self._turn)

    def hurry(self) -> None:
        """Have a copy made soon: what the last one says must not come back."""
        self._hurried = True
        waiting = self._next
        if waiting is not None and waiting.active():
            left = waiting.getTime() - self._clock.seconds()
            waiting.reset(min(left, SOON))

    def stop(self) -> "Deferred[None]":
        """Make no more copies. Fires when one that is under way has stopped. Idempotent."""
        self._stopped = True
        if self._next is not None and self._next.active():
            self._next.cancel()
        return self._running

    def _turn(self) -> None:
        self._hurried = False
        written = self._thread.written
        if written == self._copied or self._file.problem:
            self._again(None)
            return
        self._running = self._background.run(
            copy_index, self._file.path, self._file.backup_path, lambda: self._stopped
        )
        self._running.addCallback(self._succeeded, written)
        self._running.addErrback(self._failed)
        self._running.addCallback(self._again)

    def _again(self, _result: object) -> None:
        if not self._stopped:
            seconds = SOON if self._hurried else INTERVAL
            self._next = self._clock.callLater(seconds, self._turn)

    def _succeeded(self, _result: object, written: int) -> None:
        self._copied = written

    def _failed(self, failure: Failure) -> "Deferred[None] | None":
        if isinstance(failure.value, CopyStoppedError):
            return None
        self.log.error(
            "the index could not be copied to {path}: {error}",
            path=self._file.backup_path,
            error=failure.getErrorMessage(),
        )
        if isinstance(failure.value, IndexDamagedError):
            return self._thread.recover(failure.getErrorMessage()).addErrback(self._unrecovered)
        return None

    def _unrecovered(self, failure: Failure) -> None:
        self.log.failure("the damaged index could not be replaced", failure)
