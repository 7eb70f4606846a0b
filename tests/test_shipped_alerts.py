"""The alerts and the dashboard that are shipped, and the names that they ask for."""

import json

import yaml
from twisted.trial.unittest import SynchronousTestCase

from regcache.metrics import Metrics
from tests.support.processes import CHECKOUT
from tests.support.prometheus import DASHBOARD, alerts, dashboard_queries, metric_names

TESTS = CHECKOUT / "tests" / "integration" / "alerts_test.yml"
OPERATIONS = CHECKOUT / "docs" / "operations.md"


def known_names() -> set[str]:
    """The names of all samples that there may be."""
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
    text = metrics.render().decode()
    return {line.partition("{")[0].partition(" ")[0] for line in text.splitlines()}


class NameTests(SynchronousTestCase):
    """All that is asked for exists."""

    def test_names(self) -> None:
        """Alerts and panels ask for metrics that the daemon has."""
        known = known_names()
        queries = [*(rule["expr"] for rule in alerts().values()), *dashboard_queries()]
        for query in queries:
            self.assertEqual(metric_names(query) - known, set(), query)
            self.assertTrue(metric_names(query) or "up{" in query, query)

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
