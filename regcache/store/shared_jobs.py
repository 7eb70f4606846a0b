"""Small pieces of work for threads, several in one job.

Handing a job to a thread and back costs more than the work on a small file, and each running
thread competes with the reactor for the interpreter's lock. So pieces that come while jobs are
under way share the next job. So do those that come in one turn of the reactor; no piece waits
longer for others.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from regcache.interfaces import IWorkPool
from regcache.store.paths import StorePaths

Item = TypeVar("Item")
Result = TypeVar("Result")
Later = Callable[[Callable[[], None]], object]
"""Calls something when the present turn of the reactor is over."""


class SharedJobs(Generic[Item, Result]):
    """Does the same work on many items.

    :param work: called in a thread with ``paths`` and some items; returns the outcome of each, see
        :func:`outcomes`.
    :param most_items: how many items share a job, so that none waits long for the others.
    :param most_jobs: how many jobs run at a time, so that other work gets threads, too.
    :param later: calls something at the end of the reactor's turn; None: jobs begin at once.
    """

    def __init__(
        self,
        pool: IWorkPool,
        work: Callable[[StorePaths, Sequence[Item]], list[Any]],
        paths: StorePaths,
        *,
        most_items: int,
        most_jobs: int,
        later: Later | None = None,
    ) -> None:
        self._pool = pool
        self._work = work
        self._paths = paths
        self._most_items = most_items
        self._most_jobs = most_jobs
        self._waiting: list[tuple[Item, Deferred[Result]]] = []
        self._jobs = 0
        self._later = later
        self._beginning = self._due = False

    def run(self, item: Item) -> "Deferred[Result]":
        """Do the work on an item. Fails as the work does."""
        done: Deferred[Result] = Deferred()
        self._waiting.append((item, done))
        if self._later is None:
            self._begin()
        elif not self._due and self._jobs < self._most_jobs:
            self._due = True
            self._later(self._begin_due)
        return done

    def _begin_due(self) -> None:
        self._due = False
        self._begin()

    def _begin(self) -> None:
        """Begin as many jobs as are allowed. If one fails at once, begin the next one here."""
        if self._beginning:
            return
        self._beginning = True
        while self._waiting and self._jobs < self._most_jobs:
            self._begin_one()
        self._beginning = False

    def _begin_one(self) -> None:
        most = self._most_items
        batch, self._waiting = self._waiting[:most], self._waiting[most:]
        self._jobs += 1
        items = [item for item, _ in batch]
        job: Deferred[list[Any]] = self._pool.run(self._work, self._paths, items)
        job.addCallbacks(self._done, self._failed, (batch,), errbackArgs=(batch,))

    def _done(self, outcomes: list[Any], batch: Sequence[tuple[Item, "Deferred[Result]"]]) -> None:
        self._next()
        for (_, done), outcome in zip(batch, outcomes, strict=True):
            done.callback(outcome)

    def _failed(self, failure: Failure, batch: Sequence[tuple[Item, "Deferred[Result]"]]) -> None:
        """The pool has stopped: fail all items."""
        self._next()
        for _, done in batch:
            done.errback(failure)

    def _next(self) -> None:
        self._jobs -= 1
        self._begin()


def outcomes(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Any]:
    """The outcome for each item: a result, or a Failure if the work raises."""
    found: list[Any] = []
    for item in items:
        try:
            found.append(work(item))
        except Exception:  # noqa: BLE001 - the caller gets it
            found.append(Failure())
    return found
