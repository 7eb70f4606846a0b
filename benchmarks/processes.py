"""Servers as children: started, measured from outside, pinned to cores, and always ended."""

import atexit
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

AT_REST = 0.025
"""The part of a core below which a server has nothing to do any more."""

_LOOK = 0.08

_PATIENCE = 10.0
"""Seconds in which a process has to tell what it was asked by a signal."""

_running: list["Server"] = []


class ServerFailedError(Exception):
    """A server ended, or never answered."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One program with its children, in a session of its own.

    :param log: gets both outputs.
    :param at_rest: what part of a core it takes at most while it has nothing to do.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        at_rest: float = AT_REST,
    ) -> None:
        self._log = log
        self._at_rest = at_rest
        self.started = time.monotonic()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        _running.append(self)

    def tree(self) -> list[int]:
        """The process and all its descendants."""
        found = [self._process.pid]
        for process in found:
            found.extend(_children(process))
        return found

    def wait_ready(
        self, port: int, tls: bool = False, timeout: float = 60.0, host: str = "127.0.0.1"
    ) -> float:
        """Wait until ``/v2/`` is answered with 200 or 401.

        :returns: seconds since the start of the program.
        :raises ServerFailedError: if it ends or stays silent.
        """
        while self._process.poll() is None and time.monotonic() < self.started + timeout:
            if _status(host, port, tls) in (200, 401):
                return time.monotonic() - self.started
            time.sleep(0.003)
        self.stop()
        words = self._log.read_text(errors="replace")[-2000:]
        raise ServerFailedError(f"{self._process.args!r} does not answer:\n{words}")

    def cpu_seconds(self) -> float:
        """User and system time of the whole tree so far."""
        return sum(_cpu_seconds(process) for process in self.tree())

    def settled_cpu_seconds(self, timeout: float = 10.0) -> float:
        """The same once the work that goes on behind the answers has ended too."""
        limit = time.monotonic() + timeout
        before, now = -1.0, self.cpu_seconds()
        while now - before > self._at_rest * _LOOK and time.monotonic() < limit:
            time.sleep(_LOOK)
            before, now = now, self.cpu_seconds()
        return now

    def resident_mib(self, peak: bool = False) -> float:
        """Resident memory of the tree now, or the sum of each process' highest so far."""
        key = "VmHWM:" if peak else "VmRSS:"
        return sum(_memory_kib(process, key) for process in self.tree()) / 1024

    def forget_peak(self) -> None:
        """Let the highest resident memory begin anew."""
        for process in self.tree():
            with suppress(OSError):
                Path(f"/proc/{process}/clear_refs").write_text("5")

    def pin(self, cores: Iterable[int]) -> None:
        """Let all threads of the tree run on these cores only."""
        wanted = set(cores)
        for process in self.tree():
            with suppress(OSError):
                for thread in os.listdir(f"/proc/{process}/task"):
                    os.sched_setaffinity(int(thread), wanted)

    def stop(self) -> None:
        """SIGTERM, soon SIGKILL, for the whole tree. Idempotent."""
        tree = self.tree()
        with suppress(subprocess.TimeoutExpired):
            self._process.terminate()
            self._process.wait(5)
        for process in tree:
            if process == self._process.pid or _session(process) == self._process.pid:
                with suppress(OSError):
                    os.kill(process, signal.SIGKILL)
        self._process.wait(5)
        if self in _running:
            _running.remove(self)


def ask_by_signal(process: int, number: int, path: str) -> Any:
    """Have a process write a file of JSON, by a signal; what is in it. The file is removed.

    :raises ServerFailedError: if it does not in time.
    """
    os.kill(process, number)
    end = time.monotonic() + _PATIENCE
    while not os.path.exists(path):
        if time.monotonic() > end:
            raise ServerFailedError("the daemon does not tell what it has seen")
        time.sleep(0.05)
    with open(path, encoding="ascii") as file:
        found = json.load(file)
    os.remove(path)
    return found


def stop_all() -> None:
    """End every server that still runs."""
    for server in list(_running):
        server.stop()


atexit.register(stop_all)


def _status(host: str, port: int, tls: bool) -> int:
    """The status of /v2/; 0 if there is no answer."""
    connection = HTTPConnection(host, port, timeout=5)
    if tls:
        unverified = ssl._create_unverified_context()
        connection = HTTPSConnection(host, port, timeout=5, context=unverified)
    try:
        connection.request("GET", "/v2/")
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except OSError:
        return 0
    finally:
        connection.close()


def _children(process: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):
            text = Path(f"/proc/{process}/task/{thread}/children").read_text()
            found.extend(int(word) for word in text.split())
    return found


def _cpu_seconds(process: int) -> float:
    """From the clock that the kernel keeps per process: exact, where /proc counts in 10 ms."""
    with suppress(OSError):
        return time.clock_gettime(~process << 3 | 2)
    return 0.0


def _memory_kib(process: int, key: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1])
    return 0


def _session(process: int) -> int:
    try:
        return os.getsid(process)
    except OSError:
        return 0
