"""The long form of a configuration as YAML, without its secrets."""

from typing import Any

import yaml

from regcache.config.enforcement import hidden_keys
from regcache.config.known import KNOWN
from regcache.config.model import (
    Access,
    Config,
    Cron,
    Listener,
    NameServer,
    Proxy,
    Storage,
    TagTTL,
    Upstream,
    UpstreamEndpoint,
)
from regcache.config.scalars import format_duration, format_size

REDACTED = "***"

_DURATIONS = (
    "negative_ttl",
    "stale_if_error",
    "deadline",
    "connect_timeout",
    "first_byte_timeout",
    "stall_timeout",
)


def render(config: Config) -> str:
    """YAML that loads again as the same configuration, but for the secrets.

    Limits that would be refused because their feature is missing are comments at the end; other
    keys of that kind are off where a configuration could be loaded, and may be written.
    """
    document = _escaped(_document(config))
    limits = document["limits"]
    refused = [key for section, key in sorted(hidden_keys()) if section == "limits"]
    notes = [f"# limits.{key}: {limits.pop(key)} is not enforced yet\n" for key in refused]
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=100)
    return str(text) + "".join(notes)


def _document(config: Config) -> dict[str, Any]:
    return {
        "domain": config.domain,
        "tls": None,
        "listeners": [_listener(listener) for listener in config.listeners],
        "admin": {
            "endpoint": config.admin.endpoint,
            "socket": config.admin.socket,
            "hosts": list(config.admin.hosts),
            "metrics_endpoint": config.admin.metrics_endpoint,
        },
        "storage": _storage(config.storage),
        "upstreams": {upstream.name: _upstream(upstream) for upstream in config.upstreams},
        "default_upstream": config.default_upstream,
        "default_hosts": None if config.default_hosts is None else list(config.default_hosts),
        "dns": [_name_server(server) for server in config.dns],
        "access": _access(config.access),
        "cors_origins": list(config.cors_origins),
        "ui": {"title": config.ui.title},
        "log": {"format": config.log.format, "access": config.log.access},
        "limits": {
            "connections": config.limits.connections,
            "connections_per_address": config.limits.connections_per_address,
            "header_timeout": format_duration(config.limits.header_timeout),
            "idle": format_duration(config.limits.idle),
            "client_stall": format_duration(config.limits.client_stall),
            "drain": format_duration(config.limits.drain),
        },
    }


def _listener(listener: Listener) -> dict[str, Any]:
    tls = None
    if listener.tls:
        pairs = [{"chain": pair.chain, "key": pair.key} for pair in listener.tls.certificates]
        tls = {"certificates": pairs, "minimum": listener.tls.minimum}
    endpoint = listener.endpoint
    return {
        "endpoint": int(endpoint) if endpoint.isdigit() else endpoint,
        "redirect": listener.redirect,
        "acme_webroot": listener.acme_webroot,
        "tls": tls,
        "http2": listener.http2,
        "hsts": listener.hsts,
    }


def _storage(storage: Storage) -> dict[str, Any]:
    sweep = storage.sweep
    return {
        "directory": storage.directory,
        "max_size": format_size(storage.max_size),
        "max_blob": format_size(storage.max_blob),
        "min_free": format_size(storage.min_free),
        "unused_for": None if storage.unused_for is None else format_duration(storage.unused_for),
        "sweep": sweep.expression if isinstance(sweep, Cron) else format_duration(sweep),
        "purge": storage.purge.expression if storage.purge else None,
        "finish": None if storage.finish is None else format_size(storage.finish),
    }


def _upstream(upstream: Upstream) -> dict[str, Any]:
    durations = {name: getattr(upstream, name) for name in _DURATIONS}
    return {
        "hosts": list(upstream.hosts),
        **_urls(upstream),
        "aliases": list(upstream.aliases),
        "default_namespace": upstream.default_namespace,
        "serve_private": upstream.serve_private,
        "tag_ttl": _tag_ttl(upstream.tag_ttl),
        "on_missing": upstream.on_missing,
        "allow": list(upstream.allow),
        "deny": list(upstream.deny),
        "proxy": _proxy(upstream.proxy),
        "ca_file": upstream.ca_file,
        "address_family": upstream.address_family,
        **{name: None if x is None else format_duration(x) for name, x in durations.items()},
        "max_downloads": upstream.max_downloads,
    }


def _urls(upstream: Upstream) -> dict[str, Any]:
    """One URL that owns the upstream's credentials is shown plainly, others with their own."""
    first = upstream.endpoints[0]
    known = KNOWN.get(upstream.name)
    if len(upstream.endpoints) == 1 and not first.ns and (not known or known.url == first.url):
        return {"urls": [first.url], **_credentials(first)}
    entries = [
        {"url": endpoint.url, **_credentials(endpoint), "ns": endpoint.ns}
        for endpoint in upstream.endpoints
    ]
    return {"urls": entries}


def _credentials(endpoint: UpstreamEndpoint) -> dict[str, Any]:
    in_file = endpoint.password_file is not None
    return {
        "token_hosts": list(endpoint.token_hosts),
        "username": endpoint.username,
        "password": None if in_file or endpoint.password is None else REDACTED,
        "password_file": endpoint.password_file,
    }


def _tag_ttl(ttls: tuple[TagTTL, ...]) -> Any:
    if len(ttls) == 1 and ttls[0].match == "*":
        return format_duration(ttls[0].ttl)
    return [{"match": item.match, "ttl": format_duration(item.ttl)} for item in ttls]


def _proxy(proxy: Proxy | str | None) -> str | None:
    if not isinstance(proxy, Proxy):
        return proxy
    userinfo = f"{REDACTED}:{REDACTED}@" if proxy.username is not None else ""
    return f"http://{userinfo}{proxy.host}:{proxy.port}"


def _name_server(server: NameServer) -> str:
    address = f"[{server.address}]" if ":" in server.address else server.address
    return f"{server.protocol}://{address}:{server.port}"


def _access(access: Access) -> dict[str, Any]:
    token = access.token
    return {
        "htpasswd": access.htpasswd,
        "admins": list(access.admins),
        "realm": access.realm,
        "rules": [
            {
                key: list(value)
                for key in ("accounts", "networks", "upstreams", "repositories", "actions")
                if (value := getattr(rule, key))
            }
            for rule in access.rules
        ],
        "token": token
        and {
            "realm": token.realm,
            "service": token.service,
            "issuer": token.issuer,
            "keys_file": token.keys_file,
        },
    }


def _escaped(value: Any) -> Any:
    """Keep ``${`` from being expanded when the output is loaded."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value
