"""The types of parameters: they describe, check and convert values of the query or of a body."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, field
from datetime import date
from typing import Any, Protocol

from regcache.admin.api.call_problems import InvalidProblem
from regcache.admin.api.schemas import DAY, Schema
from regcache.digests import Digest
from regcache.light_dataclass import dataclass
from regcache.references import is_repository_name
from regcache.times import parse_time

_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_FLAGS = {"true": True, "false": False}
_LONGEST_NAME = 512


class ValueKind(Protocol):
    """The type of a parameter."""

    @property
    def schema(self) -> Schema:
        """Give the JSON Schema."""

    def from_text(self, text: str, path: str) -> Any:
        """Convert a parameter of the query. :raises InvalidProblem: if it is not of this type."""

    def from_json(self, value: Any, path: str) -> Any:
        """Convert a field of the body. :raises InvalidProblem: if it is not of this type."""


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidProblem(path, "a text is needed")
    return value


@dataclass(frozen=True, slots=True)
class Text:
    """A text with bounds of its length, and without control characters."""

    most: int = 256
    least: int = 0

    @property
    def schema(self) -> Schema:
        """Give the JSON Schema."""
        return {"type": "string", "minLength": self.least, "maxLength": self.most}

    def from_text(self, text: str, path: str) -> str:
        """Check a text."""
        if not self.least <= len(text) <= self.most:
            bounds = f"{self.least} to {self.most}" if self.least else f"at most {self.most}"
            raise InvalidProblem(path, f"it must have {bounds} characters")
        if any(ord(each) < 32 or ord(each) == 127 for each in text):
            raise InvalidProblem(path, "it has a control character")
        if any("\ud800" <= each <= "\udfff" for each in text):
            raise InvalidProblem(path, "it has half a character (a lone surrogate)")
        return text

    def from_json(self, value: Any, path: str) -> str:
        """Check a text."""
        return self.from_text(_text(value, path), path)


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer within bounds."""

    least: int
    most: int

    @property
    def schema(self) -> Schema:
        """Give the JSON Schema."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def from_text(self, text: str, path: str) -> int:
        """Convert an integer."""
        return self.from_json(int(text) if _INTEGER.match(text) else None, path)

    def from_json(self, value: Any, path: str) -> int:
        """Check an integer."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not self.least <= value <= self.most:
            raise InvalidProblem(path, f"a number from {self.least} to {self.most} is needed")
        return int(value)


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean."""

    @property
    def schema(self) -> Schema:
        """Give the JSON Schema."""
        return {"type": "boolean"}

    def from_text(self, text: str, path: str) -> bool:
        """Convert ``true`` or ``false``."""
        return self.from_json(_FLAGS.get(text), path)

    def from_json(self, value: Any, path: str) -> bool:
        """Check a boolean."""
        if not isinstance(value, bool):
            raise InvalidProblem(path, "true or false is needed")
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words."""

    words: tuple[str, ...]

    @property
    def schema(self) -> Schema:
        """Give the JSON Schema."""
        return {"enum": list(self.words)}

    def from_text(self, text: str, path: str) -> str:
        """Check a word."""
        if text not in self.words:
            raise InvalidProblem(path, f"one of {', '.join(self.words)} is needed")
        return text

    def from_json(self, value: Any, path: str) -> str:
        """Check a word."""
        return self.from_text(_text(value, path), path)


@dataclass(frozen=True, slots=True)
class Instant:
    """A time (RFC 3339). Its value is Unix seconds."""

    @property
    def schema(self) -> Schema:
        """Give the JSON Schema."""
        return {"type": "string", "format": "date-time"}

    def from_text(self, text: str, path: str) -> float:
        """Convert a time to Unix seconds."""
        try:
            return parse_time(text)
        except ValueError as error:
            raise InvalidProblem(path, str(error)) from None

    def from_json(self, value: Any, path: str) -> float:
        """Convert a time to Unix seconds."""
        return self.from_text(_text(value, path), path)


@dataclass(frozen=True, slots=True)
class Day:
    """A day, such as 2026-12-01."""

    @property
    def schema(self) -> Schema:
        """Give the JSON Schema."""
        return DAY

    def from_text(self, text: str, path: str) -> date:
        """Convert a day."""
        try:
            if _DAY.match(text):
                return date.fromisoformat(text)
        except ValueError:
            raise InvalidProblem(path, "there is no such day") from None
        raise InvalidProblem(path, "a day such as 2026-12-01 is needed")

    def from_json(self, value: Any, path: str) -> date:
        """Convert a day."""
        return self.from_text(_text(value, path), path)


@dataclass(frozen=True, slots=True)
class Named:
    """The name of a repository in the API.

    :ivar upstream: the name of an upstream, which may not exist.
    :ivar repository: the name of the repository at the upstream.
    """

    upstream: str
    repository: str

    def __str__(self) -> str:
        return f"{self.upstream}/{self.repository}"


