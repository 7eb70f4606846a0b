"""Samples of every round, and the medians that are compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

DIRECT = "direct"
"""The name under which a fetch without any cache is kept."""


@dataclass
class Figures:
    """Samples by workload, server and metric, in the order of the rounds."""

    samples: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)

    def add(self, workload: str, server: str, values: Mapping[str, float]) -> None:
        """Note one round of one server."""
        metrics = self.samples.setdefault(workload, {}).setdefault(server, {})
        for metric, value in values.items():
            metrics.setdefault(metric, []).append(value)

    def median(self, workload: str, server: str, metric: str) -> float | None:
        """The median over the rounds; None for what was not measured."""
        found = self.samples.get(workload, {}).get(server, {}).get(metric)
        return median(found) if found else None

    def medians(self) -> dict[str, dict[str, dict[str, float]]]:
        """All medians, for the report."""
        return {
            workload: {
                server: {metric: median(values) for metric, values in metrics.items()}
                for server, metrics in servers.items()
            }
            for workload, servers in self.samples.items()
        }

    def as_json(self) -> dict[str, Any]:
        """Samples and medians."""
        return {"medians": self.medians(), "samples": self.samples}
