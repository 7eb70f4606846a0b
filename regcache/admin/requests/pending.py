"""Collects records of requests, and hands on many of them at once.

A record only joins a list when its request ends. To process each record at that moment would take
several times as long as to process many in a row, since answers use the caches of the processor
too. The list is handed on before a question about requests is answered, so answers are complete.

Takers of each record get the records. Takers of sums get the requests by kind: one request of each
kind, and how many there were:

===============  ================================================  ================================
a record         event                                             what happens
===============  ================================================  ================================
waits            there are :data:`MOST_PENDING`; the ring of       takers of each record get it;
                 requests is asked                                 it is counted by kind
waits or is      there are :data:`MOST_KINDS`; a minute is over;   takers of sums get all kinds
counted by kind  the sums are written or asked for; the daemon
                 stops
waits or is      a further account is counted under its own name,  takers of sums get all kinds,
counted by kind  or another day begins                             and use the names from before
===============  ================================================  ================================

All requests of a kind ended in the same minute, so they ended on the same day.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from twisted.logger import Logger

from regcache.counts import MINUTE
from regcache.web.records import Recorder, RequestRecord, fields_of

#: At most so many records wait to be handed on.
MOST_PENDING = 256
#: At most so many kinds of requests wait to be handed on.
MOST_KINDS = 2000

#: From the peer to whether it began a pull: a stretch is taken in half of the time of its fields.
_KIND: Callable[[RequestRecord], object] = itemgetter(
    slice(RequestRecord._fields.index("peer"), RequestRecord._fields.index("is_pull") + 1)
)
_BODY = fields_of("body_bytes")


class Alike:
    """Counts requests of the same kind.

    :ivar one: one of them.
    :ivar count: how many they are.
    :ivar bytes: how many bytes were sent for all of them.
    """

    __slots__ = ("bytes", "count", "one")

    def __init__(self, one: RequestRecord) -> None:
        self.one = one
        self.count = self.bytes = 0


Taker = Callable[[Sequence[RequestRecord]], object]
"""Gets records in the order in which the requests ended."""

AlikeTaker = Callable[[Sequence[Alike]], object]
"""Gets the requests of one minute, by kind."""


class PendingRecords:
    """Hands on many records at once. It is a :data:`~regcache.web.records.Recorder`."""

    _log = Logger()

    def __init__(self) -> None:
        self._records: list[RequestRecord] = []
        self._kinds: dict[object, Alike] = {}
        self._minute = 0
        self._takers: list[Taker] = []
        self._alike_takers: list[AlikeTaker] = []
        self._account_takers: list[Recorder] = []

    def each_to(self, taker: Taker) -> None:
        """Add a taker of each record."""
        self._takers.append(taker)

    def alike_to(self, taker: AlikeTaker) -> None:
        """Add a taker of sums, which gets requests by kind."""
        self._alike_takers.append(taker)

    def accounts_to(self, taker: Recorder) -> None:
        """Add a taker of each record of an account. It gets the record first, at its end."""
        self._account_takers.append(taker)

    def __call__(self, record: RequestRecord) -> None:
        if record.account:
            for taker in self._account_takers:
                self._tell(taker, record)
        records = self._records
        records.append(record)
        if len(records) >= MOST_PENDING:
            self.look()

    def settle(self) -> None:
        """Hand on all records, and all kinds."""
        self.look()
        self._hand_on_kinds()

    def look(self) -> None:
        """Hand on all records to the takers of each, and count them by kind."""
        records, self._records = self._records, []
        if not records:
            return
        for taker in self._takers:
            self._tell(taker, records)
        if not _minute(records[0]) == _minute(records[-1]) == self._minute:
            for minute, ended in groupby(records, _minute):
                self._begin(minute)
                self._sort(list(ended))
        else:
            self._sort(records)

    def _begin(self, minute: int) -> None:
        if minute != self._minute:
            self._hand_on_kinds()
            self._minute = minute

    def _sort(self, records: Sequence[RequestRecord]) -> None:
        """Count records of one minute by kind."""
        kinds = self._kinds
        last, alike = None, None
        for kind, size, record in zip(
            map(_KIND, records), map(_BODY, records), records, strict=True
        ):
            if kind != last:  # to find the same kind once more would take twice as long
                last, alike = kind, kinds.get(kind)
            if alike is None:
                alike = kinds[kind] = Alike(record)
            alike.count += 1
            alike.bytes += size
        if len(kinds) >= MOST_KINDS:
            self._hand_on_kinds()

    def _hand_on_kinds(self) -> None:
        kinds, self._kinds = self._kinds, {}
        if kinds:
            for taker in self._alike_takers:
                self._tell(taker, list(kinds.values()))

    def _tell(self, taker: Callable[[Any], object], what: Any) -> None:
        """Call a taker. If it fails, log that, so that other takers and answers do not fail."""
        try:
            taker(what)
        except Exception:  # noqa: BLE001 - the others have to be told as well
            self._log.failure("requests could not be counted")


def _minute(record: RequestRecord) -> int:
    """Return the minute in which a request ended."""
    return int(record.arrived + record.seconds) // MINUTE
