"""The schema: every section, its keys, and what may stand there.

Defaults are in :mod:`regcache.config.model`; what a key means is in docs/configuration.md.
"""

from typing import Any

from regcache.config import names
from regcache.config.document import Node
from regcache.config.endpoints import parse_endpoint
from regcache.config.files import check_key, load_certificates, path, read_password, readable
from regcache.config.model import (
    UI,
    Access,
    Admin,
    Certificate,
    Limits,
    Listener,
    ListenerTLS,
    Log,
    Rule,
    Storage,
    TagTTL,
    TokenAccess,
)
from regcache.config.scalars import (
    boolean,
    choice,
    cron,
    duration,
    glob,
    hsts,
    parse_duration,
    schedule,
    size,
    text,
    text_like,
    whole_number,
)
from regcache.config.schema import Context, ListOf, MappingOf, Reader, Scalar, Section, expected

HOUR = 3600.0


def _endpoint(*, nullable: bool = False) -> Scalar:
    """An endpoint string, or a bare port number."""

    def parse(node: Node, _context: Context) -> str:
        if node.kind not in ("number", "text"):
            raise expected("an endpoint such as tcp:5000", node)
        value = str(node.value)
        parse_endpoint(value)
        return value

    return Scalar(parse, nullable)


class _OneOrOther:
    """A value whose kind decides which reader takes it."""

    def __init__(self, of_mapping: Reader, of_list: Reader, other: Reader) -> None:
        self.of_mapping, self.of_list, self.other = of_mapping, of_list, other

    def read(self, node: Node, context: Context) -> Any:
        """Hand the node to the reader of its kind."""
        if node.kind == "mapping":
            return self.of_mapping.read(node, context)
        return (self.of_list if node.kind == "list" else self.other).read(node, context)


def _ttl() -> Scalar:
    def parse(node: Node, _context: Context) -> tuple[TagTTL, ...]:
        return (TagTTL("*", parse_duration(node, 0.0, 3650 * 24 * HOUR)),)

    return Scalar(parse)


_HOSTS = ListOf(text_like(names.host_pattern), unique=True)
_CERTIFICATE = Section(
    {"chain": readable(load_certificates), "key": readable(check_key)},
    Certificate,
    required=("chain", "key"),
)
_CREDENTIALS: dict[str, Reader] = {
    "username": text_like(names.account, nullable=True),
    "password": text(nullable=True),
    "password_file": readable(read_password, nullable=True),
    "token_hosts": ListOf(text_like(names.host_and_port), unique=True),
}

LISTENER = Section(
    {
        "endpoint": _endpoint(),
        "redirect": choice("https", nullable=True),
        "acme_webroot": path(nullable=True),
        "tls": Section(
            {
                "certificates": ListOf(_CERTIFICATE, minimum=1, null_is_default=False),
                "minimum": choice("TLSv1.2", "TLSv1.3"),
            },
            ListenerTLS,
            required=("certificates",),
            nullable=True,
        ),
        "http2": boolean(),
        "hsts": hsts(),
    },
    Listener,
    required=("endpoint",),
)

ADMIN = Section(
    {
        "endpoint": _endpoint(nullable=True),
        "socket": path(nullable=True),
        "hosts": ListOf(text_like(names.host_name), unique=True),
        "metrics_endpoint": _endpoint(nullable=True),
    },
    Admin,
)

STORAGE = Section(
    {
        "directory": path(),
        "max_size": size(percent=True),
        "max_blob": size(percent=True),
        "min_free": size(0),
        "unused_for": duration(60.0, nullable=True),
        "sweep": schedule(1.0, 366 * 24 * HOUR),
        "purge": cron(nullable=True),
        "finish": size(0, nullable=True),
    },
    Storage,
)

_URL = text_like(names.url)
_URL_ENTRY = Section({"url": _URL, **_CREDENTIALS, "ns": boolean()}, required=("url",))
_TAG_TTL = Section({"match": glob(), "ttl": duration()}, TagTTL, required=("match", "ttl"))
_TIMEOUT = duration(0.1, HOUR)

UPSTREAM = Section(
    {
        "hosts": _HOSTS,
        "urls": ListOf(_OneOrOther(_URL_ENTRY, _URL, _URL), minimum=1),
        **_CREDENTIALS,
        "aliases": ListOf(text_like(names.upstream_name), unique=True),
        "default_namespace": text_like(names.namespace, nullable=True),
        "serve_private": boolean(),
        "tag_ttl": _OneOrOther(_ttl(), ListOf(_TAG_TTL, minimum=1), _ttl()),
        "negative_ttl": duration(),
        "stale_if_error": duration(nullable=True),
        "on_missing": choice("gone", "stale"),
        "deadline": duration(0.0, HOUR),
        "allow": ListOf(glob(), minimum=1, null_is_default=False),
        "deny": ListOf(glob(), null_is_default=False),
        "proxy": text_like(names.proxy, nullable=True),
        "ca_file": readable(load_certificates, nullable=True),
        "address_family": choice("any", "ipv4", "ipv6"),
        "connect_timeout": _TIMEOUT,
        "first_byte_timeout": _TIMEOUT,
        "stall_timeout": _TIMEOUT,
        "max_downloads": whole_number(1, 10000),
    }
)

_RULE = Section(
    {
        "accounts": ListOf(text_like(names.account), minimum=1, null_is_default=False),
        "networks": ListOf(text_like(names.network), minimum=1, null_is_default=False),
        "upstreams": ListOf(text_like(names.upstream_name), minimum=1, null_is_default=False),
        "repositories": ListOf(glob(), minimum=1, null_is_default=False),
        "actions": ListOf(choice("pull", "delete", "admin"), minimum=1, null_is_default=False),
    },
    Rule,
)

ACCESS = Section(
    {
        "htpasswd": readable(nullable=True),
        "admins": ListOf(text_like(names.account), null_is_default=False, unique=True),
        "realm": text(100),
        "rules": ListOf(_RULE, null_is_default=False),
        "token": Section(
            {
                "realm": text_like(names.url),
                "service": text(256),
                "issuer": text(256),
                "keys_file": readable(),
            },
            TokenAccess,
            required=("realm", "issuer", "keys_file"),
            nullable=True,
        ),
    },
    Access,
)

LIMITS = Section(
    {
        "connections": whole_number(1, 1_000_000),
        "connections_per_address": whole_number(1, 1_000_000),
        "header_timeout": duration(0.1, HOUR),
        "idle": duration(0.1, 24 * HOUR),
        "client_stall": duration(0.1, 24 * HOUR),
        "drain": duration(0.0, 24 * HOUR),
    },
    Limits,
)

ROOT = Section(
    {
        "domain": text_like(names.domain_name, nullable=True),
        "tls": Section(
            {"chain": readable(load_certificates), "key": readable(check_key)},
            Certificate,
            required=("chain", "key"),
            nullable=True,
        ),
        "listeners": ListOf(LISTENER, minimum=1),
        "admin": ADMIN,
        "storage": STORAGE,
        "upstreams": MappingOf(names.upstream_name, UPSTREAM),
        "default_upstream": text_like(names.upstream_name, nullable=True),
        "default_hosts": ListOf(text_like(names.host_pattern), nullable=True, unique=True),
        "dns": ListOf(text_like(names.name_server), unique=True),
        "access": ACCESS,
        "cors_origins": ListOf(text_like(names.origin), unique=True),
        "ui": Section({"title": text(100)}, UI),
        "log": Section({"format": choice("text", "json"), "access": boolean()}, Log),
        "limits": LIMITS,
    }
)
