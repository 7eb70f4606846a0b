"""The load: the sink (transfers) and wrk (requests), run and read."""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

_SOURCE = Path(__file__).with_name("sink.c")
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_TIMEOUT = 240.0


class LoadFailedError(Exception):
    """Answers failed or were wrong: their speed means nothing."""


def build_sink(folder: Path) -> Path:
    """Compile the sink if it is older than its source."""
    return compile_program(_SOURCE, folder / "sink", "-lssl", "-lcrypto")


def compile_program(source: Path, program: Path, *libraries: str) -> Path:
    """Compile a program if it is older than its source."""
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        command = ["gcc", "-O2", "-o", str(program), str(source), *libraries]
        subprocess.run(command, check=True)
    return program


@dataclass(frozen=True)
class Fetched:
    """What the sink saw; times in ms.

    :ivar longest_gap_ms: the longest time that nothing came of a body that had begun.
    """

    seconds: float
    bytes: int
    done: int
    first_byte_ms: dict[str, float]
    total_ms: dict[str, float]
    longest_gap_ms: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what it printed.

        :raises LoadFailedError: if an answer failed.
        """
        read: dict[str, Any] = json.loads(text)
        if read.pop("failed") or read.pop("refused"):
            raise LoadFailedError(f"answers failed: {text.strip()}")
        return cls(**read)

    @property
    def megabytes_per_second(self) -> float:
        """10^6 bytes per second, over the whole time."""
        return self.bytes / self.seconds / 1e6


@dataclass(frozen=True)
class Fetch:
    """A load for the sink.

    :ivar paths: each is fetched once, by whichever connection is free.
    :ivar rate: bytes per second that each connection takes; 0 for all it gets.
    :ivar seconds: when to stop whatever is missing; 0 for never.
    :ivar cores: where it may run; empty for anywhere.
    :ivar namespace: the network namespace to run in; empty for this one.
    """

    port: int
    paths: Sequence[str]
    connections: int = 1
    tls: bool = False
    rate: float = 0
    seconds: float = 0
    header: str = ""
    cores: Iterable[int] = field(default=())
    host: str = "127.0.0.1"
    namespace: str = ""

    def start(self, sink: Path) -> "Running":
        """Begin, and do not wait."""
        values = [self.port, self.connections, self.rate, self.seconds, int(self.tls)]
        command = [str(sink), self.host, *map(str, values), self.header]
        if self.namespace:
            command = ["ip", "netns", "exec", self.namespace, *command]
        process = subprocess.Popen(
            pinned(command, self.cores),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write("".join(f"{path}\n" for path in self.paths))
        process.stdin.close()
        return Running(process)

    def run(self, sink: Path) -> Fetched:
        """Fetch everything.

        :raises LoadFailedError: if anything fails.
        """
        return self.start(sink).wait()


class Running:
    """A sink at work."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def wait(self) -> Fetched:
        """What it saw, once it has ended.

        :raises LoadFailedError: if anything failed, or took too long.
        """
        try:
            self._process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise LoadFailedError(f"nothing ended in {_TIMEOUT:g} s") from None
        finally:
            self._process.kill()
        assert self._process.stdout is not None
        with self._process.stdout:
            return Fetched.parse(self._process.stdout.read())


def pinned(command: list[str], cores: Iterable[int]) -> list[str]:
    """The command, on these cores; as it is for none."""
    listed = ",".join(map(str, cores))
    return ["taskset", "-c", listed, *command] if listed else command


@dataclass(frozen=True)
class Requests:
    """What wrk saw."""

    per_second: float
    p50_ms: float
    p99_ms: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read its report.

        :raises LoadFailedError: if an answer was no success, or none came.
        """
        if "Non-2xx" in text or "Socket errors" in text:
            raise LoadFailedError(text)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
        if rate is None:
            raise LoadFailedError(text)
        return cls(float(rate[1]), _latency(text, "50%"), _latency(text, "99%"))


def _latency(text: str, part: str) -> float:
    found = re.search(rf"\n\s+{part}\s+([\d.]+)(us|ms|s|m)\s*\n", text)
    if found is None:
        raise LoadFailedError(text)
    return float(found[1]) * _UNITS[found[2]]


def read_h2load(text: str, count: int) -> float:
    """The seconds that h2load took.

    :raises LoadFailedError: if not all of its requests succeeded.
    """
    succeeded = re.search(r"(\d+) succeeded", text)
    finished = re.search(r"finished in ([\d.]+)(us|ms|s|m),", text)
    if succeeded is None or finished is None or int(succeeded[1]) != count:
        raise LoadFailedError(text)
    return float(finished[1]) * _UNITS[finished[2]] / 1000


def run_wrk(url: str, connections: int, seconds: float, header: str = "") -> Requests:
    """Ask for one URL again and again."""
    options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"]
    headers = ["-H", header] if header else []
    done = subprocess.run(
        ["wrk", *options, *headers, url],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        env={**os.environ, "LC_ALL": "C"},
    )
    return Requests.parse(done.stdout + done.stderr)
