"""Keeps how slow and failed requests spent their time, and how fast upstreams usually are.

Phases and samples take much more memory than a row. So they are removed from each row as its
request ends. They are kept for :data:`MOST_DETAILED` requests that were slow or failed, and ended
or were looked at last; the rows of these have the verdict.
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
#: How many rates are kept for each upstream, and for how many upstreams.
MOST_RATES, MOST_UPSTREAMS = 200, 1000
#: Smaller bodies do not count for a rate (bytes).
LEAST_BODY = 1024 * 1024
_WEEK = 7 * 86_400.0


class Details(NamedTuple):
    """Holds what is known of one request beside its row."""

    timings: FetchTimings | None
    flow: Flow | None


class RequestDetails:
    """Keeps the details of requests that have ended."""

    def __init__(self, most: int = MOST_DETAILED) -> None:
        self._kept: BoundedTable[int, Details] = BoundedTable(most)
        self._rates: dict[str, deque[tuple[float, int]]] = {}

    def __len__(self) -> int:
        """Return for how many requests there are details."""
        return len(self._kept)

    def take_off(self, record: RequestRecord) -> RequestRecord:
        """Return the row of a request that has ended, without its details; keep these if needed."""
        verdict = None
        if is_slow(record) or is_failed(record):
            verdict = verdict_of(record, self.median(record.upstream, record.arrived))
            self._kept.put(record.serial, Details(record.timings, record.flow))
        self._note_rate(record)
        return record._replace(timings=None, flow=None, verdict=verdict)

    def find(self, record: RequestRecord) -> Details:
        """Return the details of a request, as far as they are known."""
        return self._kept.get(record.serial) or Details(record.timings, record.flow)

    def _note_rate(self, record: RequestRecord) -> None:
        """Note the rate of a download, but only if its upstream was slower than its client."""
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
        """Return the median rate of an upstream's downloads in a week (bytes a second), or None.

        :param now: Unix seconds.
        """
        found = [rate for at, rate in self._rates.get(upstream, ()) if at > now - _WEEK]
        return round(median(found)) if found else None
