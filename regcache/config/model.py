"""What a configuration means: plain immutable values in the long form.

Sizes are bytes or a :class:`~regcache.facts.Percentage`, durations are seconds, paths are
absolute. Every key of the file is stated here, or in :mod:`regcache.config.upstream_settings`,
:mod:`regcache.config.tls_settings`, :mod:`regcache.config.storage_settings` or
:mod:`regcache.config.access_settings`, and nowhere else. Secrets stay out of every ``repr``.
"""

from dataclasses import KW_ONLY
from typing import Any, Literal

from regcache.config import names
from regcache.config.access_settings import AccessSettings
from regcache.config.endpoints import endpoint
from regcache.config.files import path
from regcache.config.keys import Key, Section, key_field, keys_of, section
from regcache.config.notify_settings import NotifyKeys
from regcache.config.scalars import (
    boolean,
    choice,
    duration,
    hsts,
    size,
    text,
    text_like,
    whole_number,
)
from regcache.config.storage_settings import StorageSettings
from regcache.config.tls_settings import ListenerTLS, ShortTLS
from regcache.config.upstream_settings import UPSTREAM, UpstreamSettings
from regcache.config.value_types import ListOf, MappingOf, Nullable, ValueType
from regcache.config.values import DAY, HOUR, KIB, NameServerAddress
from regcache.light_dataclass import dataclass

DEFAULT_ENDPOINT = "tcp:5000:interface=127.0.0.1"

_ENDPOINT = endpoint()
_HSTS = hsts()
_HOST = text_like(names.host_name, "host")
_HOST_PATTERN = text_like(names.host_pattern, "host")
_UPSTREAM_NAME = text_like(names.upstream_name, "name")


@dataclass(frozen=True, slots=True)
class Listener:
    """One place to listen.

    :ivar endpoint: a Twisted server endpoint, or digits only: that port on IPv4 and IPv6.
    :ivar hsts: the header's value, or None.
    """

    endpoint: str = key_field(_ENDPOINT, "Where to listen.", example="443")
    _: KW_ONLY
    redirect: Literal["https"] | None = key_field(
        Nullable(choice("https")),
        "Answer 308 to the same place on https. `/.well-known/acme-challenge/` and `/healthz` "
        "are answered as ever.",
        default=None,
        example="https",
    )
    acme_webroot: str | None = key_field(
        Nullable(path()),
        "A folder that is served under `/.well-known/acme-challenge/`. Not together with `tls`.",
        default=None,
        example="/var/lib/regcache/acme",
    )
    tls: ListenerTLS | None = key_field(
        Nullable(section(ListenerTLS)),
        "Without it the listener is plain.",
        default=None,
        example="{certificates: [{chain: /etc/regcache/tls/fullchain.cer, "
        "key: /etc/regcache/tls/example.com.key}], minimum: TLSv1.2, client_ca: null}",
    )
    http2: bool = key_field(
        boolean(),
        "Offer h2 beside http/1.1, by ALPN; see below. It needs `tls`, and the Python package h2 "
        "(`python3-h2` on Debian, `pip install 'regcache[http2]'`): without that only http/1.1 is "
        "offered, with a warning.",
        default=False,
        example="true",
    )
    hsts: str | None = key_field(
        _HSTS,
        "The value of Strict-Transport-Security, which is sent on TLS only. `true`: "
        "`max-age=15552000; includeSubDomains; preload`.",
        default=None,
        example="true",
    )


@dataclass(frozen=True, slots=True)
class Admin:
    """The endpoint for operators."""

    endpoint: str | None = key_field(
        Nullable(_ENDPOINT),
        "The API, `/metrics`, `/healthz` and `/readyz`. `null` switches it off. On loopback it is "
        "trusted to read. Anywhere else an account is needed, for `/metrics` one with `admin`, and "
        "without such an account the start is refused.",
        default="tcp:5001:interface=127.0.0.1",
        example="null",
        restart=True,
    )
    socket: str | None = key_field(
        Nullable(path()),
        "The path of a unix socket, for its owner and group: root and the daemon's own user may "
        "change everything over it without logging in, others read. regcachectl speaks to it.",
        default=None,
        example="/run/regcache/admin.sock",
        restart=True,
    )
    hosts: tuple[str, ...] = key_field(
        ListOf(_HOST, unique=True),
        "Host names, without wildcards, under which the API answers on the listeners too, to "
        "accounts: each sees what it may pull, and those with `admin` may change things.",
        default=(),
        usually="`[]`, or from `domain`",
        example="[registry.example.com]",
    )
    metrics_endpoint: str | None = key_field(
        Nullable(_ENDPOINT),
        "An endpoint for `/metrics` alone, to everybody who reaches it.",
        default=None,
        example="tcp:9100",
    )


@dataclass(frozen=True, slots=True)
class UI:
    """The web UI."""

    title: str = key_field(
        text(100),
        "The title of its pages.",
        default="regcache",
        example="Our registry",
    )


