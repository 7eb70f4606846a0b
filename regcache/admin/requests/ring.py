"""Keeps the requests that ended lately, and finds those that are still open.

The ring gets every request. So a row is the same record that the metrics get, and nothing is
computed from it before it is asked for.
"""

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from regcache.admin.requests.bypassing import ClientCounts
from regcache.admin.requests.details import RequestDetails
from regcache.admin.requests.pending import PendingRecords
from regcache.web.records import RequestRecord, fields_of
from regcache.web.request import Request, record_of
from regcache.web.site import Site

#: At most so many requests that have ended are kept.
MOST_KEPT = 20_000
_NODE_BYTES = 4
_IS_DISTRIBUTION = fields_of("is_distribution")
_TIMINGS, _FLOW = fields_of("timings"), fields_of("flow")


class RequestRing:
    """Keeps the latest requests to the distribution API.

    :param pending: hands on the requests that end; the ring asks it to before each answer.
    :param most: how many are kept.
    :ivar node: a name of this process that no other process has.
    """

    def __init__(self, pending: PendingRecords, most: int = MOST_KEPT) -> None:
        self._rows: deque[RequestRecord] = deque(maxlen=most)
        self.node = secrets.token_hex(_NODE_BYTES)
        self._count = 0
        self._details = RequestDetails()
        self._clients = ClientCounts()
        self._look = pending.look
        pending.each_to(self._take)

    def _take(self, records: Sequence[RequestRecord]) -> None:
        rows = list(filter(_IS_DISTRIBUTION, records))
        if any(map(_TIMINGS, rows)) or any(map(_FLOW, rows)):
            rows = [self._details.take_off(each) if _has_details(each) else each for each in rows]
        self._count += len(rows)
        self._clients.take(rows)
        self._rows.extend(rows)

    @property
    def count(self) -> int:
        """Return how many have ended since the start."""
        self._look()
        return self._count

    @property
    def details(self) -> RequestDetails:
        """Return the details of requests that were slow or failed."""
        self._look()
        return self._details

    @property
    def clients(self) -> ClientCounts:
        """Return the counts of each address. They are kept for longer than the requests."""
        self._look()
        return self._clients

    def __len__(self) -> int:
        """Return how many are kept."""
        self._look()
        return len(self._rows)

    def ended(self) -> list[RequestRecord]:
        """Return all that are kept, in the order in which they ended."""
        self._look()
        return list(self._rows)

    def latest(self, count: int) -> list[RequestRecord]:
        """Return the last of them, in the same order.

        :param count: how many at most.
        """
        self._look()
        rows = [row for row, _ in zip(reversed(self._rows), range(count), strict=False)]
        return rows[::-1]

    def id_of(self, record: RequestRecord) -> str:
        """Return the id of a request. No other request of any process has the same."""
        return self.id_of_serial(record.serial)

    def id_of_serial(self, serial: int) -> str:
        """Return the id of the request with this number in this process."""
        return f"{self.node}-{serial:x}"

    def serial_of(self, request_id: str) -> int | None:
        """Return the number of the request with this id; None if it is no id of this process."""
        node, _, serial = request_id.partition("-")
        if node != self.node or not serial.isalnum() or len(serial) > 16:
            return None
        try:
            return int(serial, 16)
        except ValueError:
            return None


def _has_details(record: RequestRecord) -> bool:
    return record.timings is not None or record.flow is not None


def active_requests(sites: Iterable[Site]) -> Iterator[Request]:
    """Find the open requests on some sites."""
    for site in sites:
        yield from (each for each in site.active_requests if isinstance(each, Request))


class RequestLog:
    """Lists the requests that have ended, and those that are still open.

    :param active: gives the open requests.
    :param seconds: gives the time (Unix seconds).
    :ivar ring: keeps the requests that have ended.
    :ivar seconds: gives the time (Unix seconds).
    """

    def __init__(
        self,
        ring: RequestRing,
        active: Callable[[], Iterable[Request]],
        seconds: Callable[[], float],
    ) -> None:
        self.ring = ring
        self._active = active
        self.seconds = seconds

    def open(self) -> list[RequestRecord]:
        """Return records of the open requests."""
        now = self.seconds()
        return [
            record_of(each, now, is_open=True) for each in self._active() if each.is_distribution
        ]

    def all(self) -> list[RequestRecord]:
        """Return all records, in no order."""
        return self.ring.ended() + self.open()

    def find(self, request_id: str) -> RequestRecord | None:
        """Find the request with an id; None if it is not known."""
        serial = self.ring.serial_of(request_id)
        if serial is None:
            return None
        return next((each for each in self.all() if each.serial == serial), None)
