"""From what is written to the long form it stands for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from regcache.config import names
from regcache.config.model import Admin, Config, Listener
from regcache.config.reading import Context
from regcache.config.tls_settings import Certificate, ListenerTLS, ShortTLS
from regcache.config.upstream_longform import resolve_upstreams

#: The upstream that answers where none is named, unless another one is set.
USUAL_DEFAULT = "docker.io"


def expand_short_form(written: dict[str, Any], context: Context) -> Config:
    """Resolve ``domain``, ``tls`` and empty upstreams; best effort where values were wrong."""
    values = dict(written)
    domain = values.get("domain")
    certificate = values.pop("tls", None)
    if context.is_set("listeners"):
        if certificate is not None:
            context.warn(("tls",), _replaced(values.get("listeners", ()), certificate))
    elif certificate is not None:
        values["listeners"] = listeners_for(certificate)
    elif domain and not context.is_set("tls"):
        why = "without tls or listeners, only plain port 5000 of loopback is listened on"
        context.warn(("domain",), why)
    upstreams = resolve_upstreams(values.pop("upstreams", None), domain, context)
    values["upstreams"] = upstreams
    values["admin"] = _resolve_admin(values.pop("admin", Admin()), domain, context)
    config = Config(**values)
    return _with_default_upstream(config, context)


def _replaced(listeners: Sequence[Any], certificate: ShortTLS) -> str:
    """That ``listeners`` replaces what ``tls`` stands for; which are plain, and what to write."""
    why = "has no effect, because listeners is set"
    plain = [
        each.endpoint
        for each in listeners
        if isinstance(each, Listener) and not each.tls and not each.redirect
    ]
    if not plain:
        return why
    pair = f"{{certificates: [{{chain: {certificate.chain}, key: {certificate.key}}}]}}"
    return f"{why}, so {', '.join(plain)} is plain HTTP: write tls: {pair} under its endpoint"


def listeners_for(written: ShortTLS) -> tuple[Listener, ...]:
    """What ``tls`` stands for: HTTPS on 443, and 80 that redirects to it."""
    certificate = Certificate(written.chain, written.key)
    return (
        Listener("443", tls=ListenerTLS((certificate,), client_ca=written.client_ca)),
        Listener("80", redirect="https"),
    )


def _resolve_admin(admin: Admin, domain: str | None, context: Context) -> Admin:
    derived = (names.host_name(f"registry.{domain}"),) if domain else ()
    written = ("admin", "hosts") in context.settings
    if written and admin.hosts == derived:
        # The same as nothing: what --print shows may be loaded again.
        del context.settings["admin", "hosts"]
        written = False
    return admin if written or not derived else replace(admin, hosts=derived)


def _with_default_upstream(config: Config, context: Context) -> Config:
    wanted = config.default_upstream
    for upstream in config.upstreams:
        if (wanted or USUAL_DEFAULT) in (upstream.name, *(upstream.aliases if wanted else ())):
            return replace(config, default_upstream=upstream.name)
    if wanted:
        context.error(("default_upstream",), f"{wanted} is none of the upstreams")
    return replace(config, default_upstream=None)
