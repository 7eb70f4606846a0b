"""Walks the schema of the configuration."""

from collections.abc import Iterator
from typing import Any

from regcache.config.keys import Key, Section, sections_in
from regcache.config.model import ROOT


def walk(section: Section[Any] = ROOT, prefix: str = "") -> Iterator[tuple[str, Key]]:
    """Every key that the schema has, at any depth, with its path."""
    for name, key in section.keys.items():
        yield prefix + name, key
        for way, within in sections_in(key.type):
            yield from walk(within, ".".join((prefix + name, *way, "")))


def every_key() -> list[str]:
    """The paths of all keys; ``*`` stands for any one name or number."""
    return [path for path, _ in walk()]
