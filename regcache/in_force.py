"""A configuration in force: all that is replaced when another configuration takes its place.

A part of the composition root. Routes, upstreams, policies and handlers are built from the
configuration alone, and use the engine, which stays. A request keeps the configuration with which
it began, so nothing has to be stopped when that is replaced.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

import socket
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from regcache.access.realm import TokenGiver
from regcache.access_control import BuiltAccess, build_access
from regcache.cache.configured import ConfiguredCache
from regcache.cache.negative import with_negative_cache
from regcache.config import model
from regcache.config.client_facts import served_here
from regcache.engine import Engine
from regcache.errors import ServiceUnavailableError
from regcache.identity import UpstreamIdentity
from regcache.light_dataclass import dataclass
from regcache.metrics import Metrics
from regcache.probing import TellProbe
from regcache.upstream_health import UpstreamHealth
from regcache.upstreams import BuiltUpstreams, build_upstreams
from regcache.web.answer_limits import AnswerLimits
from regcache.web.blob_handler import BlobHandler
from regcache.web.cached_view import CachedView
from regcache.web.cors import CrossOrigin
from regcache.web.distribution import Distribution
from regcache.web.forwarded import TrustedProxies
from regcache.web.gatekeeper import Gatekeeper
from regcache.web.hosts import RoutingTable, UpstreamNames
from regcache.web.knock_handler import KnockHandler
from regcache.web.listing_handler import ListingHandler
from regcache.web.manifest_handler import ManifestHandler
from regcache.web.redirect import RedirectDispatch
from regcache.web.registry_page import RegistryPage
from regcache.web.removal_handler import RemovalHandler
from regcache.web.request import Dispatch, Request
from regcache.web.seat_hosts import SeatHosts
from regcache.web.sender import Terms
from regcache.web.token_handler import TokenHandler


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The objects that are built from one configuration.

    :ivar upstreams: what each configured name stands for.
    :ivar cache: answers for what is under them.
    :ivar dispatches: what answers the clients of each listener, by its endpoint.
    :ivar view: answers operators that ask what is cached.
    :ivar local_view: the same on loopback, which is trusted to read.
    :ivar table: what host names and prefixes mean.
    :ivar gatekeeper: decides who may do what; None where access is not restricted.
    :ivar proxies: those that are believed who their clients are.
    :ivar watchers: services that look at its files now and then.
    :ivar built: its upstreams as they are asked.
    :ivar access: who may do what; None where access is not restricted.
    """

    config: model.Config
    upstreams: Mapping[str, UpstreamIdentity]
    cache: ConfiguredCache
    dispatches: Mapping[str, Dispatch]
    view: Dispatch
    local_view: Dispatch
    table: RoutingTable
    gatekeeper: Gatekeeper | None
    proxies: TrustedProxies
    watchers: Sequence[Service]
    built: BuiltUpstreams
    access: BuiltAccess | None

    def health(self) -> Sequence[UpstreamHealth]:
        """How its upstreams are."""
        return self.built.health()

    async def test(self, name: str, tell: TellProbe) -> None:
        """Ask one of them, by its name, whether it can be reached."""
        await self.built.registries[name].registry.test(tell)


