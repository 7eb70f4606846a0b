"""A site whose clients may choose HTTP/2 by ALPN (RFC 7301), over TLS only."""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IHandshakeListener, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.seam.hand_over import hand_over
from regcache.web.deadline import Deadline
from regcache.web.http1.channel import LAST_REQUEST, Http1Site
from regcache.web.http2.buffers import SiteBuffers
from regcache.web.http2.connection import Http2Connection


class Http2Site(Http1Site):
    """Speaks HTTP/1.1 or HTTP/2, as the client chose.

    :ivar buffers: the buffered bytes of all HTTP/2 connections.
    """

    def __init__(self, dispatch: Callable[..., Any], clock: IReactorTime, **options: Any) -> None:
        super().__init__(dispatch, clock, **options)
        self.buffers = SiteBuffers()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """The protocol that waits until it is known what the client speaks."""
        return Negotiation(self, addr)

    def build_channel(self, addr: IAddress | None) -> Any:
        """The protocol of HTTP/1.1."""
        return super().buildProtocol(addr)


@implementer(IHandshakeListener)
class Negotiation(Protocol):
    """Waits for the end of the TLS handshake, and hands over to the protocol that was chosen."""

    def __init__(self, site: Http2Site, address: IAddress | None) -> None:
        self._site = site
        self._address = address
        self._deadline = Deadline(site.reactor, self.abort)

    def connectionMade(self) -> None:
        """A client has connected. The header time-out runs until the handshake is complete."""
        self._site.channels.add(self)
        self._deadline.set(self._site.limits.header_timeout)

    def handshakeCompleted(self) -> None:
        """Hand the connection over."""
        transport: Any = self.transport
        self._end()
        chosen: Any
        if transport.negotiatedProtocol == b"h2":
            chosen = Http2Connection(self._site, self._site.buffers)
        else:
            chosen = self._site.build_channel(self._address)
        hand_over(transport, chosen)
        if self._site.draining:
            chosen.close_if_idle()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The client left during the handshake, or that failed."""
        transport: Any = self.transport
        self._site.refused_certificates.connection_lost(transport.getPeer(), reason)
        self._end()

    def close_if_idle(self) -> None:
        """The handshake has one more second, and then the first request."""
        self._deadline.set(LAST_REQUEST)

    def abort(self) -> None:
        """Cut the connection."""
        transport: Any = self.transport
        transport.abortConnection()

    def _end(self) -> None:
        self._deadline.stop()
        self._site.channel_closed(self)
