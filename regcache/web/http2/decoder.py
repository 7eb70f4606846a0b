"""Decodes header blocks (HPACK, RFC 7541), but not those that cost far more than their size.

A block of 20 KB may hold thousands of changes of the table size, or a number of thousands of
digits, and the library works on either for up to a tenth of a second.
"""

import re
from collections.abc import Iterable

from hpack import Decoder, HeaderTuple, HPACKDecodingError

#: One more change of the table size than RFC 7541, 4.2, has a use for at the start of a block.
_SIZE_CHANGES = re.compile(rb"(?:[\x20-\x3e]|\x3f[\x80-\xff]*[\x00-\x7f]){3}")
#: All octets of a number but its last are like this (RFC 7541, 5.1). So may be those of a
#: string, though not so many: nearly all would have to be letters X and the like.
_LONG_NUMBER = re.compile(rb"[\x80-\xff]{2048}")


class BoundedDecoder(Decoder):
    """A decoder whose work is in proportion to the bytes that it gets."""

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        """The fields of a block.

        :raises HPACKDecodingError: also for what is allowed, but only an attacker sends.
        """
        if _LONG_NUMBER.search(data) or _SIZE_CHANGES.match(data):
            raise HPACKDecodingError("a number is too long, or there are too many table sizes")
        return super().decode(data, raw)
