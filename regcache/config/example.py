"""etc/regcache.yml, made of the schema: what most people need, and every key with its default."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from regcache.config.keys import Key, Section, sections_in
from regcache.config.loading import loads
from regcache.config.model import ROOT
from regcache.config.printing import long_form
from regcache.config.reference import flow
from regcache.config.upstream_settings import UPSTREAM

_HEAD = """\
# regcache: the configuration file.
#
# Lines that begin with "#" and a key show the default of that key, and another value for it;
# docs/configuration.md says what each one means. Check a changed file with
#     regcachectl check-config /etc/regcache.yml
# and see the long form of a short one with
#     regcachectl check-config --print /etc/regcache.yml
#
# Sizes are written 50GiB, some also 80%; durations 2s, 10m, 1h, 30d. ${NAME} inside a text is
# an environment variable. A text that begins with * needs quotes.
"""
_GROUPS = {
    "The short form: one domain, one certificate": ("domain", "tls"),
    "Where to listen": ("listeners",),
    "For operators": ("admin", "notify"),
    "The cache": ("storage",),
    "The registries": ("upstreams", "default_upstream", "default_hosts", "dns"),
    "Who may do what": ("access", "cors_origins"),
    "The rest": ("ui", "log", "limits"),
}
#: Six registries that most people need; the others that are known by name are commented out.
_UPSTREAMS = (
    "docker.io",
    "gcr.io",
    "registry.k8s.io",
    "quay.io",
    "ghcr.io",
    "mcr.microsoft.com",
)
_WIDTH = 92
_COLUMN = 46


def render_example() -> str:
    """The text of the file."""
    values = long_form(loads("upstreams: {docker.io: }", "example", {}).config)
    lines = [_HEAD.rstrip("\n")]
    for title, names in _GROUPS.items():
        lines += ["", f"# --- {title} ".ljust(_WIDTH, "-")]
        for name in names:
            lines += _lines(name, values[name])
    return "\n".join(lines) + "\n"


def _lines(name: str, value: Any) -> Iterator[str]:
    key = ROOT.keys[name]
    if name == "listeners":
        yield from _listeners(value[0])
    elif name == "upstreams":
        yield from _upstreams(value["docker.io"])
    elif isinstance(key.type, Section):
        yield f"# {name}:"
        for inner_name, inner_key in key.type.keys.items():
            yield from _commented("#   ", inner_name, inner_key, value[inner_name])
    else:
        yield from _commented("# ", name, key, value)


def _listeners(value: dict[str, Any]) -> Iterator[str]:
    yield "listeners:"
    yield f"  - endpoint: {value['endpoint']}"
    ((_, section),) = sections_in(ROOT.keys["listeners"].type)
    for name, key in section.keys.items():
        if name != "endpoint":
            yield from _commented("    # ", name, key, value[name])


def _upstreams(value: dict[str, Any]) -> Iterator[str]:
    yield "upstreams:"
    for number, upstream in enumerate(_UPSTREAMS):
        yield f"  {upstream}:"
        if not number:
            for name, key in UPSTREAM.keys.items():
                yield from _commented("    # ", name, key, value[name])


def _commented(start: str, name: str, key: Key, value: Any) -> Iterator[str]:
    """A key that is commented out, and another value for it behind or below."""
    line = f"{start}{name}: {flow(value)}"
    behind = f"{line.ljust(_COLUMN)} # or {key.example}"
    if not key.example or key.example == flow(value):
        yield line
    elif len(behind) <= _WIDTH:
        yield behind
    else:
        yield line
        another = f"{start}{name}: {key.example}"
        indent = start + "  "
        yield from wrap(another, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)
