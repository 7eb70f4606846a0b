"""What is shipped for Prometheus and Grafana, and a Prometheus that scrapes a daemon."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from tests.support.processes import CHECKOUT, Server, Workspace, free_port, require, wait_until
from tests.support.registry_client import RegistryClient

ALERTS = CHECKOUT / "etc" / "prometheus" / "alerts.yml"
DASHBOARD = CHECKOUT / "etc" / "grafana" / "regcache.json"
_NAME = re.compile(r"\b(?:regcache|process)_[a-z0-9_]+")


def alerts() -> dict[str, dict[str, Any]]:
    """The alerts by their names."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def dashboard_queries() -> Iterator[str]:
    """What the panels of the dashboard ask, with values for its variables."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")


def metric_names(query: str) -> set[str]:
    """The metrics that a query asks for."""
    return set(_NAME.findall(query))


class Prometheus:
    """A Prometheus that scrapes one target each second, with our alerts."""

    def __init__(self, target: str) -> None:
        require("prometheus")
        self._workspace = Workspace()
        port = free_port()
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [{"job_name": "regcache", "static_configs": [{"targets": [target]}]}],
        }
        file = self._workspace.file("prometheus.yml", yaml.safe_dump(config))
        command = ["prometheus", f"--config.file={file}", "--log.level=warn"]
        command.append(f"--storage.tsdb.path={self._workspace.path / 'data'}")
        command.append(f"--web.listen-address=127.0.0.1:{port}")
        self._client = RegistryClient(f"http://127.0.0.1:{port}")
        self.server = Server(command, self._workspace.path / "log", cwd=self._workspace.path)
        self.server.wait_ready(self._is_ready)

    def _is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status == 200
        except OSError:
            return False

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The samples that a query finds now."""
        answer = json.loads(self._client.get(f"/api/v1/query?query={quote(query)}").body)
        assert answer["status"] == "success", f"{query}: {answer}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def value(self, query: str) -> float | None:
        """The value of its only sample; None where there is none."""
        found = self.ask(query)
        return float(found[0]["value"][1]) if found else None

    def wait_for(self, query: str, value: float) -> None:
        """Wait until a query has that value."""
        wait_until(lambda: self.value(query) == value, f"{query} is {value}")

    def rule_states(self) -> dict[str, str]:
        """The health of each alert, by its name."""
        groups = json.loads(self._client.get("/api/v1/rules").body)["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    def close(self) -> None:
        """Stop it."""
        self.server.kill()
        self._workspace.remove()


def rules_file(queries: Iterator[str], folder: Path) -> Path:
    """A file of rules that record what queries find, so that promtool looks at them."""
    rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(queries)]
    file = folder / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    return file
