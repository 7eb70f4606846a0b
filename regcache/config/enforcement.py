"""Keys that are accepted, but whose feature is not there yet (:class:`Pending`).

A start that sets a key which restricts is refused. Any other one is accepted with a warning.
The change that builds the feature deletes the mark of its key.
"""

from collections.abc import Iterator
from typing import Any

from regcache.config.keys import REQUIRED, Pending, Section, sections_in
from regcache.config.model import ROOT
from regcache.config.problems import KeyPath
from regcache.config.reading import INVALID, Context, Setting
from regcache.light_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class PendingKey:
    """A key whose feature is missing.

    :ivar path: of the key; ``*`` stands for any one name or number.
    :ivar default: as it is written in the file.
    """

    path: tuple[str, ...]
    pending: Pending
    default: Any


def pending_keys(section: Section[Any], path: tuple[str, ...] = ()) -> Iterator[PendingKey]:
    """All of them in a section, at any depth."""
    for name, key in section.keys.items():
        if key.pending is not None:
            default = None if key.default is REQUIRED else key.type.write(key.default)
            yield PendingKey((*path, name), key.pending, default)
        for way, within in sections_in(key.type):
            yield from pending_keys(within, (*path, name, *way))


PENDING: list[PendingKey] = list(pending_keys(ROOT))


def enforce(context: Context) -> None:
    """Refuse or warn of every key that is set and whose feature is missing."""
    for path, setting in list(context.settings.items()):
        found = next((each for each in PENDING if _matches(each.path, path)), None)
        if found is None or _is_off(setting):
            continue
        if found.pending is Pending.REFUSED:
            context.error(path, "is not enforced by this version yet, so it is refused")
        else:
            context.warn(path, "is not in effect yet")


def unwritable_keys() -> list[PendingKey]:
    """Keys with a default that cannot be written out, because writing them is refused."""
    return [
        each
        for each in PENDING
        if each.pending is Pending.REFUSED and each.default not in (None, False, [])
    ]


def _matches(key: tuple[str, ...], path: KeyPath) -> bool:
    return len(key) == len(path) and all(
        wanted in ("*", part) for wanted, part in zip(key, path, strict=True)
    )


def _is_off(setting: Setting) -> bool:
    """Whether the value asks for nothing."""
    value = setting.value
    return value is INVALID or value is None or value is False or value == ()
