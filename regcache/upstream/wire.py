"""Encodes requests, and writes each by one call (RFC 9112, 3)."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from twisted.internet.defer import Deferred, succeed

from regcache.seam.prompt_writing import write_now
from regcache.upstream.exchange import UpstreamRequest

_TARGET = re.compile(r"/[\x21-\x7e]*\Z")
_FIELDS_KEPT = 64


class WireRequest:
    """A request, without a body, for Twisted's client connection.

    :ivar unanswered: called by the connection when no answer came for long.
    :ivar connection: the connection, when there is one.
    :ivar sent_at: when it was given to the connection (clock seconds).
    """

    bodyProducer = None
    absoluteURI = None
    persistent = True

    def __init__(
        self, request: UpstreamRequest, unanswered: Callable[[], None] = lambda: None
    ) -> None:
        self.method = request.method
        self.unanswered = unanswered
        self.connection: Any = None
        self.sent_at: float | None = None
        self._head = encode_head(request)

    def writeTo(self, transport: Any) -> "Deferred[None]":
        """Write it."""
        write_now(transport, self._head)
        return succeed(None)

    def stopWriting(self) -> None:
        """All of it is written already."""


def encode_head(request: UpstreamRequest) -> bytes:
    """The request line and the header fields, Host first.

    :raises ValueError: if the target is no origin-form (RFC 9112, 3.2.1).
    """
    url = request.url
    if not _TARGET.match(url.target):
        raise ValueError("not a request target")
    line = f"{url.target} HTTP/1.1\r\nHost: {url.origin.authority}\r\n".encode("ascii")
    fields = _encode_fields(request.headers)
    if request.authorization:
        fields += _encode_field("Authorization", request.authorization)
    return b"%b %b%b\r\n" % (request.method, line, fields)


@lru_cache(_FIELDS_KEPT)
def _encode_fields(headers: tuple[tuple[str, str], ...]) -> bytes:
    return b"".join(_encode_field(name, value) for name, value in headers)


def _encode_field(name: str, value: str) -> bytes:
    """Encode a field as one line. A token comes from the upstream, and may have line breaks."""
    text = " ".join(value.split())
    return f"{name}: {text}\r\n".encode()
