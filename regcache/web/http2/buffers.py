"""Bytes of answers that wait in streams, and the bounds on them.

A stream may buffer what a connection of HTTP/1.1 may; but there are many streams. Where one
connection, or all those of a site, buffer too much, streams are cut, the largest first.
"""

from collections import deque
from collections.abc import Callable

from regcache.web.http2.limits import MOST_BUFFERED_BY_CONNECTION, MOST_BUFFERED_BY_SITE

_TOO_MUCH = "too much of its answers was buffered for the client"


class SiteBuffers:
    """All that is buffered behind one listener.

    :ivar size: bytes.
    """

    def __init__(self) -> None:
        self.size = 0
        self._connections: set[ConnectionBuffers] = set()

    def changed(self, connection: "ConnectionBuffers", count: int) -> None:
        """A connection buffers this many more bytes, or fewer."""
        self.size += count
        if connection.size:
            self._connections.add(connection)
        else:
            self._connections.discard(connection)

    def bound(self) -> None:
        """Cut streams until little enough is buffered."""
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
        """This many more bytes wait, or fewer."""
        self.size += count
        self._site.changed(self, count)

    def bound(self) -> None:
        """Cut streams until little enough is buffered, here and in all connections."""
        while self.size > MOST_BUFFERED_BY_CONNECTION and self.cut_largest():
            pass
        self._site.bound()

    def cut_largest(self) -> bool:
        """Cut the stream that buffers most; False if none buffers anything."""
        largest = max(self._streams, key=lambda each: each.size, default=None)
        if largest is None or not largest.size:
            return False
        largest.cut(_TOO_MUCH)
        return True


class StreamBuffer:
    """Bytes of an answer that wait to be sent, as they were written.

    :ivar size: how many they are.
    :ivar cut: resets the stream, for a reason.
    """

    def __init__(self, connection: ConnectionBuffers, cut: Callable[[str], object]) -> None:
        self.size = 0
        self.cut = cut
        self._connection = connection
        self._pieces: deque[memoryview] = deque()

    def add(self, data: bytes) -> None:
        """Add bytes behind the others."""
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
        """Cut streams, maybe this one, where too much is buffered."""
        self._connection.bound()

    def close(self) -> None:
        """Drop them: the stream has ended. Idempotent."""
        self._pieces.clear()
        self._change(-self.size)
        self._connection.closed(self)

    def _change(self, count: int) -> None:
        self.size += count
        self._connection.changed(count)
