"""Upstream URLs that gave wrong bytes under a digest, and are left alone for a while."""

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.digests import Digest
from regcache.identity import UpstreamIdentity

#: Wrong answers after which a URL is not asked for the digest any more.
PATIENCE = 2
#: For how long it is not asked, and its past is remembered (seconds).
REST = 600.0
#: Entries kept; the oldest make room, since digests come from the network.
MOST_ENTRIES = 1000


class DistrustedUrls:
    """Counts wrong answers per digest, upstream and URL."""

    def __init__(self, clock: IReactorTime) -> None:
        self._counts: BoundedTable[tuple[Digest, UpstreamIdentity, int], int]
        self._counts = BoundedTable(MOST_ENTRIES, clock)

    def blame(self, digest: Digest, upstream: UpstreamIdentity, url_index: int) -> None:
        """Note that a URL gave bytes that fail the digest."""
        key = (digest, upstream, url_index)
        self._counts.put(key, (self._counts.get(key) or 0) + 1, seconds=REST)

    def skipped(self, digest: Digest, upstream: UpstreamIdentity, url_count: int) -> frozenset[int]:
        """The indexes of the upstream's URLs that are not to be asked for the digest now."""
        return frozenset(
            index
            for index in range(url_count)
            if (self._counts.get((digest, upstream, index)) or 0) >= PATIENCE
        )
