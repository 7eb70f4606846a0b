"""One blob by curl, over HTTP/2: the sink speaks only HTTP/1.1."""

import os
import subprocess
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

from benchmarks.load import Fetched, LoadFailedError

_PIECE = 1 << 20
_TIMEOUT = 240


@dataclass(frozen=True)
class Http2Fetch:
    """What curl is to fetch.

    :ivar rate: bytes per second that it takes; 0 for all that it gets.
    """

    port: int
    path: str
    rate: int = 0

    def run(self) -> Fetched:
        """Fetch it.

        :raises LoadFailedError: if that fails, or is not HTTP/2.
        """
        url = f"https://127.0.0.1:{self.port}{self.path}"
        command = [
            "curl",
            "-skfN",
            "--http2",
            "--max-time",
            str(_TIMEOUT),
            "-w",
            "%{stderr}%{http_version}",
        ]
        limit = ["--limit-rate", str(self.rate)] if self.rate else []
        began = time.perf_counter()
        with subprocess.Popen(
            [*command, *limit, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as curl:
            assert curl.stdout is not None
            assert curl.stderr is not None
            times, count = _read(curl.stdout)
            version = curl.stderr.read().decode()
        if curl.returncode or version != "2":
            raise LoadFailedError(f"curl: status {curl.returncode}, HTTP/{version}")
        seconds, first = times[-1] - began, 1000 * (times[0] - began)
        gap = max((late - early for early, late in pairwise(times)), default=0.0)
        return Fetched(seconds, count, 1, _only(first), _only(1000 * seconds), 1000 * gap)


def _read(stream: IO[bytes]) -> tuple[list[float], int]:
    """When something came, and how many bytes did."""
    times, count = [], 0
    while piece := os.read(stream.fileno(), _PIECE):
        times.append(time.perf_counter())
        count += len(piece)
    if not times:
        raise LoadFailedError("curl: nothing came")
    return times, count


def _only(value: float) -> dict[str, float]:
    """One value where others have several."""
    return {"p50": value, "p99": value, "max": value}
