"""The metrics, under the names that operators' dashboards use (Prometheus).

Every label has a closed set of values, so that no client can make the process remember
what it sent.
"""

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache

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
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from zope.interface import implementer

from regcache import __version__
from regcache.interfaces import ICacheEvents, IUpstreamMeter
from regcache.request_metrics import KINDS, OUTCOMES, RequestMetrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
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

    def first_bytes(self) -> list[int]:
        """How many answers of the distribution API began so late, by place of the duration."""
        return self._client.first_bytes()

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
