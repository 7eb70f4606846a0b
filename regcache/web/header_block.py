"""Header fields as bytes, encoded once for many answers."""

import re
from collections.abc import Iterable

_UNSAFE = re.compile(r"[^\x20-\x7e]+")


def safe_header_value(text: str) -> str:
    """A text reduced to what a header line may carry: printable ASCII."""
    return _UNSAFE.sub(" ", text).strip()


class HeaderBlock:
    """Header fields that many answers share.

    :ivar fields: names and values.
    :ivar encoded: the same as the lines of HTTP/1.1.
    :ivar lower: the same with the names of HTTP/2 (RFC 9113, 8.2).
    """

    __slots__ = ("encoded", "fields", "lower")

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        """
        :param fields: values are reduced to printable ASCII.
        """
        self.fields = tuple(
            (name.encode("ascii"), safe_header_value(value).encode("ascii"))
            for name, value in fields
        )
        self.encoded = b"".join(b"%b: %b\r\n" % field for field in self.fields)
        self.lower = tuple((name.lower(), value) for name, value in self.fields)
