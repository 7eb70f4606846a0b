"""Finds clients that bypass the cache: they came, were not served, and went elsewhere.

A client that a mirror refuses, or answers with an error, asks the registry itself. Its pull works,
so only this table shows the fault. For each address:

==============================================  =================================================
what happened                                   what it means
==============================================  =================================================
401, and no manifest or blob was sent since     ``challenged``: it never logged in
another error, and none was sent since          ``failed``: it went elsewhere; after a blob that
                                                failed, only a blob counts as sent
:data:`MANY_PINGS` times ``/v2/``, nothing else  ``pings``: it only checks that the cache answers
==============================================  =================================================

Content that the upstream itself does not have is no failure of the cache. The table is bounded,
since any client of the network can add to it: the addresses that were used least recently are
forgotten.
"""

from collections.abc import Sequence
from itertools import groupby

from regcache.bounded import BoundedTable
from regcache.causes import NOT_FOUND
from regcache.light_dataclass import dataclass
from regcache.web.records import CLIENT_LEFT, RequestRecord, fields_of

#: Requests that are alike in these are counted in one step, if they were served.
_SEEN = fields_of("peer", "status", "kind", "method")
MOST_ADDRESSES = 4096
MANY_PINGS = 20
#: Trouble counts after so many seconds: a login takes several requests, and clients try again.
GRACE = 60.0


@dataclass(frozen=True, slots=True)
class Bypass:
    """Says how an address bypasses the cache.

    :ivar reason: challenged, failed or pings.
    :ivar since: when it began (Unix seconds).
    """

    reason: str
    since: float


class AddressCounts:
    """Counts what happened to one address.

    :ivar challenged: how many answers were 401.
    :ivar failed: how many requests for manifests and blobs met other errors.
    :ivar pings: how many requests were for ``/v2/``.
    :ivar layers: how many blobs were sent.
    :ivar agent: the User-Agent of the last request, as it came.
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

    def take_alike(self, records: Sequence[RequestRecord]) -> None:
        """Count requests in a row that have the same method, kind and status."""
        last = records[-1]
        if last.status >= 400 or last.kind == "ping":
            for record in records:
                self.take(record)
            return
        self.take(last)
        if last.kind == "blob" and last.method == "GET":
            self.layers += len(records) - 1

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
        """Return the first trouble. A failure replaces a challenge, but not its time."""
        if known is None:
            return found
        return Bypass(found.reason, known.since) if found.reason == "failed" else known

    def bypass(self, now: float) -> Bypass | None:
        """Return how it bypasses the cache; None if it does not, or its trouble is recent."""
        for trouble in (self._blob_trouble, self._manifest_trouble):
            if trouble is not None and now - trouble.since >= GRACE:
                return trouble
        if self._pings_alone >= MANY_PINGS:
            return Bypass("pings", self._pings_since)
        return None


class ClientCounts:
    """Counts what happened to each address, from its first trouble or ``/v2/`` on.

    It gets every request, so one that is simply served costs next to nothing. Such requests add no
    address to the table, so they remove none either.
    """

    def __init__(self, most: int = MOST_ADDRESSES) -> None:
        self._counts: BoundedTable[str, AddressCounts] = BoundedTable(most)
        self._latest: AddressCounts | None = None  # the one used last: it needs no look-up

    def take(self, records: Sequence[RequestRecord]) -> None:
        """Count requests in the order in which they ended."""
        known = self._counts
        for (peer, status, kind, _), alike in groupby(records, _SEEN):
            if status >= 400 or kind == "ping" or peer in known:
                self._count(list(alike))

    def _count(self, alike: Sequence[RequestRecord]) -> None:
        found = self._latest
        if found is None or found.peer != alike[0].peer:
            found = self._find(alike[0])
        if found is not None:
            found.take_alike(alike)

    def _find(self, record: RequestRecord) -> AddressCounts | None:
        """Return the counts of the address; None if the request is not counted."""
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
        """Return how many addresses are known."""
        return len(self._counts)

    def known(self) -> dict[str, AddressCounts]:
        """Return all counts, by address."""
        return {each.peer: each for each in self._counts.values()}

    def bypassing(self, now: float) -> list[tuple[AddressCounts, Bypass]]:
        """Return the addresses that bypass the cache, the latest first.

        :param now: Unix seconds.
        """
        found = [(each, each.bypass(now)) for each in self._counts.values()]
        passing = [(each, bypass) for each, bypass in found if bypass is not None]
        return sorted(passing, key=lambda pair: pair[0].last, reverse=True)
