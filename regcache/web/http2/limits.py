"""The limits of one HTTP/2 connection, and the buckets that count what it uses."""

from twisted.internet.interfaces import IReactorTime

MOST_STREAMS = 100
"""Requests of one connection at a time (RFC 9113, 6.5.2, advises against fewer)."""
MOST_HEADER_LIST = 32 * 1024
"""Bytes of the fields of one request, counted as RFC 9113, 10.5.1 does: 32 more for each. A token
of 16 KiB has room beside other fields."""
MOST_FIELDS = 100
"""Fields of one request."""
MOST_HEADER_BLOCK = MOST_HEADER_LIST + 4096
"""Bytes of the same as they are sent."""
MOST_CONTINUATIONS = 8
"""CONTINUATION frames of one header block."""
MOST_FRAME = 16384
"""Bytes of the payload of a frame that a client sends."""
MOST_SETTINGS = 32
"""Settings in one frame, and SETTINGS frames in the life of a connection."""
MOST_TABLE = 4096
"""Bytes of the table of our header encoder; more is not used, even if the client allows it."""
MOST_CLOSED = 1000
"""Streams that are remembered after their end, to tell late frames from faults."""
MOST_BODIES = 4 * 65536
"""Bytes of request bodies of one connection that are being received."""
MOST_BUFFERED_BY_CONNECTION = 32 * 1024 * 1024
"""Bytes of answers buffered for one connection: more than all of its streams have where each
has a whole piece that was read from the disk."""
MOST_BUFFERED_BY_SITE = 64 * 1024 * 1024
"""Bytes of answers buffered for all connections of a listener."""
MOST_CONTROL = 65536
"""Bytes that are written behind a full transport before nothing more is read."""

FRAMES = (500, 50.0)
"""Frames that do nothing for a request (PING, SETTINGS, RST_STREAM, trailers, small DATA and the
like): so many at once, and so many per second."""
RESETS = (200, 20.0)
"""Streams that end because the client reset them, broke the protocol in them, or opened one too
many."""
MOST_OPENED = MOST_STREAMS + RESETS[0]
"""Streams that the library opens before it ends the connection. Those above
:data:`MOST_STREAMS` are refused one by one (RFC 9113, 5.1.2)."""
WINDOW_UPDATES = (1000, 100.0)
"""WINDOW_UPDATE frames, and one more for each :data:`BYTES_PER_UPDATE` that were sent."""
BYTES_PER_UPDATE = 1024.0
MOST_EARNED = 65536.0
"""Of the latter at once: a client that pauses may leave the windows of all its streams, some
megabytes each, unopened for a while, and open them together."""


class FloodError(Exception):
    """A client sends more than it may, or invalid frames.

    :ivar code: the error code for GOAWAY (RFC 9113, 7).
    :ivar reason: for the access log.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class TokenBucket:
    """Allows a number of things at first, and a number more each second."""

    def __init__(self, clock: IReactorTime, most: int, per_second: float) -> None:
        self._clock = clock
        self._most = float(most)
        self._per_second = per_second
        self._left = float(most)
        self._filled_at = clock.seconds()

    def take(self) -> bool:
        """Take one. Returns False if none is left."""
        now = self._clock.seconds()
        if self._left < self._most:
            refilled = self._left + (now - self._filled_at) * self._per_second
            self._left = min(self._most, refilled)
        self._filled_at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def earn(self, count: float) -> None:
        """Allow some more, now or later."""
        self._left = min(MOST_EARNED, self._left + count)
