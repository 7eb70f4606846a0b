"""Builds an upstream from plain values."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY
from typing import Any
from urllib.parse import quote

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.web.iweb import IPolicyForHTTPS

from regcache.identity import UpstreamIdentity
from regcache.interfaces import IUpstreamMeter
from regcache.light_dataclass import dataclass
from regcache.parsing import Parser
from regcache.upstream.agent import ConnectionSettings, EndpointFactory, PlainAgent
from regcache.upstream.answer_times import AnswerTimes
from regcache.upstream.authorisation import AuthorisingAgent, TokenSource
from regcache.upstream.bodies import BodyReader
from regcache.upstream.breaker import Breaker, BreakerState
from regcache.upstream.checked_endpoint import AddressPolicy
from regcache.upstream.connections import Connections, LastHeard
from regcache.upstream.exchange import IExchangeAgent
from regcache.upstream.exchange_limits import LimitedAgent
from regcache.upstream.guard import Breakers, GuardedAgent
from regcache.upstream.login import CredentialsSource, Login
from regcache.upstream.places import ExchangePlaces
from regcache.upstream.probe import Probe, ProbeParts
from regcache.upstream.proxies import DIRECT, IProxyRules
from regcache.upstream.rate_limits import RateLimits
from regcache.upstream.redirects import RedirectingAgent
from regcache.upstream.registry import Registry
from regcache.upstream.remote import Chain, Remote
from regcache.upstream.resolver import AddressFamily, INames
from regcache.upstream.token_client import TokenClient
from regcache.upstream.tokens import TokenTable
from regcache.upstream.urls import Origin, parse_url

CONTROL_CONNECTIONS = 32
#: Relays go at the pace of their clients, so most of them take little from the upstream; and a few
#: slow clients must not take all places for blobs that cannot be stored.
RELAYS_FOR_EACH_DOWNLOAD = 16
_log = Logger()


@dataclass(frozen=True, slots=True)
class UpstreamUrl:
    """One URL of an upstream, as configured.

    :ivar credentials: gives user name and password as they are now, or None; called often. None
        where none are configured.
    :ivar token_hosts: ``host`` or ``host:port`` of token realms elsewhere.
    :ivar namespace: add ``?ns=<name of the upstream>`` to every request.
    """

    url: str
    credentials: CredentialsSource | None = None
    token_hosts: Sequence[str] = ()
    namespace: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time-outs in seconds. There is none for the whole body of a blob."""

    connect: float = 10.0
    first_byte: float = 20.0
    stall: float = 30.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the upstreams of one process share; tests use their own.

    :ivar reactor: IReactorTime, IReactorTCP.
    :ivar names: resolves the hosts of upstreams.
    :ivar parser: parses lists.
    :ivar unix_now: Unix seconds.
    :ivar chance: a number in [0, 1), for the breakers' jitter.
    :ivar proxy_names: resolves the hosts of outgoing proxies; None: as those of upstreams.
    """

    reactor: Any
    names: INames
    meter: IUpstreamMeter
    parser: Parser
    _: KW_ONLY
    unix_now: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    proxy_names: INames | None = None


def build_registry(
    identity: UpstreamIdentity,
    urls: Sequence[UpstreamUrl],
    surroundings: Surroundings,
    *,
    tls: IPolicyForHTTPS,
    timeouts: Timeouts,
    max_downloads: int = 16,
    address_family: AddressFamily = "any",
    proxies: IProxyRules = DIRECT,
) -> Registry:
    """Make the registry of one upstream.

    :param tls: from :func:`~regcache.upstream.agent.tls_policy`; may be shared by upstreams
        that trust the same roots.
    :param proxies: which connections go through an outgoing proxy.
    :raises InvalidUrlError: if one of the URLs is unusable.
    """
    builder = _RegistryBuilder(
        identity.name,
        surroundings,
        tls=tls,
        timeouts=timeouts,
        max_downloads=max_downloads,
        address_family=address_family,
        proxies=proxies,
    )
    remotes = [builder.remote(index, url) for index, url in enumerate(urls)]
    clock: IReactorTime = surroundings.reactor
    return Registry(
        identity, remotes, clock=clock, meter=surroundings.meter, stall_timeout=timeouts.stall
    )


_STATES = {
    BreakerState.OPEN: (
        LogLevel.warn,
        "failed several times in a row and rests before it is asked",
    ),
    BreakerState.HALF_OPEN: (LogLevel.info, "is asked once, to see whether it answers again"),
    BreakerState.CLOSED: (LogLevel.info, "answers again"),
}


def _tell(upstream: str, host: str, state: BreakerState) -> None:
    level, what = _STATES[state]
    _log.emit(
        level,
        "upstream {upstream} at {host} {what} (circuit {state})",
        upstream=upstream,
        host=host,
        what=what,
        state=state.value,
    )


class _RegistryBuilder:
    """Puts the URLs of one upstream together."""

    def __init__(
        self,
        name: str,
        surroundings: Surroundings,
        *,
        tls: IPolicyForHTTPS,
        timeouts: Timeouts,
        max_downloads: int,
        address_family: AddressFamily,
        proxies: IProxyRules,
    ) -> None:
        self._name = name
        self._surroundings = surroundings
        self._tls = tls
        self._timeouts = timeouts
        self._max_downloads = max_downloads
        self._most_idle = max_downloads + CONTROL_CONNECTIONS
        self._address_family = address_family
        self._proxies = proxies
        self._breakers: list[Breaker] = []

    def remote(self, index: int, settings: UpstreamUrl) -> Remote:
        """One URL with an agent chain, breaker, tokens and connections of its own."""
        around = self._surroundings
        return Remote(
            self._name,
            index=index,
            base=parse_url(settings.url),
            namespace=quote(self._name, safe="") if settings.namespace else "",
            chain=self._chain(settings),
            clock=around.reactor,
            meter=around.meter,
            unix_now=around.unix_now,
        )

    def _chain(self, settings: UpstreamUrl) -> Chain:
        around, timeouts, base = self._surroundings, self._timeouts, parse_url(settings.url)
        own = base.origin
        connections = Connections(around.reactor, timeouts.first_byte, self._most_idle)
        endpoints = EndpointFactory(self._connection_settings(own), self._tls)
        times = AnswerTimes(own, around.reactor.seconds)
        plain = PlainAgent(self._name, endpoints, connections, meter=around.meter, times=times)
        reader = BodyReader(self._name, around.reactor, around.meter, timeouts.stall)
        login = Login(self._name, settings.credentials, around.reactor, around.meter)
        client = TokenClient(self._name, plain, reader, around.unix_now)
        limits = RateLimits(around.reactor)
        tokens = self._tokens(settings, own, client, limits)
        authorising = AuthorisingAgent(
            self._name, own, plain, reader=reader, tokens=tokens, login=login
        )
        breaker, guarded = self._guarded(own, authorising)
        parts = ProbeParts(
            settings=self._connection_settings(own),
            endpoints=endpoints,
            agent=plain,
            reader=reader,
            tokens=tokens,
            login=login,
            seconds=timeouts.first_byte,
        )
        redirecting = RedirectingAgent(self._name, own, guarded, reader)
        control, transfers, relays = self._limits(redirecting, connections.heard)
        return Chain(
            control=control,
            transfers=transfers,
            relays=relays,
            reader=reader,
            breaker=breaker,
            limits=limits,
            login=login,
            connections=connections,
            parser=around.parser,
            probe=Probe(self._name, base, parts),
            times=times,
        )

    def _guarded(self, own: Origin, inner: IExchangeAgent) -> tuple[Breaker, GuardedAgent]:
        """The breaker of the URL itself, and what asks the breakers of all hosts."""
        around = self._surroundings
        breakers = Breakers(own, lambda origin: self._breaker(origin, origin == own))
        self._breakers.append(breakers.own)
        guarded = GuardedAgent(
            self._name, inner, breakers, clock=around.reactor, patience=self._timeouts.first_byte
        )
        return breakers.own, guarded

    def _connection_settings(self, own: Origin) -> ConnectionSettings:
        around = self._surroundings
        return ConnectionSettings(
            around.reactor,
            around.names,
            proxy_names=around.proxy_names or around.names,
            policy=AddressPolicy(own),
            proxies=self._proxies,
            family=self._address_family,
            connect_timeout=self._timeouts.connect,
        )

    @property
    def _answer_seconds(self) -> float:
        """How long an answer may take, redirects and tokens included."""
        return self._timeouts.connect + self._timeouts.first_byte

    def _tokens(
        self, settings: UpstreamUrl, own: Origin, client: TokenClient, limits: RateLimits
    ) -> TokenSource:
        clock = self._surroundings.reactor
        return TokenSource(
            self._name,
            own,
            token_hosts=settings.token_hosts,
            client=client,
            table=TokenTable(clock),
            limits=limits,
            clock=clock,
            seconds=self._answer_seconds,
        )

    def _limits(
        self, inner: IExchangeAgent, heard: LastHeard
    ) -> tuple[LimitedAgent, LimitedAgent, LimitedAgent]:
        """For everything but bodies of blobs, for downloads, and for relays."""
        clock, seconds = self._surroundings.reactor, self._answer_seconds

        def limited(places: int) -> LimitedAgent:
            return LimitedAgent(
                self._name,
                inner,
                ExchangePlaces(places),
                clock=clock,
                seconds=seconds,
                heard_at=lambda: heard.at,
            )

        relays = self._max_downloads * RELAYS_FOR_EACH_DOWNLOAD
        return limited(CONTROL_CONNECTIONS), limited(self._max_downloads), limited(relays)

    def _breaker(self, origin: Origin, own: bool) -> Breaker:
        """A breaker; redirect targets say nothing of whether the upstream is up."""
        told = [BreakerState.CLOSED]

        def changed(state: BreakerState) -> None:
            if state is not told[0]:
                _tell(self._name, origin.netloc, state)
            told[0] = state
            if own:
                self._report()

        return Breaker(self._surroundings.reactor.seconds, self._surroundings.chance, changed)

    def _report(self) -> None:
        up = any(breaker.state is BreakerState.CLOSED for breaker in self._breakers)
        self._surroundings.meter.upstream_state(self._name, up)
