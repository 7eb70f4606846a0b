"""Runs readings and changes of the index in its thread, for the reactor.

Group commit: changes that come while an earlier one still waits for the thread share its
transaction. None waits longer because of that, and a burst of them needs one commit. Consecutive
readings share a job likewise. A reading sees every change that was called for before it.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.interfaces import IndexClosedError, IWorkPool
from regcache.store.index_file import (
    IndexFile,
    IndexUnavailableError,
    IndexWriteError,
    Operation,
)

MOST_IN_BATCH = 256
"""Changes that share a transaction, so that a reading behind them need not wait long."""

MOST_READINGS = 16
"""Readings that share a job, so that the first of them need not wait long for the last."""

_SECONDS_BETWEEN_COMPLAINTS = 60.0


class IndexNotOpenError(IndexUnavailableError, IndexClosedError):
    """It was not opened yet, or it was closed."""


class WriteBatch:
    """Changes that will share a transaction. Filled in the reactor, taken in the thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._operations: list[Operation] = []
        self._waiting: list[Deferred[None]] = []

    def add(self, operation: Operation) -> "Deferred[None] | None":
        """Add a change. Returns None if the batch is closed or full."""
        with self._lock:
            if self._taken or len(self._operations) >= MOST_IN_BATCH:
                return None
            self._operations.append(operation)
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        return done

    def take(self) -> list[Operation]:
        """Close the batch and give what is in it."""
        with self._lock:
            self._taken = True
            return self._operations

    def settle(self, outcomes: list[IndexWriteError | None]) -> None:
        """Give each caller the outcome of its change."""
        for done, outcome in zip(self._waiting, outcomes, strict=True):
            if outcome is None:
                done.callback(None)
            else:
                done.errback(outcome)

    def fail(self, failure: Failure) -> None:
        """Tell all callers that the thread did not do its work, and take no more of them."""
        self.take()
        for done in self._waiting:
            done.errback(failure)


Reading = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of a connection, and its further arguments."""


class ReadBatch:
    """Readings that share a job. Filled in the reactor, taken in the thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._readings: list[Reading] = []
        self._waiting: list[Deferred[Any]] = []

    def add(self, reading: Reading) -> "Deferred[Any] | None":
        """Add a reading. Returns None if the batch is closed or full."""
        with self._lock:
            if self._taken or len(self._readings) >= MOST_READINGS:
                return None
            self._readings.append(reading)
        done: Deferred[Any] = Deferred()
        self._waiting.append(done)
        return done

    def take(self) -> list[Reading]:
        """Close the batch and give what is in it."""
        with self._lock:
            self._taken = True
            return self._readings

    def settle(self, outcomes: "list[Any | Failure]") -> None:
        """Give each caller its result or failure."""
        for done, outcome in zip(self._waiting, outcomes, strict=True):
            if not done.called:  # else the caller has cancelled it
                done.callback(outcome)

    def fail(self, failure: Failure) -> None:
        """Tell all callers that the thread did not do its work, and take no more of them."""
        self.settle([failure] * len(self.take()))


class IndexThread:
    """Runs readings and changes of a file in order, in a pool of one thread.

    What is called before :meth:`open` is done, or after :meth:`close`, fails with
    IndexUnavailableError.
    """

    log = Logger()

    def __init__(self, file: IndexFile, pool: IWorkPool, clock: IReactorTime) -> None:
        self._file = file
        self._pool = pool
        self._clock = clock
        self._batch: WriteBatch | None = None
        self._reads: ReadBatch | None = None
        self._open = False
        self._complained_at: float | None = None
        self.written = 0

    def open(self) -> "Deferred[None]":
        """Open the file. Fails as :meth:`IndexFile.open` does."""

        def opened(_result: None) -> None:
            self._open = True

        return self._pool.run(self._file.open).addCallback(opened)

    def close(self) -> "Deferred[None]":
        """Close the file after all that was called for before. Idempotent."""
        self._open = False
        done: Deferred[None] = self._pool.run(self._file.close)
        return done

    def read(self, function: Callable[..., Any], *arguments: Any) -> "Deferred[Any]":
        """Call ``function(connection, *arguments)`` in the thread."""
        if not self._open:
            return fail(IndexNotOpenError("the index is not open"))
        reading = (function, arguments)
        done = self._reads.add(reading) if self._reads else None
        if done is None:
            self._reads = batch = ReadBatch()
            done = batch.add(reading)
            assert done is not None
            work = self._pool.run(_read_batch, self._file, batch)
            work.addCallbacks(batch.settle, batch.fail)
            work.addErrback(partial(self.log.failure, "index readings"))
        return done

    def write(self, function: Callable[..., Any], *arguments: Any) -> "Deferred[None]":
        """Make a change: ``function(connection, *arguments)`` within a transaction.

        Fires once it is committed. Fails with IndexWriteError.
        """
        if not self._open:
            return fail(IndexNotOpenError("the index is not open"))
        self.written += 1

        def change(connection: Any) -> None:
            function(connection, *arguments)

        return self._collect(change).addErrback(self._complain)

    def write_for(self, function: Callable[..., Any], *arguments: Any) -> "Deferred[Any]":
        """The same. Gives what the function returned.

        A change that is taken back is tried again, so it must leave its arguments as they are.
        """
        made: list[Any] = []

        def change(connection: Any) -> None:
            made[:] = [function(connection, *arguments)]

        return self.write(change).addCallback(lambda _: made[0])

    def recover(self, reason: str) -> "Deferred[None]":
        """Replace a file that was found damaged. Fails with OSError or sqlite3.Error."""
        if not self._open:
            return succeed(None)
        done: Deferred[None] = self._pool.run(self._file.recover, reason)
        return done

    def _collect(self, operation: Operation) -> "Deferred[None]":
        done = self._batch.add(operation) if self._batch else None
        if done is None:
            self._batch = batch = WriteBatch()
            done = batch.add(operation)
            assert done is not None
            self._commit(batch)
        return done

    def _commit(self, batch: WriteBatch) -> None:
        self._reads = None  # readings from now on have to see these changes
        work = self._pool.run(_write_batch, self._file, batch)
        work.addCallbacks(batch.settle, batch.fail)
        work.addErrback(partial(self.log.failure, "index batch"))

    def _complain(self, failure: Failure) -> Failure:
        if not isinstance(failure.value, IndexWriteError):
            return failure
        now = self._clock.seconds()
        if self._complained_at is None or now - self._complained_at >= _SECONDS_BETWEEN_COMPLAINTS:
            self._complained_at = now
            self.log.error("{error}", error=failure.getErrorMessage())
        return failure


def _write_batch(file: IndexFile, batch: WriteBatch) -> list[IndexWriteError | None]:
    return file.write(batch.take())


def _read_batch(file: IndexFile, batch: ReadBatch) -> "list[Any | Failure]":
    return [_read(file, function, arguments) for function, arguments in batch.take()]


def _read(file: IndexFile, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return file.read(function, *arguments)
    except Exception:  # noqa: BLE001 - the caller gets it
        return Failure()
