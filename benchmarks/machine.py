"""The machine: what is missing on it, what it is, and what the load client can do on it."""

import os
import platform
import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.content import blob_path
from benchmarks.load import Fetch, run_wrk
from benchmarks.tokens import AUTHORIZATION
from benchmarks.workload import Bench

_PROGRAMS = {
    "docker-registry": "docker-registry",
    "nginx": "nginx",
    "varnishd": "varnish",
    "wrk": "wrk",
    "gcc": "gcc",
    "openssl": "openssl",
    "ss": "iproute2",
    "taskset": "util-linux",
}
_HEADER = Path("/usr/include/openssl/ssl.h")
_C_HEADER = Path("/usr/include/stdio.h")


def extend_path() -> None:
    """Servers are found where a plain user's PATH lacks the sbin folders, too."""
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def missing_packages() -> list[str]:
    """Debian packages that have to be installed first."""
    missing = {package for program, package in _PROGRAMS.items() if shutil.which(program) is None}
    if not _HEADER.exists():
        missing.add("libssl-dev")
    if not _C_HEADER.exists():
        missing.add("libc6-dev")
    return sorted(missing)


def have_memory(size: int) -> None:
    """Use so much memory (bytes) twice, page by page, and give it back.

    A virtual machine may lend free memory to its host, within seconds ("free page reporting" of
    Linux). Then each page that is used next has to be asked for: writing 1 GiB to files took 2.6 s
    of CPU instead of 0.2. No server is to pay for that because its turn came after a pause. One
    pass is not enough: what the first gave back goes out again while it runs.
    """
    if size:
        for _ in range(2):
            _fill_memory(size)


def _fill_memory(size: int) -> None:
    """As a file in memory: its pages come one by one, as those of a server's files do."""
    data = bytes(1 << 20)
    with open(os.memfd_create("memory"), "wb", buffering=0) as file:
        for _ in range(-(-size // len(data))):
            file.write(data)


def describe(other: Path | None = None) -> dict[str, str]:
    """What the figures depend on.

    :param other: the checkout of regcache that takes part, too.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{_release()}, Linux {platform.release()}",
        "regcache": _revision(Path(__file__).parent),
        **({"regcache of another checkout": _revision(other)} if other else {}),
        "Python": platform.python_version(),
        "Twisted": version("Twisted"),
        "docker-registry": _first_line("docker-registry", "--version"),
        "nginx": _first_line("nginx", "-v"),
        "Varnish": _first_line("varnishd", "-V"),
    }


def busy_cores(seconds: float = 0.5) -> float:
    """How many cores others use: with anything but next to none the figures say little."""
    before = _idle_ticks()
    time.sleep(seconds)
    idle = (_idle_ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds
    return max(0.0, (os.cpu_count() or 1) - idle)


def client_alone(bench: Bench) -> dict[str, float]:
    """What the load clients and the upstreams can do with no cache between them."""
    fast, paced = bench.fast.port, bench.paced.port
    big = [blob_path(bench.content.big)] * 4
    tiny = [blob_path(digest) for digest in bench.content.tiny]
    paced_blob = [blob_path(bench.content.paced)]
    transfer = Fetch(fast, big, header=AUTHORIZATION).run(bench.sink)
    small = Fetch(fast, tiny, 16, header=AUTHORIZATION).run(bench.sink)
    late = Fetch(paced, paced_blob, header=AUTHORIZATION).run(bench.sink)
    requests = run_wrk(f"http://127.0.0.1:{fast}/v2/", 64, 1, AUTHORIZATION)
    return {
        "sink, fast upstream, MB/s": transfer.megabytes_per_second,
        "sink, fast upstream, 4 KiB blobs/s": small.done / small.seconds,
        "sink, paced upstream, MB/s": late.megabytes_per_second,
        "wrk, fast upstream, requests/s": requests.per_second,
    }


def _idle_ticks() -> int:
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(words[4]) + int(words[5])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _release() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")


def _revision(here: Path) -> str:
    """The commit that is measured, with a plus where the tree differs from it."""
    command = ["git", "-C", str(here), "describe", "--always", "--dirty=+"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def _first_line(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return "not installed"
    done = subprocess.run(command, capture_output=True, text=True)
    text = (done.stdout + done.stderr).splitlines()[0]
    return text.rpartition("version: ")[2].removeprefix("varnishd (").rstrip(")")
