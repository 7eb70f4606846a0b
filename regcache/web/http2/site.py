"""A site whose clients may choose HTTP/2 by ALPN (RFC 7301), over TLS only."""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from typing import Any

from twisted.internet.interfaces import IAddress, IHandshakeListener
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.seam.hand_over import hand_over
from regcache.web.deadline import Deadline
from regcache.web.http2.connection import Http2Connection
from regcache.web.http2.limits import MOST_HELD_BY_CONNECTION, MOST_HELD_BY_SITE
from regcache.web.site import Site

_TOO_MUCH_HELD = "too much of its answers was held for the client"


class Http2Site(Site):
    """Speaks HTTP/1.1 or HTTP/2, as the client chose.

    :ivar held: bytes of answers that wait to be sent over HTTP/2.
    """

    held = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """What stands behind a connection until it is known what the client speaks."""
        return Negotiation(self, addr)

    def build_channel(self, addr: IAddress | None) -> Any:
        """What speaks HTTP/1.1."""
        return super().buildProtocol(addr)

    def hold(self, count: int) -> None:
        """So many more bytes wait to be sent, or fewer."""
        self.held += count

    def bound_held(self, connection: Http2Connection) -> None:
        """Reset streams where too much is held, the largest first.

        A stream may hold what a connection of HTTP/1.1 may; but there are many in each.
        """
        while connection.held > MOST_HELD_BY_CONNECTION and _cut_largest(connection):
            pass
        while self.held > MOST_HELD_BY_SITE:
            connections = [each for each in self.channels if isinstance(each, Http2Connection)]
            worst = max(connections, key=lambda each: each.held, default=None)
            if worst is None or not _cut_largest(worst):
                return


def _cut_largest(connection: Http2Connection) -> bool:
    stream = connection.largest()
    if stream is None or not stream.held:
        return False
    stream.cut(_TOO_MUCH_HELD)
    return True


@implementer(IHandshakeListener)
class Negotiation(Protocol):
    """Waits for the end of the TLS handshake, and hands over to what the client chose."""

    def __init__(self, site: Http2Site, address: IAddress | None) -> None:
        self._site = site
        self._address = address
        self._deadline = Deadline(site.reactor, self.close_if_idle)

    def connectionMade(self) -> None:
        """A client has connected, and has the header time-out for the handshake."""
        self._site.channels.add(self)
        self._deadline.set(self._site.limits.header_timeout)

    def handshakeCompleted(self) -> None:
        """Hand the connection over."""
        transport: Any = self.transport
        self._end()
        chosen: Any
        if transport.negotiatedProtocol == b"h2":
            chosen = Http2Connection(self._site)
        else:
            chosen = self._site.build_channel(self._address)
        hand_over(transport, chosen)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The client left before, or broke the handshake."""
        self._end()

    def close_if_idle(self) -> None:
        """Close the connection: there is no request yet."""
        self.abort()

    def abort(self) -> None:
        """Cut the connection."""
        transport: Any = self.transport
        transport.abortConnection()

    def _end(self) -> None:
        self._deadline.stop()
        self._site.channel_closed(self)