class CurrentConfiguration(MultiService):
    """The configuration in force: what new requests see.

    As a service it runs the watchers that belong to it.

    :param metrics: is told which upstreams there are.
    :param answer_limits: is told how fast answers may be sent.
    """

    _log = Logger()

    def __init__(self, first: InForce, metrics: Metrics, answer_limits: AnswerLimits) -> None:
        super().__init__()
        self._metrics = metrics
        self._answer_limits = answer_limits
        self._take(first)

    @property
    def in_force(self) -> InForce:
        """What new requests see."""
        return self._in_force

    def gatekeeper(self) -> Gatekeeper | None:
        """What decides who may do what, by the configuration then in force."""
        return self._in_force.gatekeeper

    def is_account(self, name: str) -> bool:
        """Whether there is such an account in our own files, in the same way."""
        access = self._in_force.access
        return access is not None and access.access.accounts.exists(name)

    def upstreams(self) -> Mapping[str, UpstreamIdentity]:
        """What each configured name stands for, by the configuration then in force."""
        return self._in_force.upstreams

    def proxies(self) -> TrustedProxies:
        """The proxies that are believed, by the configuration then in force."""
        return self._in_force.proxies

    def shown_host(self, host: str) -> str:
        """A host as it may be told, without the whole label of a seat, in the same way."""
        gatekeeper = self._in_force.gatekeeper
        seats = None if gatekeeper is None else gatekeeper.seat_hosts
        return host if seats is None else seats.shown(host)

    def is_admin_host(self, host: str | None) -> bool:
        """Whether a normalised host is one of ``admin.hosts``, in the same way."""
        return self._in_force.table.is_admin_host(host)

    def view(self, request: Request) -> Any:
        """Answer an operator that asks what is cached, in the same way."""
        return self._in_force.view(request)

    def local_view(self, request: Request) -> Any:
        """The same on loopback, which is trusted to read."""
        return self._in_force.local_view(request)

    def replace(self, following: InForce) -> None:
        """Let new requests see another configuration; those under way go on as they began."""
        former = self._in_force
        before = former.built.registries
        renewed = [
            name
            for name, built in following.built.registries.items()
            if before.get(name) is not built
        ]
        for watcher in former.watchers:
            if watcher not in following.watchers:
                watcher.disownServiceParent()
        self._take(following, renewed)
        Deferred.fromCoroutine(former.built.hang_up(following.built)).addErrback(
            lambda failure: self._log.failure("closing idle connections to upstreams", failure)
        )

    def _take(self, in_force: InForce, renewed: Sequence[str] = ()) -> None:
        self._in_force = in_force
        self._metrics.set_upstreams(in_force.upstreams, renewed)
        self._answer_limits.limit_rate(in_force.config.limits.rate)
        if in_force.access is not None:
            in_force.access.access.changed = self._limit_accounts
            self._limit_accounts()
        for watcher in in_force.watchers:
            if watcher.parent is not self:
                watcher.setServiceParent(self)

    def _limit_accounts(self) -> None:
        """The limits of accounts may have changed."""
        access = self._in_force.access
        if access is not None:
            self._answer_limits.limit_accounts(access.access.accounts.limits)

    async def hang_up(self) -> None:
        """Close idle connections to upstreams."""
        await self._in_force.built.hang_up()

    def dispatch(self, endpoint: str) -> Dispatch:
        """A dispatcher for the clients of a listener, as the configuration then in force says."""

        def answer(request: Request) -> Any:
            dispatch = self._in_force.dispatches.get(endpoint)
            if dispatch is None:
                raise ServiceUnavailableError("this listener is not configured any more")
            return dispatch(request)

        return answer


def build_in_force(config: model.Config, engine: Engine, former: InForce | None = None) -> InForce:
    """Build what a configuration means. It does nothing yet. Blocks; may be called in a thread.

    :param former: what goes on of the one before: upstreams that are asked in the same way, and
        accounts that have the same rules.
    :raises UpstreamSetupError: if an upstream's files cannot be used.
    :raises AccessSetupError: if a file of accounts or keys cannot be used.
    """
    built = _built_upstreams(config, engine, former)
    upstreams = [
        with_negative_cache(
            upstream, engine.refusals, engine.closed_repositories, engine.spare_bodies
        )
        for upstream in built.upstreams.values()
    ]
    identities = {upstream.name: upstream.identity for upstream in upstreams}
    cache = ConfiguredCache(upstreams, engine.caches)
    access = _access(config, engine, former)
    distribution = _distribution(config, engine, cache, identities, access=access)
    pages = CrossOrigin(config.cors_origins)
    front = RegistryPage(served_here(config, socket.gethostname()), config.access.restricted)
    others = front.before(pages.before(distribution))
    answer = _with_seats(distribution, others, config, access)
    view = _view(engine, distribution)
    return InForce(
        config=config,
        upstreams=identities,
        cache=cache,
        dispatches={
            listener.endpoint: _dispatch(listener, engine, answer) for listener in config.listeners
        },
        view=pages.before(view.for_operators),
        local_view=pages.before(view.for_loopback),
        table=distribution.table,
        gatekeeper=distribution.gatekeeper,
        proxies=TrustedProxies(config.access.trusted_proxies),
        watchers=[*built.watchers, *(access.watchers if access else ())],
        built=built,
        access=access,
    )


