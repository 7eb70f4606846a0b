"""Connects directly, and only to addresses that were checked."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from regcache.timings import CONNECT, DNS, measured
from regcache.upstream.addresses import (
    PUBLIC,
    address_class,
    is_address,
    is_local_name,
    is_numeric,
)
from regcache.upstream.dialling import Dialler, connected_within
from regcache.upstream.failures import ForbiddenAddressError
from regcache.upstream.resolver import AddressFamily, INames, SocketAddress
from regcache.upstream.urls import Origin


class AddressPolicy:
    """Which addresses may be connected to, for one URL of an upstream.

    The URL's own origin always may. Any other address must be public, or of a class that a
    connection to the own origin had. Through an outgoing proxy only names can be checked.
    """

    def __init__(self, own: Origin) -> None:
        self._own = own
        self._own_classes: set[str] = {PUBLIC}
        if is_address(own.host):
            self._own_classes.add(address_class(own.host))

    def is_own(self, host: str, port: int) -> bool:
        """Whether this is the URL's own host and port."""
        return (host, port) == (self._own.host, self._own.port)

    def allows(self, host: str, port: int, address: SocketAddress) -> bool:
        """Whether this address of that host may be connected to."""
        return self.is_own(host, port) or address_class(address.host) in self._own_classes

    def allows_name(self, host: str, port: int) -> bool:
        """Whether a proxy, which resolves the name itself, may be asked to connect there."""
        if self.is_own(host, port):
            return True
        if is_address(host):
            return address_class(host) in self._own_classes
        return not (is_local_name(host) or is_numeric(host))

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
    """Resolves once, checks every address, and uses only those (against DNS rebinding)."""

    def __init__(
        self,
        reactor: Any,
        names: INames,
        *,
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
        return connected_within(self._reactor, self._timeout, self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        with measured(DNS, self._host):
            found = await self._names.lookup(self._host, self._port)
        usable = [address for address in found if self._of_family(address)]
        if not usable:
            raise DNSLookupError("no address")
        allowed = [a for a in usable if self._policy.allows(self._host, self._port, a)]
        if not allowed:
            raise ForbiddenAddressError
        noting = _NotingFactory(factory, self._policy, self._host, self._port)
        with measured(CONNECT, self._host):
            return await Dialler(self._reactor, allowed, noting, self._timeout).connect()

    def _of_family(self, address: SocketAddress) -> bool:
        is_v6 = ":" in address.host
        return self._family == "any" or is_v6 == (self._family == "ipv6")
