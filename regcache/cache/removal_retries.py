"""Goes on with removals that have failed half-way, again and again, until nothing is left of them.

=======  ==================================  ===================================================
state    event                               next state
=======  ==================================  ===================================================
idle     a removal fails half-way            waiting: ``FIRST`` seconds
waiting  the time is over                    trying
waiting  a removal fails half-way            waiting, as long as before
waiting  another removal has finished it     idle
trying   nothing is left                     idle
trying   it fails                            waiting: twice as long as the last time, ``MOST``
                                             seconds at most
any      the daemon stops                    stopped: the next start goes on
=======  ==================================  ===================================================
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

FIRST, MOST = 5.0, 600.0
"""Seconds before it is tried again: the first time, and at most."""


class RemovalRetries:
    """Tries again what is left of removals.

    :param go_on: does what is left, within :meth:`finishing`. Fails with OSError.
    :ivar due: whether something may be left of a removal that has failed.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, go_on: Callable[[], Coroutine[Any, Any, object]]
    ) -> None:
        self._clock = clock
        self._go_on = go_on
        self._seconds = FIRST
        self._timer: IDelayedCall | None = None
        self._stopped = False
        self.due = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Enter a context that does the rest of one removal. If it fails, it is tried later."""
        try:
            yield
        except OSError as error:
            self._failed(error)
            raise

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Enter a context that does the rest of all removals. If it fails, it is tried later."""
        with self.watching():
            yield
        self._finished()

    def stop(self) -> None:
        """Try nothing any more."""
        self._stopped = True
        self._cancel()

    def _failed(self, error: OSError) -> None:
        self.due = True
        if self._stopped:
            return
        if self._timer is None:
            self._timer = self._clock.callLater(self._seconds, self._try)
            self._seconds = min(2 * self._seconds, MOST)
        self._log.warn(
            "a removal is not finished: {why}; the rest of it is tried again in {seconds} s",
            why=error,
            seconds=round(self._timer.getTime() - self._clock.seconds()),
        )

    def _finished(self) -> None:
        self._cancel()
        self._seconds = FIRST
        if self.due:
            self._log.info("nothing is left any more of a removal that had failed")
        self.due = False

    def _try(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self._go_on()).addErrback(self._gave_up)

    def _gave_up(self, failure: Failure) -> None:
        """Handle a failed attempt: it is tried again, unless the fault is one of ours."""
        if not failure.check(OSError) and not self._stopped:
            self._log.failure("finishing a removal failed", failure)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