@dataclass(frozen=True, slots=True)
class Log:
    """The output on stdout."""

    format: Literal["text", "json"] = key_field(
        choice("text", "json"), "The form of the lines.", default="text", example="json"
    )
    access: bool = key_field(boolean(), "One line for each request.", default=True, example="false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds per peer, and for stopping."""

    connections: int = key_field(
        whole_number(1, 1_000_000),
        "Connections at once, in all, from their first byte on; further ones get 503. A request"
        " over HTTP/2 beside others of its connection counts as one. Unix sockets do not count.",
        default=4096,
        example="1000",
    )
    connections_per_address: int = key_field(
        whole_number(1, 1_000_000),
        "The same for one peer; behind `haproxy:` that is the one in the PROXY header. A /64 of "
        "IPv6 is one peer. "
        "Connections of `access.trusted_proxies` count in all only, and each request on them "
        "counts for its client while it is being answered.",
        default=256,
        example="50",
    )
    header_timeout: float = key_field(
        duration(0.1, HOUR), "How long the head of a request may take.", default=30.0, example="10s"
    )
    idle: float = key_field(
        duration(0.1, DAY),
        "How long a connection may stay open between two requests.",
        default=75.0,
        example="30s",
    )
    client_stall: float = key_field(
        duration(0.1, DAY),
        "A client that takes nothing for so long is cut off.",
        default=60.0,
        example="5m",
    )
    drain: float = key_field(
        duration(0.0, DAY),
        "How long the answers under way may take when the daemon stops.",
        default=30.0,
        example="5m",
    )
    image_size: int | None = key_field(
        Nullable(size()),
        "Blobs of larger images are refused with 403: config and layers together, by the manifests "
        "that the cache has seen in the repository. A blob that a smaller image lists, too, is "
        "served.",
        default=None,
        example="20GiB",
    )
    first_answer: float = key_field(
        duration(0.1, HOUR),
        "How long a request may wait for the head of its answer, retries included. After that it "
        "is answered with 504; the work goes on, and the next request gets its result.",
        default=25.0,
        example="10s",
    )
    rate: int | None = key_field(
        Nullable(size(minimum=KIB)),
        "Bytes a second that the bodies of all answers to clients may take together. Accounts, "
        "and addresses without one, get equal shares, and so do the transfers of each; unused "
        "shares go to the others. `null`: as fast as clients take them.",
        default=None,
        example="50MiB",
    )


_UPSTREAMS: ValueType[Any] = MappingOf(names.upstream_name, UPSTREAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole long form.

    :ivar domain: kept, because ``default_hosts`` depends on it.
    :ivar default_upstream: resolved to a configured name; None if there is none.
    """

    domain: str | None = key_field(
        Nullable(text_like(names.domain_name, "host")),
        "The known upstreams without `hosts` get `docker.` `gcr.` `k8s.` `quay.` `ghcr.` and this "
        "name; `admin.hosts` becomes `registry.` and this name. `hosts: []` keeps an upstream out.",
        default=None,
        example="example.com",
    )
    listeners: tuple[Listener, ...] = key_field(
        ListOf(section(Listener), minimum=1),
        "Where clients connect. The list replaces the two listeners that `tls` stands for.",
        default=(Listener(DEFAULT_ENDPOINT),),
        example="[{endpoint: 80, redirect: https}]",
    )
    admin: Admin = key_field(section(Admin), "The endpoint for operators.", default=Admin())
    storage: StorageSettings = key_field(
        section(StorageSettings), "The cache and its bounds.", default=StorageSettings()
    )
    upstreams: tuple[UpstreamSettings, ...] = key_field(
        _UPSTREAMS,
        "A mapping from the names that clients use to settings. A name is lower case, `host` or "
        "`host:port`. Without any, all known names are there.",
        default=(),
        usually="all known names",
        example="{docker.io: {tag_ttl: 1h}, quay.io: {}}",
    )
    default_upstream: str | None = key_field(
        Nullable(_UPSTREAM_NAME),
        "The upstream of requests that name none: its name, or an alias.",
        default=None,
        usually="`docker.io` if it is among the upstreams",
        example="quay.io",
    )
    default_hosts: tuple[str, ...] | None = key_field(
        Nullable(ListOf(_HOST_PATTERN, unique=True)),
        "The hosts, wildcards allowed, for which it answers beside addresses and `localhost`. "
        "`null`: any host that is not under `domain`, as long as no upstream has `hosts`; else "
        "none.",
        default=None,
        example="[cache.example.com]",
    )
    dns: tuple[NameServerAddress, ...] = key_field(
        ListOf(text_like(names.name_server, "name server", names.write_name_server), unique=True),
        "The name servers that are asked for upstreams, in this order: `8.8.8.8`, `8.8.8.8:53`, "
        '`"tcp://8.8.4.4"`, `"[2001:4860:4860::8888]:53"`. `[]`: those of the system. The hosts '
        "file is not read then. The system always looks up outgoing proxies.",
        default=(),
        example='[8.8.8.8, "tcp://8.8.4.4"]',
    )
    access: AccessSettings = key_field(
        section(AccessSettings),
        "Accounts and grants. Without them everybody may pull, and no client may delete.",
        default=AccessSettings(),
    )
    notify: NotifyKeys = key_field(
        section(NotifyKeys), "Whom to tell what happens.", default=NotifyKeys()
    )
    cors_origins: tuple[str, ...] = key_field(
        ListOf(text_like(names.origin, "origin"), unique=True),
        'Exact origins, for which credentials and DELETE are allowed. `"*"`: GET, HEAD and '
        "OPTIONS, never credentials.",
        default=(),
        example="[https://ui.example.com]",
    )
    ui: UI = key_field(section(UI), "The web UI.", default=UI())
    log: Log = key_field(section(Log), "The output on stdout.", default=Log())
    limits: Limits = key_field(
        section(Limits), "Bounds per peer, and for stopping.", default=Limits()
    )


#: It stands for listeners, so it is no part of the long form.
TLS = Key(
    Nullable(section(ShortTLS)),
    "The certificate for listeners on 443 (TLS) and 80 (redirect to https). Without effect beside "
    "`listeners`.",
    default=None,
    example="{chain: /etc/regcache/tls/fullchain.cer, key: /etc/regcache/tls/example.com.key, "
    "client_ca: null}",
)


def _root() -> Section[dict[str, Any]]:
    keys = keys_of(Config)
    return Section({"domain": keys["domain"], "tls": TLS} | keys, dict)


ROOT = _root()
