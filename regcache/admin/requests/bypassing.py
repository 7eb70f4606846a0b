"""Which clients pass the cache by: they came, were not served, and went elsewhere.

A client that is refused by a mirror, or meets an error, asks the registry itself, and works. So
nobody notices, but here. For each address:

==============================================  =================================================
what happened                                   what it means
==============================================  =================================================
401, and no manifest or blob was given since    ``challenged``: it never logged in
another error, and no such answer since         ``failed``: it went elsewhere; a manifest that is
                                                given does not make up for a blob that failed
:data:`MANY_PINGS` times ``/v2/``, nothing else  ``pings``: it looks whether we are there, no more
==============================================  =================================================

What the upstream itself does not have is no failure of ours. The table is bounded, since the
network chooses its keys: addresses that were heard of least lately are forgotten.
"""

from collections.abc import Sequence

from regcache.bounded import BoundedTable
from regcache.causes import NOT_FOUND
from regcache.light_dataclass import dataclass
from regcache.web.records import CLIENT_LEFT, RequestRecord, fields_of

_SEEN = fields_of("peer", "status", "kind")
MOST_ADDRESSES = 4096
MANY_PINGS = 20
#: A login takes several requests, and clients try again after errors (seconds).
GRACE = 60.0


@dataclass(frozen=True, slots=True)
class Bypass:
    """How an address passes by.

    :ivar reason: challenged, failed or pings.
    :ivar since: when that began (Unix seconds).
    """

    reason: str
    since: float


class AddressCounts:
    """What happened to one address.

    :ivar challenged: answers 401.
    :ivar failed: other errors on manifests and blobs.
    :ivar pings: requests for ``/v2/``.
    :ivar layers: blobs that were given.
    :ivar agent: what it said last that it is, as it came.
    """

    __slots__ = (
        "_blob_trouble",
        "_manifest_trouble",
        "_pings_alone",
        "_pings_since",
        "agent",
        "challenged",
        "failed",
        "last",
        "layers",
        "peer",
        "pings",
    )

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.challenged = self.failed = self.pings = self.layers = 0
        self.last, self.agent = 0.0, b""
        self._manifest_trouble: Bypass | None = None
        self._blob_trouble: Bypass | None = None
        self._pings_alone, self._pings_since = 0, 0.0

    def take(self, record: RequestRecord) -> None:
        """Count one request."""
        self.last, self.agent = record.arrived, record.agent
        kind = record.kind
        if kind == "manifest" or kind == "blob":
            self._pings_alone = 0
            if record.status >= 400:
                self._take_failure(record)
                return
            self._manifest_trouble = None
            if kind == "blob":
                self._blob_trouble = None
                self.layers += record.method == "GET"
        elif kind == "ping":
            self._take_ping(record)

    def _take_ping(self, record: RequestRecord) -> None:
        self.pings += 1
        if self._pings_alone == 0:
            self._pings_since = record.arrived
        self._pings_alone += 1
        if record.status == 401:
            self._trouble(record, "challenged")

    def _take_failure(self, record: RequestRecord) -> None:
        """Count an answer without a manifest or blob."""
        if record.status == 401:
            self._trouble(record, "challenged")
        elif record.status != CLIENT_LEFT and record.cause is not NOT_FOUND:
            self._trouble(record, "failed")

    def _trouble(self, record: RequestRecord, reason: str) -> None:
        if reason == "challenged":
            self.challenged += 1
        else:
            self.failed += 1
        found = Bypass(reason, record.arrived)
        if record.kind != "blob":
            self._manifest_trouble = self._worse(self._manifest_trouble, found)
        else:
            self._blob_trouble = self._worse(self._blob_trouble, found)

    @staticmethod
    def _worse(known: Bypass | None, found: Bypass) -> Bypass:
        """The first trouble; what fails after a challenge is no matter of logging in any more."""
        if known is None:
            return found
        return Bypass(found.reason, known.since) if found.reason == "failed" else known

    def bypass(self, now: float) -> Bypass | None:
        """How it passes by; None if it does not, or may still come to it."""
        for trouble in (self._blob_trouble, self._manifest_trouble):
            if trouble is not None and now - trouble.since >= GRACE:
                return trouble
        if self._pings_alone >= MANY_PINGS:
            return Bypass("pings", self._pings_since)
        return None


class ClientCounts:
    """What happened to each address, from its first trouble or ``/v2/`` on.

    It gets every request, so those that are simply served cost next to nothing, and make nobody
    else be forgotten.
    """

    def __init__(self, most: int = MOST_ADDRESSES) -> None:
        self._counts: BoundedTable[str, AddressCounts] = BoundedTable(most)
        self._latest: AddressCounts | None = None  # the one used last: it needs no look-up

    def take(self, records: Sequence[RequestRecord]) -> None:
        """Count requests in the order in which they ended."""
        known = self._counts
        for record, (peer, status, kind) in zip(records, map(_SEEN, records), strict=True):
            if status >= 400 or kind == "ping" or peer in known:
                self._count(record)

    def _count(self, record: RequestRecord) -> None:
        found = self._latest
        if found is None or found.peer != record.peer:
            found = self._find(record)
        if found is not None:
            found.take(record)

    def _find(self, record: RequestRecord) -> AddressCounts | None:
        """What is counted of the address; None if nothing is to be."""
        found = self._counts.get(record.peer)
        if found is None:
            is_served = record.status < 400 and record.kind != "ping"
            if is_served or not record.peer:
                return None
            found = AddressCounts(record.peer)
            self._counts.put(record.peer, found)
        self._latest = found
        return found

    def __len__(self) -> int:
        """How many addresses are known."""
        return len(self._counts)

    def known(self) -> dict[str, AddressCounts]:
        """What is known, by address."""
        return {each.peer: each for each in self._counts.values()}

    def bypassing(self, now: float) -> list[tuple[AddressCounts, Bypass]]:
        """Those that pass by, the latest first.

        :param now: Unix seconds.
        """
        found = [(each, each.bypass(now)) for each in self._counts.values()]
        passing = [(each, bypass) for each, bypass in found if bypass is not None]
        return sorted(passing, key=lambda pair: pair[0].last, reverse=True)
