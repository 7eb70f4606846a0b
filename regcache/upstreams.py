"""Puts the upstreams of the configuration together: a part of the composition root."""

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any

from OpenSSL import SSL
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults

from regcache.cache.policy import Policy, ServedUpstream, TagTtl
from regcache.config import model
from regcache.config.upstream_settings import UpstreamSettings, UrlSettings
from regcache.config.values import ProxyAddress
from regcache.environment import environment_proxies, proxy_of
from regcache.file_events import NO_FILE_EVENTS, IFileEvents
from regcache.identity import UpstreamIdentity
from regcache.interfaces import IUpstreamMeter, IWorkPool
from regcache.light_dataclass import dataclass
from regcache.parsing import Parser
from regcache.remedies import for_file
from regcache.upstream.agent import tls_policy
from regcache.upstream.build import Surroundings, Timeouts, UpstreamUrl, build_registry
from regcache.upstream.credentials import FileCredentials, user_fingerprint
from regcache.upstream.dns_exchange import NameServer
from regcache.upstream.proxies import DIRECT, FixedProxy, IProxyRules
from regcache.upstream.registry import Registry
from regcache.upstream.resolver import INames, SystemNames
from regcache.upstream.server_names import ServerNames
from regcache.upstream_health import UpstreamHealth
from regcache.watching import PasswordWatcher, why_unreadable

#: Settings that say nothing about how an upstream is asked.
_NOT_FOR_ASKING = frozenset(
    {
        *("hosts", "aliases", "default_namespace", "allow", "deny"),
        *("tag_ttl", "negative_ttl", "stale_if_error", "on_missing", "deadline"),
    }
)


class UpstreamSetupError(Exception):
    """A file that an upstream needs cannot be used; the text is one line."""


@dataclass(frozen=True, slots=True)
class BuiltRegistry:
    """One upstream as it is asked: with its connections, tokens, breakers and waits.

    :ivar made_of: all that it was made of. A configuration with the same takes it over.
    :ivar watched: the passwords that are read again.
    """

    registry: Registry
    made_of: Hashable
    watched: Sequence[FileCredentials]


@dataclass(frozen=True, slots=True)
class BuiltUpstreams:
    """The upstreams by name, and what belongs to them."""

    upstreams: Mapping[str, ServedUpstream]
    registries: Mapping[str, BuiltRegistry]
    watchers: Sequence[Service]

    async def hang_up(self, following: "BuiltUpstreams | None" = None) -> None:
        """Close the idle connections to all that does not go on in what follows."""
        kept = following.registries if following is not None else {}
        closing: list[Deferred[None]] = [
            each.registry.close()
            for name, each in self.registries.items()
            if kept.get(name) is not each
        ]
        await gatherResults(closing)

    def health(self) -> list[UpstreamHealth]:
        """How they are."""
        return [each.registry.health for each in self.registries.values()]


def build_upstreams(
    config: model.Config,
    reactor: Any,
    pool: IWorkPool,
    meter: IUpstreamMeter,
    *,
    parser: Parser,
    events: IFileEvents = NO_FILE_EVENTS,
    former: BuiltUpstreams | None = None,
) -> BuiltUpstreams:
    """Make every configured upstream.

    :param events: tell when files may have changed.

    :param pool: for reading files.
    :param former: what was built before; what is asked in the same way goes on.
    :raises UpstreamSetupError: if a file cannot be used.
    """
    system = SystemNames(reactor)
    names = _names(config, reactor, system)
    surroundings = Surroundings(reactor, names, meter, parser, proxy_names=system)
    known = {} if former is None else former.registries
    registries: dict[str, BuiltRegistry] = {}
    for upstream in config.upstreams:
        built, made_of = known.get(upstream.name), _made_of(upstream, config)
        if built is None or built.made_of != made_of:
            watched: list[FileCredentials] = []
            built = BuiltRegistry(_registry(upstream, surroundings, watched), made_of, watched)
        registries[upstream.name] = built
    upstreams = {
        upstream.name: ServedUpstream(registries[upstream.name].registry, _policy(upstream, config))
        for upstream in config.upstreams
    }
    files = [each for built in registries.values() for each in built.watched]
    watchers = [PasswordWatcher(files, pool, reactor, events)] if files else []
    return BuiltUpstreams(upstreams, registries, watchers)


