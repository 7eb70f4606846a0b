"""Checks each frame before the HTTP/2 library gets it.

The library buffers frames of any length, and header blocks of a megabyte, and answers every
PING. So frames are counted here by their heads (RFC 9113, 4.1), and a client that sends too much is
stopped. Frames that mean nothing to this server are not passed on. Most WINDOW_UPDATE frames are
handled here, too: some clients send two for each DATA frame, and the library is slow with them.

=========  ==============================  ===============================================
state      event                           what holds afterwards
=========  ==============================  ===============================================
preface    some bytes                      preface, or head when all 24 have come
head       fewer than 9 bytes              head: they wait
head       9 bytes                         payload; refused if the frame is too long, or one
                                           too many of its kind
payload    some bytes                      payload, or head after the last of them
in block   HEADERS without END_HEADERS     in block, within either of the last two states
in block   CONTINUATION                    in block, or not; refused where there are too many
                                           frames or bytes
in block   any other frame                 left to the library, which ends the connection
=========  ==============================  ===============================================
"""

import struct
from collections.abc import Callable

from h2.errors import ErrorCodes
from twisted.internet.interfaces import IReactorTime

from regcache.web.http2.limits import (
    BYTES_PER_UPDATE,
    FRAMES,
    MOST_CONTINUATIONS,
    MOST_FRAME,
    MOST_HEADER_BLOCK,
    MOST_SETTINGS,
    WINDOW_UPDATES,
    FloodError,
    TokenBucket,
)

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4

PREFACE_LENGTH = 24
_HEAD = struct.Struct(">HBBBL")
_INCREMENT = struct.Struct(">L")
_MOST = 0x7FFFFFFF
_SETTING_LENGTH = 6
_SMALL_DATA = 1024


class FrameGuard:
    """Counts the frames of one connection.

    :param leaving: called when the client says that it will send no further request.
    """

    def __init__(self, clock: IReactorTime, leaving: Callable[[], object]) -> None:
        self._leaving = leaving
        self._frames = TokenBucket(clock, *FRAMES)
        self._updates = TokenBucket(clock, *WINDOW_UPDATES)
        self._settings_left = MOST_SETTINGS
        self._block = 0
        self._continuations = 0
        self._newest = 0
        self.in_block = False

    def sent(self, count: int) -> None:
        """Count bytes of bodies that were sent: the client may send updates for them."""
        self._updates.earn(count / BYTES_PER_UPDATE)

    def admit(self, kind: int, flags: int, length: int, stream_id: int) -> bool:
        """Whether to pass a frame on to the library.

        :raises FloodError: if the client must be stopped.
        """
        if length > MOST_FRAME:
            raise FloodError(ErrorCodes.FRAME_SIZE_ERROR, "an HTTP/2 frame is too long")
        if kind in (HEADERS, CONTINUATION) or self.in_block:
            self._admit_block(kind, flags, length)
            if kind == HEADERS:
                self._admit_stream(stream_id)
        elif kind == WINDOW_UPDATE:
            self._take(self._updates)
        elif kind == SETTINGS:
            self._admit_settings(flags, length)
        elif kind != DATA or (length < _SMALL_DATA and not flags & END_STREAM):
            self._take(self._frames)
        if kind == GOAWAY:
            # After that the library would send nothing more, although answers are under way.
            self._leaving()
            return self.in_block
        return self.in_block or (kind <= CONTINUATION and kind != PRIORITY)

    def _admit_block(self, kind: int, flags: int, length: int) -> None:
        if kind == HEADERS:
            self._block = self._continuations = 0
        else:
            self._continuations += 1
        self._block += length
        self.in_block = not flags & END_HEADERS
        if self._block > MOST_HEADER_BLOCK or self._continuations > MOST_CONTINUATIONS:
            raise FloodError(ErrorCodes.ENHANCE_YOUR_CALM, "an HTTP/2 header block is too long")

    def _admit_stream(self, stream_id: int) -> None:
        """Count HEADERS that begin no stream: trailers, or HEADERS in a stream that has ended."""
        if stream_id <= self._newest:
            self._take(self._frames)
        self._newest = max(self._newest, stream_id)

    def _admit_settings(self, flags: int, length: int) -> None:
        self._take(self._frames)
        if flags & ACK:
            return
        # The library keeps all settings that it gets, known or not.
        self._settings_left -= 1
        if self._settings_left < 0 or length > MOST_SETTINGS * _SETTING_LENGTH:
            raise FloodError(ErrorCodes.ENHANCE_YOUR_CALM, "too many HTTP/2 settings")

    def _take(self, allowance: TokenBucket) -> None:
        if not allowance.take():
            raise FloodError(ErrorCodes.ENHANCE_YOUR_CALM, "too many HTTP/2 frames")


class FrameScanner:
    """Finds the heads of frames in what a client sends, and lets a guard decide about each.

    :param opened: called with the stream and the bytes of a WINDOW_UPDATE; if it returns False the
        library gets the frame.
    """

    def __init__(self, guard: FrameGuard, opened: Callable[[int, int], bool]) -> None:
        self._guard = guard
        self._opened = opened
        self._head = b""
        self._left = PREFACE_LENGTH
        self._passes = True

    @property
    def is_between(self) -> bool:
        """Whether all frames that have begun are complete."""
        return not (self._left or self._head or self._guard.in_block)

    def feed(self, data: bytes) -> bytes:
        """Take bytes. Returns those of the frames that the library gets.

        :raises FloodError: if the client must be stopped.
        """
        if self._head:
            data, self._head = self._head + data, b""
        position, passed = 0, []
        while position < len(data):
            if not self._left:
                if len(data) - position < _HEAD.size:
                    self._head = data[position:]
                    break
                self._begin(data, position)
            taken = min(self._left, len(data) - position)
            if self._passes:
                passed.append(data[position : position + taken])
            position += taken
            self._left -= taken
        return b"".join(passed)

    def _begin(self, data: bytes, position: int) -> None:
        high, low, kind, flags, stream = _HEAD.unpack_from(data, position)
        length = high << 8 | low
        passes = self._guard.admit(kind, flags, length, stream & _MOST)
        self._left = _HEAD.size + length
        if kind == WINDOW_UPDATE and length == _INCREMENT.size and not self._guard.in_block:
            if position + self._left <= len(data):
                (increment,) = _INCREMENT.unpack_from(data, position + _HEAD.size)
                passes = not self._opened(stream & _MOST, increment & _MOST)
        self._passes = passes
