"""Kinds of the fields of a seat: as in its file, sizes as text or integers."""

import re
from datetime import date
from typing import Any, ClassVar

from regcache.admin.api.call_problems import InvalidProblem
from regcache.admin.api.kinds import ValueKind
from regcache.admin.api.schemas import Schema
from regcache.light_dataclass import dataclass

_SIZE = r"[0-9]{1,19}(\.[0-9]{1,6})? ?([kKMGTP]i?)?B"
_SIZE_TEXT = re.compile(_SIZE + r"\Z")
_MOST_BYTES = 2**60


@dataclass(frozen=True, slots=True)
class SizeValue:
    """Bytes: a number, or a text such as ``20GiB``. Its value is a text as a file has it."""

    @property
    def schema(self) -> Schema:
        """Its JSON Schema."""
        number = {"type": "integer", "minimum": 1, "maximum": _MOST_BYTES}
        return {"anyOf": [number, {"type": "string", "pattern": f"^{_SIZE}$"}]}

    def from_text(self, text: str, path: str) -> str:
        """The size."""
        if not _SIZE_TEXT.match(text):
            raise InvalidProblem(path, "a size such as 20GiB, or a number of bytes, is needed")
        return text

    def from_json(self, value: Any, path: str) -> str:
        """The size."""
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_BYTES:
            return f"{value}B"
        return self.from_text(value if isinstance(value, str) else "", path)


@dataclass(frozen=True, slots=True)
class DayValue:
    """A day; its value is the text."""

    @property
    def schema(self) -> Schema:
        """Its JSON Schema."""
        return {"type": "string", "format": "date"}

    def from_text(self, text: str, path: str) -> str:
        """The day."""
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise InvalidProblem(path, "a day such as 2027-01-31 is needed") from None

    def from_json(self, value: Any, path: str) -> str:
        """The day."""
        return self.from_text(value if isinstance(value, str) else "", path)


@dataclass(frozen=True, slots=True)
class OrNothing:
    """A value that may be null, which means something else than no value: it is taken away.

    In the values of a call ``None`` is what is absent; null is :data:`NOTHING`.
    """

    kind: ValueKind
    takes_null: ClassVar[bool] = True

    @property
    def schema(self) -> Schema:
        """Its JSON Schema."""
        return {"anyOf": [self.kind.schema, {"type": "null"}]}

    def from_text(self, text: str, path: str) -> Any:
        """The value."""
        return self.kind.from_text(text, path)

    def from_json(self, value: Any, path: str) -> Any:
        """The value."""
        return NOTHING if value is None else self.kind.from_json(value, path)


class _Nothing:
    """The type of the mark for null."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING = _Nothing()
