"""The types of single values: words, numbers, sizes, durations, schedules, globs."""

import re
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from typing import Any, TypeVar

from cronsim import CronSim, CronSimError

from regcache.config.document import Node
from regcache.config.reading import WORDS, Context, expected, quoted
from regcache.config.value_types import Scalar, as_it_is
from regcache.config.values import REDACTED, Cron, Size
from regcache.facts import Percentage
from regcache.sizes import UNITS, WITHOUT_UNIT, parse_size

T = TypeVar("T")

HSTS_DEFAULT = "max-age=15552000; includeSubDomains; preload"

_NUMBER = r"[0-9]{1,19}(?:\.[0-9]{1,6})?"
_DURATION_TERM = re.compile(rf"({_NUMBER})(ms|s|m|h|d|w)")
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h|d|w))+\Z")
_SECONDS = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
    "w": Fraction(604800),
}
_SHARE = re.compile(rf"({_NUMBER}) ?%\Z")
_GLOB = re.compile(r"[A-Za-z0-9._/*?-]{1,255}\Z")

#: Ten years: longer than anything runs, and far from every overflow.
LONGEST = 3650 * 86400.0
LARGEST = 2**60


def _text_of(node: Node) -> str:
    if node.kind != "text":
        raise expected("text", node)
    return str(node.value)


def text(maximum: int = 1024) -> Scalar[str]:
    """Any text that is not empty."""

    def parse(node: Node, _context: Context) -> str:
        value = _text_of(node)
        if not value.strip():
            raise ValueError("may not be empty")
        if len(value) > maximum:
            raise ValueError(f"longer than {maximum} characters")
        return value

    return Scalar(parse, "text")


def secret_text() -> Scalar[str]:
    """Text that is never written again."""
    return Scalar(text().parse, "text", lambda _: REDACTED)


def text_like(
    convert: Callable[[str], T], kind: str, write: Callable[[T], Any] = as_it_is
) -> Scalar[T]:
    """Text that ``convert`` understands; it raises ValueError(why) without the text."""

    def parse(node: Node, _context: Context) -> T:
        return convert(_text_of(node))

    return Scalar(parse, kind, write)


def boolean() -> Scalar[bool]:
    """``true`` or ``false``."""

    def parse(node: Node, _context: Context) -> bool:
        if node.kind != "boolean":
            raise expected("true or false", node)
        return bool(node.value)

    return Scalar(parse, "`true` or `false`")


def whole_number(minimum: int, maximum: int) -> Scalar[int]:
    """A whole number within bounds."""

    def parse(node: Node, _context: Context) -> int:
        if node.kind != "number":
            raise expected("a whole number", node)
        if not minimum <= node.value <= maximum:
            raise ValueError(f"must be from {minimum} to {maximum}")
        return int(node.value)

    return Scalar(parse, f"number from {minimum} to {maximum}")


def choice(*words: str) -> Scalar[Any]:
    """One of a few words."""

    def parse(node: Node, _context: Context) -> str:
        if node.kind != "text" or node.value not in words:
            got = quoted(node) if node.raw else WORDS[node.kind]
            raise ValueError(f"must be {' or '.join(words)}, not {got}")
        return str(node.value)

    *first, last = (f"`{word}`" for word in words)
    return Scalar(parse, f"{', '.join(first)} or {last}" if first else last)


def parse_duration(node: Node, minimum: float, maximum: float) -> float:
    """Seconds from ``10m`` or ``1h30m``; a plain 0 needs no unit. Precise to a millisecond."""
    if node.kind == "number" and node.value == 0:
        seconds = 0.0
    elif node.kind in ("number", "fraction"):
        raise ValueError("a duration needs a unit: ms, s, m, h, d or w, as in 10m")
    elif node.kind != "text":
        raise expected("a duration such as 10m", node)
    elif not _DURATION.match(node.value):
        raise ValueError(f"{quoted(node)} is no duration such as 500ms, 2s, 10m, 1h30m or 30d")
    else:
        terms = _DURATION_TERM.findall(node.value)
        total = sum(Fraction(number) * _SECONDS[unit] for number, unit in terms)
        seconds = round(float(total), 3)
    if not minimum <= seconds <= maximum:
        bounds = f"from {format_duration(minimum)} to {format_duration(maximum)}"
        raise ValueError(f"must be {bounds}")
    return seconds


def duration(minimum: float = 0.0, maximum: float = LONGEST) -> Scalar[float]:
    """A duration within bounds, in seconds."""

    def parse(node: Node, _context: Context) -> float:
        return parse_duration(node, minimum, maximum)

    return Scalar(parse, f"duration{_bounds(minimum, maximum)}", format_duration)


def _bounds(minimum: float, maximum: float) -> str:
    """The bounds of a duration, as far as they are worth a word."""
    if minimum and maximum < LONGEST:
        return f" from {format_duration(minimum)} to {format_duration(maximum)}"
    if minimum:
        return f" of at least {format_duration(minimum)}"
    return f" of at most {format_duration(maximum)}" if maximum < LONGEST else ""


