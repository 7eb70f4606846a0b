"""Where the time of requests went that were slow or failed, and how fast upstreams usually are.

Phases and samples take much more memory than a row. So they are taken off each row as it ends, and
kept for :data:`MOST_DETAILED` that were slow or failed, and ended or were looked at last. The
verdict is in the row.
"""

from collections import deque
from statistics import median
from typing import NamedTuple

from regcache.admin.requests.shares import rate_of
from regcache.admin.requests.verdicts import is_failed, is_slow, verdict_of
from regcache.bounded import BoundedTable
from regcache.timings import FetchTimings
from regcache.web.flow import Flow
from regcache.web.records import RequestRecord

MOST_DETAILED = 500
#: Downloads of each upstream, and upstreams, whose rates are remembered.
MOST_RATES, MOST_UPSTREAMS = 200, 1000
#: Smaller bodies tell nothing of a rate (bytes).
LEAST_BODY = 1024 * 1024
_WEEK = 7 * 86_400.0


class Details(NamedTuple):
    """What is known of one request beside its row."""

    timings: FetchTimings | None
    flow: Flow | None


class RequestDetails:
    """Keeps the details of requests that have ended."""

    def __init__(self, most: int = MOST_DETAILED) -> None:
        self._kept: BoundedTable[int, Details] = BoundedTable(most)
        self._rates: dict[str, deque[tuple[float, int]]] = {}

    def __len__(self) -> int:
        """For how many requests there are details."""
        return len(self._kept)

    def take_off(self, record: RequestRecord) -> RequestRecord:
        """The row of a request that has ended, without its details."""
        verdict = None
        if is_slow(record) or is_failed(record):
            verdict = verdict_of(record, self.median(record.upstream, record.arrived))
            self._kept.put(record.serial, Details(record.timings, record.flow))
        self._note_rate(record)
        return record._replace(timings=None, flow=None, verdict=verdict)

    def find(self, record: RequestRecord) -> Details:
        """The details of a request, as far as they are known."""
        return self._kept.get(record.serial) or Details(record.timings, record.flow)

    def _note_rate(self, record: RequestRecord) -> None:
        """Only of downloads that waited for their upstream: others tell how fast clients are."""
        flow = record.flow
        if (
            flow is None
            or record.body_bytes < LEAST_BODY
            or record.outcome not in ("miss", "relay")
        ):
            return
        if flow.waits.upstream < max(flow.waits.client, flow.waits.disk):
            return
        rates = self._rates.get(record.upstream)
        if rates is None:
            if len(self._rates) >= MOST_UPSTREAMS:
                return
            rates = self._rates[record.upstream] = deque(maxlen=MOST_RATES)
        rates.append((record.arrived, rate_of(record)))

    def median(self, upstream: str, now: float) -> int | None:
        """Bytes a second of half of an upstream's downloads within a week; None without any.

        :param now: Unix seconds.
        """
        found = [rate for at, rate in self._rates.get(upstream, ()) if at > now - _WEEK]
        return round(median(found)) if found else None
