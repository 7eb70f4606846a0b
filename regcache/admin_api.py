"""Puts the admin API together: a part of the composition root.

A module of :mod:`regcache.admin.api` declares a call, and makes its routes from plain functions.
This module chooses what these functions read.
"""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from urllib.parse import urlsplit

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from regcache import __version__, admin_storage
from regcache.access.sessions import Sessions
from regcache.admin.api import (
    client_config_call,
    config_call,
    doctor_call,
    events_call,
    history_calls,
    image_calls,
    job_calls,
    pull_calls,
    reload_call,
    repository_calls,
    request_calls,
    seat_calls,
    session_calls,
    status_calls,
    transfer_calls,
    upstream_calls,
    upstream_test_call,
    usage_calls,
    verify_call,
)
from regcache.admin.api.callers import Callers
from regcache.admin.api.calls import ApiCall, CallRoute
from regcache.admin.api.notices import Troubles
from regcache.admin.api.openapi import OPENAPI, openapi_route
from regcache.admin.api.router import Api
from regcache.admin.events.changes import Changes
from regcache.admin.events.hub import EventHub
from regcache.admin.jobs import Jobs
from regcache.admin.requests.counting import CountHistory
from regcache.admin.requests.image_finder import ImageFinder
from regcache.admin.requests.pending import PendingRecords
from regcache.admin.requests.ring import RequestLog
from regcache.admin.requests.usage_counting import UsageHistory
from regcache.admin.stored_sums import StoredSumsKeeper
from regcache.admin_reloads import Reloads
from regcache.admin_seats import SeatAdmin
from regcache.client_setup.seat_guide import SeatClient
from regcache.client_setup.served import ServedHere
from regcache.config import model
from regcache.config.client_facts import served_here
from regcache.config.endpoints import tcp_address
from regcache.config.upstream_settings import UpstreamSettings
from regcache.diagnosis import Diagnosis
from regcache.engine import Engine
from regcache.facts import IndexCounts
from regcache.globs import glob_matches
from regcache.identity import UpstreamIdentity
from regcache.image_pulls import ImagePulls
from regcache.in_force import CurrentConfiguration
from regcache.light_dataclass import dataclass
from regcache.own_authority import authority_folder
from regcache.plans import UpstreamSums
from regcache.rates import RecentRates
from regcache.references import looks_like_registry
from regcache.seat_clients import find_seat_client
from regcache.store.index_file import IndexUnavailableError
from regcache.store.store_check import CheckResult
from regcache.web.flow_watch import FlowWatch
from regcache.web.sender import Sender

#: Lists all calls, in the order of docs/api.md.
CALLS: tuple[ApiCall, ...] = (
    *session_calls.CALLS,
    *status_calls.CALLS,
    *upstream_calls.CALLS,
    *upstream_test_call.CALLS,
    *transfer_calls.CALLS,
    *request_calls.CALLS,
    *client_config_call.CALLS,
    *seat_calls.CALLS,
    *history_calls.CALLS,
    *usage_calls.CALLS,
    *repository_calls.CALLS,
    *image_calls.CALLS,
    *config_call.CALLS,
    *reload_call.CALLS,
    *doctor_call.CALLS,
    *job_calls.CALLS,
    *verify_call.CALLS,
    *pull_calls.CALLS,
    *admin_storage.CALLS,
    OPENAPI,
    *events_call.CALLS,
)

_IN, _OUT = "in", "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminParts:
    """Holds the parts of the daemon that only the API uses.

    :ivar jobs: runs the work that calls begin.
    :ivar pending: gets the record of each request of a client.
    :ivar requests: keeps the latest requests.
    :ivar history: keeps counts of all requests.
    :ivar usage: keeps counts by account.
    :ivar sums: keeps the sums of all that is stored.
    :ivar flow: measures how fast answers are.
    :ivar changes: knows which repositories were changed lately.
    :ivar events: sends the streams of events.
    :ivar reloads: knows which configuration is in force, and reads the file again.
    """

    jobs: Jobs
    pending: PendingRecords
    requests: RequestLog
    history: CountHistory
    usage: UsageHistory
    sums: StoredSumsKeeper
    flow: FlowWatch
    changes: Changes
    events: EventHub
    event_ids: events_call.EventIds
    reloads: Reloads

    @property
    def services(self) -> Sequence[Service]:
        """Return the parts that run beside the calls."""
        return self.jobs, self.history, self.usage, self.sums, self.flow, self.events


