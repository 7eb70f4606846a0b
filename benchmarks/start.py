"""What it costs to start the programs: seconds of the processor, and until they are done.

    python -m benchmarks.start [--rounds 7]

The daemon is started on an empty cache, and is done when it answers. The medians are printed. The
exit status is 1 where a command of regcachectl takes more of the processor than it may.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.processes import Server, free_port

MOST_HELP, MOST_STATUS = 0.25, 0.5
"""What ``regcachectl --help`` and ``regcachectl status`` may take (CPU seconds)."""

_BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took, in seconds."""

    cpu: float
    wall: float


def of_command(command: Sequence[str]) -> Cost:
    """Run a command to its end. :raises AssertionError: if it fails."""
    begun = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    return Cost(used.ru_utime + used.ru_stime, time.monotonic() - begun)


def of_daemon(folder: Path) -> tuple[Cost, Cost]:
    """Start a daemon until it answers; then what ``regcachectl status`` takes."""
    port, socket = free_port(), folder / "admin.sock"
    config = folder / "regcache.json"  # JSON is YAML
    config.write_text(
        json.dumps(
            {
                "listeners": [{"endpoint": f"tcp:{port}:interface=127.0.0.1"}],
                "admin": {"endpoint": None, "socket": str(socket)},
                "storage": {"directory": str(folder / "cache")},
                "upstreams": {"up.test": {"urls": ["http://127.0.0.1:1"]}},
            }
        )
    )
    command = [str(_BIN / "twistd"), "-n", "--pidfile=", "regcache", "-c", str(config)]
    server = Server(command, folder / "log")
    try:
        wall = server.wait_ready(port)
        start = Cost(server.cpu_seconds(), wall)
        return start, of_command([_regcachectl(), "--socket", str(socket), "status"])
    finally:
        server.stop()


def _regcachectl() -> str:
    return str(_BIN / "regcachectl")


def measure(rounds: int) -> dict[str, Cost]:
    """The medians by program, in interleaved rounds."""
    found: dict[str, list[Cost]] = {}
    version = [str(_BIN / "twistd"), "regcache", "--version"]
    for _ in range(rounds):
        found.setdefault("regcachectl --help", []).append(of_command([_regcachectl(), "--help"]))
        found.setdefault("twistd regcache --version", []).append(of_command(version))
        with tempfile.TemporaryDirectory() as folder:
            start, status = of_daemon(Path(folder))
        found.setdefault("twistd -n regcache, until it answers", []).append(start)
        found.setdefault("regcachectl status", []).append(status)
    return {
        name: Cost(median(each.cpu for each in costs), median(each.wall for each in costs))
        for name, costs in found.items()
    }


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    # What is compiled is kept, as it is in packages.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    measure(1)
    costs = measure(rounds)
    print("| | CPU s | s |\n|---|---|---|")
    for name, cost in costs.items():
        print(f"| `{name}` | {cost.cpu:.2f} | {cost.wall:.2f} |")
    within = (
        costs["regcachectl --help"].cpu <= MOST_HELP
        and costs["regcachectl status"].cpu <= MOST_STATUS
    )
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
