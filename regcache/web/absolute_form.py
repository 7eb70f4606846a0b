"""Targets in absolute form (RFC 9112, 3.2.2), which a server has to take."""

import re

_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(/[^?#]*)?(\?[^#]*)?\Z", re.IGNORECASE)


def origin_form(target: bytes, host: bytes) -> bytes | None:
    """The target in origin form.

    None where it is not in absolute form, or names another authority than the Host field: which
    of the two is meant others might read in another way.

    :param host: the value of the Host field.
    """
    match = _ABSOLUTE.match(target)
    if match is None or match[1].lower() != host.lower():
        return None
    return (match[2] or b"/") + (match[3] or b"")
