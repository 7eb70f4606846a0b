"""Writing small messages to a socket at once.

Private: what a TCP transport holds unsent (``dataBuffer``, ``_tempDataBuffer``), and
``writeSomeData``, which offers bytes to the socket.

Why: ``write`` waits for the reactor to say that the socket has room. That costs two system
calls and another turn for each message.

Replaced by: a transport of Twisted that tries the socket first.
"""

from typing import Any

from twisted.internet import tcp

_SOCKETS = (tcp.Server, tcp.Client)


def write_now(transport: Any, data: bytes) -> None:
    """Write to a transport; past its buffer where that is empty.

    The socket is asked first. What it does not take, or cannot tell, is left to the transport.
    """
    if (
        type(transport) in _SOCKETS
        and transport.connected
        and not (
            transport.TLS
            or transport.disconnecting
            or transport.dataBuffer
            or transport._tempDataBuffer
            or "doWrite" in vars(transport)  # another writer has taken over the socket
        )
    ):
        sent = transport.writeSomeData(data)
        if isinstance(sent, int) and sent > 0:
            data = data[sent:]
    if data:
        transport.write(data)
