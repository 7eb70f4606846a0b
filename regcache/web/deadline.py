"""The time limit of a connection, which is set anew for each of its phases."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


def _do_nothing() -> None:
    """Takes the place of the function after a stop: that would keep the channel in a cycle."""


class Deadline:
    """A time limit that is often moved and seldom reached; one timer per connection is enough.

    :param reached: called at the deadline, unless that was moved or cleared.
    """

    def __init__(self, clock: IReactorTime, reached: Callable[[], object]) -> None:
        self._clock = clock
        self._reached: Callable[[], object] = reached
        self._at: float | None = None
        self._alarm: IDelayedCall | None = None

    def set(self, seconds: float) -> None:
        """Set the deadline, this many seconds from now."""
        self._at = self._clock.seconds() + seconds
        if self._alarm is None:
            self._alarm = self._clock.callLater(seconds, self._look)
        elif self._alarm.getTime() > self._at:
            self._alarm.reset(seconds)

    def clear(self) -> None:
        """Remove the deadline for now."""
        self._at = None

    def stop(self) -> None:
        """Remove the deadline for good, and forget the function."""
        self._at = None
        self._reached = _do_nothing
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
