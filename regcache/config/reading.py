"""Shared by all readers of a configuration: the mark for wrong values, settings, messages."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, field
from enum import Enum
from typing import Any, Final, Literal

from regcache.config.document import Node
from regcache.config.problems import KeyPath, Problems, printable
from regcache.light_dataclass import dataclass


class _Invalid(Enum):
    """The type of the mark for a value that cannot be used."""

    INVALID = "invalid"


INVALID: Final = _Invalid.INVALID
Invalid = Literal[_Invalid.INVALID]

WORDS = {
    "mapping": "a section of keys",
    "list": "a list",
    "null": "nothing",
    "boolean": "true or false",
    "number": "a number",
    "fraction": "a number with a fraction",
    "text": "text",
}
_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]{0,200})\}|\$\{")


@dataclass(frozen=True, slots=True)
class Setting:
    """A key that the file really sets.

    :ivar value: INVALID if what stands there is wrong.
    :ivar raw: a scalar as it is written, before variables are expanded.
    """

    line: int
    value: Any
    raw: str = ""


@dataclass(slots=True)
class Context:
    """One reading of one file.

    :ivar environ: for ``${NAME}``.
    :ivar directory: the folder of the file, where relative paths begin.
    :ivar settings: every key that the file sets.
    :ivar in_use: certificates and keys that a daemon has read, which stay in use while they are
        renewed.
    """

    problems: Problems
    environ: Mapping[str, str]
    directory: str
    _: KW_ONLY
    settings: dict[KeyPath, Setting] = field(default_factory=dict)
    in_use: frozenset[str] = frozenset()

    def line(self, *path: str | int) -> int:
        """The line of the nearest key above ``path`` that was set; 1 if there is none."""
        for length in range(len(path), 0, -1):
            if setting := self.settings.get(path[:length]):
                return setting.line
        return 1

    def is_set(self, *path: str | int) -> bool:
        """Whether the file sets a key, rightly or wrongly, to more than nothing."""
        setting = self.settings.get(path)
        return setting is not None and setting.value is not None

    def items(self, *path: str | int) -> Iterator[tuple[KeyPath, Any]]:
        """The valid items of a list, each with its own path."""
        for number in itertools.count():
            setting = self.settings.get((*path, number))
            if setting is None:
                return
            if setting.value is not INVALID:
                yield (*path, number), setting.value

    def error(self, path: KeyPath, why: str) -> None:
        """Note an error at the line that is to blame."""
        self.problems.error(self.line(*path), path, why)

    def warn(self, path: KeyPath, why: str) -> None:
        """Note a warning at the line that is to blame."""
        self.problems.warn(self.line(*path), path, why)


def quoted(node: Node) -> str:
    """The value as written, fit for a message."""
    return f"'{printable(node.raw)}'"


def expected(what: str, node: Node) -> ValueError:
    """The error for a value of the wrong kind."""
    hint = "; quote it" if what == "text" and node.kind in ("number", "fraction") else ""
    return ValueError(f"expected {what}, got {WORDS[node.kind]}{hint}")


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replace ``${NAME}`` by the environment's value, and ``$${`` by ``${``.

    :raises ValueError: if a variable is not set, or ``${`` begins no valid name.
    """

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if match[1] is None:
            raise ValueError("${ begins no ${NAME}; a literal ${ is written $${")
        if match[1] not in environ:
            raise ValueError(f"the environment variable {match[1]} is not set")
        return environ[match[1]]

    return _VARIABLE.sub(replace, text)
