"""For lines of the log that would come with every request."""

from twisted.internet.interfaces import IReactorTime


class Sparingly:
    """Lets something be said once in a while, and counts how often it was not.

    :param seconds: that pass at least between one time and the next.
    """

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._said_at: float | None = None
        self._left_out = 0

    def turn(self) -> str | None:
        """Whether it is to be said now: None if not, else what belongs at the end of the line."""
        now = self._clock.seconds()
        if self._said_at is not None and 0 <= now - self._said_at < self._seconds:
            self._left_out += 1
            return None
        left_out, self._left_out, self._said_at = self._left_out, 0, now
        return f" ({left_out} more since this was said)" if left_out else ""
