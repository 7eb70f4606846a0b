"""Byte ranges as clients ask for them (RFC 9110, 14.1 and 14.2)."""

import re

from regcache.light_dataclass import dataclass

#: White space of HTTP (RFC 9110, 5.6.3). Python's own includes bytes that are no ASCII.
_BLANK = " \t"
_SPEC = re.compile(r"([0-9]{0,40})-([0-9]{0,40})\Z")

#: More ranges in one request are answered with the whole content (RFC 9110, 14.2).
MOST_RANGES = 256


class UnsatisfiableRangeError(ValueError):
    """No range lies within the content: 416."""


@dataclass(frozen=True, slots=True)
class RangeSpec:
    """``first-last``, ``first-`` (last is None) or ``-suffix`` (first is None)."""

    first: int | None
    last: int | None

    def resolve(self, size: int) -> tuple[int, int] | None:
        """The half-open interval within content of ``size`` bytes, or None if there is none."""
        if self.first is None:
            suffix = self.last or 0
            return (max(0, size - suffix), size) if suffix and size else None
        end = size if self.last is None else min(size, self.last + 1)
        return (self.first, end) if self.first < size else None


def parse_range(header: str) -> list[RangeSpec]:
    """The ranges of a Range header; empty where it is to be ignored.

    Other units and unparsable headers are ignored, as RFC 9110 asks.
    """
    unit, equals, text = header.strip(_BLANK).partition("=")
    if not equals or unit.rstrip(_BLANK).lower() != "bytes":
        return []
    specs = [_parse_spec(part) for part in _list_members(text)]
    if not specs or len(specs) > MOST_RANGES:
        return []
    valid = [spec for spec in specs if spec is not None]
    return valid if len(valid) == len(specs) else []


def _list_members(text: str) -> list[str]:
    """The members of a list that are not empty (RFC 9110, 5.6.1)."""
    return [part for each in text.split(",") if (part := each.strip(_BLANK))]


def _parse_spec(text: str) -> RangeSpec | None:
    match = _SPEC.match(text)
    if match is None or text == "-":
        return None
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is not None and last is not None and last < first:
        return None
    return RangeSpec(first, last)


def resolve_ranges(specs: list[RangeSpec], size: int) -> list[tuple[int, int]]:
    """The intervals to send of content of ``size`` bytes, in the order asked for.

    Ranges that together would send more than the content are answered with all of it,
    since overlapping ones only serve to make a server send much (RFC 9110, 17.15): the
    list is empty then.

    :raises UnsatisfiableRangeError: where none lies within the content.
    """
    found = [interval for spec in specs if (interval := spec.resolve(size)) is not None]
    if not found:
        raise UnsatisfiableRangeError(f"none of the ranges is within {size} bytes")
    if len(found) > 1 and sum(end - start for start, end in found) > size:
        return []
    return found
