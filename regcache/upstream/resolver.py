"""From a host name to addresses: the interface, and the system's resolver."""

# ruff: noqa: N805 - methods of a zope interface have no self
from typing import Literal

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from zope.interface import Interface, implementer

SocketAddress = IPv4Address | IPv6Address
AddressFamily = Literal["any", "ipv4", "ipv6"]


class INames(Interface):
    """Looks up the addresses of names."""

    def lookup(host: str, port: int) -> "Deferred[list[SocketAddress]]":
        """All addresses of a host, best first; empty if it has none. Never fails."""


@implementer(INames)
class SystemNames:
    """The reactor's resolver: the hosts file, and the system's name servers."""

    def __init__(self, reactor: IReactorPluggableNameResolver) -> None:
        self._reactor = reactor

    def lookup(self, host: str, port: int) -> "Deferred[list[SocketAddress]]":
        """Ask the reactor's resolver."""
        receiver = _Collected()
        resolver: IHostnameResolver = self._reactor.nameResolver
        resolver.resolveHostName(receiver, host, portNumber=port)
        return receiver.found


@implementer(IResolutionReceiver)
class _Collected:
    """Collects the results of a resolver of Twisted."""

    def __init__(self) -> None:
        self.found: Deferred[list[SocketAddress]] = Deferred()
        self._addresses: list[SocketAddress] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing to do: a resolution cannot be cancelled."""

    def addressResolved(self, address: IAddress) -> None:
        if isinstance(address, IPv4Address | IPv6Address):
            self._addresses.append(address)

    def resolutionComplete(self) -> None:
        if not self.found.called:
            self.found.callback(self._addresses)
