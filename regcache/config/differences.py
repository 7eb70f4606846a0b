"""What another configuration changes: the keys by name, and those that take a restart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from regcache.config.keys import Key, Section, keys_of
from regcache.config.model import ROOT, Config
from regcache.config.problems import KeyPath, render_path
from regcache.config.upstream_settings import SHARED, UpstreamSettings, UrlSettings
from regcache.config.value_types import ListOf, Nullable, ValueType


def changed_keys(old: Config, new: Config) -> list[str]:
    """The keys whose values differ, in the order of the schema; of the long form, without values.

    What is added or removed whole is one key: ``upstreams.quay.io``.
    """
    found: list[KeyPath] = []
    for name, key in ROOT.keys.items():
        if name == "upstreams":
            found += _upstreams(old.upstreams, new.upstreams)
        elif name != "tls":  # it is in listeners
            found += _values(key.type, getattr(old, name), getattr(new, name), (name,))
    return list(dict.fromkeys(render_path(path) for path in found))


def keep_what_takes_a_restart(running: Config, new: Config) -> tuple[Config, list[str]]:
    """The new configuration as far as it can be taken now.

    :returns: that, and the keys whose new values take a restart.
    """
    waiting: list[str] = []
    for name, key in keys_of(Config).items():
        if not isinstance(key.type, Section):
            continue
        was, wanted = getattr(running, name), getattr(new, name)
        kept = {
            each: getattr(was, each)
            for each, inner in key.type.keys.items()
            if inner.restart and getattr(was, each) != getattr(wanted, each)
        }
        waiting += [f"{name}.{each}" for each in kept]
        if kept:
            changes: dict[str, Any] = {name: replace(wanted, **kept)}
            new = replace(new, **changes)
    return new, waiting


def _upstreams(
    old: Sequence[UpstreamSettings], new: Sequence[UpstreamSettings]
) -> Iterator[KeyPath]:
    before, after = ({each.name: each for each in given} for given in (old, new))
    for name in dict.fromkeys([*before, *after]):
        path: KeyPath = ("upstreams", name)
        if name not in before or name not in after:
            yield path
            continue
        for key in keys_of(UpstreamSettings):
            was, now = getattr(before[name], key), getattr(after[name], key)
            if was != now:
                yield from _urls(was, now, path) if key == "urls" else [(*path, key)]


def _urls(old: Sequence[UrlSettings], new: Sequence[UrlSettings], path: KeyPath) -> list[KeyPath]:
    """Credentials of the only URL stand beside it."""
    if len(old) == len(new) == 1:
        names = [each for each in keys_of(UrlSettings) if _differ(old[0], new[0], each)]
        if "password_file" not in names and new[0].password_file is not None:
            names = ["password_file" if each == "password" else each for each in names]
        if set(names) <= set(SHARED):
            return [(*path, each) for each in names]
    return [(*path, "urls")]


def _differ(old: object, new: object, name: str) -> bool:
    return bool(getattr(old, name) != getattr(new, name))


def _values(type: ValueType[Any], old: Any, new: Any, path: KeyPath) -> Iterator[KeyPath]:
    if old == new:
        return
    inner = type.other if isinstance(type, Nullable) else type
    if old is None or new is None:
        yield path
    elif isinstance(inner, Section):
        yield from _section(inner.keys, old, new, path)
    elif isinstance(inner, ListOf) and isinstance(inner.item, Section) and len(old) == len(new):
        for number, (was, now) in enumerate(zip(old, new, strict=True)):
            yield from _values(inner.item, was, now, (*path, number))
    else:
        yield path


def _section(keys: Mapping[str, Key], old: Any, new: Any, path: KeyPath) -> Iterator[KeyPath]:
    for name, key in keys.items():
        yield from _values(key.type, getattr(old, name), getattr(new, name), (*path, name))
