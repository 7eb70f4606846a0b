"""Encodes where a page begins, in opaque cursors that only their own list accepts.

A cursor is the sort key and the id of the last row, bound to the call and its other parameters. So
rows that did not change are neither repeated nor left out if others are added or removed.
It is encrypted, since that row may be one that the caller may not see. The same row has the same
cursor (AES-SIV, RFC 5297), and with it the answer its ETag. The key is one of the process: cursors
end with it.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from regcache.admin.api.call_problems import CursorProblem
from regcache.light_dataclass import dataclass

_KEY_BITS = 512


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of one list begins.

    :ivar limit: how many rows at most.
    :ivar after: sort key and id of the row before it; None for the beginning.
    """

    limit: int
    after: tuple[Any, ...] | None
    _cursors: "Cursors"
    _list: bytes

    def cursor(self, after: Sequence[Any]) -> str:
        """The cursor of the page that begins behind another row of the same list."""
        return self._cursors.seal(self._list, after)


class Cursors:
    """Makes cursors, and reads them again."""

    def __init__(self) -> None:
        self._cipher = AESSIV(AESSIV.generate_key(_KEY_BITS))

    def position(self, call: str, values: Mapping[str, Any]) -> Position:
        """Where the page that was asked for begins.

        :param values: of the call's parameters.
        :raises CursorProblem: for the cursor of another list, or of an earlier process.
        """
        chosen = {name: value for name, value in values.items() if name not in ("limit", "cursor")}
        list_ = json.dumps([call, chosen], sort_keys=True, default=str).encode()
        cursor = values["cursor"]
        after = None if cursor is None else self._read(list_, cursor)
        return Position(values["limit"], after, self, list_)

    def seal(self, list_: bytes, after: Sequence[Any]) -> str:
        """A cursor."""
        told = json.dumps(list(after), separators=(",", ":")).encode()
        sealed = self._cipher.encrypt(told, [list_])
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def _read(self, list_: bytes, cursor: str) -> tuple[Any, ...]:
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            content = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
            return tuple(json.loads(self._cipher.decrypt(content, [list_])))
        except (binascii.Error, UnicodeError, ValueError, InvalidTag):
            raise _gone() from None


def _gone() -> CursorProblem:
    return CursorProblem("this cursor is none of this list: begin without one")
