"""sendfile(2) on a plain TCP transport: bytes from the page cache to the socket, uncopied.

Twisted has no such thing, so the transport's ``doWrite`` is replaced while a stretch is sent:
what the transport holds already goes first, by its own ``doWrite``; then the file. Nothing
else may be written meanwhile. Both supported versions are covered by tests, since this leans
on how :class:`twisted.internet.abstract.FileDescriptor` keeps its buffer.

A page that is not in memory would block the reactor: the caller makes sure that it is
(:meth:`regcache.interfaces.IContentFile.cached`).
"""

# mypy: disable-error-code="no-untyped-call"
# (the reactor's transports have no annotations)

import os
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.main import CONNECTION_LOST

#: What one call sends at most (bytes), so that one client does not hold the reactor.
MOST_AT_ONCE = 1024 * 1024


def takes_files(transport: object) -> bool:
    """Whether a transport is a plain TCP or unix connection that sendfile works with."""
    return isinstance(transport, tcp.Connection) and not getattr(transport, "TLS", False)


class FileStretch:
    """Sends ``[offset, end)`` of a file over a transport.

    :param done: called once with how many bytes were sent; fewer than asked for if the file
        is shorter than that. Not called if the connection is lost or :meth:`stop` is called.
    :param progressed: called whenever the client has taken some.
    """

    def __init__(
        self,
        transport: Any,
        descriptor: int,
        offset: int,
        end: int,
        done: Callable[[int], None],
        progressed: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._descriptor = descriptor
        self._start = offset
        self._offset = offset
        self._end = end
        self._done = done
        self._progressed = progressed

    def start(self) -> None:
        """Take the transport's writing over."""
        self._transport.doWrite = self._write
        self._transport.startWriting()

    def stop(self) -> None:
        """Give the transport's writing back. Idempotent."""
        self._transport.__dict__.pop("doWrite", None)

    def _write(self) -> Any:
        """Called by the reactor when the socket takes more."""
        if self._has_buffered():
            return self._write_buffered()
        try:
            count = min(self._end - self._offset, MOST_AT_ONCE)
            sent = os.sendfile(self._transport.fileno(), self._descriptor, self._offset, count)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return CONNECTION_LOST
        self._offset += sent
        self._progressed()
        if sent == 0 or self._offset == self._end:
            self.stop()
            self._transport.stopWriting()
            self._done(self._offset - self._start)
        return None

    def _has_buffered(self) -> bool:
        transport = self._transport
        return bool(len(transport.dataBuffer) - transport.offset or transport._tempDataLen)

    def _write_buffered(self) -> Any:
        result = type(self._transport).doWrite(self._transport)
        if result is None and "doWrite" in self._transport.__dict__:
            # Its own doWrite stops writing when its buffer is empty; ours begins there.
            self._transport.startWriting()
        return result
