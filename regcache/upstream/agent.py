"""The plain agent at the end of the chain: dials checked addresses, sends, maps what fails."""

from typing import Any

from OpenSSL import SSL
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.web.client import URI, BrowserLikePolicyForHTTPS, HostnameCachingHTTPSPolicy
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from regcache.interfaces import IUpstreamMeter
from regcache.upstream.abort import abort_response
from regcache.upstream.addresses import PUBLIC, address_class
from regcache.upstream.deadlines import cancellable, within
from regcache.upstream.dialling import Dialler, hang_up
from regcache.upstream.exchange import Answer, IExchangeAgent, Request
from regcache.upstream.failures import ForbiddenAddressError, failure_from
from regcache.upstream.resolver import AddressFamily, INames, SocketAddress
from regcache.upstream.urls import Origin

_CREATORS_KEPT = 64


class AddressPolicy:
    """Which addresses may be dialled on behalf of one URL of an upstream.

    The URL's own origin always; anything else must be public, or of a class that a connection
    to the own origin really had.
    """

    def __init__(self, own: Origin) -> None:
        self._own = own
        self._own_classes: set[str] = {PUBLIC}

    def is_own(self, host: str, port: int) -> bool:
        """Whether this is the URL's own host and port."""
        return (host, port) == (self._own.host, self._own.port)

    def allows(self, host: str, port: int, address: SocketAddress) -> bool:
        """Whether this address may be dialled for that host."""
        return self.is_own(host, port) or address_class(address.host) in self._own_classes

    def connected(self, host: str, port: int, address: IAddress) -> None:
        """Note the address that a connection really went to."""
        if self.is_own(host, port):
            self._own_classes.add(address_class(getattr(address, "host", "")))


@implementer(IProtocolFactory)
class _NotingFactory:
    """Tells the policy which address a connection was made to."""

    def __init__(
        self, inner: IProtocolFactory, policy: AddressPolicy, host: str, port: int
    ) -> None:
        self._inner = inner
        self._policy = policy
        self._host = host
        self._port = port

    def doStart(self) -> None:
        self._inner.doStart()

    def doStop(self) -> None:
        self._inner.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        self._policy.connected(self._host, self._port, addr)
        return self._inner.buildProtocol(addr)


@implementer(IStreamClientEndpoint)
class CheckedEndpoint:
    """Resolves once, checks every address, and dials only those that passed (no rebinding)."""

    def __init__(
        self,
        reactor: Any,
        names: INames,
        policy: AddressPolicy,
        family: AddressFamily,
        timeout: float,
        host: str,
        port: int,
    ) -> None:
        self._reactor = reactor
        self._names = names
        self._policy = policy
        self._family = family
        self._timeout = timeout
        self._host = host
        self._port = port

    def connect(self, protocolFactory: IProtocolFactory) -> "Deferred[IProtocol]":
        """Connect within the time-out, resolving included.

        Fails with DNSLookupError, ForbiddenAddressError or what connecting gives.
        """
        return within(
            self._reactor,
            self._timeout,
            Deferred.fromCoroutine(self._connect(protocolFactory)),
            ConnectTimeoutError,
            hang_up,
        )

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        found = await self._names.lookup(self._host, self._port)
        usable = [address for address in found if self._of_family(address)]
        if not usable:
            raise DNSLookupError("no address")
        allowed = [a for a in usable if self._policy.allows(self._host, self._port, a)]
        if not allowed:
            raise ForbiddenAddressError
        noting = _NotingFactory(factory, self._policy, self._host, self._port)
        return await Dialler(self._reactor, allowed, noting, self._timeout).connect()

    def _of_family(self, address: SocketAddress) -> bool:
        is_v6 = ":" in address.host
        return self._family == "any" or is_v6 == (self._family == "ipv6")


@implementer(IAgentEndpointFactory)
class EndpointFactory:
    """Endpoints for the hosts that an upstream leads to; TLS on top where the URL is https."""

    def __init__(
        self,
        reactor: Any,
        names: INames,
        policy: AddressPolicy,
        tls: IPolicyForHTTPS,
        family: AddressFamily,
        connect_timeout: float,
    ) -> None:
        self._reactor = reactor
        self._names = names
        self._policy = policy
        self._tls = tls
        self._family = family
        self._connect_timeout = connect_timeout

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """The endpoint for one URL; an outgoing proxy would stand in for the checked one."""
        host = uri.host.decode("ascii")
        plain = CheckedEndpoint(
            self._reactor,
            self._names,
            self._policy,
            self._family,
            self._connect_timeout,
            host,
            uri.port,
        )
        if uri.scheme == b"http":
            return plain
        creator = self._tls.creatorForNetloc(uri.host, uri.port)
        secure: IStreamClientEndpoint = wrapClientTLS(creator, plain)
        return secure


@implementer(IOpenSSLTrustRoot)
class _PlatformAndFile:
    """The system's trust roots and those in one more file."""

    def __init__(self, ca_file: str) -> None:
        self._ca_file = ca_file

    def _addCACertsToContext(self, context: SSL.Context) -> None:
        context.set_default_verify_paths()
        context.load_verify_locations(self._ca_file)


def tls_policy(ca_file: str | None = None) -> IPolicyForHTTPS:
    """Verification of certificates and host names, as browsers do it.

    :param ca_file: PEM certificates that are trusted beside the system's.
    :raises OpenSSL.SSL.Error: if the file cannot be read or holds no certificate.
    """
    if ca_file is None:
        policy = BrowserLikePolicyForHTTPS()
    else:
        trust = _PlatformAndFile(ca_file)
        trust._addCACertsToContext(SSL.Context(SSL.TLS_CLIENT_METHOD))
        policy = BrowserLikePolicyForHTTPS(trustRoot=trust)
    return HostnameCachingHTTPSPolicy(policy, cacheSize=_CREATORS_KEPT)


@implementer(IExchangeAgent)
class PlainAgent:
    """Sends exactly what it is given, to exactly the URL it is given."""

    def __init__(self, upstream: str, agent: IAgent, meter: IUpstreamMeter) -> None:
        self._upstream = upstream
        self._agent = agent
        self._meter = meter

    def send(self, request: Request) -> "Deferred[Answer]":
        """Send one request over one connection."""
        return Deferred.fromCoroutine(self._send(request))

    async def _send(self, request: Request) -> Answer:
        self._meter.upstream_requested(self._upstream)
        try:
            sent = self._agent.request(
                request.method, request.url.text().encode("ascii"), request.header_fields()
            )
            response: IResponse = await cancellable(sent, abort_response)
        except CancelledError:
            raise
        except Exception as raised:  # noqa: BLE001 - every way a connection fails is a failure of the upstream
            raise failure_from(self._upstream, raised) from None
        return Answer(response, request.url)
