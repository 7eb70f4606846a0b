"""Runs readings and changes of the index in its thread, for the reactor.

Consecutive readings share a job, and changes a transaction. A reading sees every change that was
called for before it, unless that waits for the end of another program's lock: see
:mod:`regcache.store.index_writes`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.interfaces import IndexClosedError, IWorkPool
from regcache.store.index_batches import Change, ReadBatch
from regcache.store.index_file import IndexFile, IndexUnavailableError
from regcache.store.index_writes import IndexWrites

LITTLE = 512
"""Bytes that a change takes while it is kept, unless it says something else."""


class IndexNotOpenError(IndexUnavailableError, IndexClosedError):
    """It was not opened yet, or it was closed."""


class IndexThread:
    """Runs readings and changes of a file in order, in a pool of one thread.

    What is called before :meth:`open` is done, or after :meth:`close`, fails with
    IndexUnavailableError.
    """

    log = Logger()

    def __init__(self, file: IndexFile, pool: IWorkPool, clock: IReactorTime) -> None:
        self._file = file
        self._pool = pool
        self._writes = IndexWrites(file, pool, clock, self._see_changes)
        self._reads: ReadBatch | None = None
        self._open = False

    @property
    def written(self) -> int:
        """How many changes there were."""
        return self._writes.written

    @property
    def problem(self) -> str:
        """Why changes are kept in memory alone; "" if they are not."""
        return self._writes.problem

    def open(self) -> "Deferred[None]":
        """Open the file. Fails as :meth:`IndexFile.open` does."""

        def opened(_result: None) -> None:
            self._open = True

        return self._pool.run(self._file.open).addCallback(opened)

    def hurry(self) -> None:
        """Wait for no lock much longer: the end is near."""
        self._writes.hurry()

    def close(self) -> "Deferred[None]":
        """Close the file after all that was called for before. Idempotent."""
        self._open = False
        return self._writes.finish().addCallback(lambda _: self._pool.run(self._file.close))

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

    def write(
        self, function: Callable[..., Any], *arguments: Any, is_patient: bool = False
    ) -> "Deferred[None]":
        """Make a change: ``function(connection, *arguments)`` within a transaction.

        Fires once it is committed. Fails with IndexWriteError.

        :param is_patient: wait as long as another program locks the index, instead of failing.
        """

        def operation(connection: Any) -> None:
            function(connection, *arguments)

        return self._make(Change(operation, is_patient=is_patient))

    def note(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        size: int = LITTLE,
        committed: Callable[[], object] | None = None,
    ) -> "Deferred[None]":
        """The same; while another program locks the index, it fires when the change is kept.

        For what clients wait for, and what is learnt anew if the process ends before the lock.

        :param size: about how many bytes it takes in memory.
        :param committed: called once it is made.
        """

        def operation(connection: Any) -> None:
            function(connection, *arguments)

        return self._make(Change(operation, is_kept=True, size=size, committed=committed))

    def write_for(
        self, function: Callable[..., Any], *arguments: Any, is_patient: bool = False
    ) -> "Deferred[Any]":
        """As :meth:`write`. Gives what the function returned.

        A change that is taken back is tried again, so it must leave its arguments as they are.
        """
        made: list[Any] = []

        def change(connection: Any) -> None:
            made[:] = [function(connection, *arguments)]

        return self.write(change, is_patient=is_patient).addCallback(lambda _: made[0])

    def _make(self, change: Change) -> "Deferred[None]":
        if not self._open:
            return fail(IndexNotOpenError("the index is not open"))
        return self._writes.make(change)

    def recover(self, reason: str) -> "Deferred[None]":
        """Replace a file that was found damaged. Fails with OSError or sqlite3.Error."""
        if not self._open:
            return succeed(None)
        done: Deferred[None] = self._pool.run(self._file.recover, reason)
        return done

    def _see_changes(self) -> None:
        self._reads = None  # readings from now on have to see the changes that have begun


def _read_batch(file: IndexFile, batch: ReadBatch) -> "list[Any | Failure]":
    return [_read(file, function, arguments) for function, arguments in batch.take()]


def _read(file: IndexFile, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return file.read(function, *arguments)
    except Exception:  # noqa: BLE001 - the caller gets it
        return Failure()
