"""Looks at the daemon and its surroundings, for GET and POST doctor: a part of the root."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from regcache.admin.requests.bypassing import ClientCounts
from regcache.admin_reloads import Reloads
from regcache.config import model
from regcache.config.endpoints import tcp_address
from regcache.config.local_state import certificate_states, dialled, port_state
from regcache.doctor.examined import examined_findings, health_findings
from regcache.doctor.findings import Finding, worst_first
from regcache.doctor.machine import (
    DiskState,
    PassingClient,
    PortState,
    certificate_findings,
    client_findings,
    clock_finding,
    config_findings,
    disk_findings,
    port_findings,
)
from regcache.engine import Engine
from regcache.in_force import CurrentConfiguration
from regcache.single_flight import Flights
from regcache.upstream_examination import UpstreamExamination

_CONNECT_SECONDS = 3.0
_LONGEST_AGENT = 100


class Diagnosis:
    """Gathers the facts, and says what is to be found in them.

    :param clients: gives what happened to each address.
    """

    def __init__(
        self,
        engine: Engine,
        current: CurrentConfiguration,
        reloads: Reloads,
        clients: Callable[[], ClientCounts],
    ) -> None:
        self._engine = engine
        self._current = current
        self._reloads = reloads
        self._clients = clients
        # The last one who waits and leaves ends it: a stop need not wait for upstreams.
        self._looks: Flights[Sequence[Finding]] = Flights(engine.reactor, most_left=0)

    async def examine(self, asks: bool) -> Sequence[Finding]:
        """Look at all of it; callers meanwhile get the same result.

        :param asks: the upstreams, too.
        """
        return await self._looks.join(asks, lambda: self._examine(asks))

    async def _examine(self, asks: bool) -> Sequence[Finding]:
        config = self._current.in_force.config
        now: float = self._engine.reactor.seconds()
        states = await self._engine.disk_pool.run(certificate_states, config)
        ports = await self._ports(config)
        found = [
            *self._configuration(),
            *disk_findings(self._disk(config)),
            *certificate_findings(states, now),
            *port_findings(ports),
            *(await self._asked() if asks else self._known()),
            *client_findings(self._passing(now)),
        ]
        return worst_first(found)

    def _configuration(self) -> list[Finding]:
        loaded = self._reloads.loaded()
        refused = self._reloads.reloader().last_error
        errors = [] if refused is None else list(refused[1])
        return config_findings(loaded.name, errors, loaded.warnings, in_force=True)

    def _disk(self, config: model.Config) -> DiskState:
        engine = self._engine
        return DiskState(
            config.storage.directory,
            free=engine.ledger.free,
            min_free=engine.ledger.min_free(),
            used=engine.ledger.used,
            limit=engine.ledger.max_size() or None,
            problems=engine.problems,
            refused=engine.evictor.refusal,
            remark=engine.ledger.beyond_file_system,
        )

    async def _ports(self, config: model.Config) -> list[PortState]:
        tried = [self._answers(each.endpoint) for each in config.listeners]
        answers = await gatherResults(tried, consumeErrors=True)
        return [
            port_state(config, listener, answered)
            for listener, answered in zip(config.listeners, answers, strict=True)
        ]

    def _answers(self, endpoint: str) -> "Deferred[bool | None]":
        """Whether connections are accepted there; None where it cannot be tried."""
        address = tcp_address(endpoint)
        if address is None:
            return Deferred.fromCoroutine(_not_tried())
        host, port = dialled(address)
        reactor: Any = self._engine.reactor
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        connecting = kind(reactor, host, port, timeout=_CONNECT_SECONDS).connect(factory)

        def connected(protocol: Any) -> bool:
            protocol.transport.abortConnection()
            return True

        return connecting.addCallbacks(connected, lambda _: False)

    def _known(self) -> list[Finding]:
        """What is known of the upstreams without asking them."""
        return [one for each in self._current.in_force.health() for one in health_findings(each)]

    async def _asked(self) -> list[Finding]:
        in_force = self._current.in_force
        examination = UpstreamExamination(self._engine.reactor, self._engine.shown_images)
        examined = await examination.examine(
            [
                (in_force.upstreams[name], built.registry)
                for name, built in in_force.built.registries.items()
            ]
        )
        skews = [skew for each in examined for skew in each.skews]
        found = [clock_finding(skews)] if examined else []
        return [*found, *(one for each in examined for one in examined_findings(each))]

    def _passing(self, now: float) -> list[PassingClient]:
        counts: dict[str, Callable[[Any], int]] = {
            "challenged": lambda one: one.challenged,
            "failed": lambda one: one.failed,
            "pings": lambda one: one.pings,
        }
        return [
            PassingClient(
                address=one.peer,
                agent=one.agent.decode("ascii", "replace")[:_LONGEST_AGENT],
                reason=bypass.reason,
                since=bypass.since,
                count=counts[bypass.reason](one),
            )
            for one, bypass in self._clients().bypassing(now)
        ]


async def _not_tried() -> None:
    return None
