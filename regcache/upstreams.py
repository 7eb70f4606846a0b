"""Puts the upstreams of the configuration together: a part of the composition root."""

import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults

from regcache.cache.policy import Policy, ServedUpstream, TagTtl
from regcache.config import model
from regcache.config.upstream_settings import UpstreamSettings, UrlSettings
from regcache.config.values import ProxyAddress
from regcache.environment import environment_proxies, proxy_of
from regcache.identity import UpstreamIdentity
from regcache.interfaces import IUpstreamMeter, IWorkPool
from regcache.parsing import Parser
from regcache.probing import TellProbe
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


class UpstreamSetupError(Exception):
    """A file that an upstream needs cannot be used; the text is one line."""


@dataclass(frozen=True, slots=True)
class BuiltUpstreams:
    """The upstreams by name, and what belongs to them.

    :ivar hang_up: closes the idle connections to all of them.
    :ivar health: says how they are.
    :ivar test: asks one of them, by its name, whether it can be reached.
    """

    upstreams: Mapping[str, ServedUpstream]
    watchers: Sequence[Service]
    hang_up: Callable[[], Coroutine[Any, Any, None]]
    health: Callable[[], Sequence[UpstreamHealth]]
    test: Callable[[str, TellProbe], Coroutine[Any, Any, None]]


def build_upstreams(
    config: model.Config, reactor: Any, pool: IWorkPool, meter: IUpstreamMeter, *, parser: Parser
) -> BuiltUpstreams:
    """Make every configured upstream.

    :param pool: for reading files.

    :raises UpstreamSetupError: if a file cannot be used.
    """
    system = SystemNames(reactor)
    names = _names(config, reactor, system)
    surroundings = Surroundings(reactor, names, meter, parser, proxy_names=system)
    watched: list[FileCredentials] = []
    registries = {
        upstream.name: _registry(upstream, surroundings, watched) for upstream in config.upstreams
    }
    upstreams = {
        upstream.name: ServedUpstream(registries[upstream.name], _policy(upstream, config))
        for upstream in config.upstreams
    }

    async def hang_up() -> None:
        closing: list[Deferred[None]] = [each.close() for each in registries.values()]
        await gatherResults(closing)

    watchers = [PasswordWatcher(watched, pool, reactor)] if watched else []
    return BuiltUpstreams(
        upstreams,
        watchers,
        hang_up,
        lambda: [each.health for each in registries.values()],
        lambda name, tell: registries[name].test(tell),
    )


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
) -> Callable[[], tuple[str, str] | None]:
    username, password = url.username, url.password
    if username is None:
        return lambda: None
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
