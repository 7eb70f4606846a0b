"""Fakes of IWorkPool."""

import threading
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from zope.interface import implementer

from regcache.interfaces import IWorkPool


@implementer(IWorkPool)
class ImmediatePool:
    """Does each job at once, in the thread that asks for it.

    :ivar jobs: the functions that were run.
    """

    def __init__(self) -> None:
        self.jobs: list[Callable[..., Any]] = []

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Do it now."""
        self.jobs.append(function)
        return execute(function, *args)


@implementer(IWorkPool)
class HeldPool:
    """Holds each job until it is told to do it.

    :ivar jobs: what waits, oldest first.
    """

    def __init__(self) -> None:
        self.jobs: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Put it to the others."""
        result: Deferred[Any] = Deferred()
        self.jobs.append((result, function, args))
        return result

    def release(self, index: int = 0) -> None:
        """Do one of the jobs that wait."""
        result, function, args = self.jobs.pop(index)
        execute(function, *args).chainDeferred(result)

    def release_all(self) -> None:
        """Do all jobs, those too that come of them."""
        while self.jobs:
            self.release()


@implementer(IWorkPool)
class SlowPool:
    """A disk that takes its time: each job is done ``seconds`` later, by the clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Do it when the time has come."""
        result: Deferred[Any] = Deferred()
        self._clock.callLater(self._seconds, lambda: execute(function, *args).chainDeferred(result))
        return result


@implementer(IWorkPool)
class RecordingPool:
    """Another pool, with the thread of each job noted.

    :ivar threads: the identifier of the thread that did each job.
    :ivar names: the name of the function of each job.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.threads: list[int] = []
        self.names: list[str] = []

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Have it done by the other pool."""

        def noted() -> Any:
            self.threads.append(threading.get_ident())
            self.names.append(getattr(function, "__name__", repr(function)))
            return function(*args)

        result: Deferred[Any] = self._inner.run(noted)
        return result
