"""Content made by its offset from a seed: gigabytes that need no memory."""

import hashlib
import random
from collections.abc import Iterator
from functools import cached_property

_BLOCK = (1 << 20) + 7  # odd on purpose: no shift by a round number gives the same bytes


class GeneratedContent:
    """``size`` bytes that repeat one random block; any part can be made at once."""

    def __init__(self, size: int, seed: object) -> None:
        self.size = size
        block = random.Random(str(seed)).randbytes(_BLOCK)
        self._doubled = memoryview(block + block)

    def chunks(self, start: int, end: int) -> Iterator[memoryview]:
        """The bytes [start, end) in pieces of up to 1 MiB."""
        end = min(end, self.size)
        while start < end:
            place = start % _BLOCK
            piece = self._doubled[place : place + min(_BLOCK, end - start)]
            yield piece
            start += len(piece)

    def read(self, start: int, end: int) -> bytes:
        """The bytes [start, end) in one piece."""
        return b"".join(self.chunks(start, end))

    @cached_property
    def digest(self) -> str:
        """The digest, computed once."""
        found = hashlib.sha256()
        for piece in self.chunks(0, self.size):
            found.update(piece)
        return "sha256:" + found.hexdigest()


class StoredContent:
    """Bytes in memory, with the same methods."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._view = memoryview(data)
        self.digest = "sha256:" + hashlib.sha256(data).hexdigest()

    def chunks(self, start: int, end: int) -> Iterator[memoryview]:
        """The bytes [start, end) in pieces of up to 1 MiB."""
        end = min(end, self.size)
        for place in range(start, end, 1 << 20):
            yield self._view[place : min(place + (1 << 20), end)]

    def read(self, start: int, end: int) -> bytes:
        """The bytes [start, end) in one piece."""
        return bytes(self._view[start:end])


Content = GeneratedContent | StoredContent
