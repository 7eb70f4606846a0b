"""Puts the listeners of the configuration together: a part of the composition root."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from twisted.application.service import Service
from twisted.logger import Logger

from regcache.access.client_issuers import ClientIssuers
from regcache.admin.api.callers import Reach
from regcache.admin.api.router import Api
from regcache.admin.endpoint import AdminDispatch, AdminHostDispatch, MetricsDispatch
from regcache.admin.health import HealthPages
from regcache.client_ca import parse_issuers
from regcache.config import model
from regcache.config.endpoints import parse_endpoint
from regcache.config.tls_settings import ListenerTLS
from regcache.engine import Engine
from regcache.in_force import CurrentConfiguration
from regcache.metrics import CONTENT_TYPE
from regcache.own_authority import AuthorityError, load_or_make_authority
from regcache.tls import CertificateStore, CertificateWatcher
from regcache.tls_context import CertificateError, CertificateFiles
from regcache.watched_file import FileUnusableError, WatchedFile
from regcache.web.admission import Admission
from regcache.web.forwarded import TrustedProxies
from regcache.web.http1.channel import Http1Site
from regcache.web.listeners import Listeners, ListenerSpec, socket_spec
from regcache.web.pacing.pacing import Pacing
from regcache.web.records import Recorder
from regcache.web.request import Dispatch
from regcache.web.site import ConnectionLimits, Site

_log = Logger()

#: Name of the folder of our own authority in the storage directory.
AUTHORITY_NAME = "ca"


@dataclass(frozen=True, slots=True)
class BuiltListeners:
    """The listeners, what stands behind each, and what belongs to them."""

    listeners: Listeners
    sites: Sequence[Site]
    watchers: Sequence[Service]


@dataclass(frozen=True, slots=True)
class ListenerBuilder:
    """Makes the listeners for clients, and the one for operators.

    :ivar recorders: are told of every request.
    """

    config: model.Config
    engine: Engine
    recorders: Sequence[Recorder]
    _sites: list[Site] = field(default_factory=list, init=False)
    _specs: list[ListenerSpec] = field(default_factory=list, init=False)
    _watchers: list[Service] = field(default_factory=list, init=False)

    def build(self, current: CurrentConfiguration, api: Api) -> BuiltListeners:
        """Make all of them.

        :raises CertificateError: if a certificate cannot be used.
        """
        engine = self.engine
        health = HealthPages(lambda: engine.problems)
        limits = self.config.limits
        admission = Admission(
            limits.connections,
            limits.connections_per_address,
            lambda address: current.proxies().trusts(address),
        )
        for listener in self.config.listeners:
            clients = current.dispatch(listener.endpoint)
            if listener.redirect is None:
                remote = api.at(Reach.REMOTE)
                clients = AdminHostDispatch(current.is_admin_host, remote, current.view, clients)
            answer = health.before(clients)
            http2 = listener.http2 and listener.tls is not None
            site = self._site(
                answer,
                listener.hsts,
                http2,
                proxies=current.proxies,
                admission=admission,
                pacing=engine.pacing,
            )
            self._add(listener.endpoint, site, self._tls(listener.tls, http2))
        self._add_admin(health, current, api)
        return BuiltListeners(Listeners(engine.reactor, self._specs), self._sites, self._watchers)

    def _add_admin(self, health: HealthPages, current: CurrentConfiguration, api: Api) -> None:
        """The endpoint for operators and the unix socket: no crowd of clients keeps them out."""
        admin, metrics = self.config.admin, self.engine.metrics

        def site(reach: Reach) -> Site:
            pages = AdminDispatch(
                health,
                metrics.render,
                CONTENT_TYPE,
                reach=reach,
                api=api.at,
                view=current.view,
                local_view=current.local_view,
                admin_hosts=admin.hosts,
                gatekeeper=current.gatekeeper,
            )
            return self._site(pages, None, False, proxies=current.proxies)

        if admin.endpoint is not None:
            local = parse_endpoint(admin.endpoint).local
            self._add(admin.endpoint, site(Reach.LOOPBACK if local else Reach.REMOTE), None)
        if admin.socket is not None:
            made = site(Reach.SOCKET)
            self._sites.append(made)
            self._specs.append(socket_spec(admin.socket, made))
        if admin.metrics_endpoint is not None:
            alone = MetricsDispatch(metrics.render, CONTENT_TYPE)
            made = self._site(alone, None, False, proxies=current.proxies)
            self._add(admin.metrics_endpoint, made, None)

    def _add(self, endpoint: str, site: Site, tls: CertificateStore | None) -> None:
        self._sites.append(site)
        self._specs.append(ListenerSpec(endpoint, site, tls))

    def _site(
        self,
        dispatch: Dispatch,
        hsts: str | None,
        http2: bool,
        *,
        proxies: Callable[[], TrustedProxies],
        admission: Admission | None = None,
        pacing: Pacing | None = None,
    ) -> Site:
        limits = self.config.limits
        connection = ConnectionLimits(
            limits.header_timeout,
            limits.idle,
            stall=limits.client_stall,
            first_answer=limits.first_answer,
        )
        made = _http2_site() if http2 else Http1Site
        return made(
            dispatch,
            self.engine.reactor,
            recorders=self.recorders,
            limits=connection,
            hsts=hsts,
            admission=admission,
            proxies=proxies,
            pacing=pacing,
        )

    def _tls(self, settings: ListenerTLS | None, http2: bool) -> CertificateStore | None:
        if settings is None:
            return None
        files = [CertificateFiles(each.chain, each.key) for each in settings.certificates]
        store = CertificateStore(
            files, settings.minimum, http2, never_asked=self.config.admin.hosts
        )
        if settings.client_ca is not None:
            self._ask_clients(store, settings.client_ca)
        store.load()
        self._watchers.append(CertificateWatcher(store, self.engine.disk_pool, self.engine.reactor))
        return store

    def _ask_clients(self, store: CertificateStore, path: str) -> None:
        """Have clients asked for certificates of the authorities in a file.

        :raises CertificateError: if the file cannot be used.
        """
        own = self._own_authority()
        watcher = WatchedFile(
            path,
            lambda content: ClientIssuers(parse_issuers(content), own),
            store.trust,
            pool=self.engine.disk_pool,
            clock=self.engine.reactor,
            gone=lambda: ClientIssuers((), own),
        )
        try:
            watcher.load()
        except FileUnusableError as error:
            raise CertificateError(f"client_ca: {error}") from None
        self._watchers.append(watcher)

    def _own_authority(self) -> x509.Certificate | None:
        """That of the cache's own; where it cannot be had its certificates are nobody's."""
        folder = os.path.join(self.config.storage.directory, AUTHORITY_NAME)
        try:
            return load_or_make_authority(folder).certificate
        except AuthorityError as error:
            _log.warn("certificates of our own authority are not taken: {why}", why=str(error))
            return None


def _http2_site() -> type[Site]:
    """Only where it is wanted: its library need not be there otherwise, and takes memory."""
    from regcache.web.http2.negotiation import Http2Site

    return Http2Site
