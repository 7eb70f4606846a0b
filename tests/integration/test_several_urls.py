"""Several URLs of one upstream, and the breaker as operators see it."""

from tests.integration.base import UPSTREAM, public_upstream, upstream_config
from tests.integration.network_base import NetworkCase
from tests.support.processes import free_port
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache


class SeveralUrlsTests(NetworkCase):
    """``upstreams.<name>.urls``, and the breaker as operators see it."""

    def metric(self, daemon: Regcache, name: str) -> str:
        """The value of a metric of the upstream."""
        text = RegistryClient(f"http://127.0.0.1:{daemon.admin_port}").get("/metrics").body
        prefix = f'{name}{{upstream="{UPSTREAM}"}} '
        found = [line for line in text.decode().splitlines() if line.startswith(prefix)]
        return found[0].removeprefix(prefix) if found else ""

    def test_next_url(self) -> None:
        """A first URL that is down costs nobody a pull, for manifests and for blobs."""
        urls = [f"http://127.0.0.1:{free_port()}", public_upstream().url]
        daemon = self.regcache(
            {"upstreams": {UPSTREAM: {"urls": urls}}, "default_upstream": UPSTREAM}
        )
        self.assert_pulls(daemon)
        self.assertEqual(self.metric(daemon, "regcache_upstream_up"), "1.0")

    def test_breaker(self) -> None:
        """Three failures in a row open the circuit: 503 with Retry-After, metric and log say so."""
        port = free_port()
        daemon = self.regcache(upstream_config(f"http://127.0.0.1:{port}"))
        for _ in range(3):
            self.assert_unreachable(daemon, "connection refused")
        answer = self.get(daemon)
        self.assertEqual((answer.status, answer.errors), (503, ["UNAVAILABLE"]))
        self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
        self.assertEqual(self.metric(daemon, "regcache_upstream_up"), "0.0")
        self.assertIn("(circuit open)", daemon.log())