@dataclass(frozen=True, slots=True)
class RepositoryName:
    """A name such as ``<upstream>/<repository>``. Its value is :class:`Named`."""

    @property
    def schema(self) -> Schema:
        """Give the JSON Schema."""
        return {"type": "string", "maxLength": _LONGEST_NAME}

    def from_text(self, text: str, path: str) -> Named:
        """Split a name into its parts."""
        upstream, _, repository = text.partition("/")
        if len(text) > _LONGEST_NAME or not upstream or not is_repository_name(repository):
            raise InvalidProblem(path, "a name such as docker.io/library/nginx is needed")
        return Named(upstream, repository)

    def from_json(self, value: Any, path: str) -> Named:
        """Split a name into its parts."""
        return self.from_text(_text(value, path), path)


@dataclass(frozen=True, slots=True)
class DigestText:
    """A digest. Its value is :class:`Digest`."""

    @property
    def schema(self) -> Schema:
        """Give the JSON Schema."""
        return {"type": "string", "pattern": "^sha(256|512):[0-9a-f]+$"}

    def from_text(self, text: str, path: str) -> Digest:
        """Parse a digest."""
        try:
            return Digest.parse(text)
        except ValueError:
            raise InvalidProblem(path, "a digest such as sha256:… is needed") from None

    def from_json(self, value: Any, path: str) -> Digest:
        """Parse a digest."""
        return self.from_text(_text(value, path), path)


@dataclass(frozen=True, slots=True)
class ArrayOf:
    """A list of at most ``most`` values of one type. Only a body can have one."""

    of: ValueKind
    most: int = 1000

    @property
    def schema(self) -> Schema:
        """Give the JSON Schema."""
        return {"type": "array", "items": self.of.schema, "maxItems": self.most}

    def from_text(self, text: str, path: str) -> Any:
        """Refuse it: a query cannot have one."""
        raise InvalidProblem(path, "a list has no place in a query")

    def from_json(self, value: Any, path: str) -> list[Any]:
        """Convert each item of a list."""
        if not isinstance(value, list) or len(value) > self.most:
            raise InvalidProblem(path, f"a list of at most {self.most} is needed")
        return [self.of.from_json(each, f"{path}[{n}]") for n, each in enumerate(value)]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a call, or one field of an object.

    :ivar default: the value if it is absent and not required.
    """

    name: str
    kind: ValueKind
    text: str = ""
    _: KW_ONLY
    required: bool = False
    default: Any = None

    @property
    def takes_null(self) -> bool:
        """Whether null differs from an absent value."""
        return bool(getattr(self.kind, "takes_null", False))


@dataclass(frozen=True, slots=True)
class Fields:
    """An object that accepts no other fields than these. Its value is a dict."""

    parameters: Sequence[Parameter] = field(default_factory=tuple)

    @property
    def schema(self) -> Schema:
        """Give the JSON Schema."""
        schema: Schema = {
            "type": "object",
            "properties": {each.name: schema_of(each) for each in self.parameters},
            "additionalProperties": False,
        }
        required = [each.name for each in self.parameters if each.required]
        return schema | ({"required": required} if required else {})

    def from_text(self, text: str, path: str) -> Any:
        """Refuse it: a query cannot have one."""
        raise InvalidProblem(path, "an object has no place in a query")

    def from_json(self, value: Any, path: str) -> dict[str, Any]:
        """Convert the fields of an object, by name."""
        if not isinstance(value, dict):
            raise InvalidProblem(path, "an object is needed")
        at = f"{path}." if path else ""
        self._check_names(value, at)
        return {
            each.name: each.kind.from_json(value[each.name], at + each.name)
            if each.name in value and (value[each.name] is not None or each.takes_null)
            else each.default
            for each in self.parameters
        }

    def from_query(self, query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Convert the parameters of a query, by name."""
        self._check_names(query, "")
        for name, lines in query.items():
            if len(lines) > 1:
                raise InvalidProblem(name, "it may stand only once")
        return {
            each.name: each.kind.from_text(query[each.name][0], each.name)
            if each.name in query
            else each.default
            for each in self.parameters
        }

    def _check_names(self, given: Mapping[str, Any], at: str) -> None:
        known = {each.name for each in self.parameters}
        for name in given:
            if name not in known:
                takes = ", ".join(sorted(known)) or "none"
                raise InvalidProblem(f"{at}{name}"[:200], f"it is not known here; known: {takes}")
        for each in self.parameters:
            if each.required and given.get(each.name) is None:
                raise InvalidProblem(at + each.name, "it is missing")


def schema_of(parameter: Parameter) -> Schema:
    """Give the JSON Schema of a parameter, with its description and default."""
    schema = dict(parameter.kind.schema)
    if parameter.text:
        schema["description"] = parameter.text
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema
