"""Real programs as children of the tests: started, watched, stopped, never left behind."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from unittest import SkipTest

CHECKOUT = Path(__file__).resolve().parents[2]
_MOUNT_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


_given: set[int] = set()


def require(*programs: str) -> None:
    """Skip the test, saying so, where a program is missing; under ``CI=true`` fail it."""
    missing = [name for name in programs if find_program(name) is None]
    if missing:
        unavailable(f"not installed here: {', '.join(missing)}")


def unavailable(why: str) -> None:
    """Skip the running test, or fail it under ``CI=true``: CI never turns green by skipping."""
    if os.environ.get("CI") == "true":
        raise AssertionError(f"CI must run this test: {why}")
    raise SkipTest(why)


def require_root(what: str) -> None:
    """The same for programs that only root may run."""
    if os.geteuid() != 0:
        unavailable(f"{what} needs root")


def find_program(name: str) -> str | None:
    """The path of a program, also where a plain user's PATH lacks the sbin folders."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def given_ports() -> range:
    """The ports that this test run may use, none of which is given to outgoing connections.

    Test runs that go on side by side have ports of their own, by ``REGCACHE_TEST_PORTS``: the
    first one, for 6000, or the first and the last: ``20000-22999``.
    """
    first, _, last = os.environ.get("REGCACHE_TEST_PORTS", "20000-31999").partition("-")
    return range(int(first), int(last) + 1 if last else int(first) + 6000)


def free_port() -> int:
    """A port of 127.0.0.1 that is free now, and is not given again."""
    ports = given_ports()
    while True:
        port = random.choice(ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 60.0) -> None:
    """Look every few milliseconds until ``condition`` holds; fails after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{timeout:g} s passed without: {what}")
        time.sleep(0.02)


class Workspace:
    """A temporary folder that goes away with the test."""

    def __init__(self, prefix: str = "regcache-test-") -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix))

    def remove(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def file(self, name: str, text: str) -> Path:
        """Write a file in the folder, and its parents."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def with_hosts(command: Sequence[str], hosts_file: Path | None) -> list[str]:
    """The command in a mount name space of its own, where ``hosts_file`` is /etc/hosts."""
    if hosts_file is None:
        return list(command)
    return ["unshare", "-m", "sh", "-c", _MOUNT_HOSTS, str(hosts_file), *command]


def can_mount() -> bool:
    """Whether this machine lets the tests have a mount name space of their own."""
    return subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    hosts_file: Path | None = None,
    timeout: float = 180.0,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; a failure shows what it wrote."""
    done = subprocess.run(
        with_hosts(command, hosts_file),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(environment or {})},
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(command)}\nexit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done


class Server:
    """A program that runs until it is stopped; the kernel ends it should the tests die first."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        hosts_file: Path | None = None,
        cwd: Path | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        """
        :param descriptors: what the program gets beside its outputs, under the same numbers.
        """
        self.command, self.log_path = list(command), log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *with_hosts(command, hosts_file)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=cwd,
                pass_fds=descriptors,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process id of the program."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """The processor time that it has taken, by the clock that the kernel keeps for it."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def main_thread_seconds(self) -> float:
        """The same of its first thread alone (proc_pid_stat(5)), to some hundredths of a second."""
        fields = Path(f"/proc/{self.pid}/task/{self.pid}/stat").read_text().rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    @property
    def running(self) -> bool:
        """Whether the program has not ended yet."""
        return self._process.poll() is None

    def log(self) -> str:
        """All that the program wrote, on both outputs."""
        return self.log_path.read_text(errors="replace")

    def _last_words(self) -> str:
        return self.log()[-4000:]

    def wait_ready(self, ready: Callable[[], bool], timeout: float = 60.0) -> None:
        """Wait until ``ready()``; a program that ends or stays silent fails with its log."""
        try:
            wait_until(lambda: not self.running or ready(), "the server answers", timeout)
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{self.command[0]}: {error}\n{self._last_words()}") from None
        self.assert_running()

    def assert_running(self) -> None:
        """Fail with the exit status and the last words of a program that has ended."""
        if not self.running:
            status = self._process.returncode
            raise AssertionError(f"{self.command[0]} ended with {status}\n{self._last_words()}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for the end; the exit status."""
        return self._process.wait(timeout)

    def stop(self, timeout: float = 60.0) -> int:
        """SIGTERM, and the exit status."""
        if self.running:
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        if self.running:
            self._process.kill()
        self._process.wait(10)

    def resident_bytes(self, peak: bool = False) -> int:
        """The resident memory now (or its highest so far), from /proc."""
        key = "VmHWM:" if peak else "VmRSS:"
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
        raise AssertionError("the kernel shows no memory of the process")
