"""Reads a configuration file, and finds everything that is wrong with it."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from regcache.config.advice import advise
from regcache.config.checks import check
from regcache.config.document import MAXIMUM_FILE, parse_document
from regcache.config.enforcement import enforce
from regcache.config.longform import expand_short_form
from regcache.config.model import ROOT, Config
from regcache.config.problems import ConfigError, KeyPath, Problems, printable, render_path
from regcache.config.reading import INVALID, Context
from regcache.config.unreadable import why_unreadable
from regcache.light_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration that may be used.

    :ivar warnings: ``file:line: key.path: why``, in the order of the file.
    :ivar present: every key that the file sets, with its value.
    :ivar name: of the file.
    :ivar lines: of these keys, by their path as messages write it.
    :ivar identity: device and inode of the file; None for a text.
    """

    config: Config
    warnings: list[str]
    present: Mapping[KeyPath, Any]
    name: str
    lines: Mapping[str, int]
    identity: tuple[int, int] | None = None


def load(path: str, environ: Mapping[str, str], in_use: frozenset[str] = frozenset()) -> Loaded:
    """Read a file.

    :param environ: the variables that ``${NAME}`` stands for.
    :param in_use: certificates and keys that a daemon has read: while they are renewed they need
        not be right.
    :raises ConfigError: with every error found.
    """
    try:
        with open(path, "rb") as stream:
            status = os.fstat(stream.fileno())
            content = stream.read(MAXIMUM_FILE + 1)
    except (OSError, ValueError) as fault:
        why = why_unreadable(path, fault) if isinstance(fault, OSError) else "not a path"
        raise ConfigError([f"{printable(path, 1000)}:1: cannot be read: {why}"]) from None
    if len(content) > MAXIMUM_FILE:
        raise ConfigError([f"{printable(path, 1000)}:1: is larger than 1 MiB"])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise ConfigError([f"{printable(path, 1000)}:{line}: is not UTF-8"]) from None
    loaded = _load(text, path, _context(path, environ, in_use), path)
    return replace(loaded, identity=(status.st_dev, status.st_ino))


def loads(text: str, name: str, environ: Mapping[str, str]) -> Loaded:
    """Read a text.

    :param name: stands for the file in messages; relative paths begin at its folder.
    :raises ConfigError: with every error found.
    """
    if len(text) > MAXIMUM_FILE:
        raise ConfigError([f"{printable(name, 1000)}:1: is larger than 1 MiB"])
    return _load(text, name, _context(name, environ), None)


def _context(
    name: str, environ: Mapping[str, str], in_use: frozenset[str] = frozenset()
) -> Context:
    directory = os.path.dirname(os.path.abspath(name))
    return Context(Problems(name), environ, directory, in_use=in_use)


def _load(text: str, name: str, context: Context, file: str | None) -> Loaded:
    problems = context.problems
    root = parse_document(text, problems)
    values = ROOT.read(root, context)
    if values is INVALID:
        raise ConfigError(problems.errors)
    config = expand_short_form(values, context)
    check(config, context)
    enforce(context)
    if problems.errors:
        raise ConfigError(problems.errors)
    advise(config, file, context)
    present = {path: setting.value for path, setting in context.settings.items()}
    lines = {render_path(path): setting.line for path, setting in context.settings.items()}
    return Loaded(
        config=config, warnings=problems.warnings, present=present, name=name, lines=lines
    )
