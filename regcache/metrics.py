"""The metrics, under the names that operators' dashboards use (Prometheus).

Every label has a closed set of values, so that no client can make the process remember
what it sent.
"""

import math
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from zope.interface import implementer

from regcache import __version__
from regcache.interfaces import ICacheEvents, IUpstreamMeter

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
KINDS = frozenset({"manifest", "blob", "tags", "referrers", "catalog", "ping", "other"})
OUTCOMES = frozenset(
    {"hit", "revalidated", "stale", "miss", "collapsed", "relay", "denied", "error", "none"}
)
NOTIFICATION_RESULTS = ("sent", "failed", "dropped")
#: Gauges without labels, and what they say.
_GAUGES = {
    "ready": "Whether new content is kept: 1 or 0, as /readyz says.",
    "connections": "Connections of clients now.",
    "connections_limit": "Connections of clients that there may be.",
    "downloads": "Blobs being fetched now.",
    "readers": "Client answers being fed now.",
    "storage_bytes": "Bytes of the cache on disk.",
    "storage_limit_bytes": "Bytes that the cache may have on disk.",
    "storage_free_bytes": "Bytes that its file system has free.",
    "storage_min_free_bytes": "Bytes that have to stay free there.",
    "config_last_reload_successful": "Whether the configuration file is in force: 1 or 0.",
    "config_last_reload_success_timestamp_seconds": "When it was read (Unix seconds).",
}
_CONTENT_KINDS = frozenset({"manifest", "blob"})
_CONTENT_OUTCOMES = OUTCOMES - {"denied", "error", "none"}
_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1800.0)


class Times:
    """How long requests of one kind took: a histogram."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(_BUCKETS, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, kind: str) -> None:
        """Hand out what was counted; each bucket holds those below it, too."""
        bounds = zip((*_BUCKETS, math.inf), accumulate(self._counts), strict=True)
        buckets = [(_bound_text(bound), count) for bound, count in bounds]
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


class CertificateMetrics(Collector):
    """When the certificates of the listeners end.

    :ivar ends: gives Unix seconds by the files that are configured.
    """

    def __init__(self) -> None:
        self.ends: Callable[[], Mapping[str, float]] = dict

    def collect(self) -> Iterator[Metric]:
        """All of it, when the metrics are read."""
        family = GaugeMetricFamily(
            "regcache_certificate_not_after_timestamp_seconds",
            "When the certificate in use ends (Unix seconds).",
            labels=["chain"],
        )
        for chain, end in self.ends().items():
            family.add_metric([chain], end)
        yield family


def _histogram(name: str, text: str, kinds: Mapping[str, Times]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=["kind"])
    for kind, times in kinds.items():
        times.add_to(family, kind)
    return family


@implementer(IUpstreamMeter)
class UpstreamMetrics:
    """What happens between the upstreams and us.

    :ivar registry: the collectors.
    :ivar received_bytes: bytes of bodies, from all upstreams together.
    :ivar received: the same by upstream.
    :ivar mismatches: how many contents failed their verification, by upstream.
    :ivar damaged: how many contents were damaged on the disk.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._upstreams: frozenset[str] = frozenset()
        self.received_bytes = 0
        self.received: dict[str, int] = {}
        self.mismatches: Counts[str] = Counts()
        self.damaged = 0
        self._add_upstream_metrics()

    def _add_upstream_metrics(self) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, ["upstream"], registry=self.registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ["upstream"], registry=self.registry)

        self._upstream_requests = counter(
            "regcache_upstream_requests", "Requests sent to upstreams."
        )
        self._upstream_bytes = counter(
            "regcache_upstream_bytes", "Body bytes received from upstreams."
        )
        self._digest_mismatches = counter(
            "regcache_digest_mismatches", "Contents from upstreams that failed verification."
        )
        # The library takes 20 calls to find the counter of an upstream.
        self._requests_to = cache(self._upstream_requests.labels)
        self._bytes_from = cache(self._upstream_bytes.labels)
        self._up = gauge("regcache_upstream_up", "Whether the upstream answers: 1 or 0.")
        self._credentials = gauge(
            "regcache_upstream_credentials_ok", "Whether the realm takes our credentials: 1 or 0."
        )
        self._ratelimit = gauge(
            "regcache_upstream_ratelimit_remaining", "Requests left, as the upstream said last."
        )

    def set_upstreams(self, upstreams: Iterable[str], renewed: Iterable[str] = ()) -> None:
        """Name the upstreams that may stand as a label; those new to it begin as up.

        How one was that is configured no more, or in another way, is not told any longer.

        :param renewed: those that are asked in another way from now on.
        """
        names = frozenset(upstreams)
        known = self._upstreams.difference(renewed)
        for name in self._upstreams - (names & known):
            for gauge in (self._up, self._credentials, self._ratelimit):
                with suppress(KeyError):
                    gauge.remove(name)
        for name in names - known:
            self._up.labels(name).set(1)
            self._credentials.labels(name).set(1)
            self._upstream_requests.labels(name)
            self._upstream_bytes.labels(name)
            self._digest_mismatches.labels(name)
        self._upstreams = names

    def upstream_requested(self, upstream: str) -> None:
        """One request was sent."""
        self._requests_to(self._label(upstream)).inc()

    def upstream_sent(self, upstream: str, count: int) -> None:
        """Some body bytes arrived."""
        label = self._label(upstream)
        self.received_bytes += count
        self.received[label] = self.received.get(label, 0) + count
        self._bytes_from(label).inc(count)

    def upstream_state(self, upstream: str, up: bool) -> None:
        """The upstream answered, or its breaker opened."""
        self._set(self._up, upstream, up)

    def credentials_state(self, upstream: str, accepted: bool) -> None:
        """The realm accepted or refused our own credentials."""
        self._set(self._credentials, upstream, accepted)

    def ratelimit_remaining(self, upstream: str, remaining: int) -> None:
        """The upstream said how many requests are left."""
        self._set(self._ratelimit, upstream, remaining)

    def digest_mismatch(self, upstream: str) -> None:
        """Content from the upstream failed its verification."""
        self.mismatches[self._label(upstream)] += 1
        self._digest_mismatches.labels(self._label(upstream)).inc()

    def _set(self, gauge: Gauge, upstream: str, value: float) -> None:
        """How a configured upstream is; of others that are asked to the end nothing is told."""
        if upstream in self._upstreams:
            gauge.labels(upstream).set(value)

    def _label(self, upstream: str) -> str:
        return upstream if upstream in self._upstreams else ""


