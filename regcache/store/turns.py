"""The order of what is done to one open file."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, fail

from regcache.store.content_file import FileClosedError, OpenFile
from regcache.store.pool import handed_over

T = TypeVar("T")
Step = Callable[[], Coroutine["Deferred[Any]", Any, T]]


class FileTurns:
    """Runs steps on one file to their end, whether or not somebody waits for them.

    The file stays open meanwhile. Steps that change it take turns, in the order in which
    they were asked for: no two threads ever write or hash the same file.
    """

    def __init__(self, opened: OpenFile) -> None:
        self._opened = opened
        self._lock = DeferredLock()

    def run_now(self, step: Step[T]) -> "Deferred[T]":
        """Run a step now. Fails with FileClosedError after the file was closed."""
        try:
            self._opened.keep_open()
        except FileClosedError:
            return fail()
        running: Deferred[T] = Deferred.fromCoroutine(step())
        return handed_over(running.addBoth(self._passed))

    def run(self, step: Step[T]) -> "Deferred[T]":
        """Run a step in its turn. Fails with FileClosedError after the file was closed."""
        return self.run_now(lambda: self.turn(step))

    def run_plain(self, step: Callable[[], "Deferred[T]"]) -> "Deferred[T]":
        """As :meth:`run`, for a step that is no coroutine: those cost most of a small write."""
        try:
            self._opened.keep_open()
        except FileClosedError:
            return fail()
        running: Deferred[T] = self._lock.run(step)
        return handed_over(running.addBoth(self._passed))

    async def turn(self, step: Callable[[], Awaitable[T]]) -> T:
        """Run a part of a step in its turn. Only within a step of :meth:`run_now`."""
        await self._lock.acquire()
        try:
            return await step()
        finally:
            self._lock.release()

    def _passed(self, outcome: Any) -> Any:
        self._opened.release()
        return outcome
