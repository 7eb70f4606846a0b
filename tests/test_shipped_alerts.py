"""The alerts and the dashboard that are shipped, and the names that they ask for."""

import json
import re
from datetime import date

import yaml
from prometheus_client import CollectorRegistry, generate_latest
from twisted.trial.unittest import SynchronousTestCase

from regcache.account_metrics import AccountMetrics
from regcache.metrics import Metrics
from regcache.usage import Usage, UsageKey
from tests.support.documents import GUIDES, text_of
from tests.support.processes import CHECKOUT
from tests.support.prometheus import DASHBOARD, alerts, dashboard_queries, metric_names

TESTS = CHECKOUT / "tests" / "integration" / "alerts_test.yml"
OPERATIONS = CHECKOUT / "docs" / "operations.md"


def all_samples() -> list[str]:
    """The lines of all samples that there may be."""
    metrics = Metrics(["docker.io"])
    metrics.certificates.ends = lambda: {"chain": 1.0}
    metrics.ratelimit_remaining("docker.io", 1)
    metrics.request(
        upstream="docker.io",
        kind="blob",
        outcome="hit",
        status=200,
        seconds=1.0,
        first_byte=1.0,
        body_bytes=1,
    )
    return metrics.render().decode().splitlines()


def known_names() -> set[str]:
    """Their names."""
    return {line.partition("{")[0].partition(" ")[0] for line in all_samples()}


def of_accounts() -> list[str]:
    """The lines of what accounts use."""
    accounts = AccountMetrics()
    accounts.add({UsageKey(date(2026, 12, 1), "alice", "", "docker.io"): Usage(requests=1)})
    registry = CollectorRegistry()
    registry.register(accounts)
    return generate_latest(registry).decode().splitlines()


class NameTests(SynchronousTestCase):
    """All that is asked for exists."""

    def test_names(self) -> None:
        """Alerts and panels ask for metrics that the daemon has."""
        known = known_names()
        queries = [*(rule["expr"] for rule in alerts().values()), *dashboard_queries()]
        for query in queries:
            self.assertEqual(metric_names(query) - known, set(), query)
            self.assertTrue(metric_names(query) or "up{" in query, query)

    def test_documents(self) -> None:
        """Each metric that a document names is there, with the labels that it says."""
        samples, found = [*all_samples(), *of_accounts()], 0
        for name in GUIDES:
            for metric, labels in re.findall(
                r"`(regcache_[a-z_]+)(?:{([a-z,]+)})?`", text_of(name)
            ):
                found += 1
                own = [line for line in samples if line.startswith(metric)]
                wanted = [f'{label}="' for label in labels.split(",") if label]
                fits = (all(label in line for label in wanted) for line in own)
                self.assertTrue(any(fits), (name, metric, labels))
        self.assertGreater(found, 30)

    def test_all_are_used(self) -> None:
        """Each of our metrics is in a panel or an alert, so that none is forgotten."""
        queries = [*(rule["expr"] for rule in alerts().values()), *dashboard_queries()]
        used = set().union(*map(metric_names, queries))
        ours = {name for name in known_names() if name.startswith("regcache_")}
        apart = ("_sum", "_count", "_created", "_reload_success_timestamp_seconds")
        self.assertEqual({name for name in ours - used if not name.endswith(apart)}, set())

    def test_tested(self) -> None:
        """Each alert has a test in which it fires, and its words in the documentation."""
        tests = [each["name"] for each in yaml.safe_load(TESTS.read_text())["tests"]]
        self.assertEqual(tests, list(alerts()))
        for name, rule in alerts().items():
            self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"))
            self.assertTrue(f"`{name}`" in OPERATIONS.read_text(), name)

    def test_dashboard(self) -> None:
        """The panels do not overlap, have numbers of their own, and one data source."""
        panels = json.loads(DASHBOARD.read_text())["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            place = panel["gridPos"]
            columns = range(place["x"], place["x"] + place["w"])
            cells = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
            self.assertEqual(cells & taken, set(), panel["title"])
            self.assertLessEqual(place["x"] + place["w"], 24)
            taken |= cells
            self.assertEqual(panel["datasource"]["uid"], "${datasource}")
