"""The long form of a configuration as YAML, without its secrets."""

from typing import Any

import yaml

from regcache.config.enforcement import unwritable_keys
from regcache.config.known import KNOWN
from regcache.config.model import ROOT, Config
from regcache.config.upstream_settings import SHARED, UPSTREAM, UpstreamSettings


def render(config: Config) -> str:
    """YAML that loads again as the same configuration, but for the secrets.

    Limits that would be refused because their feature is missing are comments at the end; other
    keys of that kind are off where a configuration could be loaded, and may be written.
    """
    document = _escaped(long_form(config))
    notes = []
    for section, name in (each.path for each in unwritable_keys()):
        value = document[section].pop(name)
        notes.append(f"# {section}.{name}: {value} is not enforced yet\n")
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=100)
    return str(text) + "".join(notes)


def long_form(config: Config) -> dict[str, Any]:
    """All keys as plain data, in the order of the schema."""
    document: dict[str, Any] = {}
    for name, key in ROOT.keys.items():
        if name == "tls":
            document[name] = None  # it is in listeners
        elif name == "upstreams":
            document[name] = {each.name: _upstream(each) for each in config.upstreams}
        else:
            document[name] = key.type.write(getattr(config, name))
    return document


def _upstream(upstream: UpstreamSettings) -> dict[str, Any]:
    """One URL that owns the upstream's credentials is shown plainly, others with their own."""
    values = {
        name: key.type.write(getattr(upstream, name))
        for name, key in UPSTREAM.keys.items()
        if name not in SHARED
    }
    known, first = KNOWN.get(upstream.name), upstream.urls[0]
    if len(upstream.urls) > 1 or first.ns or (known and known.url != first.url):
        return values
    (only,) = values["urls"]
    values["urls"] = [only["url"]]
    values |= {name: only[name] for name in SHARED}
    return {name: values[name] for name in UPSTREAM.keys}


def _escaped(value: Any) -> Any:
    """Keep ``${`` from being expanded when the output is loaded."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value
