"""How fast an answer came along, and who it waited for: what was seen of it, twice a second."""

from typing import NamedTuple

from regcache.interfaces import Wait

#: Seconds between two looks.
STEP = 0.5


class WaitTimes(NamedTuple):
    """For how long each was waited for (seconds)."""

    upstream: float
    client: float
    disk: float


#: How many samples one answer has at most; after that two become one.
MOST_SAMPLES = 144


class Flow:
    """What was seen of one answer.

    :ivar step: seconds that each sample stands for.
    :ivar samples: bytes sent in each step.
    """

    __slots__ = ("_sent", "_waits", "_within", "samples", "step")

    def __init__(self) -> None:
        self.step = STEP
        self.samples: list[int] = []
        self._within = 0.0
        self._sent = 0
        self._waits = {Wait.UPSTREAM: 0.0, Wait.CLIENT: 0.0, Wait.DISK: 0.0}

    @property
    def waits(self) -> WaitTimes:
        """Which side was waited for."""
        waits = self._waits
        return WaitTimes(waits[Wait.UPSTREAM], waits[Wait.CLIENT], waits[Wait.DISK])

    def look(self, seconds: float, wait: Wait, sent: int) -> None:
        """Note what is seen now.

        :param seconds: since the look before.
        :param sent: bytes of the body until now.
        """
        if wait in self._waits:
            self._waits[wait] += seconds
        self._within += seconds
        if self._within + STEP / 2 < self.step:
            return
        self._within = 0.0
        self.samples.append(max(0, sent - self._sent))
        self._sent = sent
        if len(self.samples) >= MOST_SAMPLES:
            pairs = zip(self.samples[::2], self.samples[1::2], strict=True)
            self.samples = [one + other for one, other in pairs]
            self.step *= 2
