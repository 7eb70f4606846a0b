"""The words in which a schema is written: sections, lists, mappings and scalars.

A reader takes a node and a context. It notes what is wrong in the context and gives
:data:`INVALID` for what cannot be used, so that one pass finds every problem.
"""

import difflib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol

from regcache.config.document import Node
from regcache.config.problems import KeyPath, Problems, printable
from regcache.config.variables import expand


class _Invalid(Enum):
    """The type of the mark for a value that cannot be used."""

    INVALID = "invalid"


INVALID: Final = _Invalid.INVALID

WORDS = {
    "mapping": "a section of keys",
    "list": "a list",
    "null": "nothing",
    "boolean": "true or false",
    "number": "a number",
    "fraction": "a number with a fraction",
    "text": "text",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """A key that the file really sets."""

    line: int
    value: Any
    raw: str = ""


@dataclass(slots=True)
class Context:
    """What readers share.

    :ivar environ: for ``${NAME}``.
    :ivar directory: what relative paths are relative to: the folder of the file.
    :ivar settings: every key that was set, and to what (INVALID if that was wrong).
    """

    problems: Problems
    environ: Mapping[str, str]
    directory: str
    settings: dict[KeyPath, Setting] = field(default_factory=dict)

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


class Reader(Protocol):
    """Reads one kind of value."""

    def read(self, node: Node, context: Context) -> Any:
        """Convert, or note the problem and give INVALID."""


def quoted(node: Node) -> str:
    """The value as written, fit for a message."""
    return f"'{printable(node.raw)}'"


def expected(what: str, node: Node) -> ValueError:
    """The error for a value of the wrong kind."""
    hint = "; quote it" if what == "text" and node.kind in ("number", "fraction") else ""
    return ValueError(f"expected {what}, got {WORDS[node.kind]}{hint}")


@dataclass(frozen=True)
class Scalar:
    """One value. ``parse`` gets the node, variables expanded, and raises ValueError(why)."""

    parse: Callable[[Node, Context], Any]
    nullable: bool = False

    def read(self, node: Node, context: Context) -> Any:
        if node.kind == "bad":
            return INVALID
        if node.kind == "null" and self.nullable:
            return None
        try:
            return self.parse(self._expanded(node, context), context)
        except ValueError as fault:
            context.problems.error(node.line, node.path, str(fault))
            return INVALID

    def _expanded(self, node: Node, context: Context) -> Node:
        if node.kind != "text":
            return node
        text = expand(node.value, context.environ)
        if any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in text):
            raise ValueError("control characters are not allowed")
        if len(text) > 4096:
            raise ValueError("longer than 4096 characters")
        return Node("text", text, node.line, node.path, node.raw)


@dataclass(frozen=True)
class ListOf:
    """A list; its items are all read, the wrong ones left out.

    :ivar null_is_default: whether nothing means the default. Not for keys that restrict:
        there, a list whose items were all commented out would open what was closed.
    :ivar unique: whether an item may not come twice.
    """

    item: Reader
    minimum: int = 0
    null_is_default: bool = True
    nullable: bool = False
    unique: bool = False

    def read(self, node: Node, context: Context) -> Any:
        if node.kind == "bad":
            return INVALID
        if node.kind == "null" and self.nullable:
            return None
        if node.kind != "list":
            context.problems.error(node.line, node.path, str(expected("a list", node)))
            return INVALID
        if len(node.value) < self.minimum:
            context.problems.error(node.line, node.path, "may not be empty")
            return INVALID
        return tuple(self._items(node, context))

    def _items(self, node: Node, context: Context) -> list[Any]:
        items: list[Any] = []
        seen: set[Any] = set()
        for child in node.value:
            value = self.item.read(child, context)
            context.settings[child.path] = Setting(child.line, value)
            if value is INVALID:
                continue
            if self.unique and value in seen:
                context.problems.error(child.line, child.path, f"{quoted(child)} is used twice")
                continue
            if self.unique:
                seen.add(value)
            items.append(value)
        return items


@dataclass(frozen=True)
class Section:
    """A mapping with known keys.

    :ivar build: gets the keys that were set and are valid; its own defaults fill the rest.
    """

    keys: Mapping[str, Reader]
    build: Callable[..., Any] = dict
    required: tuple[str, ...] = ()
    nullable: bool = False

    def read(self, node: Node, context: Context) -> Any:
        if node.kind == "bad" or (node.kind == "null" and self.nullable):
            return INVALID if node.kind == "bad" else None
        if node.kind == "null" and not self.required:
            return self.build()
        if node.kind != "mapping":
            what = str(expected("a section of keys", node))
            context.problems.error(node.line, node.path, what)
            return INVALID
        values = self._values(node, context)
        missing = [name for name in self.required if name not in node.value]
        for name in missing:
            context.problems.error(node.line, (*node.path, name), "missing")
        if any(name not in values for name in self.required):
            return INVALID
        return self.build(**values)

    def _values(self, node: Node, context: Context) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, child in node.value.items():
            reader = self.keys.get(name)
            if reader is None:
                why = "unknown key" + self._hint(name, context)
                context.problems.error(node.key_lines[name], child.path, why)
            elif not _means_default(reader, child):
                value = reader.read(child, context)
                context.settings[child.path] = Setting(child.line, value, child.raw)
                if value is not INVALID:
                    values[name] = value
        return values

    def _hint(self, name: str, context: Context) -> str:
        if name == "<<":
            return "; merge keys are not supported"
        if context.problems.many or len(name) > 40:
            return ""
        close = difflib.get_close_matches(name.lower(), self.keys, n=1)
        return f"; is {close[0]} meant?" if close else ""


@dataclass(frozen=True)
class MappingOf:
    """A mapping from names to sections; gives a dict of what is valid."""

    name: Callable[[str], str]
    section: Reader

    def read(self, node: Node, context: Context) -> Any:
        if node.kind == "bad":
            return INVALID
        if node.kind != "mapping":
            what = str(expected("a section of keys", node))
            context.problems.error(node.line, node.path, what)
            return INVALID
        values: dict[str, Any] = {}
        for written, child in node.value.items():
            line = node.key_lines[written]
            value = self.section.read(child, context)
            context.settings[child.path] = Setting(line, value)
            why = self._objection(written)
            if why:
                context.problems.error(line, child.path, why)
            elif value is not INVALID:
                values[written] = value
        return values

    def _objection(self, written: str) -> str:
        """Why a name is not in its normal form; "" if it is."""
        try:
            name = self.name(written)
        except ValueError as fault:
            return str(fault)
        return "" if name == written else f"write it as {name}"


def _means_default(reader: Reader, node: Node) -> bool:
    """Whether a key without a value is the same as no key."""
    if node.kind != "null":
        return False
    if isinstance(reader, Section):
        return not reader.nullable and not reader.required
    if isinstance(reader, ListOf):
        return reader.null_is_default and not reader.nullable
    return isinstance(reader, MappingOf)
