"""How fast one URL of an upstream answers: counted by the hour, where its answers arrive.

An answer costs two additions. What redirects lead to is not counted: that is another host's time.
"""

from collections import deque
from collections.abc import Callable, Sequence
from statistics import median as median_of

from regcache.medians import added_up, median, place_of
from regcache.upstream.urls import Origin
from regcache.upstream_health import ANSWER_HOURS, AnswerFacts

_HOUR = 3600
#: The latest answers, by which a URL is slow or not: how many, and of how many seconds.
MOST_LATEST, LATEST_SECONDS = 16, 600.0
#: A URL is slow if half of at least so many took so long (seconds).
LEAST_LATEST, SLOW = 5, 1.0


class AnswerTimes:
    """Counts the answers of one URL.

    :param own: its origin.
    :param seconds: clock seconds.
    """

    def __init__(self, own: Origin, seconds: Callable[[], float]) -> None:
        self._own = own
        self._seconds = seconds
        self._hours: dict[int, dict[int, int]] = {}
        self._latest: deque[tuple[float, float]] = deque(maxlen=MOST_LATEST)

    def answered(self, origin: Origin, asked_at: float) -> None:
        """The head of an answer came.

        :param origin: of who gave it.
        :param asked_at: when the request was sent (clock seconds).
        """
        if origin != self._own:
            return
        now = self._seconds()
        took = max(0.0, now - asked_at)
        self._latest.append((now, took))
        counts = self._of_hour(int(now // _HOUR))
        place = place_of(took)
        counts[place] = counts.get(place, 0) + 1

    def _of_hour(self, hour: int) -> dict[int, int]:
        counts = self._hours.get(hour)
        if counts is None:
            since = hour - ANSWER_HOURS
            self._hours = {at: each for at, each in self._hours.items() if since < at < hour}
            counts = self._hours[hour] = {}
        return counts

    @property
    def is_slow(self) -> bool:
        """Whether it has been slow lately."""
        now = self._seconds()
        latest = [took for at, took in self._latest if 0 <= now - at <= LATEST_SECONDS]
        return len(latest) >= LEAST_LATEST and median_of(latest) >= SLOW

    def counts(self, hour: int) -> dict[int, int]:
        """What was counted in one hour, for :func:`regcache.medians.median`."""
        return self._hours.get(hour, {})


def answer_facts(urls: Sequence[AnswerTimes], now: float) -> AnswerFacts:
    """How fast an upstream answered lately, all of its URLs together.

    :param now: clock seconds.
    """
    last = int(now // _HOUR)
    hours = [
        added_up(each.counts(hour) for each in urls)
        for hour in range(last - ANSWER_HOURS + 1, last + 1)
    ]
    return AnswerFacts(median(added_up(hours)), tuple(median(each) for each in hours))
