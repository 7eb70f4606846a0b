"""Warnings: what works, but may not be what the operator wants."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

from regcache.config.endpoints import parse_endpoint
from regcache.config.files import covered_names, end_of, world_readable
from regcache.config.model import Config
from regcache.config.problems import KeyPath
from regcache.config.reading import INVALID, Context
from regcache.config.upstream_settings import UpstreamSettings
from regcache.host_rules import covers

#: A certificate with fewer days left is told: renewals are due long before.
EXPIRES_SOON = 7


def advise(config: Config, file: str | None, context: Context) -> None:
    """Note every warning.

    :param file: the configuration file; None if the text came from elsewhere.
    """
    _advise_open_proxy(config, context)
    _advise_certificates(config, context)
    _advise_ends(context)
    _advise_client_ca(config, context)
    _advise_seats(config, context)
    _advise_proxies(config, context)
    _advise_webhook(config, context)
    for upstream in config.upstreams:
        _advise_private(upstream, config, context)
    if file is not None and world_readable(file):
        _advise_secrets(context)
    for path, setting in list(context.settings.items()):
        if path[-1] == "key" and isinstance(setting.value, str) and world_readable(setting.value):
            context.warn(path, f"{setting.value} is a private key and every local user may read it")


def _advise_open_proxy(config: Config, context: Context) -> None:
    if config.access.restricted:
        return
    for number, listener in enumerate(config.listeners):
        if listener.redirect or parse_endpoint(listener.endpoint).local:
            continue
        path: KeyPath = ("listeners", number, "endpoint")
        why = f"an open proxy: everybody who reaches {listener.endpoint} may pull, see access"
        context.warn(path if context.is_set("listeners") else ("tls",), why)


def _advise_certificates(config: Config, context: Context) -> None:
    chains = {
        certificate.chain
        for listener in config.listeners
        if listener.tls
        for certificate in listener.tls.certificates
    }
    if not chains:
        return
    try:
        names = set().union(*(covered_names(chain) for chain in chains))
    except ValueError:
        return  # replaced since it was checked; loading it will tell
    for path, host in _hosts(config, context):
        if not covers(names, host):
            context.warn(path, f"no certificate covers {host}")


def _advise_ends(context: Context) -> None:
    """Certificates that have expired, or soon will."""
    now = datetime.now(UTC)
    for path, setting in list(context.settings.items()):
        if path[-1] != "chain" or not isinstance(setting.value, str):
            continue
        try:
            end = end_of(setting.value)
        except ValueError:
            continue  # replaced since it was checked; loading it will tell
        when, left = f"{end:%Y-%m-%d %H:%M} UTC", (end - now).days
        if end <= now:
            context.warn(path, f"{setting.value} expired on {when}: no client will connect")
        elif left < EXPIRES_SOON:
            context.warn(path, f"{setting.value} expires on {when}, in {left} days: renew it")


def _advise_client_ca(config: Config, context: Context) -> None:
    if config.access.htpasswd or config.access.seats:
        return
    for number, listener in enumerate(config.listeners):
        if listener.tls and listener.tls.client_ca:
            path: KeyPath = ("listeners", number, "tls", "client_ca")
            why = "no certificate is anybody's without access.htpasswd or access.seats"
            context.warn(path if context.is_set("listeners") else ("tls", "client_ca"), why)


def _advise_seats(config: Config, context: Context) -> None:
    seats = config.access.seats
    if seats is not None and world_readable(seats):
        why = f"every local user may read {seats}, and so the hosts of seats: chmod 600 {seats}"
        context.warn(("access", "seats"), why)
    if config.access.knock is not None and config.access.seats is None:
        context.warn(("access", "knock"), "has no effect without access.seats")


def _advise_proxies(config: Config, context: Context) -> None:
    for number, network in enumerate(config.access.trusted_proxies):
        if network.endswith("/0"):
            why = "everybody is believed who they say they are"
            context.warn(("access", "trusted_proxies", number), why)


def _advise_webhook(config: Config, context: Context) -> None:
    url = config.notify.url
    if url is not None and url.startswith("http:") and not _is_local(url):
        context.warn(("notify", "url"), "what is told, and a token in it, passes unencrypted")


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def _hosts(config: Config, context: Context) -> list[tuple[KeyPath, str]]:
    found: list[tuple[KeyPath, str]] = []
    keys: list[tuple[KeyPath, tuple[str, ...]]] = [
        (("upstreams", u.name, "hosts"), u.hosts) for u in config.upstreams
    ]
    keys.append((("admin", "hosts"), config.admin.hosts))
    for path, hosts in keys:
        written = context.is_set(*path)
        found += [((*path, n) if written else ("domain",), h) for n, h in enumerate(hosts)]
    return found


def _advise_private(upstream: UpstreamSettings, config: Config, context: Context) -> None:
    if not upstream.serve_private:
        return
    path = ("upstreams", upstream.name, "serve_private")
    if not any(url.username for url in upstream.urls):
        context.warn(path, "has no effect without credentials")
    elif not config.access.restricted:
        why = "everybody who reaches this proxy may pull what these credentials can read"
        context.warn(path, f"{why}, see access")


def _advise_secrets(context: Context) -> None:
    for path, setting in list(context.settings.items()):
        if setting.value is None or setting.value is INVALID or "${" in setting.raw:
            continue
        if path == ("notify", "url"):
            context.warn(path, "it may have a token, in a file that every local user may read")
        if path[-1] == "password" or (path[-1] == "proxy" and "@" in setting.raw):
            context.warn(path, "a password in a file that every local user may read")
