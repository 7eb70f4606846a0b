"""What parameters say of an image: a tag or digest, and platforms."""

import re
from typing import Any

from regcache.admin.api.call_problems import InvalidProblem
from regcache.admin.api.kinds import ArrayOf, Text
from regcache.admin.api.schemas import Schema
from regcache.digests import Digest, InvalidDigestError, is_digest
from regcache.light_dataclass import dataclass
from regcache.references import is_tag

_LONGEST_REFERENCE = 192
_PLATFORM = re.compile(r"[a-z0-9_.-]{1,64}/[a-z0-9_.-]{1,64}(?:/[a-z0-9_.-]{1,64})?\Z")
#: Platforms that one call may name.
_MOST_PLATFORMS = 32


@dataclass(frozen=True, slots=True)
class TagOrDigest:
    """A tag, or the digest of a manifest.

    :ivar digests: whether a digest is taken, too.
    """

    digests: bool = True

    @property
    def schema(self) -> Schema:
        """Its JSON Schema."""
        return {"type": "string", "minLength": 1, "maxLength": _LONGEST_REFERENCE}

    def from_text(self, text: str, path: str) -> str:
        """The reference itself."""
        if is_tag(text) or (self.digests and _is_valid_digest(text)):
            return text
        also = ", or a digest such as sha256:…," if self.digests else ""
        raise InvalidProblem(path, f"a tag such as 1.29{also} is needed")

    def from_json(self, value: Any, path: str) -> str:
        """The reference itself."""
        return self.from_text(Text(_LONGEST_REFERENCE, 1).from_json(value, path), path)


def _is_valid_digest(text: str) -> bool:
    if not is_digest(text):
        return False
    try:
        Digest.parse(text)
    except InvalidDigestError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Platform:
    """``os/architecture``, or with a variant behind that."""

    @property
    def schema(self) -> Schema:
        """Its JSON Schema."""
        return {"type": "string", "pattern": f"^{_PLATFORM.pattern.removesuffix(chr(92) + 'Z')}$"}

    def from_text(self, text: str, path: str) -> str:
        """The platform itself."""
        if not _PLATFORM.match(text):
            raise InvalidProblem(path, "a platform such as linux/amd64 or linux/arm/v7 is needed")
        return text

    def from_json(self, value: Any, path: str) -> str:
        """The platform itself."""
        return self.from_text(Text(256, 1).from_json(value, path), path)


@dataclass(frozen=True, slots=True)
class PlatformChoice:
    """A list of platforms, or the word ``all``; its value is the list, or that word."""

    ALL = "all"
    _list = ArrayOf(Platform(), _MOST_PLATFORMS)

    @property
    def schema(self) -> Schema:
        """Its JSON Schema."""
        return {"anyOf": [{"const": self.ALL}, {**self._list.schema, "minItems": 1}]}

    def from_text(self, text: str, path: str) -> Any:
        """The word."""
        return self.from_json(text, path)

    def from_json(self, value: Any, path: str) -> Any:
        """The list, or the word."""
        if value == self.ALL:
            return value
        if not value or not isinstance(value, list):
            raise InvalidProblem(path, 'a list of platforms, or "all", is needed')
        return self._list.from_json(value, path)
