"""Another protocol for a connection that is open already.

Private: that a transport looks its protocol up anew for everything that it delivers, so that
``wrappedProtocol`` of a TLS transport may be replaced while it tells that the handshake is over,
and ``protocol`` of a stream while it delivers; and that a stream's ``getPeer`` and ``getHost``
may be replaced as well.

Why: only after the handshake is it known what the client speaks (ALPN, RFC 7301), and only
after the header of a proxy who the client is.

Replaced by: factories that are asked for the protocol at that time.
"""

from typing import Any

from twisted.internet.interfaces import IAddress, IProtocol


def hand_over(transport: Any, protocol: IProtocol) -> None:
    """Deliver to another protocol from now on.

    :param transport: of TLS, whose handshake is over.
    :param protocol: told that the connection is made. The one before is told nothing.
    """
    transport.wrappedProtocol = protocol
    protocol.makeConnection(transport)


def hand_over_stream(stream: Any, protocol: IProtocol, peer: IAddress, host: IAddress) -> None:
    """Deliver to another protocol from now on, as a connection between other addresses.

    :param stream: a connection that delivers just now.
    :param protocol: told that the connection is made. The one before is told nothing.
    :param peer: the client, in place of who connected to us.
    :param host: the address that it connected to.
    """
    stream.getPeer = lambda: peer
    stream.getHost = lambda: host
    stream.protocol = protocol
    protocol.makeConnection(stream)