def _built_upstreams(
    config: model.Config, engine: Engine, former: InForce | None
) -> BuiltUpstreams:
    return build_upstreams(
        config,
        engine.reactor,
        engine.disk_pool,
        engine.metrics,
        parser=engine.parser,
        events=engine.file_events,
        former=None if former is None else former.built,
    )


def _access(config: model.Config, engine: Engine, former: InForce | None) -> BuiltAccess | None:
    if former is not None and _same_access(former.config, config):
        return former.access
    return build_access(config, engine)


def _same_access(former: model.Config, config: model.Config) -> bool:
    """Whether accounts, rules, and the names in these mean the same."""
    before, after = (
        (each.access, [(upstream.name, upstream.aliases) for upstream in each.upstreams])
        for each in (former, config)
    )
    return before == after


def _with_seats(
    distribution: Distribution, others: Dispatch, config: model.Config, access: BuiltAccess | None
) -> Dispatch:
    """What answers clients, with the links and host names of seats where there are seats."""
    gatekeeper = distribution.gatekeeper
    if access is None or gatekeeper is None or gatekeeper.seat_hosts is None:
        return others
    links = KnockHandler(access.access, config.ui.title)
    return gatekeeper.seat_hosts.before(links.before(others))


def _dispatch(listener: model.Listener, engine: Engine, distribution: Dispatch) -> Dispatch:
    if listener.redirect is not None:
        return RedirectDispatch(listener.acme_webroot, engine.disk_pool)
    return distribution


def _distribution(
    config: model.Config,
    engine: Engine,
    cache: ConfiguredCache,
    identities: Mapping[str, UpstreamIdentity],
    *,
    access: BuiltAccess | None,
) -> Distribution:
    private = config.access.restricted
    table = _routing_table(config)
    gatekeeper = realm = removals = None
    if access is not None:
        seat_hosts = None
        if config.access.seats is not None:
            accounts = access.access.accounts
            seat_hosts = SeatHosts(table, accounts.is_present_label, accounts.is_any_label)
        gatekeeper = Gatekeeper(
            access.access,
            access.permission,
            table,
            quotas=engine.metering.gate,
            seat_hosts=seat_hosts,
        )
        if access.has_realm:
            realm = TokenHandler(gatekeeper, TokenGiver(access.access.tokens, engine.reactor))
        if access.access.rules.anybody_may_delete:
            removals = RemovalHandler(engine.removal)
    terms = Terms(engine.reactor, config.limits.client_stall, engine.turns, engine.rounds)
    return Distribution(
        table=table,
        upstreams=identities,
        manifests=ManifestHandler(cache, private, engine.metering.pulls),
        blobs=BlobHandler(
            cache, terms, private, engine.feeding, suspicions=engine.checking.suspicions
        ),
        listings=ListingHandler(cache, table),
        gatekeeper=gatekeeper,
        realm=realm,
        removals=removals,
    )


def _view(engine: Engine, distribution: Distribution) -> CachedView:
    """What operators see of the same upstreams."""
    table, cache = distribution.table.view(), engine.cached_only
    return CachedView(
        table=table,
        upstreams=distribution.upstreams,
        manifests=ManifestHandler(cache, True),
        blobs=BlobHandler(cache, distribution.blobs.terms, True, engine.feeding),
        listings=ListingHandler(cache, table),
        removals=distribution.removals,
        gatekeeper=distribution.gatekeeper,
    )


def _routing_table(config: model.Config) -> RoutingTable:
    names = [
        UpstreamNames(
            upstream.name,
            aliases=upstream.aliases,
            hosts=upstream.hosts,
            default_namespace=upstream.default_namespace or "",
            allow=upstream.allow,
            deny=upstream.deny,
        )
        for upstream in config.upstreams
    ]
    return RoutingTable.build(
        names,
        config.default_upstream,
        default_hosts=config.default_hosts,
        domain=config.domain,
        admin_hosts=config.admin.hosts,
    )
