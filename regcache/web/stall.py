"""Finds out that a client has stopped taking bytes.

A transport only says when its buffer is empty again. With a slow client that can take minutes: the
kernel reports room for more when a third of its own buffer has been sent, and that buffer may be
some megabytes. So the kernel is asked how many bytes are unsent. As long as that number changes,
the client is slow, but not gone.
"""

import fcntl
import struct
import termios
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from regcache.seam.streams import stream_below

#: How many samples are taken within the time after which a client is given up.
_LOOKS = 4
#: How old a sample of the progress may be when :meth:`StallTimer.moved` is called (seconds).
_SAMPLE_AGAIN = 1.0
_INT = struct.Struct("i")


def unsent_bytes(transport: Any) -> int | None:
    """Bytes that the kernel holds for a peer that has not confirmed them; None if unknown.

    :param transport: of a connection, possibly within wrappers such as TLS.
    """
    try:
        descriptor = stream_below(transport).fileno()
        answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(_INT.size))
    except (AttributeError, TypeError, OSError, ValueError):
        return None  # no socket, or one that is closed already
    return int(_INT.unpack(answer)[0])


class LastBytes:
    """What a client has yet to take of a connection that is being closed.

    :param unsent: tells how many bytes the client has yet to take, or None if unknown.
    """

    def __init__(self, unsent: Callable[[], int | None]) -> None:
        self._count = unsent
        self._unsent = unsent()

    def are_taken(self) -> bool:
        """Whether the client has taken some of them, but not all, since the last call."""
        before, self._unsent = self._unsent, self._count()
        return bool(self._unsent) and self._unsent != before


def _do_nothing() -> None:
    """Takes the place of both functions of a timer that has ended."""


class StallTimer:
    """Runs while a client is expected to take something.

    :param seconds: how long it may take nothing.
    :param progress: what changes when it takes something, such as the number of bytes that
        wait for it.
    :param stalled: called once that long has passed; the timer is stopped then.
    """

    def __init__(
        self,
        clock: IReactorTime,
        seconds: float,
        progress: Callable[[], object],
        stalled: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._progress = progress
        self._stalled = stalled
        self._call: IDelayedCall | None = None
        self._last: object = None
        self._moved_at = 0.0
        self._sampled_at = -_SAMPLE_AGAIN

    def start(self) -> None:
        """Begin to wait. Does nothing while it runs."""
        if self._call is None:
            self._last, self._moved_at = self._progress(), self._clock.seconds()
            self._call = self._clock.callLater(self._seconds / _LOOKS, self._look)

    def moved(self) -> None:
        """The client is expected to take something from now on. May be called very often."""
        now = self._moved_at = self._clock.seconds()
        if now - self._sampled_at >= _SAMPLE_AGAIN:
            # If the sample is older the next one differs from it, and counts as progress. So a
            # client is given up late, by a quarter of the time at most, but never early.
            self._last, self._sampled_at = self._progress(), now

    def stop(self) -> None:
        """The client took something, or nothing is expected of it. Idempotent."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def end(self) -> None:
        """Stop for good, and forget the functions: with what has both they would be a cycle."""
        self.stop()
        self._progress = self._stalled = _do_nothing

    def _look(self) -> None:
        self._call = None
        now, progress = self._clock.seconds(), self._progress()
        if progress != self._last:
            self._last, self._moved_at = progress, now
        if now - self._moved_at >= self._seconds:
            self._stalled()
        else:
            self._call = self._clock.callLater(self._seconds / _LOOKS, self._look)
