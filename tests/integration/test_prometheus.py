"""A real Prometheus scrapes the daemon; promtool looks at what is shipped for it."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.faults import Fault
from tests.support.processes import free_port, require, run, wait_until
from tests.support.prometheus import ALERTS, Prometheus, alerts, dashboard_queries, rules_file
from tests.support.registry_client import RegistryClient

TESTS = Path(__file__).parent / "alerts_test.yml"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
REPOSITORY = "team/app"
_KINDS = ("manifest", "blob", "tags", "referrers", "catalog", "ping", "other")
_OUTCOMES = (
    *("hit", "revalidated", "stale", "miss", "collapsed", "relay", "denied", "error"),
    "none",  # of what is no content, a ping for instance
)
_HISTOGRAMS = ("regcache_request_seconds", "regcache_first_byte_seconds")


class PromtoolTests(PullThroughCase):
    """What promtool says of it."""

    def setUp(self) -> None:
        require("promtool")

    def test_rules(self) -> None:
        """The alerts, and all that the dashboard asks, are right by its syntax."""
        run(["promtool", "check", "rules", "--lint=all", "--lint-fatal", str(ALERTS)])
        run(["promtool", "check", "rules", str(rules_file(dashboard_queries(), self.folder()))])

    def folder(self) -> Path:
        """A folder for files."""
        return self.workspace().path

    def test_each_fires(self) -> None:
        """Each alert fires for its reason, and not before."""
        folder = self.folder()
        for file in (ALERTS, TESTS):
            shutil.copy(file, folder)
        run(["promtool", "test", "rules", str(folder / TESTS.name)])

    def test_metrics(self) -> None:
        """Its linter finds nothing in what the daemon tells."""
        daemon = self.regcache(upstream_config("http://127.0.0.1:1"))
        text = RegistryClient(f"http://127.0.0.1:{daemon.admin_port}").get("/metrics").body
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))


class NameTests(PullThroughCase):
    """What the daemon tells, against docs/operations.md and design.md 11."""

    def test_table(self) -> None:
        """The table has every metric, with its labels; kinds and outcomes are those of the log."""
        upstream = self.faulty_upstream()
        blob = upstream.add_generated_blob(REPOSITORY, 1000, "told")
        limited = Fault(headers={"RateLimit-Remaining": "7;w=60"})
        upstream.faults.always("*", limited)
        daemon = self.regcache(upstream_config(upstream.url))
        for path in (f"blobs/{blob.digest}", "manifests/none", "tags/list", "referrers/wrong"):
            daemon.client().get(f"/v2/{REPOSITORY}/{path}")
        text = RegistryClient(f"http://127.0.0.1:{daemon.admin_port}").get("/metrics").body.decode()
        types = dict(re.findall(r"^# TYPE (regcache_\w+) (\w+)$", text, re.MULTILINE))
        documented = self.documented()
        self.assertEqual(types.keys(), documented.keys())
        for name, kind in types.items():
            self.assertEqual(kind == "counter", name.endswith("_total"), name)
            self.assertEqual(kind == "histogram", name in _HISTOGRAMS, name)
        for name, written in re.findall(r"^(regcache_\w+)\{(.*)\} ", text, re.MULTILINE):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', written))
            base = re.sub("_(bucket|sum|count)$", "", name)
            self.assertEqual(labels.keys() - {"le"}, documented[base], name)
            self.assertIn(labels.get("kind", "blob"), _KINDS)
            self.assertIn(labels.get("outcome", "hit"), _OUTCOMES)
            self.assertIn(labels.get("upstream", ""), ("", "upstream.test"))
        remaining = daemon.metric("regcache_upstream_ratelimit_remaining", upstream="upstream.test")
        self.assertEqual(remaining, 7)

    def documented(self) -> dict[str, set[str]]:
        """The labels of each metric of the table."""
        lines = OPERATIONS.read_text().splitlines()
        table = "\n".join(line for line in lines if line.startswith("| `regcache_"))
        found = re.findall(r"`(regcache_\w+)(?:\{([\w,]+)\})?`", table)
        return {
            name: set(labels.split(",")) - {""} or ({"account"} if "_account_" in name else set())
            for name, labels in found
        }


class ScrapeTests(PullThroughCase):
    """What a Prometheus finds."""

    def test_scrape(self) -> None:
        """It takes what metrics_endpoint tells, and every panel and alert can be computed."""
        upstream = self.faulty_upstream()
        blob = upstream.add_generated_blob(REPOSITORY, 100_000, "scraped")
        port = free_port()
        admin = {"metrics_endpoint": f"tcp:{port}:interface=127.0.0.1"}
        daemon = self.regcache({**upstream_config(upstream.url), "admin": admin})
        for _ in range(2):
            answer = daemon.client().get(f"/v2/{REPOSITORY}/blobs/{blob.digest}")
            self.assertEqual(len(answer.body), 100_000)
        self.assertEqual(
            RegistryClient(f"http://127.0.0.1:{port}").get("/api/v1/status").status, 404
        )
        prometheus = Prometheus(f"127.0.0.1:{port}")
        self.addCleanup(prometheus.close)
        prometheus.wait_for('up{job="regcache"}', 1)
        for outcome in ("miss", "hit"):
            prometheus.wait_for(f'regcache_requests_total{{kind="blob",outcome="{outcome}"}}', 1)
        prometheus.wait_for('regcache_served_bytes_total{upstream="upstream.test"}', 200_000)
        prometheus.wait_for('regcache_upstream_bytes_total{upstream="upstream.test"}', 100_000)
        prometheus.wait_for("regcache_ready", 1)
        for query in dashboard_queries():
            prometheus.ask(query)
        healthy = dict.fromkeys(alerts(), "ok")
        wait_until(lambda: prometheus.rule_states() == healthy, "all alerts were computed")
        self.assertEqual(prometheus.ask("ALERTS"), [])
