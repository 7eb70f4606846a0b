"""What makes the protocols of connections: replaceable, and over TLS."""

from functools import partial
from typing import Any

from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.internet.protocol import Factory

from regcache.seam.tls_stream import TLSStreamFactory
from regcache.web.site import Site

_PLAIN_TEXT = b"The plain HTTP request was sent to an HTTPS port: use https:// here.\n"
_PLAIN_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nServer: regcache\r\nContent-Type: text/plain\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_PLAIN_TEXT), _PLAIN_TEXT)
)


class ReplaceableFactory(Factory):
    """Lets another factory make the protocols of new connections, which can be replaced.

    :ivar behind: that factory; open connections stay with the one that made them.
    """

    noisy = False

    def __init__(self, behind: IProtocolFactory) -> None:
        self.behind = behind

    def buildProtocol(self, addr: Any) -> Any:
        """A protocol for a new connection."""
        return self.behind.buildProtocol(addr)


def over_tls(
    factory: IProtocolFactory, tls: IOpenSSLServerConnectionCreator, reactor: Any
) -> IProtocolFactory:
    """What makes the protocols of connections with TLS.

    :param factory: makes what is within; a site answers plain HTTP, too, by refusing it.
    """
    streams = TLSStreamFactory(tls, False, factory, reactor)
    if isinstance(factory, Site):
        streams.plain = partial(_refuse_plain, factory)
    return streams


def _refuse_plain(site: Site, transport: Any, _protocol: Any) -> None:
    """Answer a client that speaks plain HTTP where TLS is expected, and record that."""
    site.refused(transport.getPeer(), "plain HTTP on a TLS listener")
    transport.write(_PLAIN_HTTP)
    transport.loseConnection()
