"""The composition root: what is put together here, and in its parts, knows the concrete classes."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from regcache.admin.api.events_call import EventIds
from regcache.admin.events.changes import Changes
from regcache.admin.events.hub import EventHub
from regcache.admin.jobs import Jobs
from regcache.admin.requests.counting import CountHistory, RequestCounting
from regcache.admin.requests.ring import RequestLog, RequestRing, active_requests
from regcache.admin_api import AdminParts, build_api
from regcache.config import model
from regcache.config.loading import Loaded
from regcache.engine import Engine, build_engine
from regcache.in_force import CurrentConfiguration, build_in_force
from regcache.lifecycle import Daemon, Parts
from regcache.listening import ListenerBuilder
from regcache.logs import LineWriter
from regcache.store.count_file import CountFile
from regcache.store.paths import StorePaths
from regcache.web.access_log import AccessLog, MetricsRecorder
from regcache.web.flow_watch import FlowWatch
from regcache.web.records import Recorder
from regcache.web.site import Site


def build_daemon(
    loaded: Loaded, reactor: Any, writer: LineWriter, failed: Callable[[str], None]
) -> Daemon:
    """Put the daemon together and lock its storage.

    :param failed: see :class:`Daemon`.
    :raises StoreLockedError: if another daemon uses the storage.
    :raises StorageUnusableError: if there is no storage directory.
    :raises CertificateError: if a certificate cannot be used.
    :raises UpstreamSetupError: if an upstream's files cannot be used.
    """
    config = loaded.config
    engine = build_engine(config.storage, reactor)
    try:
        current = CurrentConfiguration(
            build_in_force(config, engine), engine.metrics, engine.limit_rate
        )
        parts = _parts(loaded, engine, current, _recorders(config, engine, writer))
    except BaseException:
        engine.release()
        raise
    return Daemon(parts, reactor, drain=config.limits.drain, failed=failed)


def _recorders(config: model.Config, engine: Engine, writer: LineWriter) -> list[Recorder]:
    """Who is told of each request when it has ended."""
    recorders: list[Recorder] = [MetricsRecorder(engine.metrics)]
    if config.log.access:
        call_later = engine.reactor.callLater
        recorders.append(AccessLog(writer, lambda flush: call_later(0, flush)))
    return recorders


def _admin_parts(config: model.Config, engine: Engine, sites: Sequence[Site]) -> AdminParts:
    """What is there for the API: the requests on some sites, their counts, and jobs."""
    clock = engine.reactor
    paths = StorePaths(os.path.abspath(config.storage.directory))
    history = CountHistory(
        RequestCounting(lambda: engine.metrics.received),
        CountFile(paths.counts),
        pool=engine.disk_pool,
        clock=clock,
        disk=lambda: engine.ledger.used,
    )
    ring, changes = RequestRing(), Changes()
    ids = EventIds(ring, changes)
    requests = RequestLog(ring, lambda: active_requests(sites), clock.seconds)
    flow = FlowWatch(engine.feeding, clock)
    events = EventHub(clock, ids.last)
    return AdminParts(
        jobs=Jobs(clock),
        requests=requests,
        history=history,
        flow=flow,
        changes=changes,
        events=events,
        event_ids=ids,
    )


def _parts(
    loaded: Loaded,
    engine: Engine,
    current: CurrentConfiguration,
    recorders: list[Recorder],
) -> Parts:
    config = loaded.config
    sites: list[Site] = []
    parts = _admin_parts(config, engine, sites)
    api = build_api(loaded, engine, current, parts)
    recorders = [*recorders, parts.requests.ring, parts.history.counting]
    front = ListenerBuilder(config, engine, recorders).build(current, api)
    sites.extend(front.sites)
    return Parts(
        lock=engine.lock,
        index_pool=engine.index_pool,
        looking_pool=engine.looking_pool,
        disk_pool=engine.disk_pool,
        password_pool=engine.password_pool,
        idle_pool=engine.checking.pool,
        senders=engine.senders,
        index=engine.index,
        store=engine.store,
        downloads=engine.downloads,
        removal=engine.removal,
        ledger=engine.ledger,
        space=engine.space,
        watchers=[
            current,
            engine.recount,
            engine.checking.scrub,
            *(engine.evictor, engine.sweep_times),
            *parts.services,
            *front.watchers,
        ],
        listeners=front.listeners,
        sites=front.sites,
        hang_up=current.hang_up,
    )
