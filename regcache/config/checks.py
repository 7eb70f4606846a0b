"""What single keys cannot show: values that contradict each other."""

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec

from regcache.config.endpoints import parse_endpoint
from regcache.config.files import BEING_RENEWED, check_pair, is_renewed
from regcache.config.model import Config, Listener
from regcache.config.problems import KeyPath, render_path
from regcache.config.reading import INVALID, Context
from regcache.config.upstream_settings import UpstreamSettings
from regcache.light_dataclass import dataclass

#: Bytes that the path of a unix socket may have (unix(7)).
LONGEST_SOCKET = 107
_ANY_PORT = re.compile(r"0+\Z|tcp6?:(?:port=)?0+(?::|\Z)")


def check(config: Config, context: Context) -> None:
    """Note every contradiction as an error."""
    _check_hosts(config, context)
    _check_endpoints(config, context)
    for number, listener in enumerate(config.listeners):
        _check_listener(listener, ("listeners", number), context)
    _check_pairs(context)
    _check_admin(config, context)
    _check_access(config, context)


@dataclass(frozen=True, slots=True)
class _Claim:
    """A host name that means something.

    :ivar owner: an upstream's name; "" for the UI.
    """

    host: str
    owner: str
    path: KeyPath
    written: bool


def _check_hosts(config: Config, context: Context) -> None:
    """No host name may mean two things."""
    claims = sorted(_claims(config, context), key=lambda claim: claim.written)
    taken: dict[str, _Claim] = {}
    for claim in claims:
        first = taken.setdefault(claim.host, claim)
        if first.owner != claim.owner:
            owner = f"upstream {first.owner}" if first.owner else "admin.hosts"
            context.error(claim.path, f"{claim.host} is used twice: it already means {owner}")


def _claims(config: Config, context: Context) -> Iterator[_Claim]:
    for upstream in config.upstreams:
        path: KeyPath = ("upstreams", upstream.name)
        yield _Claim(upstream.name, upstream.name, path, path in context.settings)
        yield from _listed(upstream, "aliases", upstream.aliases, context)
        yield from _listed(upstream, "hosts", upstream.hosts, context)
    written = context.is_set("admin", "hosts")
    for number, host in enumerate(config.admin.hosts):
        at: KeyPath = ("admin", "hosts", number) if written else ("domain",)
        yield _Claim(host, "", at, written)


def _listed(
    upstream: UpstreamSettings, key: str, hosts: tuple[str, ...], context: Context
) -> Iterator[_Claim]:
    path: KeyPath = ("upstreams", upstream.name, key)
    if context.is_set(*path):
        for at, host in context.items(*path):
            yield _Claim(host, upstream.name, at, True)
    else:
        for host in hosts:
            yield _Claim(host, upstream.name, ("domain",) if key == "hosts" else path, False)


def _check_endpoints(config: Config, context: Context) -> None:
    """No place may be listened on twice."""
    places: list[tuple[KeyPath, str]] = [
        (("listeners", n, "endpoint"), x.endpoint) for n, x in enumerate(config.listeners)
    ]
    places.append((("admin", "endpoint"), config.admin.endpoint or ""))
    places.append((("admin", "metrics_endpoint"), config.admin.metrics_endpoint or ""))
    taken: dict[str, str] = {}
    for path, endpoint in places:
        if not endpoint or _ANY_PORT.match(endpoint):
            continue
        name = render_path(path)
        if endpoint in taken:
            context.error(path, f"{endpoint} is used twice: by {taken[endpoint]} too")
        taken.setdefault(endpoint, name)


def _check_listener(listener: Listener, path: KeyPath, context: Context) -> None:
    if listener.tls and listener.redirect:
        context.error((*path, "redirect"), "a listener with tls cannot redirect to https")
    if listener.tls and listener.acme_webroot:
        context.error((*path, "acme_webroot"), "is for a listener without tls")
    for key in ("hsts", "http2"):
        if getattr(listener, key) and not listener.tls:
            context.warn((*path, key), "has no effect without tls")
    if listener.http2 and listener.tls and find_spec("h2") is None:
        install = "apt install python3-h2 on Debian, else: pip install 'regcache[http2]'"
        why = f"has no effect without the Python package h2; type: {install}"
        context.warn((*path, "http2"), why)


def _check_pairs(context: Context) -> None:
    """Each key must be that of its certificate."""
    sections = [path[:-1] for path in context.settings if path[-1] == "chain"]
    for path in sections:
        chain, key = context.settings[*path, "chain"], context.settings.get((*path, "key"))
        if key is None or INVALID in (chain.value, key.value):
            continue
        why = check_pair(chain.value, key.value)
        if why and is_renewed(context, chain.value, key.value):
            context.warn((*path, "key"), f"{why}: {BEING_RENEWED}")
        elif why:
            context.error((*path, "key"), why)


def _check_admin(config: Config, context: Context) -> None:
    socket = config.admin.socket
    if socket is not None and len(os.fsencode(socket)) > LONGEST_SOCKET:
        why = f"is longer than a path of a socket may be ({LONGEST_SOCKET} bytes)"
        context.error(("admin", "socket"), why)
    endpoint = config.admin.endpoint
    if not endpoint or parse_endpoint(endpoint).local or config.access.has_admin:
        return
    why = "is not on loopback: that needs an account with admin, in access.admins"
    context.error(("admin", "endpoint"), why)


def _check_access(config: Config, context: Context) -> None:
    access = config.access
    accounts = bool(access.token) or any(
        context.is_set("access", key) for key in ("htpasswd", "seats")
    )
    needed = "needs access.htpasswd, access.seats or access.token"
    if access.admins and not accounts:
        context.error(("access", "admins"), needed)
    names = {name for upstream in config.upstreams for name in (upstream.name, *upstream.aliases)}
    for path, rule in context.items("access", "rules"):
        if set(rule.accounts) - {"anonymous"} and not accounts:
            context.error((*path, "accounts"), needed)
        for at, upstream in context.items(*path, "upstreams"):
            if upstream not in names:
                context.error(at, f"{upstream} is none of the upstreams")