def _made_of(upstream: UpstreamSettings, config: model.Config) -> Hashable:
    """The settings that decide how an upstream is asked, not how answers are kept or shown."""
    asked = tuple(
        getattr(upstream, each.name)
        for each in fields(upstream)
        if each.name not in _NOT_FOR_ASKING
    )
    authorities = b""
    if upstream.ca_file is not None:
        with suppress(OSError), open(upstream.ca_file, "rb") as file:
            authorities = file.read()
    return asked, config.dns, authorities


def _names(config: model.Config, reactor: Any, system: INames) -> INames:
    if not config.dns:
        return system
    servers = [
        NameServer(reactor, server.address, server.port, server.protocol == "tcp")
        for server in config.dns
    ]
    return ServerNames(reactor, servers)


def _registry(
    upstream: UpstreamSettings, surroundings: Surroundings, watched: list[FileCredentials]
) -> Registry:
    urls = [
        UpstreamUrl(url.url, _credentials(upstream.name, url, watched), url.token_hosts, url.ns)
        for url in upstream.urls
    ]
    try:
        tls = tls_policy(upstream.ca_file)
    except (SSL.Error, OSError):
        raise UpstreamSetupError(
            f"upstreams.{upstream.name}.ca_file: {upstream.ca_file} holds no usable certificate"
        ) from None
    timeouts = Timeouts(
        upstream.connect_timeout, upstream.first_byte_timeout, upstream.stall_timeout
    )
    return build_registry(
        _identity(upstream),
        urls,
        surroundings,
        tls=tls,
        timeouts=timeouts,
        max_downloads=upstream.max_downloads,
        address_family=upstream.address_family,
        proxies=_proxies(upstream),
    )


def _identity(upstream: UpstreamSettings) -> UpstreamIdentity:
    users = frozenset(
        user_fingerprint(each.username) for each in upstream.urls if each.username is not None
    )
    urls = tuple(each.url for each in upstream.urls)
    return UpstreamIdentity(upstream.name, urls, users, upstream.serve_private)


def _proxies(upstream: UpstreamSettings) -> IProxyRules:
    if isinstance(upstream.proxy, ProxyAddress):
        return FixedProxy(proxy_of(upstream.proxy))
    if upstream.proxy == "direct":
        return DIRECT
    try:
        return environment_proxies(os.environ)
    except ValueError as error:
        raise UpstreamSetupError(
            f"upstreams.{upstream.name}.proxy: the environment's {error}; 'direct' does without it"
        ) from None


def _credentials(
    name: str, url: UrlSettings, watched: list[FileCredentials]
) -> Callable[[], tuple[str, str] | None] | None:
    username, password = url.username, url.password
    if username is None:
        return None
    if url.password_file is not None:
        credentials = FileCredentials(username, url.password_file)
        try:
            credentials.load()
        except (OSError, UnicodeDecodeError) as error:
            path, why = url.password_file, why_unreadable(error)
            remedy = f": {for_file(path, error)}" if isinstance(error, OSError) else ""
            raise UpstreamSetupError(
                f"upstreams.{name}.password_file: {path}: {why}{remedy}"
            ) from None
        watched.append(credentials)
        return credentials
    return lambda: (username, password or "")


def _policy(upstream: UpstreamSettings, config: model.Config) -> Policy:
    return Policy(
        tag_ttls=tuple(TagTtl(rule.match, rule.ttl) for rule in upstream.tag_ttl),
        negative_ttl=upstream.negative_ttl,
        stale_if_error=upstream.stale_if_error,
        keep_missing=upstream.on_missing == "stale",
        deadline=upstream.deadline,
        image_size=config.limits.image_size,
        tells_apart=config.access.tells_apart,
    )
