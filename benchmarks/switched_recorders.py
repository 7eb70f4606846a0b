"""Runs twistd with a daemon that keeps requests for the API in every other few hundred of them.

    python -m benchmarks.switched_recorders FILE TWISTD-OPTION…

So what keeping costs is seen in one process, and what the machine does beside falls on both: two
daemons that are alike differ by more, as their memory lies elsewhere. A signal has it write to the
file what was seen since the last one.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from twisted.scripts.twistd import run

from regcache.admin.requests.pending import PendingRecords
from regcache.web.records import RequestRecord

TELL = signal.SIGRTMIN
"""Writes what was seen. The daemon minds no such signal itself."""

SLICE = 256
"""Requests that are all kept, or all not."""

ORDER = (True, False, False, True)
"""Whether those of a slice are kept; again and again, so that no drift favours either."""


class _Slices:
    """Times slices of requests in the reactor's thread.

    :param path: of the file.
    :ivar is_on: whether requests are kept now.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._begin()

    def _begin(self) -> None:
        self._seen: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        self._number = self._left = -1  # the first request begins a slice
        self._begun = (0.0, 0.0)
        self.is_on = True

    def next(self) -> None:
        """A request has ended."""
        self._left -= 1
        if self._left > 0:
            return
        now = (time.perf_counter(), time.thread_time())
        if self._left == 0:
            wall, processor = now[0] - self._begun[0], now[1] - self._begun[1]
            self._seen[self.is_on].append((wall / SLICE * 1e6, processor / SLICE * 1e6))
        self._number += 1
        self.is_on, self._left = ORDER[self._number % len(ORDER)], SLICE
        self._begun = now

    def tell(self, *_: object) -> None:
        """Write the microseconds of each request, by slice: (clock, processor); begin anew."""
        with open(self._path + ".new", "w", encoding="ascii") as file:
            json.dump({"kept": self._seen[True], "not_kept": self._seen[False]}, file)
        os.rename(self._path + ".new", self._path)
        self._begin()

    def before(self, keep: Callable[[Any, RequestRecord], None]) -> Any:
        """A recorder's method that keeps while it is on."""

        def call(recorder: Any, record: RequestRecord) -> None:
            self.next()
            if self.is_on:
                keep(recorder, record)

        return call


def main() -> None:
    """Put the switch before what recorders do, and run."""
    slices = _Slices(sys.argv.pop(1))
    signal.signal(TELL, slices.tell)
    kind: Any = PendingRecords
    kind.__call__ = slices.before(kind.__call__)
    run()


if __name__ == "__main__":
    main()
