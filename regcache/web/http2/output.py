"""Sends the answers of a connection's streams, one stream after the other in turns.

=========  ==========================  =================================================
state      event                       what holds afterwards
=========  ==========================  =================================================
open       a stream wants to send      open: it sends, unless others wait before it
open       transport is full           full: the streams wait in a queue
full       transport is empty          open: the first stream sends, and goes to the end
full       much is written anyway      full; nothing more is read
corked     anything is written         corked: it waits until the present bytes are read
corked     :meth:`Output.uncork`       open, or full: all that waited is sent together
=========  ==========================  =================================================

A stream whose own window is closed gets no turn until the client opens it. So it delays no other
stream.
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
    """The part of a stream that the output uses.

    :ivar finished: whether nothing will be added to the answer.
    :ivar over: whether it has ended.
    :ivar queued: whether it waits for its turn to send.
    :ivar paused: whether its producer waits to be resumed.
    :ivar buffer: the bytes that wait to be sent.
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

    :param sent: called with the number of bytes of bodies that were sent.
    :ivar full: whether the transport is full.
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
        """The connection has been made."""
        self._transport = transport

    def close(self) -> None:
        """Send nothing any more."""
        for stream in self._turns:
            stream.queued = False
        self._turns.clear()
        self._transport = None

    # What streams do

    def has_room(self, stream: QueuedStream) -> bool:
        """Whether a stream may send now."""
        return not self.full and min(self._room(stream), self._shared_room(stream)) > 0

    def wants(self, stream: QueuedStream, first: bool = False) -> None:
        """Put a stream into the queue: it or its producer has something to send."""
        if not stream.queued and not stream.over:
            stream.queued = True
            (self._turns.appendleft if first else self._turns.append)(stream)

    def forget(self, stream: QueuedStream) -> None:
        """Take a stream that is over out of the queue."""
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
        """Reset a stream. Its buffered bytes are not sent."""
        self._h2.reset(stream.stream_id, code)
        self.flush()

    def progress(self, stream: QueuedStream) -> int:
        """A number that changes while a stream that waits for its turn can still get one.

        It does not change if the stream's own window is closed.
        """
        if self._room(stream) <= 0:
            return 0
        return self._total + (unsent_bytes(self._transport) or 0)

    def _room(self, stream: QueuedStream) -> int:
        """How many bytes the window of a stream allows; 0 if that is not worth a frame."""
        room = self._h2.room(stream.stream_id)
        initial = self._h2.remote_settings.initial_window_size
        return room if room >= max(1, min(_worth(stream), initial or LEAST)) else 0

    def _shared_room(self, stream: QueuedStream) -> int:
        """The same for the window of the connection."""
        room = self._h2.outbound_flow_control_window
        return room if room >= _worth(stream) else 0

    # What the connection does

    def cork(self) -> None:
        """Collect what is written from now on, so that it is sent together."""
        self._corked = True

    def uncork(self) -> None:
        """Send what was collected."""
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
        """Stop reading, until all reasons for that are gone."""
        if not self._deaf and self._transport is not None:
            self._transport.pauseProducing()
        self._deaf.add(reason)

    def go_on_reading(self, reason: str) -> None:
        """Remove a reason for not reading. Read again if it was the last."""
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
        """Write what is ready to the transport."""
        self._collect(self._h2.data_to_send())
        parts, self._parts, self._size = self._parts, [], 0
        self._write(b"".join(parts))

    def _turn(self, stream: QueuedStream) -> bool:
        """Let the first stream of the queue send. Returns False if it has to wait."""
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
        """Send bytes of a stream, and end it if they were its last."""
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
    """How much room a stream needs at least to send (bytes).

    If nothing is buffered it is not known how much will come: then a single byte is enough.
    """
    return min(LEAST, stream.buffer.size) or 1
