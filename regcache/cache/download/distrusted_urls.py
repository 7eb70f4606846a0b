"""Upstream URLs that gave wrong bytes under a digest, and are left alone for a while."""

from collections import OrderedDict
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from regcache.digests import Digest

#: Wrong answers after which a URL is not asked for the digest any more.
PATIENCE = 2
#: For how long it is not asked, and its past is remembered (seconds).
REST = 600.0
#: Entries kept; the oldest make room, since digests come from the network.
MOST_ENTRIES = 1000


@dataclass(slots=True)
class _Record:
    count: int
    until: float


class DistrustedUrls:
    """Counts wrong answers per digest, upstream and URL."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._records: OrderedDict[tuple[Digest, str, int], _Record] = OrderedDict()

    def blame(self, digest: Digest, upstream: str, url_index: int) -> None:
        """Note that a URL gave bytes that fail the digest."""
        key = (digest, upstream, url_index)
        now = self._clock.seconds()
        record = self._records.get(key)
        if record is None or record.until <= now:
            record = self._records[key] = _Record(0, 0.0)
        record.count += 1
        record.until = now + REST
        self._records.move_to_end(key)
        while len(self._records) > MOST_ENTRIES:
            self._records.popitem(last=False)

    def skipped(self, digest: Digest, upstream: str, url_count: int) -> frozenset[int]:
        """The indexes of the upstream's URLs that are not to be asked for the digest now."""
        now = self._clock.seconds()
        return frozenset(
            index
            for index in range(url_count)
            if (record := self._records.get((digest, upstream, index))) is not None
            and record.count >= PATIENCE
            and record.until > now
        )
