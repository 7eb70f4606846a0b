"""Where regcache's time goes: a profile of one more run, by py-spy where it is, else cProfile."""

import io
import os
import pstats
import re
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.peers import Regcache

_RATE = 250
_SHOWN = 40
_IDLE = (
    "Condition.wait ",
    "EPollReactor.doPoll ",
    "wait (threading",
    "doPoll ",
    "_Threads._work (regcache",
    "SendThreads._work (regcache",
)
_THREAD = re.compile(r": (?:PoolThread-)?(.*?)(?:-\d+)?$")
_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")


class Profiler(ABC):
    """Watches one run.

    :param base: of the files it writes: ``.txt`` for people, and what it is made from.
    """

    def __init__(self, base: Path) -> None:
        self.text = base.with_suffix(".txt")
        self._raw = base.with_suffix(".raw")

    @abstractmethod
    def furnish(self, peer: Regcache) -> None:
        """Before the server is started."""

    @abstractmethod
    def begin(self, peer: Regcache) -> None:
        """The measurement begins."""

    @abstractmethod
    def end(self, peer: Regcache) -> None:
        """The measurement has ended: stop the server and write."""


class Sampling(Profiler):
    """py-spy: all threads, only the time of the measurement, and the server hardly notices."""

    def furnish(self, peer: Regcache) -> None:
        """Nothing: it attaches later."""

    def begin(self, peer: Regcache) -> None:
        program, process = _find_sampler(), str(peer.server.tree()[0])
        options = ["-f", "raw", "-F", "-t", "-r", str(_RATE), "-o", str(self._raw)]
        self._sampler = subprocess.Popen(
            [str(program), "record", *options, "-p", process],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.5)  # it reads the interpreter's symbols first

    def end(self, peer: Regcache) -> None:
        self._sampler.send_signal(signal.SIGINT)
        self._sampler.wait(30)
        peer.stop()
        self.text.write_text(summary(self._raw.read_text().splitlines()))


class Tracing(Profiler):
    """cProfile within twistd: the reactor's thread alone, from its start, and slower by it."""

    def furnish(self, peer: Regcache) -> None:
        peer.twistd_options = ["--profile", str(self._raw), "--savestats"]

    def begin(self, peer: Regcache) -> None:
        """Nothing: it looks on since the start."""

    def end(self, peer: Regcache) -> None:
        peer.stop()
        text = io.StringIO()
        pstats.Stats(str(self._raw), stream=text).sort_stats("tottime").print_stats(_SHOWN)
        self.text.write_text(text.getvalue())


def make_profiler(base: Path) -> Profiler:
    """The better of the two that can be used here."""
    return Sampling(base) if _may_attach() and _find_sampler() else Tracing(base)


def summary(stacks: Iterable[str]) -> str:
    """Own time and time with all that is called, by function, in per cent of the samples.

    Samples of threads that wait for work count for nothing.
    """
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        if not frames or frames[-1].startswith(_IDLE):
            continue
        found = _THREAD.search(thread)
        own[f"{frames[-1]}   [{found[1] if found else thread}]"] += int(count)
        whole.update({frame: int(count) for frame in frames})
    samples = sum(own.values()) or 1
    parts = []
    for title, counted in (("own time", own), ("with what is called", whole)):
        rows = [
            f"{100 * count / samples:6.1f} %  {what}" for what, count in counted.most_common(_SHOWN)
        ]
        parts.append("\n".join([title, *rows]))
    return "\n\n".join([f"{samples} samples, {_RATE} a second and thread", *parts]) + "\n"


def _find_sampler() -> str | None:
    beside = str(Path(sys.executable).parent)
    return shutil.which("py-spy", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")


def _may_attach() -> bool:
    """Root may always; others may where the kernel does not restrict it to descendants."""
    return os.geteuid() == 0 or not _SCOPE.exists() or _SCOPE.read_text().strip() == "0"
