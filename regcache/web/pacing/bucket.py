"""Bytes that may be sent: they come at a rate, and some of them can be saved up.

Whoever sends little now may send a moment's worth at once later, so the first bytes of an
answer never wait, and a reactor that is late loses nothing.
"""

#: How much can be saved up (seconds at the rate).
SAVED = 0.25


class Bucket:
    """Bytes at a rate. It begins full.

    :param rate: bytes a second.
    :param now: seconds of a clock, as everywhere here.
    :ivar level: bytes that may be sent now; less than none where more was sent than had come.
    """

    __slots__ = ("_at", "level", "rate")

    def __init__(self, rate: int, now: float) -> None:
        self.rate = rate
        self.level = self.depth
        self._at = now

    @property
    def depth(self) -> float:
        """The most that can be saved up (bytes)."""
        return self.rate * SAVED

    def fill(self, now: float) -> None:
        """Let come what has come since the last time. A clock that goes back brings nothing."""
        if now > self._at:
            self.level = min(self.depth, self.level + (now - self._at) * self.rate)
        self._at = now

    def change_rate(self, rate: int, now: float) -> None:
        """Go on at another rate."""
        self.fill(now)
        self.rate = rate
        self.level = min(self.depth, self.level)

    def take(self, count: int) -> None:
        """Send bytes."""
        self.level -= count

    def give_back(self, count: int) -> None:
        """Bytes that were taken were not sent."""
        self.level = min(self.depth, self.level + count)

    def seconds_until(self, count: int) -> float:
        """How long it takes from the last filling on until so much has come."""
        return max(0.0, (count - self.level) / self.rate)
