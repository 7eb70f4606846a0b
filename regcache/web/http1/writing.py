"""Writes the answers of an HTTP/1.1 connection.

An answer from memory is one write, head and body. And no answer is written before the client has
taken the one before it. Twisted alone would answer all requests that have arrived as fast as it
can: one packet of small requests for large manifests could fill the memory.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from twisted.internet.interfaces import IAddress, ISSLTransport
from twisted.web import http
from twisted.web.http_headers import Headers

from regcache.access.credentials import ClientCertificate
from regcache.seam.prompt_writing import write_now
from regcache.web.client_certificate import certificate_of
from regcache.web.header_block import HeaderBlock
from regcache.web.http1.reading import StrictChannel
from regcache.web.request import Request
from regcache.web.site import Site
from regcache.web.stall import unsent_bytes

MOST_WAITING = 16384
"""Bytes that may wait behind a request that is being answered."""


def encode_head(status_line: bytes, headers: Headers, blocks: Sequence[HeaderBlock]) -> bytes:
    """The head of an answer, including the blank line at its end."""
    parts = [status_line]
    parts.extend(block.encoded for block in blocks)
    parts.extend(
        b"%b: %b\r\n" % (name, value)
        for name, values in headers.getAllRawHeaders()
        for value in values
    )
    parts.append(b"\r\n")
    return b"".join(parts)


class ReadSwitch:
    """Makes a transport read or not. It only passes on changes, since each call costs time."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._paused = False

    def pauseProducing(self) -> None:
        """Read nothing for now."""
        if not self._paused:
            self._paused = True
            self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            self._transport.resumeProducing()

    def unregisterProducer(self) -> None:
        """Do not tell the producer any more whether the transport is full."""
        self._transport.unregisterProducer()


class WritingChannel(StrictChannel):
    """A connection that answers no faster than its client takes answers.

    :ivar untaken: the request whose answer is written, but not yet taken by the client.
    """

    requests: list[Request]

    def __init__(self) -> None:
        super().__init__()
        self.untaken: http.Request | None = None
        self._secure = False
        self._addresses: tuple[Any, Any] = (None, None)

    @cached_property
    def site(self) -> Site:
        """The site that made this connection."""
        site: Site = self.factory
        return site

    @property
    def own_stream(self) -> Any:
        """The transport, which carries one answer at a time."""
        return self.transport

    @cached_property
    def client_certificate(self) -> ClientCertificate | None:
        """The certificate that the client has shown; None without one."""
        return certificate_of(self.transport)

    def unsent_bytes(self) -> int | None:
        """How many bytes the kernel still has for the client; None if it does not say."""
        return unsent_bytes(self.transport)

    def connectionMade(self) -> None:
        """A client has connected. Its address is read only once, since that is a system call."""
        super().connectionMade()
        self.control_reading_by(ReadSwitch)
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
        status_line = b"%b %b %b\r\n" % (version, code, reason)
        self.transport.write(self._begin(status_line, headers, ()))

    def write_whole(self, request: Request, blocks: Sequence[HeaderBlock], body: bytes) -> None:
        """Write a whole answer.

        :param blocks: fields beside those of ``responseHeaders``.
        """
        status_line = b"%b %d %b\r\n" % (request.clientproto, request.code, request.code_message)
        head = self._begin(status_line, request.responseHeaders, blocks)
        write_now(self.transport, head + body)

    def _begin(self, status_line: bytes, headers: Headers, blocks: Sequence[HeaderBlock]) -> bytes:
        request, site = self.requests[0], self.site
        request.first_byte_at = site.seconds()
        if site.draining and self.persistent:
            self.persistent = False
            headers.setRawHeaders(b"Connection", [b"close"])
        standard = site.standard_block(self._secure, request.is_distribution)
        return encode_head(status_line, headers, (standard, *blocks))

    def rawDataReceived(self, data: bytes) -> None:
        """Take bytes of a body, or what follows a request that is being answered."""
        super().rawDataReceived(data)
        if self.is_full and self.bytes_behind > MOST_WAITING:
            self.stop_reading()

    def requestDone(self, request: http.Request) -> None:
        """An answer has been written. If the transport is full the next one has to wait."""
        if self.is_full and self.persistent:
            self.untaken = request
        else:
            super().requestDone(request)

    def resumeProducing(self) -> None:
        """The transport has room again."""
        super().resumeProducing()
        untaken, self.untaken = self.untaken, None
        if untaken is not None:
            self.requestDone(untaken)
