"""Writes batches to a file every few seconds, in a thread and one after the other.

No request waits for such a write.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services and locks have no annotations)

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.interfaces import IWorkPool

#: Seconds between two batches; with a slow disk it may be more.
INTERVAL = 5.0

Batch = TypeVar("Batch")
Told = TypeVar("Told")


class WrittenBehind(Generic[Batch, Told]):
    """Writes batches. A batch that cannot be written is kept, and written with the next one.

    This is done after any error. An error that is no fault of the disk is logged with a traceback.

    :param add: writes a batch, in a thread; raises OSError if the disk fails. Its result is passed
        on.
    :param merge: makes one batch of an earlier and a later one.
    :param what: a name for the batches, for the log.
    :ivar is_failing: whether the last batch could not be written.
    """

    _log = Logger()

    def __init__(
        self,
        pool: IWorkPool,
        add: Callable[..., Told],
        merge: Callable[[Batch, Batch], Batch],
        *,
        what: str,
    ) -> None:
        self._pool = pool
        self._add = add
        self._merge = merge
        self._what = what
        self._turn = DeferredLock()
        self._waiting: Batch | None = None
        self.is_failing = False

    def keep(self, batch: Batch) -> Batch:
        """Keep a batch for the next write. Return all that is kept."""
        waiting, self._waiting = self._waiting, None
        self._waiting = batch if waiting is None else self._merge(waiting, batch)
        return self._waiting

    def write(self, batch: Batch, *arguments: Any) -> "Deferred[Told | None]":
        """Write a batch, with what is kept. Fires with None if that fails.

        :param arguments: further arguments of ``add``.
        """
        batch, self._waiting = self.keep(batch), None
        writing = self.run(self._add, batch, *arguments)
        return writing.addCallbacks(self._wrote, self._not_written, errbackArgs=(batch,))

    def run(self, function: Callable[..., Any], *arguments: Any) -> "Deferred[Any]":
        """Call a function in a thread, when earlier calls have ended."""
        running: Deferred[Any] = self._turn.run(self._pool.run, function, *arguments)
        return running

    def _wrote(self, told: Told) -> Told:
        self.is_failing = False
        return told

    def _not_written(self, failure: Failure, batch: Batch) -> None:
        later, self._waiting = self._waiting, None
        self._waiting = batch if later is None else self._merge(batch, later)
        self.say(failure)

    def say(self, failure: Failure) -> None:
        """Log that the file fails, once until a write succeeds."""
        if not self.is_failing and failure.check(OSError):
            self._log.warn("{what} cannot be written: {why}", what=self._what, why=failure.value)
        elif not self.is_failing:
            self._log.failure("{what} cannot be written", failure=failure, what=self._what)
        self.is_failing = True


class WritingService(Service):
    """Writes the counts every :data:`INTERVAL` seconds, and once more at the stop.

    :param behind: writes them.
    :param close: closes the file, in a thread.
    """

    def __init__(
        self, clock: IReactorTime, behind: WrittenBehind[Any, Any], close: Callable[[], object]
    ) -> None:
        self._clock = clock
        self._behind = behind
        self._close = close
        self._loop = LoopingCall(self._write_now)
        self._loop.clock = clock

    def startService(self) -> None:
        """Begin to write regularly."""
        super().startService()
        self._loop.start(INTERVAL, now=True)

    def stopService(self) -> "Deferred[Any]":
        """Write the counts, and close the file."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()
        writing = self.write().addCallback(lambda _: self._write_again())
        return writing.addCallback(lambda _: self._behind.run(self._close))

    def _write_again(self) -> "Deferred[Any] | None":
        """Write once more after a failure: the failed write may have made room in the file."""
        return self.write() if self._behind.is_failing else None

    def _write_now(self) -> None:
        # The Deferred is not returned, so that a slow disk does not delay the next batch.
        self.write()

    def write(self) -> "Deferred[Any]":
        """Write the counts since the last write."""
        raise NotImplementedError
