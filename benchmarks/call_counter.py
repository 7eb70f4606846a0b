"""Runs twistd, and counts the calls of functions of Python that its reactor's thread makes.

    python -P benchmarks/call_counter.py FILE TWISTD-OPTION…

It counts from one signal to the next, and then writes to the file, as JSON: the file of each
function, and how often one of that file was called. It knows nothing of the rest of this folder,
so that the daemon of another checkout can be counted, too.
"""

import json
import os
import signal
import sys
from collections import Counter
from types import FrameType

from twisted.scripts.twistd import run

TURN = signal.SIGRTMIN
"""Begins to count, or ends it. The daemon minds no such signal itself."""


class CallCounter:
    """Counts in the thread that gets the signals, which is the reactor's.

    :param path: of the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._counts: Counter[str] | None = None

    def turn(self, *_: object) -> None:
        """Begin, or end and write."""
        if self._counts is None:
            self._counts = Counter()
            sys.setprofile(self._called)
            return
        sys.setprofile(None)
        counts, self._counts = self._counts, None
        with open(self._path + ".new", "w", encoding="ascii") as file:
            json.dump(counts, file)
        os.rename(self._path + ".new", self._path)

    def _called(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and self._counts is not None:
            self._counts[frame.f_code.co_filename] += 1


def main() -> None:
    """Put the counter behind its signal, and run."""
    signal.signal(TURN, CallCounter(sys.argv.pop(1)).turn)
    run()


if __name__ == "__main__":
    main()
