"""Changes one seat in the text of its file, and leaves everything else as it was written.

========================================  =====================================================
what is changed                           what becomes of the text around it
========================================  =====================================================
the value of a key that is there          only the value is replaced; a comment behind it stays
a key that is new                         a line behind the last one of the seat
a key that goes                           its lines go, with comments behind and within the value
an item that is added to a list           stands behind the last one, written as the others are
a list that is replaced                   is one line now; comments within it go
a seat on one line, ``{…}``               stays on one line; comments within it go
a seat that is new                        stands at the end of the file
========================================  =====================================================

What results is read again. If it is not what was meant, the seat is written anew, one line for each
key; if that is not right either nothing is changed.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml

from regcache.config.seats_file import SeatsError, parse_anew, parse_seats
from regcache.light_dataclass import dataclass
from regcache.seats import DEFAULTS, Seat, Seats

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
#: Plain words that YAML takes for something else than text (YAML 1.1, and 1.2).
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"))
_SIZE = re.compile(r"[0-9]+(?:\.[0-9]+)?[KMGTP]?i?B\Z")
_DAY_OR_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]+(?:Z|[+-][0-9:]+))?\Z")
_INDENT = "  "
#: Where a fault is, in front of what it is.
_PLACE = re.compile(r"^.*?:[0-9]+: ")
_KEY = re.compile(r"[a-z_]+(?=[:.\[])")


class SeatValueError(SeatsError):
    """What a seat is to become is wrong.

    :ivar reason: why, without a place in a file.
    :ivar field: the key of the seat whose value is wrong; "" for none.
    """

    def __init__(self, lines: list[str], name: str = "") -> None:
        super().__init__(lines)
        path = _PLACE.sub("", lines[0], count=1).removeprefix(f"{name}.") if name else ""
        found = _KEY.match(path)
        self.field = found[0] if found else ""
        self.reason = "; ".join(_PLACE.sub("", each, count=1) for each in lines[:5])


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """An item that is added to a list."""

    item: Any


class KeyRemoved:
    """A key goes, so that its default holds."""


REMOVED = KeyRemoved()

Changes = Mapping[str, Any]
"""By key: another value as plain data, an :class:`ItemAdded` item, or :data:`REMOVED`."""


def changed_text(text: str, path: str, name: str, changes: Changes) -> str:
    """The text of a file in which a seat is another one, or a new one.

    :param path: stands for the file in messages.
    :raises SeatValueError: if a value is wrong.
    :raises SeatsError: if the file, or what it would become, cannot be used.
    """
    if name == DEFAULTS:
        raise SeatValueError([f"{name!r} cannot be the name of an account"])
    before = parse_seats(text, path)
    meant = _meant(text, path, name, changes)
    for write in (_edited, _written_anew):
        found = _tried(write, text, name, changes)
        if found is not None and _is_meant(found, path, before, meant):
            return found
    _assert_own(before, meant[name])
    raise SeatsError([f"{path}:1: {name} cannot be changed in the way this file is written"])


def _assert_own(before: Seats, seat: Seat) -> None:
    """:raises SeatValueError: if it would have what tells another seat apart."""
    for other in before.values():
        same = {seat.host, seat.knock, *seat.certificates} - {None}
        if other.name != seat.name and same & {other.host, other.knock, *other.certificates}:
            raise SeatValueError([f"a host, link or certificate of it is that of {other.name}"])


def _tried(
    write: Callable[[str, str, Changes], str], text: str, name: str, changes: Changes
) -> str | None:
    try:
        return write(text, name, changes)
    except (yaml.YAMLError, ValueError):
        return None


def _is_meant(text: str, path: str, before: Seats, meant: Seats) -> bool:
    try:
        return parse_seats(text, path) == {**before, **meant}
    except SeatsError:
        return False


def _meant(text: str, path: str, name: str, changes: Changes) -> Seats:
    """The seat alone, as it is to be read.

    :raises SeatValueError: if a value is wrong.
    """
    root = _composed(text)
    defaults, seat = _find(root, DEFAULTS), _find(root, name)
    values = _changed_values({} if seat is None else _inline_values(seat[1]), changes)
    lines = [] if defaults is None else [f"{flow(DEFAULTS)}: {_inline(defaults[1])}"]
    try:
        text = "\n".join([*lines, f"{flow(name)}: {_joined(values)}"])
        return parse_anew(text, path)
    except SeatsError as error:
        raise SeatValueError(error.lines, name) from None


def flow(value: Any) -> str:
    """Plain data as YAML on one line."""
    if isinstance(value, Mapping):
        return _joined({key: flow(each) for key, each in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, str):
        is_word = _PLAIN.match(value) and value.lower() not in _WORDS
        is_plain = is_word or _SIZE.match(value) or _DAY_OR_TIME.match(value)
        return value if is_plain else _quoted(value)
    return json.dumps(value)


def _quoted(value: str) -> str:
    """A text in double quotes; what does not print is escaped."""
    return "".join(
        each if each.isprintable() else f"\\U{ord(each):08x}"
        for each in json.dumps(value, ensure_ascii=False)
    )


def _joined(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{flow(key)}: {value}" for key, value in values.items()) + "}"


@lru_cache(maxsize=1)
def _composed(text: str) -> Any:
    """The nodes of a text, by libyaml where that counts as we do: it is ten times as fast."""
    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.compose(text, Loader=fast if text.isascii() else yaml.SafeLoader)


def _find(mapping: Any, name: str) -> tuple[Any, Any] | None:
    """Key and value of a name in a mapping; None without it."""
    pairs = mapping.value if isinstance(mapping, yaml.MappingNode) else ()
    return next((pair for pair in pairs if pair[0].value == name), None)


def _inline_values(seat: Any) -> dict[str, str]:
    """The values of a seat, each on one line."""
    pairs = seat.value if isinstance(seat, yaml.MappingNode) else ()
    return {key.value: _inline(value) for key, value in pairs}


def _inline(node: Any) -> str:
    """A node on one line."""
    if isinstance(node, yaml.MappingNode):
        return _joined({key.value: _inline(value) for key, value in node.value})
    if isinstance(node, yaml.SequenceNode):
        return f"[{', '.join(map(_inline, node.value))}]"
    if not node.style:  # libyaml calls the plain one ""
        return node.value or "null"
    return _quoted(str(node.value))


def _changed_values(values: Mapping[str, str], changes: Changes) -> dict[str, str]:
    found = dict(values)
    for key, change in changes.items():
        if isinstance(change, KeyRemoved):
            found.pop(key, None)
        elif isinstance(change, ItemAdded):
            items = found.get(key, "").removeprefix("[").removesuffix("]")
            items = "" if items == "null" else items
            found[key] = f"[{', '.join(filter(None, [items, flow(change.item)]))}]"
        else:
            found[key] = flow(change)
    return found


def _written_anew(text: str, name: str, changes: Changes) -> str:
    """The seat with one line for each key, in its place."""
    entry = _find(_composed(text), name)
    values = _changed_values({} if entry is None else _inline_values(entry[1]), changes)
    lines = [f"{_INDENT}{flow(key)}: {value}" for key, value in values.items()]
    body = ":\n" + "\n".join(lines) if lines else ": {}"
    if entry is None:
        ended = text if not text or text.endswith("\n") else text + "\n"
        return f"{ended}{flow(name)}{body}\n"
    start, end = entry[0].end_mark.index, _end(entry)
    return text[:start] + body + text[end:]


def _edited(text: str, name: str, changes: Changes) -> str:
    """The seat with as little changed as may be."""
    root = _composed(text)
    entry = _find(root, name)
    if entry is None or not isinstance(entry[1], yaml.MappingNode) or not entry[1].value:
        return _written_anew(text, name, changes)
    if entry[1].flow_style:
        values = _joined(_changed_values(_inline_values(entry[1]), changes))
        start, end = entry[1].start_mark.index, entry[1].end_mark.index
        return text[:start] + values + text[end:]
    edits = [_edit(text, entry[1], key, change) for key, change in changes.items()]
    for start, end, following in sorted(filter(None, edits), key=lambda each: -each[0]):
        text = text[:start] + following + text[end:]
    return text


def _edit(text: str, seat: Any, key: str, change: Any) -> tuple[int, int, str] | None:
    """What of the text is replaced by what; None for nothing."""
    entry = _find(seat, key)
    if entry is None:
        if isinstance(change, KeyRemoved):
            return None
        item = [change.item] if isinstance(change, ItemAdded) else change
        place = _end_of_line(text, _end(seat.value[-1]))
        indent = " " * seat.value[0][0].start_mark.column
        before = "" if text[:place].endswith("\n") else "\n"
        return place, place, f"{before}{indent}{flow(key)}: {flow(item)}\n"
    start, end = entry[0].end_mark.index, _end(entry)
    if isinstance(change, KeyRemoved):
        first = text.rfind("\n", 0, start) + 1
        return first, _end_of_line(text, end), ""
    if isinstance(change, ItemAdded):
        return _appended(text, entry, change)
    return start, end, f": {flow(change)}"


def _appended(text: str, entry: tuple[Any, Any], change: ItemAdded) -> tuple[int, int, str]:
    """An item behind the last one of a list."""
    key, items = entry
    if not isinstance(items, yaml.SequenceNode) or not items.value:
        return key.end_mark.index, _end(entry), f": [{flow(change.item)}]"
    last = items.value[-1].end_mark.index
    if items.flow_style:
        return last, last, f", {flow(change.item)}"
    place = _end_of_line(text, _end((items, items)))
    before = "" if text[:place].endswith("\n") else "\n"
    return place, place, f"{before}{' ' * items.start_mark.column}- {flow(change.item)}\n"


def _end(entry: tuple[Any, Any]) -> int:
    """Where the value of a key ends; blanks and comments behind it do not belong to it."""
    key, value = entry
    if isinstance(value, yaml.CollectionNode) and not value.flow_style and value.value:
        last = value.value[-1]
        return _end(last if isinstance(value, yaml.MappingNode) else (value, last))
    if isinstance(value, yaml.ScalarNode) and not value.style and not value.value:
        return int(max(key.end_mark.index + (key is not value), value.start_mark.index))
    return int(value.end_mark.index)


def _end_of_line(text: str, place: int) -> int:
    """Behind the end of the line that a place is in."""
    if text[:place].endswith("\n"):  # the end of a text of several lines is that of its last one
        return place
    found = text.find("\n", place)
    return len(text) if found < 0 else found + 1
