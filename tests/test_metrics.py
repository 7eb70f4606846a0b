"""Names and labels that dashboards rely on."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.interfaces import ICacheEvents, IUpstreamMeter
from regcache.medians import BOUNDS, place_of
from regcache.metrics import Metrics
from regcache.request_metrics import KINDS, OUTCOMES

NAMES = [
    "regcache_requests_total",
    "regcache_served_bytes_total",
    "regcache_upstream_requests_total",
    "regcache_upstream_bytes_total",
    "regcache_upstream_up",
    "regcache_upstream_credentials_ok",
    "regcache_upstream_ratelimit_remaining",
    "regcache_storage_bytes",
    "regcache_storage_limit_bytes",
    "regcache_downloads",
    "regcache_readers",
    "regcache_evicted_bytes_total",
    "regcache_request_seconds_bucket",
    "regcache_first_byte_seconds_bucket",
    "regcache_digest_mismatches_total",
    "regcache_storage_errors_total",
    "process_resident_memory_bytes",
    "python_info",
    "regcache_build_info",
    "regcache_ready",
    "regcache_connections",
    "regcache_connections_limit",
    "regcache_storage_free_bytes",
    "regcache_storage_min_free_bytes",
    "regcache_damaged_contents_total",
    "regcache_config_last_reload_successful",
    "regcache_config_last_reload_success_timestamp_seconds",
    "regcache_certificate_not_after_timestamp_seconds",
    "regcache_notifications_total",
]


class MetricsTests(SynchronousTestCase):
    """What is counted."""

    def setUp(self) -> None:
        self.metrics = Metrics(["docker.io", "ghcr.io"])

    def value(self, name: str, **labels: str) -> float | None:
        """The value of a sample."""
        return self.metrics.registry.get_sample_value(name, labels)

    def request(self, **changes: Any) -> None:
        """Count a request."""
        facts: dict[str, Any] = {
            "upstream": "docker.io",
            "kind": "blob",
            "outcome": "hit",
            "status": 200,
            "seconds": 0.5,
            "first_byte": 0.1,
            "body_bytes": 10,
        }
        self.metrics.request(**{**facts, **changes})

    def test_interface(self) -> None:
        """The metrics are what upstreams and the cache report to."""
        self.assertTrue(verifyObject(ICacheEvents, self.metrics))
        self.assertTrue(verifyObject(IUpstreamMeter, self.metrics))

    def test_names(self) -> None:
        """Every promised name is in the text."""
        self.request()
        self.metrics.ratelimit_remaining("docker.io", 5)
        self.metrics.digest_mismatch("docker.io")
        self.metrics.certificates.ends = lambda: {"/tls/chain.pem": 1.0}
        text = self.metrics.render().decode()
        for name in NAMES:
            self.assertIn(f"\n{name}", text)

    def test_first_bytes(self) -> None:
        """How late answers of the distribution API began is told finely, whatever a clock gives."""
        for seconds in (-5.0, 0.0, 0.11, 1e9, float("inf"), None):
            self.request(first_byte=seconds)
        self.request(kind="other")
        told = self.metrics.first_bytes()
        found = {place: count for place, count in enumerate(told) if count}
        self.assertEqual(found, {0: 2, place_of(0.11): 1, len(BOUNDS): 2})

    def test_requests(self) -> None:
        """Requests, their bytes and times are counted by label."""
        self.request()
        self.request(body_bytes=5, first_byte=None)
        labels = {"upstream": "docker.io", "kind": "blob", "outcome": "hit", "status": "200"}
        self.assertEqual(self.value("regcache_requests_total", **labels), 2)
        self.assertEqual(self.value("regcache_served_bytes_total", upstream="docker.io"), 15)
        self.assertEqual(self.value("regcache_request_seconds_count", kind="blob"), 2)
        self.assertEqual(self.value("regcache_first_byte_seconds_count", kind="blob"), 1)

    def test_buckets(self) -> None:
        """A duration counts in all buckets that it fits in, its bound among them."""
        for seconds in (0.001, 0.0011, 5000.0):
            self.request(seconds=seconds)
        name, kind = "regcache_request_seconds_bucket", "blob"
        for bound, count in (("0.001", 1), ("0.005", 2), ("1800.0", 2), ("+Inf", 3)):
            self.assertEqual(self.value(name, kind=kind, le=bound), count, bound)
        self.assertEqual(self.value("regcache_request_seconds_sum", kind=kind), 5000.0021)
        self.assertEqual(self.value("regcache_request_seconds_count", kind="ping"), 0)

    def test_closed_sets(self) -> None:
        """What a client sends cannot make a new label."""
        self.request(upstream="evil", kind="evil", outcome="evil", status=7)
        labels = {"upstream": "", "kind": "other", "outcome": "error", "status": "500"}
        self.assertEqual(self.value("regcache_requests_total", **labels), 1)
        self.metrics.upstream_sent("evil", 3)
        self.assertEqual(self.value("regcache_upstream_bytes_total", upstream=""), 3)
        self.assertNotIn("evil", self.metrics.render().decode())

    def test_upstreams(self) -> None:
        """Upstreams begin as up, and tell their state, credentials and limits."""
        self.assertEqual(self.value("regcache_upstream_up", upstream="ghcr.io"), 1)
        self.metrics.upstream_state("ghcr.io", False)
        self.metrics.credentials_state("ghcr.io", False)
        self.metrics.ratelimit_remaining("ghcr.io", 76)
        self.metrics.upstream_requested("ghcr.io")
        self.metrics.set_upstreams(["ghcr.io", "quay.io"])
        for name, value in (
            ("regcache_upstream_up", 0),
            ("regcache_upstream_credentials_ok", 0),
            ("regcache_upstream_ratelimit_remaining", 76),
            ("regcache_upstream_requests_total", 1),
        ):
            self.assertEqual(self.value(name, upstream="ghcr.io"), value)
        self.assertEqual(self.value("regcache_upstream_up", upstream="quay.io"), 1)

    def test_upstreams_that_change(self) -> None:
        """Nothing is told of an upstream that is gone, even if it goes on; a renewed one is up."""
        for name in ("docker.io", "ghcr.io"):
            self.metrics.upstream_state(name, False)
            self.metrics.credentials_state(name, False)
            self.metrics.ratelimit_remaining(name, 5)
        self.metrics.set_upstreams(["ghcr.io"], ["ghcr.io"])
        self.metrics.upstream_state("docker.io", False)
        self.metrics.ratelimit_remaining("docker.io", 4)
        for name in ("regcache_upstream_up", "regcache_upstream_credentials_ok"):
            self.assertEqual(self.value(name, upstream="ghcr.io"), 1)
            for gone in ("docker.io", ""):
                self.assertIsNone(self.value(name, upstream=gone))
        left = "regcache_upstream_ratelimit_remaining"
        self.assertEqual(
            [self.value(left, upstream=n) for n in ("ghcr.io", "docker.io")], 2 * [None]
        )

    def test_storage(self) -> None:
        """Gauges ask for their value when they are read; faults and evictions are counted."""
        sizes = [5.0]
        self.metrics.watch("storage_bytes", lambda: sizes[0])
        sizes[0] = 7.0
        self.metrics.storage_error()
        self.metrics.evicted(100)
        self.assertEqual(self.value("regcache_storage_bytes"), 7)
        self.assertEqual(self.value("regcache_storage_errors_total"), 1)
        self.assertEqual(self.value("regcache_evicted_bytes_total"), 100)
        self.assertRaises(KeyError, self.metrics.watch, "other", lambda: 0)

    def test_two_sets(self) -> None:
        """Two sets of metrics in one process are apart."""
        other = Metrics(["docker.io"])
        other.upstream_sent("docker.io", 3)
        self.assertEqual(self.value("regcache_upstream_bytes_total", upstream="docker.io"), 0)

    def test_sets(self) -> None:
        """The closed sets are those of the documentation."""
        self.assertEqual(len(KINDS), 7)
        self.assertEqual(len(OUTCOMES), 9)
