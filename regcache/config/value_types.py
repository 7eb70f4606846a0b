"""The types of values of which a schema is made: scalars, lists, mappings, and what may be null.

A type reads a value, writes it again, and names its kind for the reference. Errors are
noted in the context, and reading goes on with :data:`~regcache.config.reading.INVALID`, so that
one pass finds them all.
"""

import re
from collections.abc import Callable
from dataclasses import KW_ONLY
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar

from regcache.config.document import Node
from regcache.config.reading import (
    INVALID,
    Context,
    Invalid,
    Setting,
    expand,
    expected,
    quoted,
)
from regcache.light_dataclass import dataclass

T = TypeVar("T")


class _Omitted(Enum):
    """The type of the mark for a value that cannot be written."""

    OMITTED = "omitted"


#: What is written for a value whose key has to be left out.
OMITTED: Final = _Omitted.OMITTED


class ValueType(Protocol[T]):
    """One type of value."""

    @property
    def kind(self) -> str:
        """What the reference calls it, e.g. ``duration``."""

    @property
    def null_is_default(self) -> bool:
        """Whether a key without a value is the same as no key."""

    def read(self, node: Node, context: Context) -> T | Invalid:
        """Convert, or note the problem and give INVALID."""

    def write(self, value: T) -> Any:
        """The value as plain YAML data, without secrets."""


def as_it_is(value: Any) -> Any:
    """Writes what is plain data already."""
    return value


#: Control characters (C0, DEL, C1), and halves of characters.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Scalar(Generic[T]):
    """One value.

    :ivar parse: gets the node, variables expanded, and raises ValueError(why).
    """

    parse: Callable[[Node, Context], T]
    kind: str
    write: Callable[[T], Any] = as_it_is

    @property
    def null_is_default(self) -> bool:
        """Nothing is an error."""
        return False

    def read(self, node: Node, context: Context) -> T | Invalid:
        """Expand variables, and parse."""
        if node.kind == "bad":
            return INVALID
        try:
            return self.parse(_expanded(node, context), context)
        except ValueError as fault:
            context.problems.error(node.line, node.path, str(fault))
            return INVALID


def _expanded(node: Node, context: Context) -> Node:
    if node.kind != "text":
        return node
    text = expand(node.value, context.environ)
    if _CONTROL.search(text):
        raise ValueError("control characters are not allowed")
    if len(text) > 4096:
        raise ValueError("longer than 4096 characters")
    return Node("text", text, node.line, node.path, raw=node.raw)


@dataclass(frozen=True)
class Nullable(Generic[T]):
    """A value that may be null, which is a value of its own."""

    other: ValueType[T]

    @property
    def kind(self) -> str:
        """That of the other values, or null."""
        return f"{self.other.kind}, or `null`"

    @property
    def null_is_default(self) -> bool:
        """Null is more than nothing here."""
        return False

    def read(self, node: Node, context: Context) -> T | Invalid | None:
        """None for null."""
        return None if node.kind == "null" else self.other.read(node, context)

    def write(self, value: T | None) -> Any:
        """Null for None."""
        return None if value is None else self.other.write(value)


@dataclass(frozen=True)
class ListOf(Generic[T]):
    """A list. All items are read, and the wrong ones left out.

    :ivar null_is_default: not for keys that restrict: there, a list whose items were all
        commented out would open what was closed.
    :ivar unique: whether an item may not come twice.
    """

    item: ValueType[T]
    minimum: int = 0
    null_is_default: bool = True
    unique: bool = False

    @property
    def kind(self) -> str:
        """A list of the kind of its items."""
        plural = re.sub(r"(^|, | or )([A-Za-z ]+?)(?=$|, | or )", r"\1\2s", self.item.kind)
        return f"list of {plural}"

    def read(self, node: Node, context: Context) -> tuple[T, ...] | Invalid:
        """The valid items."""
        if node.kind == "bad":
            return INVALID
        if node.kind != "list":
            context.problems.error(node.line, node.path, str(expected("a list", node)))
            return INVALID
        if len(node.value) < self.minimum:
            context.problems.error(node.line, node.path, "may not be empty")
            return INVALID
        return tuple(self._items(node, context))

    def _items(self, node: Node, context: Context) -> list[T]:
        items: list[T] = []
        seen: set[T] = set()
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

    def write(self, value: tuple[T, ...]) -> Any:
        """All items. A list that may not be empty is left out where it is."""
        if not value and self.minimum:
            return OMITTED
        return [self.item.write(item) for item in value]


@dataclass(frozen=True)
class MappingOf(Generic[T]):
    """A mapping from names to values of one type; gives a dict of what is valid.

    :ivar name: gives the normal form of a name, or raises ValueError(why).
    """

    name: Callable[[str], str]
    value: ValueType[T]

    @property
    def kind(self) -> str:
        """A mapping to the kind of its values."""
        return f"{self.value.kind}s by name"

    @property
    def null_is_default(self) -> bool:
        """Nothing is the same as no name."""
        return True

    def read(self, node: Node, context: Context) -> dict[str, T] | Invalid:
        """The valid values under valid names."""
        if node.kind == "bad":
            return INVALID
        if node.kind != "mapping":
            what = str(expected("a section of keys", node))
            context.problems.error(node.line, node.path, what)
            return INVALID
        values: dict[str, T] = {}
        for written, child in node.value.items():
            line = node.key_lines[written]
            value = self.value.read(child, context)
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

    def write(self, value: dict[str, T]) -> Any:
        """All of it."""
        return {name: self.value.write(each) for name, each in value.items()}


@dataclass(frozen=True)
class ByShape:
    """A value that may be written in several ways, told apart by their shape.

    :ivar put: writes the value in one of these ways.
    """

    mapping: ValueType[Any]
    items: ValueType[Any]
    scalar: ValueType[Any]
    kind: str
    _: KW_ONLY
    put: Callable[[Any], Any] = as_it_is

    @property
    def null_is_default(self) -> bool:
        """Nothing is an error."""
        return False

    def read(self, node: Node, context: Context) -> Any:
        """Hand the node to the type of its shape."""
        by_shape = {"mapping": self.mapping, "list": self.items}
        return by_shape.get(node.kind, self.scalar).read(node, context)

    def write(self, value: Any) -> Any:
        """In one of the ways."""
        return self.put(value)
