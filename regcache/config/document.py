"""From text to a tree of nodes that know their lines: YAML without its surprises.

Read are plain YAML mappings, lists and scalars. Refused are duplicate keys, anchors and
aliases (which can blow up a small file), tags, several documents, and the plain scalars
that YAML 1.1 takes for something else than they look like (``no``, ``0123``, ``1:30``).
"""

import re
from contextlib import suppress
from dataclasses import KW_ONLY, field
from typing import Any, Literal

import yaml

from regcache.config.problems import KeyPath, Problems, printable
from regcache.light_dataclass import dataclass

Kind = Literal["mapping", "list", "null", "boolean", "number", "fraction", "text", "bad"]

#: Far more than a configuration of thousands of rules needs (bytes).
MAXIMUM_FILE = 1024**2

#: No schema here is deeper than seven levels.
MAXIMUM_DEPTH = 16

#: Some thousand upstreams or rules; bounds the time that reading takes.
MAXIMUM_NODES = 50_000

_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the file.

    :ivar value: for a mapping a dict of nodes, for a list a list of nodes, else plain.
    :ivar line: where to point; for mappings and lists under a key, the key's line.
    :ivar raw: a scalar as it is written, before variables are expanded.
    """

    kind: Kind
    value: Any
    line: int
    path: KeyPath = ()
    _: KW_ONLY
    raw: str = ""
    key_lines: dict[str, int] = field(default_factory=dict)


class _StrictLoader(yaml.SafeLoader):
    """The safe loader, of which only the parser and the resolver are used."""


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same by libyaml where it is there. What is wrong it says in other words."""


class _TooMuchError(Exception):
    """Deeper or longer than any valid configuration."""


def parse_document(text: str, problems: Problems, most_values: int | None = None) -> Node:
    """Read one YAML document.

    Problems are noted; what cannot be read at all gives a node of kind ``bad``.

    :param most_values: how many values it may have, where these are many; None:
        :data:`MAXIMUM_NODES`.
    """
    if most_values is not None:
        # libyaml is ten times as fast. Its messages are not ours, so a fault is looked for again.
        with suppress(yaml.YAMLError, ValueError, OverflowError, _TooMuchError):
            return _NodeBuilder(problems, most_values, _FastLoader).build(text)
    builder = _NodeBuilder(problems, most_values or MAXIMUM_NODES)
    try:
        return builder.build(text)
    except yaml.reader.ReaderError as fault:
        line = text.count("\n", 0, fault.position) + 1
        problems.error(line, (), "not valid YAML: a character that is not allowed")
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = mark.line + 1 if mark else 1
        problems.error(line, builder.path, _explain(fault))
    except (yaml.YAMLError, ValueError, OverflowError):
        problems.error(1, builder.path, "not valid YAML")
    except _TooMuchError as fault:
        problems.error(builder.line, builder.path, str(fault))
    return Node("bad", None, 1)


def _explain(fault: yaml.MarkedYAMLError) -> str:
    context, problem = str(fault.context or ""), printable(str(fault.problem or ""), 200)
    if "alias" in context or "anchor" in context:
        return (
            'not valid YAML: quote it: a text that begins with * or & needs quotes, "*.a.example"'
        )
    if "tag" in problem:
        return "not valid YAML: quote it: a text that begins with ! needs quotes"
    if "\\t" in problem:
        return "not valid YAML: a tab; YAML is indented with spaces"
    if "cannot start any token" in problem:
        return f"not valid YAML: quote it: {problem}"
    return f"not valid YAML: {problem}"


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


