"""DNS messages: encodes questions, and decodes answers (RFC 1035, 4).

Pure and bounded: the number of steps to read an answer is limited.
"""

import struct
from collections.abc import Iterator
from dataclasses import KW_ONLY
from enum import IntEnum
from ipaddress import ip_address

from regcache.light_dataclass import dataclass

MOST_RECORDS = 100
MOST_ALIASES = 16
MOST_ADDRESSES = 8
_MOST_POINTERS = 16
_LONGEST_NAME = 255
_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")
_ALIAS = 5
_INTERNET = 1
_RECURSION_DESIRED = 0x0100
_RESPONSE = 0x8000
_TRUNCATED = 0x0200


class RecordType(IntEnum):
    """Types of the records that are asked for; the value is the one on the wire."""

    A = 1
    AAAA = 28


class Code(IntEnum):
    """The response codes that are an answer. After any other one the next server is asked."""

    NO_ERROR = 0
    NAME_ERROR = 3


class StrayAnswerError(ValueError):
    """A message is not the answer to the question."""


class MalformedMessageError(ValueError):
    """A message violates the format or the bounds."""


@dataclass(frozen=True, slots=True)
class Question:
    """A name in lower case without a dot at its end, and the kind of its addresses."""

    name: str
    kind: RecordType


@dataclass(frozen=True, slots=True)
class Reply:
    """The content of an answer.

    :ivar code: the response code.
    :ivar truncated: whether the message had no room for all of it.
    :ivar addresses: at most :data:`MOST_ADDRESSES`.
    :ivar alias: the name at the end of the chain of aliases; "" for none.
    :ivar ttl: seconds; the shortest of all records on the way to the addresses.
    """

    code: int
    truncated: bool
    addresses: tuple[str, ...]
    _: KW_ONLY
    alias: str
    ttl: int


@dataclass(frozen=True, slots=True)
class _Record:
    owner: str
    kind: int
    ttl: int
    value: str


def encode_query(identifier: int, question: Question) -> bytes:
    """A query for one question, recursion desired.

    :raises ValueError: if the name cannot be asked for.
    """
    labels = [label.encode("ascii") for label in question.name.split(".")]
    if any(not 0 < len(label) < 64 for label in labels):
        raise ValueError("not a name that can be asked for")
    name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(name) > _LONGEST_NAME:
        raise ValueError("the name is too long")
    header = _HEADER.pack(identifier, _RECURSION_DESIRED, 1, 0, 0, 0)
    return header + name + struct.pack("!HH", question.kind, _INTERNET)


def decode_reply(data: bytes, identifier: int, question: Question) -> Reply:
    """Read an answer to a query.

    :raises StrayAnswerError: if it is the answer to another one, or none.
    :raises MalformedMessageError: if it is malformed.
    """
    try:
        return _reply(data, identifier, question)
    except (struct.error, IndexError):
        raise MalformedMessageError("the message is cut off") from None


def _reply(data: bytes, identifier: int, question: Question) -> Reply:
    given, flags, questions, answers, _, _ = _HEADER.unpack_from(data)
    if given != identifier or not flags & _RESPONSE or questions != 1:
        raise StrayAnswerError("another identifier, or no answer at all")
    name, offset = _name(data, _HEADER.size)
    kind, network = struct.unpack_from("!HH", data, offset)
    if (name, kind, network) != (question.name, question.kind, _INTERNET):
        raise StrayAnswerError("the answer to another question")
    truncated = bool(flags & _TRUNCATED)
    records = _records(data, offset + 4, min(answers, MOST_RECORDS), truncated)
    return _followed(list(records), question, flags & 0x000F, truncated)


def _records(data: bytes, offset: int, count: int, truncated: bool) -> Iterator[_Record]:
    """The records that are used here. A truncated message may end within one."""
    for _ in range(count):
        try:
            owner, offset = _name(data, offset)
            kind, network, ttl, length = _RECORD.unpack_from(data, offset)
            offset += _RECORD.size
            value = _value(data, offset, kind, length)
        except (struct.error, IndexError):
            if truncated:
                return
            raise
        offset += length
        if value and network == _INTERNET:
            # RFC 2181, 8: with the highest bit set it counts as zero.
            yield _Record(owner, kind, 0 if ttl >> 31 else ttl, value)


def _value(data: bytes, offset: int, kind: int, length: int) -> str:
    content = data[offset : offset + length]
    if len(content) != length:
        raise IndexError
    if (kind, length) in ((RecordType.A, 4), (RecordType.AAAA, 16)):
        return str(ip_address(content))
    return _name(data, offset)[0] if kind == _ALIAS else ""


def _name(data: bytes, offset: int) -> tuple[str, int]:
    """A name, and the offset after it. Pointers must lead backwards; their number is limited."""
    labels: list[str] = []
    size, pointers, end, limit = 0, 0, 0, offset
    while length := data[offset]:
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | data[offset + 1]
            pointers += 1
            if target >= limit or pointers > _MOST_POINTERS:
                raise MalformedMessageError("a name leads in a circle")
            end = end or offset + 2
            limit = offset = target
            continue
        size += length + 1
        label = data[offset + 1 : offset + 1 + length]
        if length > 63 or size > _LONGEST_NAME or len(label) != length:
            raise MalformedMessageError("a name is malformed")
        labels.append(label.decode("latin-1").lower())
        offset += length + 1
    return ".".join(labels), end or offset + 1


def _followed(records: list[_Record], question: Question, code: int, truncated: bool) -> Reply:
    """Follow the aliases from the question's name to its addresses."""
    aliases = {record.owner: record for record in records if record.kind == _ALIAS}
    name, ttls = question.name, [2**31 - 1]
    for _ in range(MOST_ALIASES):
        alias = aliases.get(name)
        if alias is None:
            break
        name = alias.value
        ttls.append(alias.ttl)
    else:
        raise MalformedMessageError("its aliases have no end")
    found = [r for r in records if r.owner == name and r.kind == question.kind][:MOST_ADDRESSES]
    ttls += [record.ttl for record in found]
    alias_name = name if name != question.name else ""
    return Reply(code, truncated, tuple(r.value for r in found), alias=alias_name, ttl=min(ttls))
