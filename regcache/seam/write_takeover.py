"""Writing to a socket in place of the transport that owns it.

Private: ``doWrite``, which the reactor calls when the socket takes more and which is replaced;
what the transport holds unsent (``dataBuffer``, ``offset``, ``_tempDataLen``); and the ``TLS``
flag of a TCP transport.

Why: sendfile(2) has to be called on the socket itself, in the transport's turn. Twisted has no
such thing.

Replaced by: a transport that can be handed a file.
"""

# mypy: disable-error-code="no-untyped-call"
# (the reactor's transports have no annotations)

from collections.abc import Callable
from typing import Any

from twisted.internet import tcp


def is_plain_stream(transport: object) -> bool:
    """Whether a transport is a TCP or unix connection without TLS of its own."""
    return isinstance(transport, tcp.Connection) and not getattr(transport, "TLS", False)


class WriteTakeover:
    """Has a function called whenever a plain stream transport could write.

    :param transport: one of which :func:`is_plain_stream` is true.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._write: Callable[[], Any] | None = None

    def begin(self, write: Callable[[], Any]) -> None:
        """Take over.

        :param write: in place of ``doWrite``: returns None, or why the reactor shall drop the
            connection.
        """
        self._write = self._transport.doWrite = write

    def end(self) -> None:
        """Give the writing back. Idempotent."""
        if self.lasts:
            del self._transport.doWrite
        self._write = None

    @property
    def lasts(self) -> bool:
        """Whether it is still in place: an aborted transport puts something of its own there."""
        write = self._write
        return write is not None and bool(vars(self._transport).get("doWrite") == write)

    @property
    def holds_bytes(self) -> bool:
        """Whether the transport has bytes of its own to send."""
        transport = self._transport
        return bool(len(transport.dataBuffer) - transport.offset or transport._tempDataLen)

    @property
    def may_write(self) -> bool:
        """Whether this one still writes, and the transport has no bytes of its own to send."""
        transport, write = self._transport, self._write
        if write is None or vars(transport).get("doWrite") != write:
            return False
        return not (len(transport.dataBuffer) - transport.offset or transport._tempDataLen)

    def write_own(self) -> Any:
        """Let the transport write what it holds, as its own ``doWrite`` does.

        :returns: None, or why the reactor shall drop the connection.
        """
        return type(self._transport).doWrite(self._transport)
