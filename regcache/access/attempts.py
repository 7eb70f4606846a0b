"""How often wrong credentials may be tried from one address.

===============================  ==================================================
wrong credentials                count
===============================  ==================================================
that were answered 401           up to :data:`MOST_WRONG` of a minute
that were checked, whether they  up to :data:`MOST_CHECKED`: a cluster behind one
counted as none, or their        address may send as many pull secrets of other
client left before the answer    registries, but nobody may try passwords in a way
                                 that no 401 tells of
===============================  ==================================================

The same credentials count once in each row. Where a row is full no unknown ones are looked at.
"""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_network

from twisted.internet.interfaces import IReactorTime

from regcache.access.grants import parse_address
from regcache.bounded import BoundedTable

#: Different wrong credentials from one address within :data:`PERIOD` that are answered 401.
MOST_WRONG = 10
#: Such that are found out by a check.
MOST_CHECKED = 100
PERIOD = 60.0
#: What is remembered of a row, of all addresses together (entries of about 200 bytes).
MOST_NOTED = 20_000


class Attempts:
    """Counts different wrong credentials by address; a /64 of IPv6 is one address."""

    def __init__(self, clock: IReactorTime) -> None:
        self._wrong = _Row(clock, MOST_WRONG)
        self._checked = _Row(clock, MOST_CHECKED)

    def wait(self, address: str | None) -> float:
        """Seconds until further unknown credentials are looked at; 0 for at once."""
        place = source(address)
        return max(self._wrong.wait(place), self._checked.wait(place))

    def refuse(self, address: str | None, fingerprint: bytes) -> float:
        """Note wrong credentials that are to be answered 401.

        :param fingerprint: tells credentials apart, and nothing else of them.
        :returns: 0; or, where they are too many, the seconds until they may be shown again.
        """
        return self._wrong.add(source(address), fingerprint)

    def checked(self, address: str | None, fingerprint: bytes) -> None:
        """Note credentials of which a check has found out that they are wrong."""
        self._checked.add(source(address), fingerprint)


class _Row:
    """What was wrong lately, by address.

    :param most: of one address.
    """

    def __init__(self, clock: IReactorTime, most: int) -> None:
        self._clock = clock
        self._most = most
        # Of one address: the fingerprints in the order of their times, at most ``most``.
        self._table: BoundedTable[str, OrderedDict[bytes, float]] = BoundedTable(MOST_NOTED, clock)

    def wait(self, place: str) -> float:
        """Seconds until there is room for another; 0 if there is."""
        wrong = self._lately(place)
        if len(wrong) < self._most:
            return 0.0
        return max(1.0, next(iter(wrong.values())) + PERIOD - self._clock.seconds())

    def add(self, place: str, fingerprint: bytes) -> float:
        """Note one, unless it is known; what :meth:`wait` says where there is no room for it."""
        wrong = self._lately(place)
        if fingerprint in wrong:
            return 0.0
        if len(wrong) >= self._most:
            return self.wait(place)
        wrong[fingerprint] = self._clock.seconds()
        self._table.put(place, wrong, len(wrong), seconds=PERIOD)
        return 0.0

    def _lately(self, place: str) -> OrderedDict[bytes, float]:
        wrong = self._table.get(place) or OrderedDict()
        now = self._clock.seconds()
        while wrong and not now - PERIOD < next(iter(wrong.values())) <= now:
            wrong.popitem(last=False)
        return wrong


def source(address: str | None) -> str:
    """What counts as one address: that of IPv4, a /64 of IPv6 (RFC 6177), "" for none."""
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed) >> 64 << 64, 64)))
    return "" if parsed is None else str(parsed)
