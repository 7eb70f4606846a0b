"""Heads in HTTP/2: those of requests, checked as strictly as in HTTP/1.1, and those of answers.

A request is refused if it would mean something else when it is written as HTTP/1.1. Every request
must have exactly one Host (RFC 9113, 8.2 and 8.3).
"""

import re
from collections.abc import Iterable, Sequence

from twisted.web.http_headers import Headers

from regcache.light_dataclass import dataclass
from regcache.web.header_block import HeaderBlock
from regcache.web.http2.limits import MOST_FIELDS

Field = tuple[bytes, bytes]

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_TARGET = re.compile(rb"/[\x21-\x7e]*\Z")
_BAD_VALUE = re.compile(rb"[\x00\r\n]|\A[ \t]|[ \t]\Z")
_LENGTH = re.compile(rb"[0-9]{1,18}\Z")
_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority"})
_OF_CONNECTIONS = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_BODILESS = frozenset({b"204", b"304"})
_SINGLE = frozenset({b"host", b"content-length"})


class MalformedHeadError(Exception):
    """A head that other servers may read in a different way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A valid head.

    :ivar fields: all but the pseudo-fields, with the authority as Host.
    :ivar length: the declared length of the body, or None.
    :ivar awaits: whether the client waits for 100 (RFC 9110, 10.1.1) before it sends the body.
    """

    method: bytes
    target: bytes
    fields: tuple[Field, ...]
    length: int | None
    awaits: bool


def read_head(fields: Iterable[Field], ended: bool = True) -> Head:
    """Check the fields of a request, in the order in which they were sent.

    :param ended: whether no body follows, so that none may be declared (RFC 9113, 8.1.1).
    :raises MalformedHeadError: if any of them is not valid.
    """
    pseudo, plain = _split([(bytes(name), bytes(value)) for name, value in fields])
    for name, value in plain:
        _check(name, value)
    method, target = _method_and_target(pseudo)
    hosts = _values(plain, b"host")
    authority = pseudo.get(b":authority", hosts[0] if hosts else b"")
    if not authority or (hosts and hosts[0].lower() != authority.lower()):
        raise MalformedHeadError("neither one authority nor one Host")
    lengths = _values(plain, b"content-length")
    length = _length(lengths[0]) if lengths else None
    if ended and length:
        raise MalformedHeadError("a length without a body")
    kept = (field for field in plain if field[0] not in (b"host", b"te"))
    return Head(
        method=method,
        target=target,
        fields=(*kept, (b"host", authority)),
        length=length,
        awaits=bool(_values(plain, b"expect")),
    )


def _split(fields: list[Field]) -> tuple[dict[bytes, bytes], list[Field]]:
    """Split off the pseudo-fields, each of which must come once and before all other fields."""
    if len(fields) > MOST_FIELDS:
        raise MalformedHeadError("too many fields")
    pseudo: dict[bytes, bytes] = {}
    plain: list[Field] = []
    for name, value in fields:
        if _BAD_VALUE.search(value):
            raise MalformedHeadError("a value")
        if not name.startswith(b":"):
            plain.append((name, value))
        elif plain or name in pseudo or name not in _PSEUDO:
            raise MalformedHeadError("pseudo-fields")
        else:
            pseudo[name] = value
    return pseudo, plain


def _check(name: bytes, value: bytes) -> None:
    if not _NAME.match(name):
        raise MalformedHeadError("a name")
    if name in _OF_CONNECTIONS or (name == b"te" and value.lower() != b"trailers"):
        raise MalformedHeadError("a field that belongs to connections")


def _method_and_target(pseudo: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    method, target = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if not _METHOD.match(method) or pseudo.get(b":scheme") != b"https":
        raise MalformedHeadError("method or scheme")
    if not _TARGET.match(target) and (method, target) != (b"OPTIONS", b"*"):
        raise MalformedHeadError("target")
    return method, target


def _values(fields: list[Field], name: bytes) -> list[bytes]:
    """The values of a field. At most one, if the field must not be repeated."""
    values = [value for each, value in fields if each == name]
    if len(values) > 1 and name in _SINGLE:
        raise MalformedHeadError("a field that came twice")
    return values


def _length(text: bytes) -> int:
    if not _LENGTH.match(text):
        raise MalformedHeadError("a length")
    return int(text)


def answer_fields(code: bytes, blocks: Iterable[HeaderBlock], headers: Headers) -> list[Field]:
    """The fields of an answer, its status first, without those that concern the connection."""
    fields = [(b":status", code)]
    for block in blocks:
        fields.extend(block.lower)
    for name, values in headers.getAllRawHeaders():
        if (lower := name.lower()) not in _OF_CONNECTIONS:
            fields.extend((lower, value) for value in values)
    return fields


def declared_length(fields: Sequence[Field]) -> int | None:
    """How long the body of an answer to GET has to be; None where it is not declared, or none."""
    lengths = [int(value) for name, value in fields if name == b"content-length"]
    return lengths[0] if lengths and fields[0][1] not in _BODILESS else None
