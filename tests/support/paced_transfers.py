"""Transfers that send what they may, to clients of which some are slower than that."""

from collections.abc import Hashable, Iterable
from itertools import pairwise

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from regcache.access.principals import UNLIMITED, TransferLimits
from regcache.web.pacing.pacing import Pacing

#: How often the clock of a test is turned (seconds).
STEP = 0.005


class Transfer:
    """One transfer, which begins at once.

    :param speed: bytes a second that its client takes; None for all that it gets.
    :param delay: how long it takes to send what it may (seconds).
    :param size: bytes after which it ends; None: never.
    :ivar sent: when it has sent how much.
    :ivar ended_at: when it has sent all.
    """

    def __init__(
        self,
        pacing: Pacing,
        clock: Clock,
        payer: Hashable,
        *,
        limits: TransferLimits = UNLIMITED,
        speed: float | None = None,
        delay: float = 0.0,
        size: int | None = None,
    ) -> None:
        self._clock = clock
        allowance = pacing.open(payer, limits, is_download=True)
        assert allowance is not None
        self.allowance = allowance
        self._speed, self._delay, self._size = speed, delay, size
        self.sent: list[tuple[float, int]] = []
        self.ended_at: float | None = None
        self.left = False
        self._pause: IDelayedCall | None = None
        self._send()

    @property
    def total(self) -> int:
        """Bytes that it has sent."""
        return sum(count for _, count in self.sent)

    def since(self, moment: float) -> int:
        """Bytes that it has sent since then."""
        return sum(count for when, count in self.sent if when >= moment)

    def longest_gap(self, since: float = 0.0) -> float:
        """The longest time in which it sent nothing, up to now."""
        times = [when for when, _ in self.sent if when >= since]
        times = [since, *times, self._clock.seconds()]
        return max(later - earlier for earlier, later in pairwise(times))

    def leave(self) -> None:
        """The client goes."""
        self.left = True
        self.allowance.end()
        if self._pause is not None and self._pause.active():
            self._pause.cancel()

    def _send(self) -> None:
        while not self.left and self.allowance.ask(self._send):
            count = self.allowance.left
            if self._size is not None:
                count = min(count, self._size - self.total)
            self.allowance.spend(count)
            self.sent.append((self._clock.seconds(), count))
            if self.total == self._size:
                self.ended_at = self._clock.seconds()
                self.leave()
            elif pause := self._delay + (count / self._speed if self._speed else 0.0):
                self._pause = self._clock.callLater(pause, self._send)
                return


def total(transfers: Iterable[Transfer], since: float = 0.0) -> int:
    """Bytes that all of them have sent since then."""
    return sum(each.since(since) for each in transfers)


def pass_time(clock: Clock, seconds: float) -> None:
    """Turn the clock in small steps."""
    clock.pump([STEP] * round(seconds / STEP))
