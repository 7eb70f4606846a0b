"""docs/configuration.md: its tables, made of the schema.

A table stands between two comments. ``<!-- keys: domain tls -->`` lists keys of the file itself,
``<!-- section: storage -->`` those of one section, ``<!-- known names -->`` the registries that
need no URL, ``<!-- pending -->`` what is not there yet; ``<!-- end -->`` ends each.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from regcache.config.enforcement import PENDING
from regcache.config.keys import REQUIRED, Key, Pending, Section, sections_in
from regcache.config.known import KNOWN
from regcache.config.model import ROOT
from regcache.config.upstream_settings import UPSTREAM

_BLOCK = re.compile(
    r"(<!-- (keys|section|known names|pending)(?:: ([a-z_ ]+))? -->\n).*?(<!-- end -->)",
    re.DOTALL,
)
#: Kinds that need no example beside their default.
_PLAIN = ("`", "number", "duration", "size", "section")
_HEAD = "| key | value | default | meaning |\n|---|---|---|---|\n"


def fill_in(text: str) -> str:
    """The same Markdown with every table made anew."""
    return _BLOCK.sub(lambda match: match[1] + _table(match[2], match[3] or "") + match[4], text)


def flow(value: Any) -> str:
    """Plain data as YAML on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=2**20, sort_keys=False)
    text = text.removesuffix("...\n").strip()
    return text if '"' in text else text.replace("'", '"')


def _table(kind: str, names: str) -> str:
    if kind == "known names":
        return _known_names()
    if kind == "pending":
        return _pending()
    if kind == "keys":
        keys = {name: ROOT.keys[name] for name in names.split()}
        return _HEAD + "".join(_rows(keys, "", frozenset()))
    table = _HEAD + "".join(_rows(_section(names).keys, "", frozenset()))
    return f"{ROOT.keys[names].text}\n\n{table}"


def _section(name: str) -> Section[Any]:
    if name == "upstreams":
        return UPSTREAM
    return next(section for _, section in sections_in(ROOT.keys[name].type))


def _rows(keys: Any, prefix: str, above: frozenset[int]) -> Iterator[str]:
    """A row for each key, and for those within it that do not stand beside it as well."""
    known = above | {id(key) for key in keys.values()}
    for name, key in keys.items():
        if id(key) in above:
            continue
        yield _row(prefix + name, key)
        for between, section in sections_in(key.type):
            yield from _rows(section.keys, f"{prefix}{name}{'[]' * len(between)}.", known)


def _row(name: str, key: Key) -> str:
    if isinstance(key.type, Section):
        default = ""
    elif key.default is REQUIRED:
        default = "required"
    else:
        default = key.usually or f"`{flow(key.type.write(key.default))}`"
    example = "" if key.type.kind.startswith(_PLAIN) else f" For example `{key.example}`."
    restart = " Another value takes a restart." if key.restart else ""
    return f"| `{name}` | {key.type.kind} | {default} | {key.text}{example}{restart} |\n"


def _known_names() -> str:
    rows = ["| known name | URL | token_hosts | aliases |\n|---|---|---|---|\n"]
    for name, known in KNOWN.items():
        hosts, aliases = (
            ", ".join(f"`{each}`" for each in listed)
            for listed in (known.token_hosts, known.aliases)
        )
        rows.append(f"| `{name}` | `{known.url}` | {hosts} | {aliases} |\n")
    return "".join(rows)


def _pending() -> str:
    says = {
        Pending.REFUSED: "Refused while their feature is missing",
        Pending.WARNED: "Accepted with a warning",
    }
    text = ""
    for kind, what in says.items():
        names = [f"`{'.'.join(each.path)}`" for each in PENDING if each.pending is kind]
        text += f"{what}: {', '.join(sorted(names))}.\n\n" if names else ""
    return text.removesuffix("\n") or "None at present.\n"
