"""How fast a growing count grew lately."""

from collections import deque
from collections.abc import Hashable, Iterable

#: Samples lie this far apart at least, and are kept so long (seconds).
STEP, WINDOW = 0.5, 10.0


class RecentRates:
    """Rates of counts that are looked at now and then.

    Nothing runs in between: a rate is what a count grew since it was looked at before, within the
    last ten seconds.
    """

    def __init__(self) -> None:
        self._samples: dict[Hashable, deque[tuple[float, int]]] = {}

    def __len__(self) -> int:
        """How many counts are remembered."""
        return len(self._samples)

    def rate(self, key: Hashable, count: int, now: float) -> int | None:
        """How much a count grows in a second; None where that is not known yet.

        :param key: of the count.
        :param now: seconds.
        """
        samples = self._samples.setdefault(key, deque())
        while len(samples) > 1 and samples[1][0] <= now - WINDOW:
            samples.popleft()
        earlier = [each for each in samples if now - each[0] >= STEP]
        if not samples or now - samples[-1][0] >= STEP:
            samples.append((now, count))
        if not earlier:
            return None
        time, before = earlier[0]
        return max(0, round((count - before) / (now - time)))

    def keep_only(self, keys: Iterable[Hashable]) -> None:
        """Forget all other counts."""
        kept = set(keys)
        for key in [key for key in self._samples if key not in kept]:
            del self._samples[key]
