"""How the process ends where the reactor's own way is not enough.

Private: ``os._exit``. It is documented, but ends the process without its usual last acts.

Why: twistd ends with 0 after every orderly stop, also after one that a fault made necessary.
Only another status tells the service manager. And the interpreter waits for all threads: one
that hangs in the kernel, with a disk that does not answer, would keep the process for ever.

Replaced by: a reactor that takes the exit status when it is stopped; an interpreter that ends
without its threads.
"""

import atexit
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Thread

FAILED = 1
#: Seconds that the last words may take: their pipe may have no reader.
LAST_WORDS = 1.0


def exit_in_failure() -> None:
    """Have the process end with the exit status 1, whenever it ends.

    Functions that were registered with :mod:`atexit` before are not called then.
    """
    atexit.register(_exit)


def _exit() -> None:
    _flush()
    os._exit(FAILED)


def _flush() -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()


class ExitDeadline:
    """A time at which the process ends, even if something hangs in it.

    It needs neither the reactor nor any other thread.

    :param last_words: called before the end, in a thread of its own; gives the exit status.
    """

    def __init__(self, last_words: Callable[[], int]) -> None:
        self._last_words = last_words
        self._changed = Condition()
        self._at: float | None = None

    def set(self, seconds: float) -> None:
        """End in so many seconds, unless an earlier end was set before."""
        at = time.monotonic() + seconds
        with self._changed:
            first = self._at is None
            self._at = at if self._at is None else min(self._at, at)
            self._changed.notify()
        if first:
            Thread(target=self._wait, name="deadline", daemon=True).start()

    def _wait(self) -> None:
        with self._changed:
            while self._at is not None and (left := self._at - time.monotonic()) > 0:
                self._changed.wait(left)
        status = [FAILED]

        def speak() -> None:
            status[0] = self._last_words()
            _flush()

        speaking = Thread(target=speak, daemon=True)
        with suppress(RuntimeError):  # the interpreter has begun to end, and starts no thread
            speaking.start()
            speaking.join(LAST_WORDS)
        os._exit(status[0])
