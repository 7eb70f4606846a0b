"""From a host name to addresses: the system's resolver, or name servers of one's own."""

# ruff: noqa: N805 - methods of a zope interface have no self
from collections.abc import Sequence
from socket import AF_INET6, inet_ntop
from typing import Literal

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IResolver,
)
from twisted.names import dns
from zope.interface import Interface, implementer

from regcache.upstream.addresses import is_address

SocketAddress = IPv4Address | IPv6Address
AddressFamily = Literal["any", "ipv4", "ipv6"]
_QUERY_TIMEOUTS = (1, 2, 3)


class INames(Interface):
    """Who knows the addresses of names."""

    def lookup(host: str, port: int) -> "Deferred[list[SocketAddress]]":
        """All addresses of a host, best first; empty if it has none. Never fails."""


@implementer(INames)
class SystemNames:
    """What the reactor resolves: the hosts file, and the system's name servers."""

    def __init__(self, reactor: IReactorPluggableNameResolver) -> None:
        self._reactor = reactor

    def lookup(self, host: str, port: int) -> "Deferred[list[SocketAddress]]":
        """Ask the reactor's resolver."""
        receiver = _Collected()
        resolver: IHostnameResolver = self._reactor.nameResolver
        resolver.resolveHostName(receiver, host, portNumber=port)
        return receiver.found


@implementer(INames)
class ServerNames:
    """What configured name servers say; address literals need none."""

    def __init__(self, resolver: IResolver) -> None:
        self._resolver = resolver

    def lookup(self, host: str, port: int) -> "Deferred[list[SocketAddress]]":
        """Ask for A and AAAA records at once; one that fails does not spoil the other."""
        if is_address(host):
            found: Deferred[list[SocketAddress]] = Deferred()
            found.callback([_socket_address(host, port)])
            return found
        queries = [
            self._resolver.lookupIPV6Address(host, _QUERY_TIMEOUTS),
            self._resolver.lookupAddress(host, _QUERY_TIMEOUTS),
        ]
        answers = DeferredList(queries, consumeErrors=True)
        return answers.addCallback(lambda both: _addresses_in(both, port))


def _addresses_in(results: Sequence[tuple[bool, object]], port: int) -> list[SocketAddress]:
    addresses: list[SocketAddress] = []
    for succeeded, sections in results:
        if succeeded and isinstance(sections, tuple):
            found = (_of_record(header.payload, port) for header in sections[0])
            addresses += [address for address in found if address is not None]
    return addresses


def _of_record(record: object, port: int) -> SocketAddress | None:
    if isinstance(record, dns.Record_A):
        return IPv4Address("TCP", record.dottedQuad(), port)
    if isinstance(record, dns.Record_AAAA):
        return IPv6Address("TCP", inet_ntop(AF_INET6, record.address), port)
    return None


def _socket_address(host: str, port: int) -> SocketAddress:
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)


@implementer(IResolutionReceiver)
class _Collected:
    """Gathers what a resolver of Twisted finds."""

    def __init__(self) -> None:
        self.found: Deferred[list[SocketAddress]] = Deferred()
        self._addresses: list[SocketAddress] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing to note: a resolution cannot be stopped, only not be waited for."""

    def addressResolved(self, address: IAddress) -> None:
        if isinstance(address, IPv4Address | IPv6Address):
            self._addresses.append(address)

    def resolutionComplete(self) -> None:
        if not self.found.called:
            self.found.callback(self._addresses)