def format_duration(seconds: float) -> str:
    """The shortest form that reads back as the same number."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds % length == 0 and (seconds or unit == "s"):
            return f"{int(seconds // length)}{unit}"
    return f"{round(seconds * 1000)}ms"


def size(minimum: int = 0) -> Scalar[int]:
    """A size in bytes, within a lower bound."""

    def parse(node: Node, _context: Context) -> int:
        value = _parse_size(node, percent=False)
        assert isinstance(value, int)
        return _checked_size(value, minimum)

    kind = f"size of at least {format_size(minimum)}" if minimum else "size"
    return Scalar(parse, kind, format_size)


def size_or_share() -> Scalar[Size]:
    """A size in bytes that is not 0, or a :class:`Percentage`."""

    def parse(node: Node, _context: Context) -> Size:
        value = _parse_size(node, percent=True)
        return value if isinstance(value, Percentage) else _checked_size(value, 1)

    return Scalar(parse, "size or share", format_size)


def _checked_size(value: int, minimum: int) -> int:
    if not minimum <= value <= LARGEST:
        raise ValueError(f"must be from {format_size(minimum)} to {format_size(LARGEST)}")
    return value


def _parse_size(node: Node, percent: bool) -> Size:
    if node.kind == "number" and node.value == 0:
        return 0
    if node.kind in ("number", "fraction"):
        raise ValueError(WITHOUT_UNIT)
    if node.kind != "text":
        raise expected("a size such as 50GiB", node)
    if share := _SHARE.match(node.value):
        return _parse_percentage(share[1], percent)
    return parse_size(node.value, quoted(node), " or 80%" if percent else "")


def _parse_percentage(number: str, percent: bool) -> Percentage:
    if not percent:
        raise ValueError("a percentage makes no sense here; write a size such as 2GiB")
    value = float(number)
    if not 0 < value <= 100:
        raise ValueError("must be more than 0% and at most 100%")
    return Percentage(value)


def format_size(value: Size) -> str:
    """The shortest form that reads back as the same size."""
    if isinstance(value, Percentage):
        return f"{value.value:.6f}".rstrip("0").rstrip(".") + "%"
    for unit in ("PiB", "TiB", "GiB", "MiB", "KiB"):
        if value and value % UNITS[unit] == 0:
            return f"{value // UNITS[unit]}{unit}"
    return f"{value}B"


def parse_cron(line: str) -> Cron:
    """A cron line of five fields that has a next time.

    :raises ValueError: if it is none, or never comes.
    """
    if len(line) > 200 or len(line.split()) != 5:
        raise ValueError('must be a cron line of five fields, such as "0 4 * * *"')
    try:
        next(CronSim(line, datetime(2024, 1, 1)))
    except StopIteration:
        raise ValueError("this cron line never comes") from None
    except (CronSimError, ValueError, AssertionError, TypeError) as fault:
        why = str(fault) if isinstance(fault, CronSimError) else "bad field"
        raise ValueError(f"not a cron line: {why}") from None
    return Cron(" ".join(line.split()))


def cron() -> Scalar[Cron]:
    """A cron line."""
    return text_like(parse_cron, "cron line", lambda line: line.expression)


def schedule(minimum: float, maximum: float) -> Scalar[float | Cron]:
    """A duration or a cron line."""

    def parse(node: Node, _context: Context) -> float | Cron:
        if node.kind == "text" and len(node.value.split()) > 1:
            return parse_cron(node.value)
        return parse_duration(node, minimum, maximum)

    def write(value: float | Cron) -> str:
        return value.expression if isinstance(value, Cron) else format_duration(value)

    return Scalar(parse, f"duration{_bounds(minimum, maximum)}, or cron line", write)


def glob() -> Scalar[str]:
    """A glob over repository or tag names, where ``*`` and ``?`` are special."""

    def parse(node: Node, _context: Context) -> str:
        value = _text_of(node)
        if not _GLOB.match(value):
            raise ValueError(f"{quoted(node)} is no glob: names, * and ? are allowed")
        return value

    return Scalar(parse, "glob")


def hsts() -> Scalar[str | None]:
    """The value of Strict-Transport-Security (RFC 6797, section 6.1), or a word for one."""

    def parse(node: Node, _context: Context) -> str | None:
        if node.kind == "boolean":
            return HSTS_DEFAULT if node.value else None
        if node.kind == "null":
            return None
        value = _text_of(node)
        if not re.match(r"(?:.*;)?\s*max-age=\"?[0-9]+", value, re.IGNORECASE):
            raise ValueError("must be true, false or a text with max-age=<seconds>")
        if not value.isascii():
            raise ValueError("must be plain ASCII")
        return value

    return Scalar(parse, "`true`, text or `null`")
