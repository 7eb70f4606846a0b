"""Times as text (RFC 3339, UTC)."""

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)


def time_text(seconds: float) -> str:
    """Unix seconds as a time, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_or_null(seconds: float | None) -> str | None:
    """The same; None stays None."""
    return None if seconds is None else time_text(seconds)


def parse_time(text: str) -> float:
    """Unix seconds of a time.

    :raises ValueError: if it is none.
    """
    if not _RFC3339.match(text):
        raise ValueError("a time such as 2026-11-26T08:00:00Z is needed")
    try:
        return datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("there is no such time") from None
