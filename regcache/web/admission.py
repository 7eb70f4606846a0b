"""The limits of connections at one time: in all, and from one address.

A connection counts from its first byte on. Each further HTTP/2 stream at a time counts like one
more connection, since it costs as much.

A connection of a trusted proxy has no address of its own: it carries the requests of many clients.
It counts in all, and each request on it counts for the address of its client, until it has ended.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

TOO_MANY_CONNECTIONS = "too many connections"
"""Why a connection was refused, for the access log."""

SHARED = ""
"""The key of connections that carry the requests of many clients."""

#: The prefix length of an IPv6 network that counts as one address (RFC 6177).
_CUSTOMER = 64
#: Addresses whose keys are remembered: to read one takes a tenth of an answer from memory.
MOST_KNOWN = 1024


class Admission:
    """Counts connections by their peers. Peers without a network address do not count.

    :param most: how many connections there may be in all.
    :param most_per_address: how many from one address; an IPv6 network of 64 bits counts as one.
    :param is_shared: whether many clients come from an address (textual).
    """

    def __init__(
        self,
        most: int,
        most_per_address: int,
        is_shared: Callable[[str], bool] = lambda _address: False,
    ) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._is_shared = is_shared
        # Only addresses with open connections, or with requests on such, are here. Each request
        # has a place in all of its own, so there are at most `most` of both.
        self._counts: Counter[str] = Counter()
        self._total = 0

    def limit(self, most: int, most_per_address: int) -> None:
        """Let so many in from now on. Those that are in stay."""
        self._most = most
        self._most_per_address = most_per_address

    @property
    def most(self) -> int:
        """How many there may be."""
        return self._most

    @property
    def total(self) -> int:
        """How many connections there are."""
        return self._total

    def key_of(self, peer: IAddress) -> str | None:
        """What a connection counts as: an address, :data:`SHARED`, or None for nothing."""
        key = address_key(peer)
        if key is not None and self._is_shared(str(getattr(peer, "host", ""))):
            return SHARED
        return key

    def enter(self, key: str | None) -> bool:
        """Count one more connection. Returns False, and counts nothing, if there are too many."""
        if key is None:
            return True
        if self._total >= self._most or (key and not self.enter_request(key)):
            return False
        self._total += 1
        return True

    def leave(self, key: str | None) -> None:
        """A connection that was counted has ended."""
        if key is None:
            return
        self._total -= 1
        if key:
            self.leave_request(key)

    def enter_request(self, key: str) -> bool:
        """Count a request for its client's address. False, and not counted, if there are too many.

        :param key: of an address.
        """
        if self._counts[key] >= self._most_per_address:
            return False
        self._counts[key] += 1
        return True

    def leave_request(self, key: str) -> None:
        """A request that was counted has ended."""
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]


class Places:
    """The places that one connection takes: one for itself, and one for each further stream.

    :param admission: None where there is no limit.
    """

    def __init__(self, admission: Admission | None, peer: IAddress) -> None:
        self._admission = admission
        self._key = None if admission is None else admission.key_of(peer)
        self._count = 0

    def hold(self, count: int) -> bool:
        """Take or free places until there are so many.

        Returns False if there are not enough; some may have been taken then.
        """
        if self._admission is None:
            return True
        while self._count < count:
            if not self._admission.enter(self._key):
                return False
            self._count += 1
        while self._count > count:
            self._admission.leave(self._key)
            self._count -= 1
        return True


def address_key(peer: IAddress) -> str | None:
    """What counts as one address; None for a peer without one, as on a unix socket."""
    return text_key(peer.host) if isinstance(peer, IPv4Address | IPv6Address) else None


@lru_cache(MOST_KNOWN)
def text_key(address: str) -> str:
    """What counts as one address, by its textual form."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, _CUSTOMER), strict=False))
