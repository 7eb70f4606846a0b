"""Puts the listeners of the configuration together: a part of the composition root."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from twisted.application.service import Service
from twisted.logger import Logger

from regcache.access.client_issuers import ClientIssuers
from regcache.admin.endpoint import AdminDispatch
from regcache.admin.health import HealthPages
from regcache.client_ca import parse_issuers
from regcache.config import model
from regcache.config.endpoints import parse_endpoint
from regcache.engine import Engine
from regcache.metrics import CONTENT_TYPE
from regcache.own_authority import AuthorityError, load_or_make_authority
from regcache.tls import CertificateStore, CertificateWatcher
from regcache.tls_context import CertificateError, CertificateFiles
from regcache.watched_file import FileUnusableError, WatchedFile
from regcache.web.admission import Admission
from regcache.web.forwarded import TrustedProxies
from regcache.web.gatekeeper import Gatekeeper
from regcache.web.http1.channel import Http1Site
from regcache.web.listeners import Listeners, ListenerSpec
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

    def build(
        self,
        dispatch: Callable[[str], Dispatch],
        gatekeeper: Callable[[], Gatekeeper | None],
        proxies: Callable[[], TrustedProxies],
    ) -> BuiltListeners:
        """Make all of them.

        :param dispatch: gives what answers the clients of a listener, by its endpoint.
        :param gatekeeper: gives what decides about operators.
        :param proxies: gives those that are believed who their clients are.
        :raises CertificateError: if a certificate cannot be used.
        """
        engine = self.engine
        health = HealthPages(lambda: engine.problems)
        limits = self.config.limits
        admission = Admission(
            limits.connections,
            limits.connections_per_address,
            lambda address: proxies().trusts(address),
        )
        for listener in self.config.listeners:
            answer = health.before(dispatch(listener.endpoint))
            http2 = listener.http2 and listener.tls is not None
            site = self._site(answer, listener.hsts, http2, proxies=proxies, admission=admission)
            self._add(listener.endpoint, site, self._tls(listener.tls, http2))
        admin = self.config.admin
        if admin.endpoint is not None:
            pages = AdminDispatch(
                health,
                engine.metrics.render,
                CONTENT_TYPE,
                admin_hosts=admin.hosts,
                gatekeeper=None if parse_endpoint(admin.endpoint).local else gatekeeper,
            )
            # A crowd of clients must not keep the operator out.
            self._add(admin.endpoint, self._site(pages, None, False, proxies=proxies), None)
        return BuiltListeners(Listeners(engine.reactor, self._specs), self._sites, self._watchers)

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
        )

    def _tls(self, settings: model.ListenerTLS | None, http2: bool) -> CertificateStore | None:
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
