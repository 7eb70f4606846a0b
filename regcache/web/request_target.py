"""Checks the Host and the target of a request (RFC 9112, 3.2)."""

import re
from collections.abc import Sequence

from regcache.web.error_answers import BadRequestError
from regcache.web.hosts import InvalidHostError, normalise_host

_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(/[^?#]*)?(\?[^#]*)?\Z", re.IGNORECASE)


def checked_host(lines: Sequence[bytes], version: bytes) -> str | None:
    """The host, normalised. There must be exactly one; HTTP/1.0 may have none.

    :param lines: the values of all Host fields.
    :param version: of the protocol, as in ``HTTP/1.1``.
    :raises BadRequestError: for anything else.
    """
    if len(lines) > 1 or (not lines and version == b"HTTP/1.1"):
        raise BadRequestError("the request must have exactly one Host header")
    try:
        return normalise_host(lines[0].decode("ascii")) if lines else None
    except (InvalidHostError, UnicodeDecodeError):
        raise BadRequestError("the Host header is not valid") from None


def origin_form(target: bytes, lines: Sequence[bytes]) -> bytes:
    """The origin form of a target, which may be in absolute form (RFC 9112, 3.2.2).

    :param lines: the values of all Host fields, one at most.
    :raises BadRequestError: for other forms, and if it names another authority than the Host, since
        other servers may choose the other one of the two.
    """
    if target[:1] == b"/":
        return target
    match = _ABSOLUTE.match(target)
    if match is None or [match[1].lower()] != [line.lower() for line in lines]:
        raise BadRequestError("the request target is not a path on the host of the Host header")
    return (match[2] or b"/") + (match[3] or b"")
