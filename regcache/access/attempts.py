"""How often wrong credentials may be tried from one address."""

from collections import deque
from ipaddress import IPv6Address, ip_network

from twisted.internet.interfaces import IReactorTime

from regcache.access.grants import parse_address
from regcache.bounded import BoundedTable

#: Different wrong credentials from one address within :data:`PERIOD` that are answered.
MOST_WRONG = 10
PERIOD = 60.0
#: Addresses that are remembered.
MOST_ADDRESSES = 10_000


class Attempts:
    """Counts different wrong credentials by address; a /64 of IPv6 is one address."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._wrong: BoundedTable[str, deque[tuple[float, bytes]]] = BoundedTable(
            MOST_ADDRESSES, clock
        )

    def wait(self, address: str | None) -> float:
        """Seconds until further unknown credentials are looked at; 0 for at once."""
        wrong = self._lately(address)
        if len(wrong) < MOST_WRONG:
            return 0.0
        return max(1.0, wrong[-MOST_WRONG][0] + PERIOD - self._clock.seconds())

    def wrong(self, address: str | None, fingerprint: bytes) -> None:
        """Note wrong credentials; the same ones count once.

        :param fingerprint: tells credentials apart, and nothing else of them.
        """
        wrong = self._lately(address)
        if all(fingerprint != known for _, known in wrong):
            wrong.append((self._clock.seconds(), fingerprint))
        self._wrong.put(source(address), wrong, seconds=PERIOD)

    def _lately(self, address: str | None) -> deque[tuple[float, bytes]]:
        wrong = self._wrong.get(source(address)) or deque(maxlen=MOST_WRONG)
        now = self._clock.seconds()
        while wrong and not now - PERIOD < wrong[0][0] <= now:
            wrong.popleft()
        return wrong


def source(address: str | None) -> str:
    """What counts as one address: that of IPv4, a /64 of IPv6 (RFC 6177), "" for none."""
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed) >> 64 << 64, 64)))
    return "" if parsed is None else str(parsed)
