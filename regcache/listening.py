"""Puts the listeners of the configuration together: a part of the composition root."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import KW_ONLY
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from cryptography import x509
from twisted.application.service import Service
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from regcache.access.client_issuers import ClientIssuers
from regcache.admin.api.callers import Reach
from regcache.admin.api.router import Api
from regcache.admin.endpoint import AdminDispatch, AdminHostDispatch, MetricsDispatch
from regcache.admin.health import HealthPages
from regcache.admin.ui_pages import UiPages
from regcache.client_ca import parse_issuers
from regcache.config import model
from regcache.config.endpoints import parse_endpoint
from regcache.config.tls_settings import ListenerTLS
from regcache.engine import Engine
from regcache.in_force import CurrentConfiguration
from regcache.light_dataclass import dataclass
from regcache.listener_set import BuiltListener
from regcache.metrics import CONTENT_TYPE
from regcache.own_authority import AuthorityError, authority_folder, load_or_make_authority
from regcache.tls import CertificateStore, CertificateWatcher
from regcache.tls_context import CertificateError, CertificateFiles, KeyPair
from regcache.watched_file import FileUnusableError, WatchedFile
from regcache.web.admission import Admission
from regcache.web.http1.channel import Http1Site
from regcache.web.listener_spec import ListenerSpec, socket_spec
from regcache.web.records import Recorder
from regcache.web.request import Dispatch
from regcache.web.site import ConnectionLimits, Site

_log = Logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerBuilder:
    """Makes the listeners for clients, and those for operators, of one configuration after another.

    :ivar recorders: are told of every request.
    :ivar ui: the web UI.
    :ivar admission: counts the connections of all of them.
    """

    engine: Engine
    recorders: Sequence[Recorder]
    current: CurrentConfiguration
    api: Api
    ui: UiPages
    admission: Admission

    def limits(self, config: model.Config) -> ConnectionLimits:
        """What a connection may cost."""
        limits = config.limits
        return ConnectionLimits(
            limits.header_timeout,
            limits.idle,
            stall=limits.client_stall,
            first_answer=limits.first_answer,
        )

    def build(
        self,
        config: model.Config,
        present: Mapping[str, Hashable] = MappingProxyType({}),
        in_use: Sequence[KeyPair] = (),
    ) -> list[BuiltListener]:
        """Make those that are not there yet, or with other options. Blocks.

        :param present: the options of those that are there, by their keys.
        :param in_use: the certificates that these show.
        :raises CertificateError: if a certificate cannot be used.
        """
        wanted = listener_options(config)
        changed = {key for key, each in wanted.items() if present.get(key) != each}
        making = _Making(self, config, in_use)
        return [making.make(key, wanted[key]) for key in wanted if key in changed]


def listener_options(config: model.Config) -> dict[str, "ListenerOptions"]:
    """What listeners a configuration has, by their keys: their endpoints."""
    has_seats = config.access.seats is not None
    found = [
        ListenerOptions(
            "clients",
            each.endpoint,
            each,
            config.admin.hosts if each.tls else (),
            has_seats=has_seats and each.tls is not None,
        )
        for each in config.listeners
    ]
    admin = config.admin
    if admin.endpoint is not None:
        found.append(ListenerOptions("admin", admin.endpoint))
    if admin.socket is not None:
        found.append(ListenerOptions("socket", admin.socket))
    if admin.metrics_endpoint is not None:
        found.append(ListenerOptions("metrics", admin.metrics_endpoint))
    return {each.key: each for each in found}


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """All on which one listener depends, but for limits.

    :ivar kind: clients, admin, socket or metrics.
    :ivar endpoint: its description, or the path of a socket.
    :ivar never_asked: host names for which no client is asked for a certificate.
    :ivar has_seats: clients are asked for certificates of our own authority, at least.
    """

    kind: str
    endpoint: str
    listener: model.Listener | None = None
    never_asked: tuple[str, ...] = ()
    _: KW_ONLY
    has_seats: bool = False

    @property
    def key(self) -> str:
        """By what it is known again."""
        if self.kind == "socket":
            return str(socket_spec(self.endpoint, Factory()).endpoint)
        return self.endpoint


class _Making:
    """Makes listeners of one configuration."""

    def __init__(
        self, builder: ListenerBuilder, config: model.Config, in_use: Sequence[KeyPair]
    ) -> None:
        self._in_use = in_use
        self._config = config
        self._engine = builder.engine
        self._builder = builder
        engine = builder.engine
        self._health = HealthPages(lambda: engine.problems)

    def make(self, key: str, options: ListenerOptions) -> BuiltListener:
        """One of them."""
        if options.listener is not None:
            return self._for_clients(options, options.listener)
        if options.kind == "metrics":
            metrics = self._engine.metrics
            pages = MetricsDispatch(metrics.render, CONTENT_TYPE)
            site = self._site(pages, name=options.endpoint)
        else:
            site = self._for_operators(options)
        if options.kind == "socket":
            return BuiltListener(socket_spec(options.endpoint, site), site, options)
        return BuiltListener(ListenerSpec(options.endpoint, site), site, options)

    def _for_clients(self, options: ListenerOptions, listener: model.Listener) -> BuiltListener:
        current = self._builder.current
        clients = current.dispatch(listener.endpoint)
        if listener.redirect is None:
            remote = self._builder.api.at(Reach.REMOTE)
            clients = AdminHostDispatch(
                is_admin_host=current.is_admin_host,
                api=remote,
                view=current.view,
                ui=self._builder.ui,
                others=clients,
            )
        http2 = listener.http2 and listener.tls is not None and find_spec("h2") is not None
        site = self._site(
            self._health.before(clients),
            http2,
            name=options.endpoint,
            hsts=listener.hsts,
            admission=self._builder.admission,
            pacing=self._engine.pacing,
        )
        watchers: list[Service] = []
        tls = self._tls(listener.tls, http2, options, watchers)
        return BuiltListener(ListenerSpec(listener.endpoint, site, tls), site, options, watchers)

    def _for_operators(self, options: ListenerOptions) -> Site:
        """The endpoint for operators, or the unix socket: no crowd of clients keeps them out."""
        current, metrics = self._builder.current, self._engine.metrics
        reach = Reach.SOCKET
        if options.kind == "admin":
            local = parse_endpoint(options.endpoint).local
            reach = Reach.LOOPBACK if local else Reach.REMOTE
        pages = AdminDispatch(
            self._health,
            metrics.render,
            CONTENT_TYPE,
            ui=self._builder.ui,
            reach=reach,
            api=self._builder.api.at,
            view=current.view,
            local_view=current.local_view,
            is_admin_host=current.is_admin_host,
            gatekeeper=current.gatekeeper,
        )
        return self._site(pages, name=options.endpoint)

    def _site(self, dispatch: Dispatch, http2: bool = False, **more: Any) -> Site:
        made = _http2_site() if http2 else Http1Site
        return made(
            dispatch,
            self._engine.reactor,
            recorders=self._builder.recorders,
            limits=self._builder.limits(self._config),
            proxies=self._builder.current.proxies,
            shown_host=self._builder.current.shown_host,
            **more,
        )

    def _tls(
        self,
        settings: ListenerTLS | None,
        http2: bool,
        options: ListenerOptions,
        watchers: list[Service],
    ) -> CertificateStore | None:
        if settings is None:
            return None
        files = [CertificateFiles(each.chain, each.key) for each in settings.certificates]
        store = CertificateStore(files, settings.minimum, http2, never_asked=options.never_asked)
        if settings.client_ca is not None:
            watchers.append(self._ask_clients(store, settings.client_ca))
        elif options.has_seats:
            store.trust(ClientIssuers((), self._own_authority()))
        store.load(self._in_use)
        engine = self._engine
        watchers.append(
            CertificateWatcher(store, engine.disk_pool, engine.reactor, engine.file_events)
        )
        return store

    def _ask_clients(self, store: CertificateStore, path: str) -> WatchedFile:
        """Have clients asked for certificates of the authorities in a file.

        :raises CertificateError: if the file cannot be used.
        """
        own = self._own_authority()
        watcher = WatchedFile(
            path,
            lambda content: ClientIssuers(parse_issuers(content), own),
            store.trust,
            pool=self._engine.disk_pool,
            clock=self._engine.reactor,
            gone=lambda: ClientIssuers((), own),
            events=self._engine.file_events,
        )
        try:
            watcher.load()
        except FileUnusableError as error:
            raise CertificateError(f"client_ca: {error}") from None
        return watcher

    def _own_authority(self) -> x509.Certificate | None:
        """The certificate of our own authority; None, with a warning, if it cannot be had."""
        folder = authority_folder(self._config.storage.directory)
        try:
            return load_or_make_authority(folder).certificate
        except AuthorityError as error:
            _log.warn("certificates of our own authority are not taken: {why}", why=str(error))
            return None


def _http2_site() -> type[Site]:
    """Only where it is wanted: its library need not be there otherwise, and takes memory."""
    from regcache.web.http2.negotiation import Http2Site

    return Http2Site
