"""Header fields and error texts of an upstream, read strictly. Pure and table-tested."""

import json
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from twisted.web.http_headers import Headers

from regcache.digests import Digest, InvalidDigestError

LONGEST_DETAIL = 512
DEFAULT_RETRY_AFTER = 30
LONGEST_RETRY_AFTER = 3600

#: White space of HTTP (RFC 9110, 5.6.3). Python's own includes bytes that are no ASCII.
_BLANK = " \t"
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)\Z")
_SECONDS = re.compile(r"[0-9]{1,10}\Z")
_REMAINING = re.compile(r"[ \t]*([0-9]{1,12})[ \t]*(?:;.*)?\Z")
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\Z")
_NEXT = re.compile(r"[ \t]*<([^<>]*)>((?:[ \t]*;[^,<>]*)*)(?:,|\Z)")
_REL_NEXT = re.compile(r';[ \t]*rel[ \t]*=[ \t]*(?:"next"|next)[ \t]*(?:;|\Z)', re.IGNORECASE)


def field_values(headers: Headers, name: str) -> list[str]:
    """The values of all lines of one header field, as text."""
    values: Sequence[bytes] = headers.getRawHeaders(name.encode("ascii")) or ()
    return [value.decode("latin-1").strip(_BLANK) for value in values]


def only_value(headers: Headers, name: str) -> str:
    """The value of a field that may occur once; "" if it is absent, or has different values."""
    values = set(field_values(headers, name))
    return values.pop() if len(values) == 1 else ""


def content_range(value: str) -> tuple[int, int, int | None] | None:
    """Read Content-Range (RFC 9110, 14.4): (first byte, offset after the last, whole size or None).

    None for anything malformed or impossible, and for an unsatisfied range.
    """
    match = _CONTENT_RANGE.match(value)
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    size = None if match[3] == "*" else int(match[3])
    if first > last or (size is not None and last >= size):
        return None
    return first, last + 1, size


def retry_after(value: str, now: float) -> int:
    """Read Retry-After (RFC 9110, 10.2.3) as seconds within 1 to 3600.

    :param now: Unix seconds, for the form that is a date.
    """
    seconds = DEFAULT_RETRY_AFTER
    if _SECONDS.match(value):
        seconds = int(value)
    elif 0 < len(value) <= 64:
        seconds = _until(value, now)
    return max(1, min(seconds, LONGEST_RETRY_AFTER))


def ratelimit_count(value: str) -> int | None:
    """Read ``ratelimit-remaining: 100;w=21600``, or its limit; None if absent or malformed."""
    match = _REMAINING.match(value[:256])
    return int(match[1]) if match else None


def content_length(value: str) -> int | None:
    """Read the Content-Length of an answer to HEAD; None if absent or malformed."""
    return int(value) if _LENGTH.match(value) else None


def media_type(value: str) -> str:
    """Type and subtype in lower case without parameters; "" if malformed."""
    essence = value.partition(";")[0].strip(_BLANK).lower()
    return essence if _MEDIA_TYPE.match(essence) else ""


def content_digest(headers: Headers) -> Digest | None:
    """The Docker-Content-Digest header, if there is one and it is valid."""
    try:
        return Digest.parse(only_value(headers, "docker-content-digest"))
    except InvalidDigestError:
        return None


def is_encoded(headers: Headers) -> bool:
    """Whether the content is compressed or encoded, so that its digest would not match."""
    values = field_values(headers, "content-encoding")
    return any(value.lower() not in ("", "identity") for value in values)


def next_link(values: Sequence[str]) -> str | None:
    """The target of the Link with rel="next" (RFC 8288), as it was sent."""
    text = ", ".join(values)[:16384]
    position = 0
    while match := _NEXT.match(text, position):
        if _REL_NEXT.search(match[2]):
            return match[1]
        position = match.end()
    return None


def clean_text(text: str) -> str:
    """One line without control, format or surrogate characters, of at most 512 characters."""
    visible = (" " if unicodedata.category(c)[0] in "CZ" else c for c in text[:4096])
    return " ".join("".join(visible).split())[:LONGEST_DETAIL]


def error_detail(body: bytes) -> str:
    """The text of an error body: the messages of OCI errors, else plain text; never markup."""
    try:
        errors = json.loads(body)["errors"]
        messages = [str(error.get("message") or error.get("code", "")) for error in errors]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        text = body.decode("utf-8", "replace").strip()
        return "" if text.startswith(("<", "{", "[")) else clean_text(text)
    return clean_text("; ".join(messages))


def _until(value: str, now: float) -> int:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return DEFAULT_RETRY_AFTER
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int((moment - datetime.fromtimestamp(now, UTC)).total_seconds())
