"""The plain agent at the end of the chain: connects to checked addresses, sends, maps failures."""

from dataclasses import KW_ONLY
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.web.client import (
    URI,
    BrowserLikePolicyForHTTPS,
    HostnameCachingHTTPSPolicy,
)
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from regcache.errors import UpstreamTimedOut
from regcache.interfaces import IUpstreamMeter
from regcache.light_dataclass import dataclass
from regcache.seam.abort import abort_response
from regcache.seam.tls_client import TLSClientEndpoint
from regcache.seam.trust_roots import PlatformAndFile
from regcache.timings import FIRST_BYTE, REDIRECT, TLS, TOKEN, current_timings
from regcache.upstream.answer_times import AnswerTimes
from regcache.upstream.checked_endpoint import AddressPolicy, CheckedEndpoint
from regcache.upstream.connections import Connections
from regcache.upstream.deadlines import cancellable
from regcache.upstream.exchange import Answer, BodyEnd, IExchangeAgent, UpstreamRequest
from regcache.upstream.failures import failure_from
from regcache.upstream.proxies import IProxyRules
from regcache.upstream.resolver import AddressFamily, INames
from regcache.upstream.tunnel import TunnelEndpoint
from regcache.upstream.urls import Origin
from regcache.upstream.wire import WireRequest

_CREATORS_KEPT = 64


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How connections on behalf of one URL of an upstream are made.

    :ivar names: resolves the hosts that are dialled directly.
    :ivar proxy_names: resolves the hosts of outgoing proxies.
    :ivar connect_timeout: seconds for resolving and connecting, a proxy's answer included.
    """

    reactor: Any
    names: INames
    _: KW_ONLY
    proxy_names: INames
    policy: AddressPolicy
    proxies: IProxyRules
    family: AddressFamily
    connect_timeout: float


@implementer(IAgentEndpointFactory)
class EndpointFactory:
    """Endpoints for the hosts that an upstream leads to; TLS on top where the URL is https.

    Direct or through a proxy is decided by the origin alone, so that a pool of connections,
    which finds them again by scheme, host and port, never mixes the two.
    """

    def __init__(self, settings: ConnectionSettings, tls: IPolicyForHTTPS) -> None:
        self._settings = settings
        self._tls = tls

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """The endpoint for one URL."""
        origin = Origin(uri.scheme.decode("ascii"), uri.host.decode("ascii"), uri.port)
        plain = self._plain(origin)
        if origin.scheme == "http":
            return plain
        creator = self._tls.creatorForNetloc(uri.host, uri.port)
        return TLSClientEndpoint(creator, plain, self._settings.reactor)

    def _plain(self, origin: Origin) -> IStreamClientEndpoint:
        settings = self._settings
        proxy = settings.proxies.proxy_for(origin)
        if proxy is not None:
            allowed = settings.policy.allows_name(origin.host, origin.port)
            return TunnelEndpoint(
                settings.reactor,
                settings.proxy_names,
                proxy=proxy,
                timeout=settings.connect_timeout,
                target=origin,
                allowed=allowed,
            )
        return CheckedEndpoint(
            settings.reactor,
            settings.names,
            policy=settings.policy,
            family=settings.family,
            timeout=settings.connect_timeout,
            host=origin.host,
            port=origin.port,
        )


def tls_policy(ca_file: str | None = None) -> IPolicyForHTTPS:
    """Verification of certificates and host names, as browsers do it.

    :param ca_file: PEM certificates that are trusted beside the system's.
    :raises OpenSSL.SSL.Error: if the file cannot be read or holds no certificate.
    """
    if ca_file is None:
        policy = BrowserLikePolicyForHTTPS()
    else:
        policy = BrowserLikePolicyForHTTPS(trustRoot=PlatformAndFile(ca_file))
    return HostnameCachingHTTPSPolicy(policy, cacheSize=_CREATORS_KEPT)


@implementer(IStreamClientEndpoint)
class _Unmade:
    """An endpoint that is only made when it is needed: usually there is a connection already."""

    def __init__(self, endpoints: IAgentEndpointFactory, origin: Origin) -> None:
        self._endpoints = endpoints
        self._origin = origin

    def connect(self, protocolFactory: IProtocolFactory) -> "Deferred[IProtocol]":
        """Make the endpoint, and connect."""
        origin = self._origin
        scheme, host = origin.scheme.encode("ascii"), origin.host.encode("ascii")
        uri = URI(scheme, origin.netloc.encode("ascii"), host, origin.port, b"/", b"", b"", b"")
        endpoint: IStreamClientEndpoint = self._endpoints.endpointForURI(uri)
        connecting: Deferred[IProtocol] = endpoint.connect(protocolFactory)
        return connecting


@implementer(IExchangeAgent)
class PlainAgent:
    """Sends exactly what it is given, to exactly the URL it is given.

    It does what Twisted's Agent does, but does not parse the URL a second time.
    """

    def __init__(
        self,
        upstream: str,
        endpoints: IAgentEndpointFactory,
        connections: Connections,
        *,
        meter: IUpstreamMeter,
        times: AnswerTimes,
    ) -> None:
        """:param times: told how long answers took."""
        self._upstream = upstream
        self._endpoints = endpoints
        self._connections = connections
        self._meter = meter
        self._times = times

    async def send(self, request: UpstreamRequest) -> Answer:
        """Send one request over one connection.

        If that takes too long, the idle connections to the host are closed: they may be dead, too,
        and each would cost another request a time-out.
        """
        self._meter.upstream_requested(self._upstream)
        origin = request.url.origin

        def drop_idle() -> None:
            self._connections.drop_idle(origin)

        wire = WireRequest(request, drop_idle)
        try:
            asking = self._ask(origin, wire)
            response: IResponse = await cancellable(asking, abort_response)
        except CancelledError:
            raise
        except Exception as raised:  # noqa: BLE001 - every way a connection fails is a failure of the upstream
            _measure(wire, origin.host, 0)
            failure = failure_from(self._upstream, raised)
            if isinstance(failure, UpstreamTimedOut):
                drop_idle()
            raise failure from None
        asked_at = _measure(wire, origin.host, response.code)
        if asked_at is not None:
            self._times.answered(origin, asked_at)
        answer = Answer(
            response,
            request.url,
            lambda: wire.connection.read_little(),
            lambda: wire.connection.lend(),
        )

        def ended(end: BodyEnd) -> None:
            if end is BodyEnd.TIMED_OUT:
                drop_idle()

        answer.on_finish(ended)
        return answer

    def _ask(self, origin: Origin, wire: WireRequest) -> "Deferred[IResponse]":
        connecting = self._connections.get(origin, _Unmade(self._endpoints, origin))
        sent: Deferred[IResponse] = connecting.addCallback(_ask, wire)
        return sent


def _measure(wire: WireRequest, host: str, status: int) -> float | None:
    """Note how long an answer was waited for, by what it was; TLS comes first on a new connection.

    :param status: 0 if none came.
    :returns: since when the answer was waited for (clock seconds); None if nothing was sent.
    """
    timings, start = current_timings(), wire.sent_at
    if start is None:
        return None
    secured_at: float = wire.connection.secured_at
    begun = max(start, secured_at)
    if timings is not None:
        if secured_at >= start:
            timings.add(TLS, start, secured_at, host)
        name = TOKEN if status == 401 else REDIRECT if 300 <= status < 400 else FIRST_BYTE
        timings.add(name, begun, timings.seconds(), host)
    return begun


def _ask(line: Any, wire: WireRequest) -> "Deferred[IResponse]":
    asked: Deferred[IResponse] = line.request(wire)
    return asked
