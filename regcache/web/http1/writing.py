"""How a connection writes its answers: heads encoded at once, small answers sent at once."""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress, ISSLTransport
from twisted.web.http_headers import Headers

from regcache.seam.prompt_writing import write_now
from regcache.web.header_block import HeaderBlock, encode_head
from regcache.web.pipelining import PipelinedChannel

if TYPE_CHECKING:
    from regcache.web.request import Request
    from regcache.web.site import Site


class WritingChannel(PipelinedChannel):
    """A connection that writes what is in memory in one piece.

    :cvar adds_standard_headers: the head gets those of the site here, not in the request.
    """

    adds_standard_headers = True
    requests: "list[Request]"

    def __init__(self) -> None:
        super().__init__()
        self._secure = False
        self._addresses: tuple[Any, Any] = (None, None)

    @property
    def site(self) -> "Site":
        """The site that made this connection."""
        site: Site = self.factory
        return site

    def connectionMade(self) -> None:
        """A client has connected. Who it is does not change any more, and costs system calls."""
        super().connectionMade()
        transport: Any = self.transport
        self._secure = ISSLTransport.providedBy(transport)
        self._addresses = (transport.getPeer(), transport.getHost())

    def getPeer(self) -> IAddress:
        """The client's address."""
        peer: IAddress = self._addresses[0]
        return peer

    def getHost(self) -> IAddress:
        """Our own address."""
        host: IAddress = self._addresses[1]
        return host

    def isSecure(self) -> bool:
        """Whether the connection is encrypted."""
        return self._secure

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """Write the head of an answer, and note when."""
        assert self.transport is not None
        self.transport.write(self._begin(version, code, reason, headers, ()))

    def write_whole(self, request: "Request", blocks: Sequence[HeaderBlock], body: bytes) -> None:
        """Write a whole answer.

        :param blocks: fields beside those of ``responseHeaders``.
        """
        code, reason, headers = b"%d" % request.code, request.code_message, request.responseHeaders
        head = self._begin(request.clientproto, code, reason, headers, blocks)
        write_now(self.transport, head + body)

    def _begin(
        self,
        version: bytes,
        code: bytes,
        reason: bytes,
        headers: Headers,
        blocks: Sequence[HeaderBlock],
    ) -> bytes:
        request, site = self.requests[0], self.site
        request.first_byte_at = site.seconds()
        if site.draining and self.persistent:
            self.persistent = False
            headers.setRawHeaders(b"Connection", [b"close"])
        standard = site.standard_block(self._secure, request.is_distribution)
        return encode_head(version, code, reason, headers, (standard, *blocks))
