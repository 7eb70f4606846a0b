"""Puts the admin API together: a part of the composition root.

A call is declared in a module of :mod:`regcache.admin.api`, which makes its routes of plain
functions; what these functions read is chosen here.
"""

import os
from collections.abc import Iterable, Iterator

from regcache import __version__
from regcache.access.entries import Entries
from regcache.access.sessions import LIMITS, Sessions
from regcache.admin.api import session_calls, status_calls, upstream_calls
from regcache.admin.api.callers import Callers
from regcache.admin.api.calls import ApiCall
from regcache.admin.api.openapi import OPENAPI, openapi_route
from regcache.admin.api.router import Api
from regcache.config import model
from regcache.config.endpoints import tcp_address
from regcache.engine import Engine
from regcache.facts import IndexCounts
from regcache.in_force import CurrentConfiguration
from regcache.store.index_file import IndexUnavailableError

#: All calls, in the order of docs/api.md.
CALLS: tuple[ApiCall, ...] = (
    *session_calls.CALLS,
    *status_calls.CALLS,
    *upstream_calls.CALLS,
    OPENAPI,
)


def build_api(config: model.Config, engine: Engine, current: CurrentConfiguration) -> Api:
    """Make the API."""
    sessions = Sessions(Entries(engine.reactor, LIMITS), engine.reactor)
    callers = Callers(current.gatekeeper, sessions, os.geteuid)
    addresses = list(ui_addresses(config))
    sources = _Sources(config, engine, current)
    routes = [
        *session_calls.SessionCalls(callers, sessions, lambda: addresses).routes(),
        *status_calls.status_routes(sources.daemon, sources.counts),
        *upstream_calls.upstream_routes(sources.upstreams),
        openapi_route(CALLS, __version__),
    ]
    return Api(routes, callers, engine.parser, busy=(IndexUnavailableError,))


class _Sources:
    """What the calls read."""

    def __init__(self, config: model.Config, engine: Engine, current: CurrentConfiguration) -> None:
        self._title = config.ui.title
        self._engine = engine
        self._current = current
        self._started = engine.reactor.seconds()

    def daemon(self) -> status_calls.DaemonFacts:
        """What the daemon knows of itself."""
        engine = self._engine
        return status_calls.DaemonFacts(
            version=__version__,
            title=self._title,
            started=self._started,
            index_problem=engine.index.problem,
            downloads=len(engine.downloads),
            readers=len(engine.feeding),
            disk=self._disk(),
            upstreams=self._current.in_force.health(),
        )

    def _disk(self) -> status_calls.DiskFacts:
        ledger = self._engine.ledger
        return status_calls.DiskFacts(
            used=ledger.used,
            limit=ledger.max_size() or None,
            partial=ledger.parked,
            free=ledger.free,
            closed=ledger.closed,
            refused=self._engine.downloads.storage_rests,
        )

    async def counts(self) -> IndexCounts:
        """How much of everything there is."""
        return await self._engine.index.counts()

    def upstreams(self) -> list[upstream_calls.UpstreamFacts]:
        """The upstreams of the configuration in force."""
        in_force = self._current.in_force
        settings = {each.name: each for each in in_force.config.upstreams}
        return [
            upstream_calls.UpstreamFacts(
                health,
                settings[health.name].aliases,
                settings[health.name].hosts,
                self._engine.downloads.count_of(in_force.upstreams[health.name]),
                settings[health.name].max_downloads,
            )
            for health in in_force.health()
        ]


def ui_addresses(config: model.Config) -> Iterator[str]:
    """Where a browser finds the UI: on the admin endpoint, and under ``admin.hosts``."""
    admin = config.admin
    address = None if admin.endpoint is None else tcp_address(admin.endpoint)
    if address is not None:
        host = address[0] if address[0] not in ("", "0.0.0.0", "::") else "127.0.0.1"
        yield _url("http", host, address[1])
    for host in admin.hosts:
        yield from _on_listeners(host, config.listeners)


def _on_listeners(host: str, listeners: Iterable[model.Listener]) -> Iterator[str]:
    """The URL of a host on the first listener that has one, with TLS where there is some."""
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
