"""The limits of connections at one time: in all, and from one address.

A connection counts from its first byte on. Each further HTTP/2 stream at a time counts like one
more connection, since it costs as much.
"""

import ipaddress
from collections import Counter

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

TOO_MANY_CONNECTIONS = "too many connections"
"""Why a connection was refused, for the access log."""

#: The prefix length of an IPv6 network that counts as one address (RFC 6177).
_CUSTOMER = 64


class Admission:
    """Counts connections by their peers. Peers without a network address do not count.

    :param most: how many connections there may be in all.
    :param most_per_address: how many from one address; an IPv6 network of 64 bits counts as one.
    """

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        # Only addresses with open connections are here, so there are at most `most`.
        self._counts: Counter[str] = Counter()
        self._total = 0

    @property
    def total(self) -> int:
        """How many connections there are."""
        return self._total

    def enter(self, peer: IAddress) -> bool:
        """Count one more connection. Returns False, and counts nothing, if there are too many."""
        key = address_key(peer)
        if key is None:
            return True
        if self._total >= self._most or self._counts[key] >= self._most_per_address:
            return False
        self._counts[key] += 1
        self._total += 1
        return True

    def leave(self, peer: IAddress) -> None:
        """A connection that was counted has ended."""
        key = address_key(peer)
        if key is None:
            return
        self._total -= 1
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]


class Places:
    """The places that one connection takes: one for itself, and one for each further stream.

    :param admission: None where there is no limit.
    """

    def __init__(self, admission: Admission | None, peer: IAddress) -> None:
        self._admission = admission
        self._peer = peer
        self._count = 0

    def hold(self, count: int) -> bool:
        """Take or free places until there are so many.

        Returns False if there are not enough; some may have been taken then.
        """
        if self._admission is None:
            return True
        while self._count < count:
            if not self._admission.enter(self._peer):
                return False
            self._count += 1
        while self._count > count:
            self._admission.leave(self._peer)
            self._count -= 1
        return True


def address_key(peer: IAddress) -> str | None:
    """The key of an address or network; None for peers without one, as on a unix socket."""
    if isinstance(peer, IPv4Address):
        return peer.host
    if not isinstance(peer, IPv6Address):
        return None
    address = ipaddress.IPv6Address(peer.host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, _CUSTOMER), strict=False))
