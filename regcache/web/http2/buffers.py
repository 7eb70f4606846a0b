"""The buffered bytes of answers in HTTP/2 streams, and the bounds on them.

A stream may buffer as much as a connection of HTTP/1.1, but there are many streams. If one
connection buffers too much, or all of a site together do, streams are reset, the largest first.
"""

from collections import deque
from collections.abc import Callable

from regcache.web.http2.limits import MOST_BUFFERED_BY_CONNECTION, MOST_BUFFERED_BY_SITE

_TOO_MUCH = "too much of its answers was buffered for the client"


class SiteBuffers:
    """All that is buffered for the clients of one listener.

    :ivar size: bytes.
    """

    def __init__(self) -> None:
        self.size = 0
        self._connections: set[ConnectionBuffers] = set()

    def changed(self, connection: "ConnectionBuffers", count: int) -> None:
        """Count further bytes that a connection buffers; negative: fewer."""
        self.size += count
        if connection.size:
            self._connections.add(connection)
        else:
            self._connections.discard(connection)

    def bound(self) -> None:
        """Reset streams until no more is buffered than allowed."""
        while self.size > MOST_BUFFERED_BY_SITE:
            if not max(self._connections, key=lambda each: each.size).cut_largest():
                return


class ConnectionBuffers:
    """What is buffered for one client.

    :ivar size: bytes.
    """

    def __init__(self, site: SiteBuffers) -> None:
        self.size = 0
        self._site = site
        self._streams: set[StreamBuffer] = set()

    def open(self, cut: Callable[[str], object]) -> "StreamBuffer":
        """The buffer of a new stream.

        :param cut: resets the stream, for a reason, and closes its buffer.
        """
        buffer = StreamBuffer(self, cut)
        self._streams.add(buffer)
        return buffer

    def closed(self, buffer: "StreamBuffer") -> None:
        """A stream has ended. Idempotent."""
        self._streams.discard(buffer)

    def changed(self, count: int) -> None:
        """Count further bytes that wait; negative: fewer."""
        self.size += count
        self._site.changed(self, count)

    def bound(self) -> None:
        """Reset streams until no more is buffered than allowed, here and in all connections."""
        while self.size > MOST_BUFFERED_BY_CONNECTION and self.cut_largest():
            pass
        self._site.bound()

    def cut_largest(self) -> bool:
        """Reset the stream that buffers most. Returns False if none buffers anything."""
        largest = max(self._streams, key=lambda each: each.size, default=None)
        if largest is None or not largest.size:
            return False
        largest.cut(_TOO_MUCH)
        return True


class StreamBuffer:
    """Bytes of an answer that wait to be sent, as they were written.

    :ivar size: how many bytes there are.
    :ivar cut: resets the stream, for a reason.
    """

    def __init__(self, connection: ConnectionBuffers, cut: Callable[[str], object]) -> None:
        self.size = 0
        self.cut = cut
        self._connection = connection
        self._pieces: deque[memoryview] = deque()

    def add(self, data: bytes) -> None:
        """Append bytes."""
        self._pieces.append(memoryview(data))
        self._change(len(data))

    def take(self, most: int) -> list[memoryview]:
        """Take the next of them, at most this many bytes."""
        taken, left = [], most
        while left and self._pieces:
            piece = self._pieces.popleft()
            if len(piece) > left:
                self._pieces.appendleft(piece[left:])
                piece = piece[:left]
            taken.append(piece)
            left -= len(piece)
        self._change(left - most)
        return taken

    def bound(self) -> None:
        """Reset streams, perhaps this one, if too much is buffered."""
        self._connection.bound()

    def close(self) -> None:
        """Drop all bytes, since the stream has ended. Idempotent."""
        self._pieces.clear()
        self._change(-self.size)
        self._connection.closed(self)

    def _change(self, count: int) -> None:
        self.size += count
        self._connection.changed(count)