class _NodeBuilder:
    """Turns the events of the YAML parser into nodes; remembers where it is."""

    def __init__(self, problems: Problems, most: int, loader: Any = _StrictLoader) -> None:
        self._problems = problems
        self._most = most
        self._load = loader
        self.path: KeyPath = ()
        self.line = 1
        self._count = 0

    def build(self, text: str) -> Node:
        self._loader = self._load(text)
        try:
            return self._stream()
        finally:
            self._loader.dispose()

    def _next(self) -> yaml.Event:
        event: yaml.Event = self._loader.get_event()
        self.line = _line(event)
        return event

    def _stream(self) -> Node:
        self._next()  # the start of the stream
        if isinstance(self._next(), yaml.StreamEndEvent):
            return Node("null", None, 1)
        root = self._node(self._next(), ())
        self._next()  # the end of the document
        if not isinstance(self._next(), yaml.StreamEndEvent):
            self._problems.error(self.line, (), "a second document: only one is read")
        return root

    def _node(self, event: yaml.Event, path: KeyPath, key_line: int = 0) -> Node:
        self.path = path
        if len(path) > MAXIMUM_DEPTH:
            raise _TooMuchError("nested too deeply")
        self._count += 1
        if self._count > self._most:
            raise _TooMuchError(f"more than {self._most} values")
        line = _line(event)
        bad = self._refuse(event, path, line)
        if isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(path, key_line or line)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(path, key_line or line)
        elif isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, path, line)
        else:
            node = Node("bad", None, line, path)
        return Node("bad", None, line, path) if bad else node

    def _refuse(self, event: yaml.Event, path: KeyPath, line: int) -> bool:
        if isinstance(event, yaml.AliasEvent):
            why = "aliases are not supported; quote it if a text that begins with * is meant"
        elif getattr(event, "anchor", None) is not None:
            why = "anchors are not supported; quote it if a text that begins with & is meant"
        elif getattr(event, "tag", None) is not None:
            why = "tags are not supported; quote it if a text that begins with ! is meant"
        else:
            return False
        self._problems.error(line, path, why)
        return True

    def _list(self, path: KeyPath, line: int) -> Node:
        items: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return Node("list", items, line, path)

    def _mapping(self, path: KeyPath, line: int) -> Node:
        children: dict[str, Node] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key_line = _line(event)
            key = self._key(event, path, key_line)
            child = self._node(self._next(), (*path, "?" if key is None else key), key_line)
            if key is None:
                self._problems.error(key_line, path, "a key must be a plain word")
            elif key in children:
                first = lines[key]
                self._problems.error(key_line, child.path, f"duplicate key, first on line {first}")
            else:
                children[key], lines[key] = child, key_line
        return Node("mapping", children, line, path, key_lines=lines)

    def _key(self, event: yaml.Event, path: KeyPath, line: int) -> str | None:
        if isinstance(event, yaml.ScalarEvent):
            self._refuse(event, (*path, event.value), line)
            return str(event.value)
        self._node(event, (*path, "?"))
        return None

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath, line: int) -> Node:
        raw = str(event.value)
        if not event.implicit[0] or event.style:  # libyaml calls the plain one ""
            return Node("text", raw, line, path, raw=raw)
        kind, value = self._resolve(raw)
        if kind == "bad":
            # A password is not repeated, not even one that was not quoted.
            shown = "this value" if path and path[-1] == "password" else printable(raw)
            instead = "true or false" if raw.isalpha() else "a plain decimal number"
            why = f"YAML readers disagree on {shown}: quote it if it is text, else write {instead}"
            self._problems.error(line, path, why)
        return Node(kind, value, line, path, raw=raw)

    def _resolve(self, raw: str) -> tuple[Kind, Any]:
        """The value of a plain scalar; ``bad`` where YAML 1.1 and common sense differ."""
        found: str = self._loader.resolve(yaml.ScalarNode, raw, (True, False))
        tag = found.removeprefix(_TAG)
        if tag == "null":
            return "null", None
        if tag == "bool":
            known = raw in _TRUE or raw in _FALSE
            return ("boolean", raw in _TRUE) if known else ("bad", None)
        if tag == "int":
            return ("number", int(raw)) if _DECIMAL.match(raw) else ("bad", None)
        if tag == "float":
            return ("bad", None) if ":" in raw else ("fraction", raw)
        return "text", raw
