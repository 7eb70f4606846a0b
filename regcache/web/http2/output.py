"""Sends what the streams of a connection have, each in its turn.

=========  ==========================  =================================================
state      event                       what holds afterwards
=========  ==========================  =================================================
open       a stream wants to send      open: it is sent, unless others are in front of it
open       transport is full           full: streams wait in their order
full       transport is empty          open: the first of them sends, and goes to the end
full       much is written even so     full, and nothing more is read
corked     anything is written         corked: it waits for the end of what is being read
corked     :meth:`Output.uncork`       open, or full: all that waited is sent together
=========  ==========================  =================================================

A stream whose own window is closed has no turn until the client opens it, so it delays no
other one.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from h2.errors import ErrorCodes

from regcache.web.http2.buffers import StreamBuffer
from regcache.web.http2.h2_state import H2State
from regcache.web.http2.head import Field
from regcache.web.http2.limits import MOST_CONTROL
from regcache.web.stall import unsent_bytes

TURN = 256 * 1024
"""Bytes that one stream sends in a turn, so that it seldom keeps the rest of a piece."""
ENOUGH = 64 * 1024
"""Bytes that are handed to the transport without waiting for more."""
LEAST = 1024
"""Bytes of room that are waited for where more than that waits to be sent: a client that
opens its window by single bytes is not sent a frame for each."""


class QueuedStream(Protocol):
    """What the output needs of a stream.

    :ivar finished: nothing will be added to the answer.
    :ivar over: it has ended.
    :ivar queued: it waits for its turn to send.
    :ivar paused: its producer waits to be resumed.
    :ivar buffer: what waits to be sent.
    """

    stream_id: int
    finished: bool
    over: bool
    queued: bool
    paused: bool
    buffer: StreamBuffer

    def resume(self) -> None:
        """All that was buffered has been sent, and there is room for more."""

    def end(self) -> None:
        """The stream is over: its answer has been sent whole."""


class Output:
    """The sending half of a connection.

    :param sent: told how many bytes of bodies have been sent.
    :ivar full: the transport takes nothing for now.
    """

    def __init__(self, h2: H2State, sent: Callable[[int], None]) -> None:
        self._h2 = h2
        self._sent = sent
        self._transport: Any = None
        self._turns: deque[QueuedStream] = deque()
        self._flushing = self._corked = False
        self._parts: list[bytes | memoryview] = []
        self._size = 0
        self._behind = 0
        self._total = 0
        self._deaf: set[str] = set()
        self.full = False

    def connect(self, transport: Any) -> None:
        """The connection is there."""
        self._transport = transport

    def close(self) -> None:
        """Nothing is sent any more."""
        for stream in self._turns:
            stream.queued = False
        self._turns.clear()
        self._transport = None

    # What streams do

    def has_room(self, stream: QueuedStream) -> bool:
        """Whether a stream may send now."""
        return not self.full and min(self._room(stream), self._shared_room(stream)) > 0

    def wants(self, stream: QueuedStream, first: bool = False) -> None:
        """Put a stream into the queue: it has something to send, or its producer could."""
        if not stream.queued and not stream.over:
            stream.queued = True
            (self._turns.appendleft if first else self._turns.append)(stream)

    def forget(self, stream: QueuedStream) -> None:
        """Take a stream out of the queue: it is over."""
        if stream.queued:
            stream.queued = False
            self._turns.remove(stream)

    def write_head(self, stream: QueuedStream, fields: list[Field]) -> None:
        """Send the head of an answer."""
        known = self._h2.streams.get(stream.stream_id)
        if known is not None and not known.closed and self._h2.is_open:
            self._h2.send_headers(stream.stream_id, fields)
            self.flush()

    def reset(self, stream: QueuedStream, code: ErrorCodes) -> None:
        """Reset a stream; what it has is not sent."""
        self._h2.reset(stream.stream_id, code)
        self.flush()

    def progress(self, stream: QueuedStream) -> int:
        """A number that changes while a stream that waits for its turn may still get one.

        It does not change where the stream's own window is closed.
        """
        if self._room(stream) <= 0:
            return 0
        return self._total + (unsent_bytes(self._transport) or 0)

    def _room(self, stream: QueuedStream) -> int:
        """Bytes that the window of a stream lets it send; 0 where that is too few for a frame."""
        room = self._h2.room(stream.stream_id)
        initial = self._h2.remote_settings.initial_window_size
        return room if room >= max(1, min(_worth(stream), initial or LEAST)) else 0

    def _shared_room(self, stream: QueuedStream) -> int:
        """The same for the window of the connection."""
        room = self._h2.outbound_flow_control_window
        return room if room >= _worth(stream) else 0

    # What the connection does

    def cork(self) -> None:
        """Let what is written wait, so that it goes out together."""
        self._corked = True

    def uncork(self) -> None:
        """Send what waited."""
        self._corked = False
        self.flush()

    def write(self, data: bytes) -> None:
        """Send a frame of the connection itself."""
        self._collect(self._h2.data_to_send())
        self._collect(data)
        self.push()

    def pause(self) -> None:
        """The transport is full."""
        self.full = True

    def resume(self) -> None:
        """The transport is empty."""
        self.full, self._behind = False, 0
        self.go_on_reading("full")
        self.flush()

    def stop_reading(self, reason: str) -> None:
        """Stop reading, for a reason."""
        if not self._deaf and self._transport is not None:
            self._transport.pauseProducing()
        self._deaf.add(reason)

    def go_on_reading(self, reason: str) -> None:
        """Take a reason back. Read again unless there is another one."""
        if reason in self._deaf:
            self._deaf.discard(reason)
            if not self._deaf and self._transport is not None:
                self._transport.resumeProducing()

    def flush(self, now: bool = False) -> None:
        """Send what may be sent.

        :param now: even if the output is corked.
        """
        if self._flushing or (self._corked and not now) or self._transport is None:
            return
        self._flushing = True
        try:
            while self._turns and not self.full and self._turn(self._turns[0]):
                pass
        finally:
            self._flushing = False
            self.push()

    def push(self) -> None:
        """Hand to the transport what is ready for it."""
        self._collect(self._h2.data_to_send())
        parts, self._parts, self._size = self._parts, [], 0
        self._write(b"".join(parts))

    def _turn(self, stream: QueuedStream) -> bool:
        """Let the first stream of the queue send; False if it has to wait there."""
        ends = stream.finished and not stream.buffer.size
        shared = self._shared_room(stream)
        if not (ends or shared):
            return False
        self._turns.popleft()
        stream.queued = False
        room = min(self._room(stream), shared, TURN)
        if ends or (stream.buffer.size and room):
            self._send(stream, room)
        elif room:
            stream.resume()
        # A stream whose own window is closed is queued again when the client opens it.
        if not stream.over and room and (stream.buffer.size or stream.paused):
            self.wants(stream)
        return True

    def _send(self, stream: QueuedStream, most: int) -> None:
        """Send what a stream has, and end it where that was all."""
        self._collect(self._h2.data_to_send())
        count = 0
        for piece in stream.buffer.take(most):
            for part in self._h2.frame(stream.stream_id, piece):
                self._collect(part)
            count += len(piece)
        self._sent(count)
        self._total += count
        ends = stream.finished and not stream.buffer.size
        if ends:
            self._h2.end(stream.stream_id)
        if self._size >= ENOUGH:
            self.push()
        if ends:
            stream.end()

    def _collect(self, part: bytes | memoryview) -> None:
        if part:
            self._parts.append(part)
            self._size += len(part)

    def _write(self, data: bytes) -> None:
        if not data or self._transport is None:
            return
        if self.full:
            self._behind += len(data)
            if self._behind > MOST_CONTROL:
                self.stop_reading("full")
        self._transport.write(data)


def _worth(stream: QueuedStream) -> int:
    """The least room (bytes) with which a stream sends.

    Where nothing is buffered it is not known how much is to come: a single byte is enough then.
    """
    return min(LEAST, stream.buffer.size) or 1
