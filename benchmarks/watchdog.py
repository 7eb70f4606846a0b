"""twistd with a watchdog in its reactor: ``python -m benchmarks.watchdog FILE <twistd arguments>``.

A call that is due every 5 ms notes how late it comes. Every delay of more than 4 ms is one line in
FILE, a JSON array: the monotonic time in seconds; the delay, the processor time that the reactor's
thread took in it, and the garbage collector's part of that, all in ms; and where the thread was
found meanwhile. Delay without processor time is waiting: for the disk, for the interpreter's lock,
or for a core.

A thread of its own looks where the reactor's thread is while a call is late. It needs the
interpreter's lock for that, so it sees what follows a function in C that keeps the lock.
"""

import gc
import json
import sys
import threading
import time
from types import FrameType
from typing import Any, TextIO

from twisted.internet import reactor
from twisted.scripts.twistd import run

INTERVAL = 0.005
_NOTED = 0.004
_LOOK = 0.010
_MOST_FRAMES = 4
_OURS = "/regcache/"


class Watchdog:
    """Notes how late it is called, and why."""

    def __init__(self, output: TextIO, clock: Any) -> None:
        self._output = output
        self._clock = clock
        self._last = (0.0, 0.0)
        self._collecting = self._collected = 0.0
        self._places: list[str] = []

    def start(self) -> None:
        """Begin to be called."""
        gc.callbacks.append(self._collection)
        self._last = (time.monotonic(), time.thread_time())
        looking = threading.Thread(
            target=self._look, args=(threading.get_ident(),), name="watchdog", daemon=True
        )
        looking.start()
        self._clock.callLater(INTERVAL, self._tick)

    def _tick(self) -> None:
        now = (time.monotonic(), time.thread_time())
        last, self._last = self._last, now
        delay = now[0] - last[0] - INTERVAL
        places, self._places = self._places, []
        collected, self._collected = self._collected, 0.0
        if delay > _NOTED:
            times = [delay * 1000, (now[1] - last[1]) * 1000, collected * 1000]
            row = [round(now[0], 6), *(round(each, 3) for each in times), *places]
            self._output.write(f"{json.dumps(row)}\n")
        self._clock.callLater(INTERVAL, self._tick)

    def _look(self, thread: int) -> None:
        """In a thread: where the reactor is whenever its call is overdue."""
        while True:
            time.sleep(_LOOK)
            if time.monotonic() - self._last[0] > INTERVAL + _LOOK:
                self._places.append(describe(sys._current_frames().get(thread)))

    def _collection(self, phase: str, _about: dict[str, int]) -> None:
        """Collections run in whichever thread makes objects; all others wait."""
        if phase == "start":
            self._collecting = time.monotonic()
        else:
            self._collected += time.monotonic() - self._collecting


def describe(frame: FrameType | None) -> str:
    """The innermost function, and the innermost of ours that lead to it."""
    places: list[str] = []
    while frame is not None and len(places) < _MOST_FRAMES:
        file = frame.f_code.co_filename
        if not places or _OURS in file:
            name = file.rpartition(_OURS)[2] if _OURS in file else "/".join(file.split("/")[-2:])
            places.append(f"{name}:{frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(places)


def main() -> None:
    """Run twistd with the rest of the arguments."""
    output = open(sys.argv.pop(1), "a", buffering=1)  # noqa: SIM115 (as long as the process)
    watched: Any = reactor
    watched.callWhenRunning(Watchdog(output, watched).start)
    run()


if __name__ == "__main__":
    main()