@implementer(ICacheEvents)
class Metrics(UpstreamMetrics):
    """All metrics of one daemon, with a registry of their own."""

    def __init__(self, upstreams: Iterable[str] = ()) -> None:
        # Without this each counter would have a second series, with the time of its creation.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        super().__init__(CollectorRegistry(auto_describe=True))
        self._client = RequestMetrics()
        self.registry.register(self._client)
        self._add_cache_metrics()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.set_upstreams(upstreams)

    def _add_cache_metrics(self) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, registry=self.registry)

        self._storage_errors = counter(
            "regcache_storage_errors", "Reads and writes that the disk failed."
        )
        self._damaged = counter(
            "regcache_damaged_contents", "Stored contents that turned out to be damaged."
        )
        self._evicted = counter(
            "regcache_evicted_bytes", "Bytes deleted to make room or for their age."
        )
        self._gauges = {
            name: Gauge(f"regcache_{name}", text, registry=self.registry)
            for name, text in _GAUGES.items()
        }
        self._notifications = Counter(
            "regcache_notifications",
            "What notify.url was told.",
            ["result"],
            registry=self.registry,
        )
        for result in NOTIFICATION_RESULTS:
            self._notifications.labels(result)
        version = Gauge("regcache_build_info", "1.", ["version"], registry=self.registry)
        version.labels(__version__).set(1)
        self.certificates = CertificateMetrics()
        self.registry.register(self.certificates)

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """Let a function give a gauge its value whenever the metrics are read.

        :param name: without what all have in front.
        :param value: cheap, and free of I/O.
        :raises KeyError: for another name.
        """
        self._gauges[name].set_function(value)

    def request(
        self,
        *,
        upstream: str,
        kind: str,
        outcome: str,
        status: int,
        seconds: float,
        first_byte: float | None,
        body_bytes: int,
    ) -> None:
        """Count one request that has ended. What is in no closed set becomes "" or other."""
        upstream = self._label(upstream)
        kind = kind if kind in KINDS else "other"
        outcome = outcome if outcome in OUTCOMES else "error"
        self._client.count(upstream, kind, outcome, status if 100 <= status <= 599 else 500)
        self._client.time(kind, max(0.0, seconds), first_byte)
        if body_bytes > 0:
            self._client.serve(upstream, body_bytes)

    @property
    def served_bytes(self) -> int:
        """Bytes of bodies that were sent to clients by requests that have ended."""
        return self._client.served_bytes

    @property
    def outcomes(self) -> dict[str, int]:
        """How many manifests and blobs were answered, by outcome."""
        return self._client.outcomes

    def storage_error(self) -> None:
        """The disk failed a read or write."""
        self._storage_errors.inc()

    def content_damaged(self) -> None:
        """Stored content was not what it had to be; that counts as an error of the disk, too."""
        self.damaged += 1
        self._damaged.inc()
        self._storage_errors.inc()

    def notified(self, result: str) -> None:
        """Something was told to ``notify.url``, or could not be.

        :param result: one of :data:`NOTIFICATION_RESULTS`.
        """
        self._notifications.labels(result).inc()

    def evicted(self, count: int) -> None:
        """Some bytes were deleted to make room or for their age."""
        self._evicted.inc(count)

    def render(self) -> bytes:
        """All metrics in the text format 0.0.4 of Prometheus."""
        return generate_latest(self.registry)
