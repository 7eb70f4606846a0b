"""Which of an upstream's URLs are asked for a digest."""

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
    """URLs that gave wrong bytes under a digest, and are left alone for a while."""

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


class UrlChoice:
    """Leaves alone URLs that gave wrong bytes, and for the next question the one that just broke.

    :param distrusted: indexes of URLs that gave wrong bytes under this digest before.
    :param count: how many URLs there are.
    """

    def __init__(self, distrusted: frozenset[int], count: int) -> None:
        self._distrusted = distrusted
        self._count = count
        self._broken: frozenset[int] = frozenset()

    def broke(self, index: int | None) -> None:
        """The answer of a URL broke off; None where it is not known which one's."""
        self._broken = frozenset() if index is None else frozenset([index])

    def skipped(self) -> frozenset[int]:
        """The URLs that are not to be asked now."""
        both = self._distrusted | self._broken
        return both if len(both) < self._count else self._distrusted
