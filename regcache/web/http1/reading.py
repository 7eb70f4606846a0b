"""Reads requests of HTTP/1.1 strictly.

Twisted's channel parses the lines. Before that, this one refuses what other servers may read in
a different way (RFC 9112, 11.2). Heads as nearly all clients send them are read in one step, which
refuses nothing. A head that is unusual, or announces a body, is read line by line instead.

Most clients send the same fields with each request of a connection. So the fields of the last plain
head are kept, and are parsed again only if other ones come.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

import re
from http import HTTPStatus
from typing import NamedTuple

from twisted.internet.interfaces import IAddress
from twisted.web import http
from twisted.web.http_headers import Headers

from regcache.seam.server_channel import ServerChannel

#: Longer heads are read line by line (bytes).
LONGEST = 4096
#: Bytes of a head, and of one line of it: a token of 16 KiB has room beside other fields.
LARGEST_HEAD = 32 * 1024
#: Heads with more fields are read line by line.
MOST_FIELDS = 32

#: A head of other bytes is read line by line.
_USUAL = bytes([*b"\t\r\n", *range(0x20, 0x7F)])
_FIRST_LINE = re.compile(rb"(GET|HEAD) (/[!-~]*) HTTP/1\.1\r\n")
_FIELD = re.compile(rb"^([A-Za-z0-9-]+):[\t ]*([^\r]*)\r\n", re.MULTILINE)
#: Fields about a body, and fields that have rules of their own.
_UNUSUAL = frozenset({b"content-length", b"transfer-encoding", b"expect", b"cookie", b"upgrade"})

_BLANKS = frozenset({b" ", b"\t"})
_BAD_LINE = re.compile(rb"[\x00\r\n]|^[ \t]")
_BAD_TEXT = b"The request is malformed.\n"


class PlainFields(NamedTuple):
    """The fields of a plain head.

    :ivar text: the fields as they were sent, and the empty line.
    :ivar headers: the same, parsed. Requests share them, so nobody may change them.
    :ivar has_connection: whether a field says something of the connection.
    """

    text: bytes
    headers: Headers
    has_connection: bool


class PlainHead(NamedTuple):
    """The head of an HTTP/1.1 request without a body."""

    method: bytes
    target: bytes
    fields: PlainFields


def parse_plain_head(data: bytes, former: PlainFields | None = None) -> PlainHead | None:
    """The head, if the data is exactly one plain head; else None.

    :param former: fields that came before. If they come again they are not parsed again.
    """
    first = _FIRST_LINE.match(data) if len(data) <= LONGEST else None
    if first is None:
        return None
    text = data[first.end() :]
    fields = former if former is not None and former.text == text else _parse_fields(text)
    return None if fields is None else PlainHead(first[1], first[2], fields)


def _parse_fields(text: bytes) -> PlainFields | None:
    if not text.endswith(b"\r\n\r\n") or text.translate(None, _USUAL):
        return None
    fields = _FIELD.findall(text)
    # All lines but the empty one are fields, so no CR or LF is in one of them.
    ends = len(fields) + 1
    if not ends == text.count(b"\r") == text.count(b"\n") <= MOST_FIELDS + 1:
        return None
    headers, has_connection = Headers(), False
    for name, value in fields:
        lowered = name.lower()
        if lowered in _UNUSUAL or value[-1:] in _BLANKS:
            return None
        if lowered == b"connection":
            has_connection = True
        headers.addRawHeader(name, value)
    return PlainFields(text, headers, has_connection)


def _plain_answer(status: HTTPStatus, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 %d %b\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
        % (status, status.phrase.encode("ascii"), len(body), body)
    )


class StrictChannel(ServerChannel):
    """The parsing half of a connection.

    :ivar _closing: bytes that still arrive are ignored.
    """

    maxHeaders = 100
    totalHeadersSize = MAX_LENGTH = LARGEST_HEAD

    def __init__(self) -> None:
        super().__init__()
        self._closing = False
        self._fields: PlainFields | None = None

    def report_refused(self, peer: IAddress, reason: str, status: int) -> None:
        """Record something that was refused before it was a whole request."""
        raise NotImplementedError

    def take_plain_head(self, data: bytes) -> bool:
        """Take a request, if the data is exactly one plain head. Returns whether it was.

        Only call it where a request may begin.
        """
        head = parse_plain_head(data, self._fields) if self.persistent else None
        if head is None:
            return False
        request = self.requestFactory(self, False)
        self.requests.append(request)
        self._fields = head.fields
        request.requestHeaders = head.fields.headers
        self.set_request_line(head.method, head.target, b"HTTP/1.1")
        if head.fields.has_connection:  # else it is HTTP/1.1 that stays open
            self.persistent = self.checkPersistence(request, b"HTTP/1.1")
        self.request_received()
        return True

    def lineReceived(self, line: bytes) -> None:
        """Take a line of the head. Bare CR, LF and NUL, and folded headers, are refused."""
        if self._closing:
            return
        if _BAD_LINE.search(line):
            self.request_malformed()
            return
        super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line is too long."""
        self.request_malformed()

    def headerReceived(self, line: bytes) -> bool:
        """Take one header field.

        A Content-Length of thousands of digits is refused, since Twisted fails on it. So is the
        transfer coding "identity", and any in HTTP/1.0: Twisted ignores them, other servers do not.
        """
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip().lower()
        version = self.request_line[2]
        if (name == b"content-length" and len(value) > 18) or (
            name == b"transfer-encoding" and (value != b"chunked" or version != b"HTTP/1.1")
        ):
            self.request_malformed()
            return False
        return not self._closing and bool(super().headerReceived(line))

    def checkPersistence(self, request: http.Request, version: bytes) -> bool:
        """Whether the connection may stay open: not for HTTP/1.0, nor with ``close``."""
        lines = request.requestHeaders.getRawHeaders(b"Connection", [])
        tokens = [token.strip().lower() for line in lines for token in line.split(b",")]
        if version == b"HTTP/1.1" and b"close" not in tokens:
            return True
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False

    def request_malformed(self) -> None:
        """The bytes are no valid request."""
        self.refuse(_BAD_TEXT, "a malformed request")

    def refuse(self, body: bytes, reason: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        """Answer something that is no request, and close."""
        if self._closing:
            return
        assert self.transport is not None
        self.transport.write(_plain_answer(status, body))
        self.report_refused(self.transport.getPeer(), reason, status)
        self.loseConnection()
