"""Content digests: the names under which bytes are asked for and kept.

OCI image specification, "Digests": ``algorithm:encoded``. Only the registered algorithms
are accepted, since a digest that cannot be verified is not a name that can be trusted.
"""

import hashlib
import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

_HEX_LENGTH = {"sha256": 64, "sha512": 128}
#: By these it takes half as long as by their names (``hashlib.new``).
_NEW: dict[str, Callable[..., "Hasher"]] = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_HEX = re.compile(r"[0-9a-f]+\Z")


class Hasher(Protocol):
    """The part of a hashlib object that verification needs."""

    def update(self, data: bytes, /) -> None:
        """Hash further bytes."""

    def hexdigest(self) -> str:
        """The hexadecimal digest of all bytes so far."""


class InvalidDigestError(ValueError):
    """A text is no digest of a supported algorithm."""


class Digest(NamedTuple):
    """A verified-by-construction digest name. A tuple, since those are hashed at no cost."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Read ``sha256:<64 hex>`` or ``sha512:<128 hex>``.

        :raises InvalidDigestError: for any other text.
        """
        algorithm, _, encoded = text.partition(":")
        if len(encoded) != _HEX_LENGTH.get(algorithm) or not _HEX.match(encoded):
            raise InvalidDigestError("not a sha256 or sha512 digest")
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> "Digest":
        """The digest of bytes that are small enough to hash at once."""
        return cls(algorithm, _NEW[algorithm](content).hexdigest())

    def hasher(self) -> Hasher:
        """A new hash object of this digest's algorithm."""
        return _NEW[self.algorithm]()

    def names(self, content: bytes) -> bool:
        """Whether these bytes are the ones that this digest names."""
        return Digest.of(content, self.algorithm) == self


def is_digest(text: str) -> bool:
    """Whether a reference is meant as a digest (tags cannot hold a colon)."""
    return ":" in text