def build_api(engine: Engine, current: CurrentConfiguration, parts: AdminParts) -> Api:
    """Make the API of its parts."""
    jobs, history = parts.jobs, parts.history
    sessions = Sessions(engine.short_lived.entries, engine.reactor)
    callers = Callers(current.gatekeeper, sessions, os.geteuid)
    storage = admin_storage.StorageSources(engine, current, parts.sums, lambda: history.growth)
    sources = _Sources(engine, current, parts=parts, storage=storage)
    catalogued = sources.catalogued()
    images = ImageFinder(engine.shown_images.parts, lambda: current.in_force.upstreams)

    def addresses() -> list[str]:
        return list(ui_addresses(current.in_force.config))

    routes = [
        *session_calls.SessionCalls(callers, sessions, addresses).routes(),
        *status_calls.status_routes(sources.daemon, sources.counts, engine.reactor.seconds),
        *upstream_calls.upstream_routes(sources.upstreams),
        *upstream_test_call.upstream_test_routes(jobs, sources.test),
        *transfer_calls.transfer_routes(sources.traffic, images),
        *request_calls.request_routes(parts.requests, images, engine.parser),
        *client_config_call.client_config_routes(sources.served, sources.seat),
        *seat_calls.seat_routes(SeatAdmin(engine, current, sources.served, sources.authority)),
        *_history_routes(history, current, engine.reactor.seconds),
        *usage_calls.usage_routes(usage_calls.UsageSources(parts.usage.rows, parts.usage.today)),
        *repository_calls.repository_routes(catalogued),
        *image_calls.image_routes(catalogued, sources.pull_host),
        *config_call.config_routes(lambda: parts.reloads.facts(current.in_force.config)),
        *reload_call.reload_routes(parts.reloads.reload),
        *doctor_call.doctor_routes(sources.diagnosis.examine),
        *job_calls.job_routes(jobs),
        *verify_call.verify_routes(jobs, sources.verify, lambda: current.in_force.upstreams),
        *pull_calls.pull_routes(jobs, ImagePulls(engine, current)),
        *storage.routes(jobs),
        openapi_route(CALLS, __version__),
    ]
    routes += _events(parts, callers, images, routes)
    engine.removal.forgetting.subscribe(parts.changes)
    return Api(routes, callers, engine.parser, busy=(IndexUnavailableError,))


def _history_routes(
    history: CountHistory, current: CurrentConfiguration, seconds: Callable[[], float]
) -> list[CallRoute]:
    """Make the routes of the calls that return counts of requests."""
    names = lambda: list(current.in_force.upstreams)  # noqa: E731
    sources = history_calls.HistorySources(history.series, history.names, seconds, names)
    return history_calls.history_routes(sources)


def _events(
    parts: AdminParts, callers: Callers, images: ImageFinder, routes: Iterable[CallRoute]
) -> list[CallRoute]:
    """Make the routes of the stream of events, which sends what some other calls return."""
    handlers = {each.call.path: each.handle for each in routes if each.call.method == "GET"}
    return events_call.EventCall(
        parts.events,
        callers,
        parts.event_ids,
        ring=parts.requests.ring,
        images=images,
        changes=parts.changes,
        handlers=handlers,
    ).routes()


