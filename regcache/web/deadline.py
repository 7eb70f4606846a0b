"""A time limit for each of the phases of a connection."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


def _nobody_waits() -> None:
    """In place of a channel, so that the two are no cycle for the garbage collector."""


class Deadline:
    """A time limit that is moved often and seldom reached: one timer per connection serves all.

    :param reached: called at the deadline, unless it was moved or cleared.
    """

    def __init__(self, clock: IReactorTime, reached: Callable[[], object]) -> None:
        self._clock = clock
        self._reached: Callable[[], object] = reached
        self._at: float | None = None
        self._alarm: IDelayedCall | None = None

    def set(self, seconds: float) -> None:
        """The deadline is in so many seconds."""
        self._at = self._clock.seconds() + seconds
        if self._alarm is None:
            self._alarm = self._clock.callLater(seconds, self._look)
        elif self._alarm.getTime() > self._at:
            self._alarm.reset(seconds)

    def clear(self) -> None:
        """There is no deadline for now."""
        self._at = None

    def stop(self) -> None:
        """There will be no deadline any more; whoever waited for it is let go."""
        self._at = None
        self._reached = _nobody_waits
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _look(self) -> None:
        self._alarm = None
        if self._at is None:
            return
        remaining = self._at - self._clock.seconds()
        if remaining > 0:
            self._alarm = self._clock.callLater(remaining, self._look)
        else:
            self._at = None
            self._reached()
