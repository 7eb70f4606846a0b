"""Keys, each stated once: its type, its default, its text and an example.

A section is a frozen dataclass whose fields are made by :func:`key_field`. From them come the
reader of the file, what ``check-config --print`` writes, docs/configuration.md and
etc/regcache.yml.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY
from enum import Enum
from typing import Any, Final, Generic, TypeVar, cast

from regcache.config.document import Node
from regcache.config.reading import INVALID, Context, Invalid, Setting, expected
from regcache.config.value_types import (
    OMITTED,
    ByShape,
    ListOf,
    MappingOf,
    Nullable,
    ValueType,
)
from regcache.light_dataclass import dataclass

T = TypeVar("T")

_METADATA = "regcache.config.key"


class _Required(Enum):
    """The type of the mark for a key without a default."""

    REQUIRED = "required"


REQUIRED: Final = _Required.REQUIRED


class Pending(Enum):
    """What becomes of a key whose feature is not there yet.

    A key that restricts must never be accepted without being enforced.
    """

    REFUSED = "refused"
    WARNED = "warned"


@dataclass(frozen=True)
class Key:
    """One key of a section.

    :ivar text: what it does, in one or two sentences of Markdown.
    :ivar default: REQUIRED where there is none.
    :ivar usually: the default in words, where it depends on other keys.
    :ivar example: another value, as it is written in the file.
    :ivar pending: set where the feature is not there yet.
    :ivar restart: another value takes a restart; any other key is taken by a reload.
    """

    type: ValueType[Any]
    text: str
    _: KW_ONLY
    default: Any = REQUIRED
    usually: str = ""
    example: str = ""
    pending: Pending | None = None
    restart: bool = False


def key_field(
    type: ValueType[T],
    text: str,
    *,
    default: object = REQUIRED,
    usually: str = "",
    example: str = "",
    pending: Pending | None = None,
    restart: bool = False,
    secret: bool = False,
) -> T:
    """A field of a section: see :class:`Key`.

    :param secret: keep the value out of every ``repr``.
    """
    made: Any = dataclasses.field(
        default=dataclasses.MISSING if default is REQUIRED else default,
        repr=not secret,
        metadata={
            _METADATA: Key(
                type,
                text,
                default=default,
                usually=usually,
                example=example,
                pending=pending,
                restart=restart,
            )
        },
    )
    return cast(T, made)


def keys_of(section: type) -> dict[str, Key]:
    """The keys of a section by name, in their order."""
    fields = dataclasses.fields(section)
    return {each.name: each.metadata[_METADATA] for each in fields if _METADATA in each.metadata}


@dataclass(frozen=True)
class Section(Generic[T]):
    """A mapping with known keys.

    :ivar build: gets the keys that were set and are valid; its own defaults fill the rest.
    """

    keys: Mapping[str, Key]
    build: Callable[..., T]
    kind: str = "section"

    @property
    def required(self) -> list[str]:
        """The keys that have to be set."""
        return [name for name, key in self.keys.items() if key.default is REQUIRED]

    @property
    def null_is_default(self) -> bool:
        """An empty section means its defaults, if all of its keys have one."""
        return not self.required

    def read(self, node: Node, context: Context) -> T | Invalid:
        """The section, built of its valid keys."""
        if node.kind == "bad":
            return INVALID
        if node.kind == "null" and not self.required:
            return self.build()
        if node.kind != "mapping":
            what = str(expected("a section of keys", node))
            context.problems.error(node.line, node.path, what)
            return INVALID
        values = self._values(node, context)
        for name in self.required:
            if name not in node.value:
                context.problems.error(node.line, (*node.path, name), "missing")
        if any(name not in values for name in self.required):
            return INVALID
        return self.build(**values)

    def _values(self, node: Node, context: Context) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, child in node.value.items():
            known = self.keys.get(name)
            if known is None:
                why = "unknown key" + self._hint(name, context)
                context.problems.error(node.key_lines[name], child.path, why)
            elif child.kind != "null" or not known.type.null_is_default:
                value = known.type.read(child, context)
                context.settings[child.path] = Setting(child.line, value, child.raw)
                if value is not INVALID:
                    values[name] = value
        return values

    def _hint(self, name: str, context: Context) -> str:
        if name == "<<":
            return "; merge keys are not supported"
        if context.problems.many or len(name) > 40:
            return ""
        import difflib  # for mistakes alone

        close = difflib.get_close_matches(name.lower(), self.keys, n=1)
        return f"; is {close[0]} meant?" if close else ""

    def write(self, value: T) -> dict[str, Any]:
        """All keys, but those that have to be left out."""
        written = {
            name: known.type.write(getattr(value, name)) for name, known in self.keys.items()
        }
        return {name: each for name, each in written.items() if each is not OMITTED}


def section(cls: type[T]) -> Section[T]:
    """The section that a dataclass describes."""
    return Section(keys_of(cls), cls)


def sections_in(type: ValueType[Any]) -> Iterator[tuple[tuple[str, ...], Section[Any]]]:
    """The sections that a value of some type has within, each with the way to it.

    The way has a ``*`` for each name or number on it.
    """
    if isinstance(type, Section):
        yield (), type
    elif isinstance(type, Nullable):
        yield from sections_in(type.other)
    elif isinstance(type, ByShape):
        yield from (*sections_in(type.mapping), *sections_in(type.items))
    elif isinstance(type, ListOf | MappingOf):
        of = type.item if isinstance(type, ListOf) else type.value
        yield from ((("*", *way), section) for way, section in sections_in(of))
