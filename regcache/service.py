"""The composition root: what is put together here, and in its parts, knows the concrete classes."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service

from regcache.admin.api.events_call import EventIds
from regcache.admin.events.changes import Changes
from regcache.admin.events.hub import EventHub
from regcache.admin.jobs import Jobs
from regcache.admin.requests.counting import CountHistory, RequestCounting
from regcache.admin.requests.pending import PendingRecords
from regcache.admin.requests.ring import RequestLog, RequestRing, active_requests
from regcache.admin.stored_sums import StoredSumsKeeper
from regcache.admin.ui_files import read_ui_files
from regcache.admin.ui_pages import UiPages
from regcache.admin_api import AdminParts, build_api
from regcache.admin_reloads import Reloads
from regcache.config.loading import Loaded
from regcache.daemon_metrics import watch_daemon
from regcache.engine import Engine, build_engine
from regcache.in_force import CurrentConfiguration, build_in_force
from regcache.lifecycle import Daemon, Parts
from regcache.listener_set import ListenerSet
from regcache.listening import ListenerBuilder
from regcache.logs import LineWriter
from regcache.manager_reports import ManagerReports, status_line
from regcache.notifying import build_notifier
from regcache.reload_steps import DaemonOutput, ReloadSteps
from regcache.reloading import Reloader
from regcache.replaced_file import ReplacedFile
from regcache.service_manager import NO_SERVICE_MANAGER, Notifications, ServiceEnvironment
from regcache.store.count_file import CountFile
from regcache.store.paths import StorePaths
from regcache.store.pool import WorkPool
from regcache.web.access_log import MetricsRecorder
from regcache.web.admission import Admission
from regcache.web.flow_watch import FlowWatch
from regcache.web.passed_sockets import PassedSockets, open_passed
from regcache.web.records import Recorder
from regcache.web.site import Site


def build_daemon(
    loaded: Loaded,
    reactor: Any,
    writer: LineWriter,
    failed: Callable[[str], None],
    *,
    environment: ServiceEnvironment = NO_SERVICE_MANAGER,
) -> tuple[Daemon, Reloader]:
    """Put the daemon together and lock its storage. It comes with what reloads its configuration.

    :param failed: see :class:`Daemon`.
    :param environment: what the service manager has passed.
    :raises StoreLockedError: if another daemon uses the storage.
    :raises StorageUnusableError: if there is no storage directory.
    :raises CertificateError: if a certificate cannot be used.
    :raises UpstreamSetupError: if an upstream's files cannot be used.
    """
    config = loaded.config
    engine = build_engine(config.storage, reactor)
    try:
        current = CurrentConfiguration(
            build_in_force(config, engine), engine.metrics, engine.answer_limits
        )
        output = DaemonOutput.writing_to(writer, reactor)
        built = _Builder(loaded, engine, current, output=output, environment=environment)
        parts = built.parts()
    except BaseException:
        engine.release()
        raise

    def drain() -> float:
        return current.in_force.config.limits.drain

    return Daemon(parts, reactor, drain=drain, failed=failed), built.reloader


class _Builder:
    """Builds what refers to each other: the API, the listeners that have it, and the reloader that
    changes these."""

    reloader: Reloader
    _steps: ReloadSteps

    def __init__(
        self,
        loaded: Loaded,
        engine: Engine,
        current: CurrentConfiguration,
        *,
        output: DaemonOutput,
        environment: ServiceEnvironment,
    ) -> None:
        self._loaded = loaded
        self._config = loaded.config
        self._engine = engine
        self._current = current
        self._passed = PassedSockets(engine.reactor, open_passed(environment.descriptors))
        self._reports = ManagerReports(
            Notifications(environment.notify_socket),
            engine.reactor,
            watchdog=environment.watchdog,
            status=lambda: _status_line(engine),
        )
        self._output = output
        self._output.follow(self._config.log.format, self._config.log.access)

    def parts(self) -> Parts:
        """Everything that is started and stopped."""
        sites: list[Site] = []
        admin = self._admin_parts(lambda: sites)
        builder = self._listener_builder(admin)
        first = builder.build(self._config)
        listeners = ListenerSet(self._engine.reactor, first, self._passed)
        sites = listeners.sites
        pool = WorkPool(self._engine.reactor, "reload", 1, drops=True)
        self._make_reloader(builder, listeners, pool)
        engine = self._engine
        watch_daemon(engine, listeners, builder.admission, self.reloader)
        notifier = build_notifier(engine, self._current, listeners)
        return self._all_parts(listeners, [pool, self.reloader, notifier, *admin.services])

    def _admin_parts(self, sites: Callable[[], Sequence[Site]]) -> AdminParts:
        """What is there for the API: the requests on some sites, their counts, and jobs."""
        engine, current = self._engine, self._current
        clock, pending = engine.reactor, PendingRecords()
        paths = StorePaths(os.path.abspath(self._config.storage.directory))
        history = CountHistory(
            RequestCounting(lambda: engine.metrics.received, engine.metrics.first_bytes, pending),
            CountFile(paths.counts),
            pool=engine.disk_pool,
            clock=clock,
            disk=lambda: engine.ledger.used,
        )
        usage = engine.metering.history(
            paths.usage, clock, engine.disk_pool, is_known=current.is_account, pending=pending
        )
        ring, changes = RequestRing(pending), Changes()
        engine.index.catalogue.summaries.told_late = changes.note_any
        ids = EventIds(ring, changes)
        requests = RequestLog(ring, lambda: active_requests(sites()), clock.seconds)
        reloads = Reloads(lambda: self._steps.loaded, lambda: self.reloader)
        return AdminParts(
            jobs=Jobs(clock),
            pending=pending,
            requests=requests,
            history=history,
            usage=usage,
            sums=StoredSumsKeeper(engine.index.plans.stored, clock),
            flow=FlowWatch(engine.feeding, clock),
            changes=changes,
            events=EventHub(clock),
            event_ids=ids,
            reloads=reloads,
        )

    def _listener_builder(self, admin: AdminParts) -> ListenerBuilder:
        limits, current = self._config.limits, self._current
        recorders: list[Recorder] = [
            MetricsRecorder(self._engine.metrics),
            self._output.access,
            admin.pending,
        ]
        return ListenerBuilder(
            engine=self._engine,
            recorders=recorders,
            current=current,
            api=build_api(self._engine, current, admin),
            ui=UiPages(read_ui_files(), lambda: current.in_force.config.ui.title),
            admission=Admission(
                limits.connections,
                limits.connections_per_address,
                lambda address: current.proxies().trusts(address),
            ),
        )

    def _make_reloader(
        self, builder: ListenerBuilder, listeners: ListenerSet, pool: WorkPool
    ) -> None:
        self._steps = ReloadSteps(
            self._loaded,
            self._engine,
            self._current,
            builder=builder,
            listeners=listeners,
            output=self._output,
        )
        self.reloader = Reloader(
            self._steps,
            ReplacedFile(os.path.abspath(self._loaded.name)),
            self._loaded.identity,
            pool=pool,
            clock=self._engine.reactor,
            asked=self._reports.reload_asked,
            done=self._reports.reload_done,
            events=self._engine.file_events,
        )

    def _all_parts(self, listeners: ListenerSet, more: Sequence[Service]) -> Parts:
        engine, current = self._engine, self._current
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
                engine.file_events,
                current,
                engine.recount,
                engine.checking.scrub,
                engine.evictor,
                engine.sweep_times,
                engine.short_lived.saved_knocks,
                *more,
                listeners.watchers,
            ],
            listeners=listeners,
            sites=listeners.sites,
            hang_up=current.hang_up,
            reports=self._reports,
        )


def _status_line(engine: Engine) -> str:
    return status_line(
        engine.metrics.outcomes,
        used=engine.ledger.used,
        limit=engine.ledger.max_size(),
        downloads=len(engine.downloads),
        answers=len(engine.feeding),
    )
