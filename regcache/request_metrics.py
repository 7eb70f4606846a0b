"""The metrics of requests: how many there were, what was sent, and how long they took."""

import math
from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from regcache.medians import BOUNDS, ROUND, place_of

KINDS = frozenset({"manifest", "blob", "tags", "referrers", "catalog", "ping", "other"})
OUTCOMES = frozenset(
    {"hit", "revalidated", "stale", "miss", "collapsed", "relay", "denied", "error", "none"}
)
_CONTENT_KINDS = frozenset({"manifest", "blob"})
_CONTENT_OUTCOMES = OUTCOMES - {"denied", "error", "none"}


class Times:
    """How long requests of one kind took: a histogram.

    It is finer than the one that is handed out, since medians are found in it, too.

    :ivar counts: how many durations there were, by :func:`~regcache.medians.place_of`.
    """

    __slots__ = ("_sum", "counts")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[place_of(seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, kind: str) -> None:
        """Hand out what was counted; each bucket holds those below it, too."""
        below = list(accumulate(self.counts))
        buckets = [(_bound_text(bound), below[place_of(bound)]) for bound in (*ROUND, math.inf)]
        family.add_metric([kind], buckets, self._sum)


def _bound_text(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]


class RequestMetrics(Collector):
    """What clients asked for and got.

    Plain numbers, which become metrics when they are read: the library's counters take a lock
    at every step, and these are only touched by the reactor's thread.
    """

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, str, int], int] = {}
        self._served: dict[str, int] = {}
        self._seconds = {kind: Times() for kind in sorted(KINDS)}
        self._first_byte = {kind: Times() for kind in sorted(KINDS)}

    def count(self, upstream: str, kind: str, outcome: str, status: int) -> None:
        """Count one request; the labels are checked already."""
        key = (upstream, kind, outcome, status)
        self._requests[key] = self._requests.get(key, 0) + 1

    def serve(self, upstream: str, count: int) -> None:
        """Count bytes of a body."""
        self._served[upstream] = self._served.get(upstream, 0) + count

    @property
    def served_bytes(self) -> int:
        """Bytes of bodies in all."""
        return sum(self._served.values())

    def first_bytes(self) -> list[int]:
        """How many answers of the distribution API began so late, by place of the duration."""
        times = [times for kind, times in self._first_byte.items() if kind != "other"]
        return [sum(counts) for counts in zip(*(each.counts for each in times), strict=True)]

    @property
    def outcomes(self) -> dict[str, int]:
        """How many manifests and blobs were answered, by outcome."""
        found: dict[str, int] = {}
        for (_, kind, outcome, _), count in self._requests.items():
            if kind in _CONTENT_KINDS and outcome in _CONTENT_OUTCOMES:
                found[outcome] = found.get(outcome, 0) + count
        return found

    def time(self, kind: str, seconds: float, first_byte: float | None) -> None:
        """Note how long one request took."""
        self._seconds[kind].observe(seconds)
        if first_byte is not None:
            self._first_byte[kind].observe(first_byte)

    def collect(self) -> Iterator[Metric]:
        """All of it, when the metrics are read."""
        requests = CounterMetricFamily(
            "regcache_requests",
            "Requests answered, by upstream, kind, outcome and status.",
            labels=["upstream", "kind", "outcome", "status"],
        )
        for (*labels, status), count in self._requests.items():
            requests.add_metric([*labels, str(status)], count)
        served = CounterMetricFamily(
            "regcache_served_bytes", "Body bytes sent to clients.", labels=["upstream"]
        )
        for upstream, count in self._served.items():
            served.add_metric([upstream], count)
        yield from (requests, served)
        yield _histogram(
            "regcache_request_seconds",
            "Seconds from a whole request to the end of its answer.",
            self._seconds,
        )
        yield _histogram(
            "regcache_first_byte_seconds",
            "Seconds from a whole request to the headers of its answer.",
            self._first_byte,
        )


def _histogram(name: str, text: str, kinds: Mapping[str, Times]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=["kind"])
    for kind, times in kinds.items():
        times.add_to(family, kind)
    return family
