"""The socket beneath a transport, and how much of it is read at once.

Private: the ``socket`` of TCP transports and ports, and their ``bufferSize``.

Why: what the kernel may hold for a client is an option of the socket; and to read 64 KiB at a
time, as Twisted does, wakes the reactor too often behind a fast upstream.

Replaced by: ``getHandle``, where ports have one; a transport that takes the size of its reads.
"""

from typing import Any

from twisted.protocols.policies import ProtocolWrapper


def stream_below(transport: Any) -> Any:
    """The transport of the connection itself, beneath wrappers such as TLS."""
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return transport


def socket_of(transport: Any) -> Any:
    """The socket of a stream or of a listening port.

    :returns: None where it has none, or not any more.
    """
    return getattr(stream_below(transport), "socket", None)


def set_read_size(stream: Any, size: int) -> None:
    """Read so much from a socket at once.

    :param stream: as :func:`stream_below` gives it.
    :param size: bytes.
    """
    stream.bufferSize = size
