"""Header fields as bytes: encoded once for all the answers that have them in common."""

import re
from collections.abc import Iterable, Sequence

from twisted.web.http_headers import Headers

_UNSAFE = re.compile(r"[^\x20-\x7e]+")


def safe_header_value(text: str) -> str:
    """A text reduced to what a header line may carry: printable ASCII."""
    return _UNSAFE.sub(" ", text).strip()


class HeaderBlock:
    """Header fields that many answers have in common.

    :ivar fields: names and values.
    :ivar encoded: the same as the lines of HTTP/1.1.
    """

    __slots__ = ("encoded", "fields")

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        """
        :param fields: values are reduced to printable ASCII.
        """
        self.fields = tuple(
            (name.encode("ascii"), safe_header_value(value).encode("ascii"))
            for name, value in fields
        )
        self.encoded = b"".join(b"%b: %b\r\n" % field for field in self.fields)


def encode_head(
    version: bytes, code: bytes, phrase: bytes, headers: Headers, blocks: Sequence[HeaderBlock]
) -> bytes:
    """The head of an answer, with the blank line behind it."""
    parts = [b"%b %b %b\r\n" % (version, code, phrase)]
    parts.extend(block.encoded for block in blocks)
    parts.extend(
        b"%b: %b\r\n" % (name, value)
        for name, values in headers.getAllRawHeaders()
        for value in values
    )
    parts.append(b"\r\n")
    return b"".join(parts)
