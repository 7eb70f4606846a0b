"""Small contents on their way to the disk: what comes while a job is under way shares the next.

A job in a thread costs more than a small file does. The first of a batch never waits for
others to come.
"""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from regcache.digests import Digest
from regcache.interfaces import IWorkPool
from regcache.store.contents import keep_content
from regcache.store.paths import StorePaths

MOST_IN_BATCH = 32
"""Contents that share a job."""

MOST_JOBS = 2
"""Jobs at a time: more would not make one disk faster, and keep others from the threads."""

Outcome = int | OSError | ValueError
"""The size of what was replaced, or why the content was not stored."""

_Waiting = tuple[Digest, bytes, Deferred[int]]


class SmallContents:
    """Stores contents that are in memory."""

    def __init__(self, pool: IWorkPool, paths: StorePaths) -> None:
        self._pool = pool
        self._paths = paths
        self._waiting: list[_Waiting] = []
        self._jobs = 0

    def keep(self, digest: Digest, content: bytes) -> "Deferred[int]":
        """Store content; the size of what was replaced. Fails with ValueError and OSError.

        No other call for the same digest may be under way.
        """
        kept: Deferred[int] = Deferred()
        self._waiting.append((digest, content, kept))
        self._begin()
        return kept

    def _begin(self) -> None:
        if not self._waiting or self._jobs >= MOST_JOBS:
            return
        batch, self._waiting = self._waiting[:MOST_IN_BATCH], self._waiting[MOST_IN_BATCH:]
        self._jobs += 1
        contents = [(digest, content) for digest, content, _ in batch]
        job: Deferred[list[Outcome]] = self._pool.run(keep_contents, self._paths, contents)
        job.addCallbacks(self._done, self._failed, (batch,), errbackArgs=(batch,))

    def _done(self, outcomes: list[Outcome], batch: Sequence[_Waiting]) -> None:
        self._next()
        for (_, _, kept), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, int):
                kept.callback(outcome)
            else:
                kept.errback(outcome)

    def _failed(self, failure: Failure, batch: Sequence[_Waiting]) -> None:
        """There are no threads any more, or a fault of ours."""
        self._next()
        for _, _, kept in batch:
            kept.errback(failure)

    def _next(self) -> None:
        self._jobs -= 1
        self._begin()


def keep_contents(paths: StorePaths, contents: Sequence[tuple[Digest, bytes]]) -> list[Outcome]:
    """Store contents one after another. Blocks."""
    outcomes: list[Outcome] = []
    for digest, content in contents:
        try:
            outcomes.append(keep_content(paths, digest, content))
        except (OSError, ValueError) as error:
            outcomes.append(error)
    return outcomes
