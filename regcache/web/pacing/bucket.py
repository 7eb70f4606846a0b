"""A token bucket: bytes that may be sent accrue at a rate, and some of them can be saved up.

So after a pause some bytes may be sent at once: the first bytes of an answer never wait, and
nothing is lost if the reactor is late.
"""

#: How much can be saved up (seconds at the rate).
SAVED = 0.25


class Bucket:
    """A token bucket of bytes. It begins full.

    :param rate: bytes a second.
    :param now: seconds of a clock, as everywhere here.
    :ivar level: how many bytes may be sent now; negative if more were sent than had accrued.
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
        """Add the bytes that have accrued since the last call; none if the clock went back."""
        if now > self._at:
            self.level = min(self.depth, self.level + (now - self._at) * self.rate)
        self._at = now

    def change_rate(self, rate: int, now: float) -> None:
        """Change the rate."""
        self.fill(now)
        self.rate = rate
        self.level = min(self.depth, self.level)

    def take(self, count: int) -> None:
        """Take bytes, which are sent."""
        self.level -= count

    def give_back(self, count: int) -> None:
        """Give back bytes that were taken, but not sent."""
        self.level = min(self.depth, self.level + count)

    def seconds_until(self, count: int) -> float:
        """How long it takes, from the last filling on, until so many bytes have accrued."""
        return max(0.0, (count - self.level) / self.rate)
