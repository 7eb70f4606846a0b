"""What is counted, under the names that operators' dashboards use (Prometheus).

Every label has a closed set of values, so that no client can make the process remember
what it sent.
"""

from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from zope.interface import implementer

from regcache.interfaces import ICacheEvents, IUpstreamMeter

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
KINDS = frozenset({"manifest", "blob", "tags", "referrers", "catalog", "ping", "other"})
OUTCOMES = frozenset(
    {"hit", "revalidated", "stale", "miss", "collapsed", "relay", "denied", "error"}
)
_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1800.0)


class RequestMetrics:
    """What clients asked for and got."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "regcache_requests",
            "Requests answered, by upstream, kind, outcome and status.",
            ["upstream", "kind", "outcome", "status"],
            registry=registry,
        )
        self._served = Counter(
            "regcache_served_bytes", "Body bytes sent to clients.", ["upstream"], registry=registry
        )
        self._seconds = Histogram(
            "regcache_request_seconds",
            "Seconds from a whole request to the end of its answer.",
            ["kind"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._first_byte = Histogram(
            "regcache_first_byte_seconds",
            "Seconds from a whole request to the headers of its answer.",
            ["kind"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._request_children: dict[tuple[str, str, str, int], Counter] = {}
        self._served_children: dict[str, Counter] = {}
        self._timing_children = {
            kind: (self._seconds.labels(kind), self._first_byte.labels(kind)) for kind in KINDS
        }

    def count(self, upstream: str, kind: str, outcome: str, status: int) -> None:
        """Count one request; the labels are checked already."""
        key = (upstream, kind, outcome, status)
        child = self._request_children.get(key)
        if child is None:
            child = self._request_children[key] = self._requests.labels(
                upstream, kind, outcome, str(status)
            )
        child.inc()

    def serve(self, upstream: str, count: int) -> None:
        """Count bytes of a body."""
        child = self._served_children.get(upstream)
        if child is None:
            child = self._served_children[upstream] = self._served.labels(upstream)
        child.inc(count)

    def time(self, kind: str, seconds: float, first_byte: float | None) -> None:
        """Note how long one request took."""
        whole, first = self._timing_children[kind]
        whole.observe(seconds)
        if first_byte is not None:
            first.observe(first_byte)


@implementer(IUpstreamMeter)
class UpstreamMetrics:
    """What happens between the upstreams and us.

    :ivar registry: the collectors.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._upstreams: frozenset[str] = frozenset()
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
        self._up = gauge("regcache_upstream_up", "Whether the upstream answers: 1 or 0.")
        self._credentials = gauge(
            "regcache_upstream_credentials_ok", "Whether the realm takes our credentials: 1 or 0."
        )
        self._ratelimit = gauge(
            "regcache_upstream_ratelimit_remaining", "Requests left, as the upstream said last."
        )

    def set_upstreams(self, upstreams: Iterable[str]) -> None:
        """Name the upstreams that may stand as a label; those new to it begin as up."""
        names = frozenset(upstreams)
        for name in names - self._upstreams:
            self._up.labels(name).set(1)
            self._credentials.labels(name).set(1)
            self._upstream_requests.labels(name)
            self._upstream_bytes.labels(name)
        self._upstreams = names

    def upstream_requested(self, upstream: str) -> None:
        """One request was sent."""
        self._upstream_requests.labels(self._label(upstream)).inc()

    def upstream_sent(self, upstream: str, count: int) -> None:
        """Some body bytes arrived."""
        self._upstream_bytes.labels(self._label(upstream)).inc(count)

    def upstream_state(self, upstream: str, up: bool) -> None:
        """The upstream answered, or its breaker opened."""
        self._up.labels(self._label(upstream)).set(1 if up else 0)

    def credentials_state(self, upstream: str, accepted: bool) -> None:
        """The realm accepted or refused our own credentials."""
        self._credentials.labels(self._label(upstream)).set(1 if accepted else 0)

    def ratelimit_remaining(self, upstream: str, remaining: int) -> None:
        """The upstream said how many requests are left."""
        self._ratelimit.labels(self._label(upstream)).set(remaining)

    def digest_mismatch(self, upstream: str) -> None:
        """Content from the upstream failed its verification."""
        self._digest_mismatches.labels(self._label(upstream)).inc()

    def _label(self, upstream: str) -> str:
        return upstream if upstream in self._upstreams else ""


@implementer(ICacheEvents)
class Metrics(UpstreamMetrics):
    """All metrics of one daemon, with a registry of their own."""

    def __init__(self, upstreams: Iterable[str] = ()) -> None:
        super().__init__(CollectorRegistry(auto_describe=True))
        self._client = RequestMetrics(self.registry)
        self._add_cache_metrics()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.set_upstreams(upstreams)

    def _add_cache_metrics(self) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, registry=self.registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, registry=self.registry)

        self._storage_errors = counter(
            "regcache_storage_errors", "Reads and writes that the disk failed."
        )
        self._evicted = counter(
            "regcache_evicted_bytes", "Bytes deleted to make room or for their age."
        )
        self._gauges = {
            "storage_bytes": gauge("regcache_storage_bytes", "Bytes of the cache on disk."),
            "storage_limit_bytes": gauge(
                "regcache_storage_limit_bytes", "Bytes that the cache may have on disk."
            ),
            "downloads": gauge("regcache_downloads", "Blobs being fetched now."),
            "readers": gauge("regcache_readers", "Client answers being fed now."),
        }

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """Let a function give a gauge its value whenever the metrics are read.

        :param name: storage_bytes, storage_limit_bytes, downloads or readers.
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

    def storage_error(self) -> None:
        """The disk failed a read or write."""
        self._storage_errors.inc()

    def evicted(self, count: int) -> None:
        """Some bytes were deleted to make room or for their age."""
        self._evicted.inc(count)

    def render(self) -> bytes:
        """All metrics in the text format 0.0.4 of Prometheus."""
        return generate_latest(self.registry)
