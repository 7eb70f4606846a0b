"""twistd with a watchdog in its reactor: ``python -m benchmarks.watchdog FILE <twistd arguments>``.

A call that is due every 5 ms notes how late it comes. Every delay of more than 4 ms is one line in
FILE: the monotonic time in seconds, the delay, the processor time that the reactor's thread took
in it (both ms), and how often the kernel put another thread in its place. Delay without processor
time is waiting: for the disk, for the interpreter's lock, or for a core.
"""

import resource
import sys
import time
from typing import Any, TextIO

from twisted.internet import reactor
from twisted.scripts.twistd import run

INTERVAL = 0.005
_NOTED = 0.004


class Watchdog:
    """Notes how late it is called."""

    def __init__(self, output: TextIO, clock: Any) -> None:
        self._output = output
        self._clock = clock
        self._last = (0.0, 0.0, 0)

    def start(self) -> None:
        """Begin to be called."""
        self._last = (time.monotonic(), time.thread_time(), _switches())
        self._clock.callLater(INTERVAL, self._tick)

    def _tick(self) -> None:
        now = (time.monotonic(), time.thread_time(), _switches())
        last, self._last = self._last, now
        delay = now[0] - last[0] - INTERVAL
        if delay > _NOTED:
            busy = (now[1] - last[1]) * 1000
            line = f"{now[0]:.6f} {delay * 1000:.3f} {busy:.3f} {now[2] - last[2]}"
            self._output.write(f"{line}\n")
        self._clock.callLater(INTERVAL, self._tick)


def _switches() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


def main() -> None:
    """Run twistd with the rest of the arguments."""
    output = open(sys.argv.pop(1), "a", buffering=1)  # noqa: SIM115 (as long as the process)
    watched: Any = reactor
    watched.callWhenRunning(Watchdog(output, watched).start)
    run()


if __name__ == "__main__":
    main()
