"""Looks that are taken again and again, one at a time, and at once where there is a reason."""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure


class Looks:
    """Calls a function now and then.

    ========  ==========================  ==================================================
    state     event                       what follows
    ========  ==========================  ==================================================
    stopped   ``start``                   waiting, or looking if that is wanted
    waiting   the interval is over        looking
    waiting   ``soon``                    looking
    looking   ``soon``                    one more look follows this one: it may have been
                                          too early to see what changed
    looking   the look ends, or fails     waiting, or looking; a failure is logged
    any       ``stop``                    stopped; a look under way ends without another
    ========  ==========================  ==================================================

    :param look: may return a Deferred or coroutine.
    :param interval: seconds between the end of a look and the next one.
    :param what: for the log, where a look fails.
    """

    _log = Logger()

    def __init__(
        self,
        look: Callable[[], Awaitable[object] | object],
        interval: float,
        *,
        clock: IReactorTime,
        what: str,
    ) -> None:
        self._look = look
        self._interval = interval
        self._clock = clock
        self._what = what
        self._timer: IDelayedCall | None = None
        self._looking = self._again = False
        self.running = False

    def start(self, now: bool = False) -> None:
        """Begin to look. May be called again after :meth:`stop`."""
        self.running = True
        if now:
            self.soon()
        elif not self._looking:
            self._wait(self._interval)

    def stop(self) -> None:
        """Look no more."""
        self.running = self._again = False
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def soon(self) -> None:
        """Look now; if a look is under way, once more when it is over."""
        if not self.running:
            return
        if self._looking:
            self._again = True
            return
        if self._timer is not None:
            self._timer.cancel()
        self._begin()

    def _begin(self) -> None:
        self._timer = None
        self._looking = True
        looking: Deferred[Any] = maybeDeferred(self._look)
        looking.addErrback(self._failed).addBoth(self._ended)

    def _failed(self, failure: Failure) -> None:
        if self.running:
            self._log.failure("{what} failed", failure=failure, what=self._what)

    def _ended(self, _: object) -> None:
        self._looking = False
        again, self._again = self._again, False
        if not self.running:
            return
        self._wait(self._interval)
        if again:
            self.soon()

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.callLater(seconds, self._begin)
