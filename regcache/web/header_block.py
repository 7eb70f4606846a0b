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
    """

    __slots__ = ("_lower", "encoded", "fields")

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        """
        :param fields: values are reduced to printable ASCII.
        """
        self._lower: tuple[tuple[bytes, bytes], ...] | None = None
        self.fields = tuple(
            [
                (name.encode("ascii"), safe_header_value(value).encode("ascii"))
                for name, value in fields
            ]
        )
        self.encoded = b"".join([b"%b: %b\r\n" % field for field in self.fields])

    @property
    def lower(self) -> tuple[tuple[bytes, bytes], ...]:
        """The same with the names of HTTP/2 (RFC 9113, 8.2)."""
        if self._lower is None:
            self._lower = tuple([(name.lower(), value) for name, value in self.fields])
        return self._lower
