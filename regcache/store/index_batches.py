"""Readings, and changes, that share a job of the index's thread."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from regcache.light_dataclass import dataclass
from regcache.store.index_file import IndexWriteError, Operation

MOST_IN_BATCH = 256
"""Changes that share a transaction, so that a reading behind them need not wait long."""

MOST_READINGS = 16
"""Readings that share a job, so that the first of them need not wait long for the last."""


@dataclass(slots=True)
class Change:
    """One change of the index, and who waits for it.

    :ivar is_kept: the caller goes on while another program locks the index, and the change is
        kept until it can be made.
    :ivar is_patient: the caller waits as long as such a lock lasts; otherwise it is told soon.
    :ivar size: about how many bytes it takes while it is kept.
    :ivar committed: called when it was made.
    :ivar number: its place in the order of all changes.
    :ivar is_answered: whether the caller was told.
    """

    operation: Operation
    _: KW_ONLY
    is_kept: bool = False
    is_patient: bool = False
    size: int = 0
    committed: Callable[[], object] | None = None
    number: int = 0
    is_answered: bool = False
    done: "Deferred[None]" = field(default_factory=Deferred)

    def settle(self, outcome: "IndexWriteError | Failure | None" = None) -> None:
        """Tell the caller the outcome, if it was not told yet."""
        if outcome is None and self.committed is not None:
            self.committed()
        self.answer(outcome)

    def answer(self, outcome: "IndexWriteError | Failure | None" = None) -> None:
        """Let the caller go on, once."""
        if self.is_answered:
            return
        self.is_answered = True
        if outcome is None:
            self.done.callback(None)
        else:
            self.done.errback(outcome)


class WriteBatch:
    """Changes that will share a transaction. Filled in the reactor, taken in the thread.

    :ivar probes: it finds out whether another program still locks the index.
    """

    def __init__(self, changes: Sequence[Change] = (), *, probes: bool = False) -> None:
        self.probes = probes
        self.changes = list(changes)
        self._lock = threading.Lock()
        self._taken = False

    def add(self, change: Change) -> bool:
        """Add a change; False if the batch is closed or full."""
        with self._lock:
            if self._taken or len(self.changes) >= MOST_IN_BATCH:
                return False
            self.changes.append(change)
        return True

    def take(self) -> list[Operation]:
        """Close the batch and give what is in it."""
        with self._lock:
            self._taken = True
        return [each.operation for each in self.changes]

    def fail(self, failure: Failure) -> None:
        """Tell all callers that the thread did not do its work, and take no more of them."""
        self.take()
        for each in self.changes:
            each.settle(failure)


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