class _Sources:
    """Reads from the daemon what the calls return."""

    def __init__(
        self,
        engine: Engine,
        current: CurrentConfiguration,
        *,
        parts: AdminParts,
        storage: admin_storage.StorageSources,
    ) -> None:
        self._history, self._ring = parts.history, parts.requests.ring
        self._reloads = parts.reloads
        self.diagnosis = Diagnosis(engine, current, parts.reloads, lambda: self._ring.clients)
        self._storage = storage
        self._engine = engine
        self._current = current
        self._started = engine.reactor.seconds()
        self._rates = RecentRates()

    def daemon(self) -> status_calls.DaemonFacts:
        """Collect the facts about the daemon itself."""
        engine = self._engine
        return status_calls.DaemonFacts(
            version=__version__,
            title=self._current.in_force.config.ui.title,
            started=self._started,
            config_loaded=self._reloads.read_at,
            downloads=len(engine.downloads),
            readers=len(engine.feeding),
            disk=self._storage.disk(),
            upstreams=self._current.in_force.health(),
            troubles=self._troubles(),
            hour=self._history.counting.hour(engine.reactor.seconds()),
        )

    def _troubles(self) -> Troubles:
        engine = self._engine
        damage = engine.checking.damage
        return Troubles(
            closed=engine.ledger.closed,
            refused=engine.downloads.storage_rests,
            relaying_since=engine.evictor.relaying_since,
            damaged=damage.count,
            damaged_at=damage.last,
            certificates=engine.metrics.certificates.ends(),
            config=self._reloads.last_error,
            index=engine.index.problem,
        )

    async def counts(self) -> IndexCounts:
        """Count what is in the index."""
        return await self._engine.index.counts()

    def _settings(self, upstream: str) -> UpstreamSettings | None:
        """Return an upstream's settings; None if another configuration has removed it."""
        settings = self._current.in_force.config.upstreams
        return next((each for each in settings if each.name == upstream), None)

    def catalogued(self) -> repository_calls.Catalogued:
        """Give access to the images in the cache."""
        return repository_calls.Catalogued(
            self._engine.shown_images,
            self._current.upstreams,
            self.fresh_for,
            self._engine.removal.gone,
        )

    def fresh_for(self, upstream: str, tag: str) -> float:
        """Return for how many seconds a tag is fresh."""
        settings = self._settings(upstream)
        rules = () if settings is None else settings.tag_ttl
        return next((rule.ttl for rule in rules if glob_matches(rule.match, tag)), 0.0)

    def pull_host(self, upstream: str) -> str:
        """Return the host of an upstream's images, as clients name it without this cache."""
        settings = self._settings(upstream)
        if settings is None:
            return upstream
        names = [upstream, *settings.aliases, *settings.hosts]
        named = (name for name in names if looks_like_registry(name))
        return next(named, None) or urlsplit(settings.urls[0].url).netloc

    def _reader(self, sender: Sender) -> tuple[str, str]:
        """Return the account that gets an answer, or its address; and the id of the request."""
        client = sender.client
        return client.facts.account or client.peer_name, self._ring.id_of_serial(client.serial)

    def traffic(self) -> transfer_calls.Traffic:
        """Collect the running downloads, their readers, and the rates."""
        engine, now = self._engine, self._engine.reactor.seconds()
        readers = {each.source: self._reader(each) for each in engine.feeding}
        sent = sum(each.client.body_bytes_sent for each in engine.feeding)
        downloads = engine.downloads.progress()
        keys = [each.content for each in downloads]
        self._rates.keep_only([_IN, _OUT, *keys])
        return transfer_calls.Traffic(
            [
                transfer_calls.TransferFacts(
                    each,
                    self._rates.rate(key, each.here, now),
                    [readers[one] for one in each.readers if one in readers],
                )
                for key, each in zip(keys, downloads, strict=True)
            ],
            in_rate=self._rates.rate(_IN, engine.metrics.received_bytes, now),
            out_rate=self._rates.rate(_OUT, engine.metrics.served_bytes + sent, now),
        )

    async def verify(
        self,
        progress: Callable[[verify_call.VerifiedSoFar], None],
        upstream: UpstreamIdentity | None,
    ) -> None:
        """Verify all that is stored, and report the progress."""

        def tell(done: int, total: int, found: CheckResult) -> None:
            damaged = tuple(map(str, found.damaged))
            progress(
                verify_call.VerifiedSoFar(
                    done,
                    total,
                    contents=found.contents,
                    damaged=damaged,
                    images={str(digest): names for digest, names in found.images.items()},
                    damaged_count=found.damaged_count,
                    missing=found.missing,
                    adopted=found.adopted,
                )
            )

        await self._engine.checking.verify(tell, upstream)

    def served(self) -> "Deferred[ServedHere]":
        """Collect what clients have to know of the configuration in force."""
        config = self._current.in_force.config
        return self._engine.disk_pool.run(served_here, config, socket.gethostname())

    def seat(self, name: str) -> SeatClient:
        """Find what a seat's clients can show. :raises Problem: if there is no such seat."""
        return find_seat_client(self._current, self._engine.reactor.seconds(), name)

    def authority(self) -> str:
        """Return the folder of our own authority."""
        return authority_folder(self._current.in_force.config.storage.directory)

    def test(self, name: str) -> upstream_test_call.Test | None:
        """Return the test of an upstream in force; None if there is no such upstream."""
        in_force = self._current.in_force
        return partial(in_force.test, name) if name in in_force.upstreams else None

    def upstreams(self) -> list[upstream_calls.UpstreamFacts]:
        """List the upstreams of the configuration in force."""
        in_force = self._current.in_force
        settings = {each.name: each for each in in_force.config.upstreams}
        sums = self._storage.upstream_sums()
        return [
            upstream_calls.UpstreamFacts(
                health=health,
                aliases=settings[health.name].aliases,
                hosts=settings[health.name].hosts,
                downloads=self._engine.downloads.count_of(in_force.upstreams[health.name]),
                max_downloads=settings[health.name].max_downloads,
                week=self._history.week.get(health.name),
                stored=None if sums is None else sums.get(health.name, UpstreamSums(health.name)),
            )
            for health in in_force.health()
        ]


def ui_addresses(config: model.Config) -> Iterator[str]:
    """List the URLs of the UI: on the admin endpoint, and under ``admin.hosts``."""
    admin = config.admin
    address = None if admin.endpoint is None else tcp_address(admin.endpoint)
    if address is not None:
        host = address[0] if address[0] not in ("", "0.0.0.0", "::") else "127.0.0.1"
        yield _url("http", host, address[1])
    for host in admin.hosts:
        yield from _on_listeners(host, config.listeners)


def _on_listeners(host: str, listeners: Iterable[model.Listener]) -> Iterator[str]:
    """Return the URL of a host on the first listener with a port; one with TLS comes first."""
    serving = [each for each in listeners if each.redirect is None]
    for listener in sorted(serving, key=lambda each: each.tls is None):
        address = tcp_address(listener.endpoint)
        if address is not None:
            yield _url("http" if listener.tls is None else "https", host, address[1])
            return


def _url(scheme: str, host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{shown}" if port == usual else f"{scheme}://{shown}:{port}"
