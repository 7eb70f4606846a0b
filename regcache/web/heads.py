"""The head of a request as nearly every client sends it, read in one go.

Nothing is refused here: what is not plainly usual, or says anything about a body, is left to
the line by line reading of :mod:`regcache.web.http1.reading`, which takes or refuses it.
"""

import re
from typing import NamedTuple

#: Longer heads are read line by line (bytes).
LONGEST = 4096
#: Heads with more fields are read line by line.
MOST_FIELDS = 32

_HEAD = re.compile(
    rb"(GET|HEAD) (/[!-~]*) HTTP/1\.1\r\n((?:[A-Za-z0-9-]+:[\t\x20-\x7e]*\r\n)+)\r\n\Z"
)
_FIELD = re.compile(rb"([A-Za-z0-9-]+):[\t ]*([\t\x20-\x7e]*)\r\n")
#: A body, or what is looked at elsewhere; blanks behind a value, too.
_UNUSUAL = re.compile(
    rb"\n(?:content-length|transfer-encoding|expect|cookie|upgrade):|[\t ]\r", re.IGNORECASE
)


class PlainHead(NamedTuple):
    """A request without a body, of HTTP/1.1.

    :ivar fields: names as they came, with their values.
    """

    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]


def parse_plain_head(data: bytes) -> PlainHead | None:
    """The head, if the data is one whole head and nothing else; None for all that is not plain."""
    match = _HEAD.match(data) if len(data) <= LONGEST else None
    if match is None or _UNUSUAL.search(data):
        return None
    method, target, lines = match.groups()
    fields = _FIELD.findall(lines)
    return PlainHead(method, target, fields) if len(fields) <= MOST_FIELDS else None
