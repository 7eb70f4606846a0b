"""Where the time of a run goes: by workload and step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

TOTAL = "total"
"""The step that all others are part of."""


class Timings:
    """Adds up seconds.

    :ivar seconds: by workload and step, in the order in which they came first.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, dict[str, float]] = {}

    @contextmanager
    def step(self, workload: str, name: str) -> Iterator[None]:
        """Add the time of this block, whether or not it fails."""
        began = time.monotonic()
        steps = self.seconds.setdefault(workload, {})
        steps.setdefault(name, 0.0)
        try:
            yield
        finally:
            steps[name] += time.monotonic() - began

    def total(self, workload: str) -> float:
        """Seconds of everything; 0 if the workload did not run."""
        return self.seconds.get(workload, {}).get(TOTAL, 0.0)

    def line(self, workload: str) -> str:
        """The total, and the steps that took a tenth of a second or more, the longest first."""
        steps = self.seconds.get(workload, {})
        longest = sorted(steps.items(), key=lambda item: -item[1])
        parts = [
            f"{name} {seconds:.1f}" for name, seconds in longest if name != TOTAL and seconds >= 0.1
        ]
        return f"{self.total(workload):.1f} s" + (f": {', '.join(parts)}" if parts else "")
