"""Another protocol for a connection over TLS that is open already.

Private: that the TLS transport looks its protocol up anew for everything that it delivers, so
that ``wrappedProtocol`` may be replaced while it tells that the handshake is over.

Why: only then is it known what the client speaks (ALPN, RFC 7301).

Replaced by: a factory that is asked for the protocol once the handshake is over.
"""

from typing import Any

from twisted.internet.interfaces import IProtocol


def hand_over(transport: Any, protocol: IProtocol) -> None:
    """Deliver to another protocol from now on.

    :param transport: of TLS, whose handshake is over.
    :param protocol: told that the connection is made. The one before is told nothing.
    """
    transport.wrappedProtocol = protocol
    protocol.makeConnection(transport)
