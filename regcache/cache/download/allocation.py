"""Reserves disk ahead of the fills of one download, so that a full one is noticed early.

A fill's first step is waited for before its body flows; the further ones go on beside it.
The ledger is not told: to it what is allocated is space that became less, and what it has
still promised. So it refuses a little early, never too late, whatever the file system does.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from regcache.interfaces import IPartialFile

#: The most that is reserved at once, and ahead of a fill (bytes).
STEP = 64 * 1024 * 1024
#: Content up to this size is written without (bytes): one write tells as much.
UNRESERVED = 1024 * 1024


class Allocation:
    """What of one file is reserved.

    :param failed: called with the fault of a step that nobody waits for.
    """

    def __init__(self, file: IPartialFile, failed: Callable[[BaseException | None], None]) -> None:
        self._file = file
        self._failed = failed
        self._reserved = file.present.copy()
        self._running = False

    def first(self, start: int, end: int | None) -> "Deferred[None]":
        """Reserve the first step of ``[start, end)``. Fails with OSError."""
        stop = self._stop(end)
        if self._reserved.end_of(start) > start or start >= stop:
            return succeed(None)
        return self._reserve(start, stop)

    def ahead(self, position: int, end: int | None) -> None:
        """Reserve a further step if a fill at ``position`` comes near the end of the last."""
        stop = self._stop(end)
        reached = self._reserved.end_of(position)
        if self._running or reached >= stop or reached - position > STEP // 2:
            return
        self._running = True
        self._reserve(reached, stop).addCallbacks(self._ended, self._step_failed)

    def _stop(self, end: int | None) -> int:
        """Where reserving ends; 0 where it is not worth it."""
        size = self._file.size or 0
        if size <= UNRESERVED:
            return 0
        return size if end is None else min(end, size)

    def _reserve(self, start: int, stop: int) -> "Deferred[None]":
        stop = min(stop, start + STEP)
        reserving = self._file.allocate(start, stop)
        return reserving.addCallback(lambda _: self._reserved.add(start, stop))

    def _ended(self, _: None) -> None:
        self._running = False

    def _step_failed(self, failure: Failure) -> None:
        self._running = False
        self._failed(failure.value)
