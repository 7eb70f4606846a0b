"""Records that nobody has looked at yet: what keeps and counts requests gets many of them at once.

While a request is answered, other code takes the caches of the processor. So to look at each record
as it ends takes several times as long as to look at many in a row. Here a record only joins a list.
Who is asked for what was kept or counted has that list looked at first, so nobody can tell.

Requests that are alike are counted by kind, and one of them is told with how many there were:

===============  ================================================  ================================
a record         event                                             what holds afterwards
===============  ================================================  ================================
waits            there are :data:`MOST_PENDING`; the ring of       who wants each record has all;
                 requests is asked                                 they are counted by kind
waits or is      there are :data:`MOST_KINDS`; a minute is over;   who counts has all
counted by kind  the sums are taken away, as every few seconds,
                 when somebody asks, and when the daemon stops
waits or is      an account is told apart from now on, or another  who counts has all, by the names
counted by kind  day begins for one                                of the time before
===============  ================================================  ================================

No kind has requests of two minutes, so none has those of two days.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from twisted.logger import Logger

from regcache.counts import MINUTE
from regcache.web.records import Recorder, RequestRecord, fields_of

#: Records that wait to be looked at.
MOST_PENDING = 64
#: Kinds of requests that wait to be added up.
MOST_KINDS = 2000

_KIND = fields_of(
    "is_distribution",
    "peer",
    "account",
    "upstream",
    "repository",
    "outcome",
    "status",
    "ended_early",
    "shows_login",
    "is_pull",
)
_BODY: Callable[[RequestRecord], int] = itemgetter(RequestRecord._fields.index("body_bytes"))


class Alike:
    """Requests that are counted alike.

    :ivar one: one of them.
    :ivar count: how many.
    :ivar bytes: what was sent for all of them.
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
    """Hands records on, many at once. A :data:`~regcache.web.records.Recorder`."""

    _log = Logger()

    def __init__(self) -> None:
        self._records: list[RequestRecord] = []
        self._kinds: dict[object, Alike] = {}
        self._minute = 0
        self._takers: list[Taker] = []
        self._alike_takers: list[AlikeTaker] = []
        self._account_takers: list[Recorder] = []

    def each_to(self, taker: Taker) -> None:
        """Have every record looked at by this one, too."""
        self._takers.append(taker)

    def alike_to(self, taker: AlikeTaker) -> None:
        """Have what is alike counted by this one, too."""
        self._alike_takers.append(taker)

    def accounts_to(self, taker: Recorder) -> None:
        """Tell this one of each request of an account as it ends, before anybody else."""
        self._account_takers.append(taker)

    def __call__(self, record: RequestRecord) -> None:
        if record.account:
            for taker in self._account_takers:
                taker(record)
        records = self._records
        records.append(record)
        if len(records) >= MOST_PENDING:
            self.look()

    def settle(self) -> None:
        """Have all that has ended looked at and counted."""
        self.look()
        self._hand_on_kinds()

    def look(self) -> None:
        """Have each looked at that has ended."""
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
        for kind, size, record in zip(
            map(_KIND, records), map(_BODY, records), records, strict=True
        ):
            alike = kinds.get(kind)
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
        """What one of them makes of it takes nothing from the others, and from no answer."""
        try:
            taker(what)
        except Exception:  # noqa: BLE001 - the others have to be told as well
            self._log.failure("requests could not be counted")


def _minute(record: RequestRecord) -> int:
    """In which a request ended."""
    return int(record.arrived + record.seconds) // MINUTE
