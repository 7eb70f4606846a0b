"""Counts requests: for the last hour in memory, and for a month on the disk.

Requests are counted by kind first (:mod:`regcache.admin.requests.pending`). The sums are written
every few seconds, so their times are exact to a few seconds. Sums that cannot be written are kept,
and written with the next ones. They have at most :data:`MOST_NAMES` names.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from operator import sub
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from regcache.admin.requests.pending import Alike, PendingRecords
from regcache.admin.requests.verdicts import is_failed
from regcache.admin.requests.written_behind import WritingService, WrittenBehind
from regcache.counts import (
    MINUTE,
    QUARTER,
    QUARTER_DAY,
    CountBatch,
    CountPeriod,
    ICountFile,
    NameKind,
    Span,
    Sums,
)
from regcache.forecast import growth
from regcache.interfaces import IWorkPool
from regcache.medians import BOUNDS, added_up, median

#: Seconds between two looks at the sums of a week.
WEEK_INTERVAL = 60.0
_WEEK, _HOUR_MINUTES = 7 * 86_400, 60
#: At most so many names wait to be written; further names are not counted meanwhile.
MOST_NAMES = 1000
#: Outcomes of requests whose bytes came from an upstream.
FETCHED = frozenset({"miss", "relay"})
_HITS = frozenset({"hit", "revalidated", "stale"})


class _Minute:
    """Counts what happened in one minute."""

    __slots__ = ("failed", "first_bytes", "number", "requests")

    def __init__(self, number: int) -> None:
        self.number = number
        self.requests = self.failed = 0
        self.first_bytes: dict[int, int] = {}


class HourCounts(NamedTuple):
    """Holds the counts of the last hour, as far as this process ran.

    :ivar first_byte: half of the answers began within so many seconds; None without any.
    """

    requests: int
    failed: int
    first_byte: float | None


class RequestCounting:
    """Counts requests as they end.

    :param fetched: gives the bytes that came from each upstream since the start.
    :param first_bytes: gives how many answers began so late since the start, by place.
    :param pending: hands on the requests that end.
    """

    def __init__(
        self,
        fetched: Callable[[], Mapping[str, int]],
        first_bytes: Callable[[], Sequence[int]],
        pending: PendingRecords,
    ) -> None:
        self._fetched = fetched
        self._first_bytes = first_bytes
        self._settle = pending.settle
        pending.alike_to(self._add_up)
        self._fetched_before: dict[str, int] = {}
        self._upstreams: dict[str, Sums] = {}
        self._names: dict[tuple[str, str], Sums] = {}
        self._first_bytes_before: Sequence[int] = [0] * (len(BOUNDS) + 1)
        self._minutes: deque[_Minute] = deque(maxlen=_HOUR_MINUTES)

    def _add_up(self, kinds: Sequence[Alike]) -> None:
        for alike in kinds:
            if alike.one.is_distribution:
                self._add(alike)
            elif alike.one.account:
                # Of tokens, pages and the like, only the bytes count for an account.
                found = self._sums_of((NameKind.PRINCIPAL, alike.one.account))
                if found is not None:
                    found.served += alike.bytes

    def _add(self, alike: Alike) -> None:
        one = alike.one
        failed = is_failed(one)
        well = not failed and one.status < 400
        sums = self._upstreams.setdefault(one.upstream, Sums())
        sums.failed += alike.count * failed
        _count(sums, alike)
        if one.account:
            self._add_to_name((NameKind.PRINCIPAL, one.account), alike)
        # Only repositories that exist are counted, so that clients cannot invent names.
        if well and one.repository:
            self._add_to_name((NameKind.REPOSITORY, f"{one.upstream}/{one.repository}"), alike)

    def _add_to_name(self, key: tuple[str, str], alike: Alike) -> None:
        sums = self._sums_of(key)
        if sums is not None:
            _count(sums, alike)
            sums.pulls += alike.count * alike.one.is_pull
            sums.fetched += alike.bytes * (alike.one.outcome in FETCHED)

    def _sums_of(self, key: tuple[str, str]) -> Sums | None:
        sums = self._names.get(key)
        if sums is None and len(self._names) < MOST_NAMES:
            sums = self._names[key] = Sums()
        return sums

    def take(self, now: float, disk: int | None) -> CountBatch:
        """Take the counts since the last call.

        :param now: Unix seconds.
        :param disk: how many bytes are stored.
        """
        self._settle()
        for name, count in self._fetched().items():
            more = count - self._fetched_before.get(name, 0)
            if more:
                self._fetched_before[name] = count
                self._upstreams.setdefault(name, Sums()).fetched += more
        self._note_minute(int(now) // MINUTE)
        batch = CountBatch(now, self._upstreams, self._names, disk)
        self._upstreams, self._names = {}, {}
        return batch

    def _note_minute(self, number: int) -> None:
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(_Minute(number))
        minute = self._minutes[-1]
        for sums in self._upstreams.values():
            minute.requests += sums.requests
            minute.failed += sums.failed
        before, self._first_bytes_before = self._first_bytes_before, self._first_bytes()
        for place, count in enumerate(map(sub, self._first_bytes_before, before)):
            if count:
                minute.first_bytes[place] = minute.first_bytes.get(place, 0) + count

    def hour(self, now: float) -> HourCounts:
        """Return the counts of the last hour, up to a few seconds ago."""
        since = int(now) // MINUTE - _HOUR_MINUTES
        minutes = [each for each in self._minutes if each.number > since]
        return HourCounts(
            sum(each.requests for each in minutes),
            sum(each.failed for each in minutes),
            median(added_up(each.first_bytes for each in minutes)),
        )


def _count(sums: Sums, alike: Alike) -> None:
    sums.requests += alike.count
    sums.served += alike.bytes
    sums.hits += alike.count * (alike.one.outcome in _HITS)


class _Week(NamedTuple):
    """Holds what is known of the last seven days."""

    sums: Mapping[str, Sums]
    growth: float | None


class CountHistory(WritingService):
    """Writes the counts, and reads them again.

    :param pool: runs what uses the disk.
    :param disk: gives how many bytes are stored; None if that is not known.
    :ivar week: sums of the last seven days by upstream; empty until they are known.
    :ivar growth: bytes a second by which the disk filled in these days; None if that is not
        known.
    """

    def __init__(
        self,
        counting: RequestCounting,
        file: ICountFile,
        *,
        pool: IWorkPool,
        clock: IReactorTime,
        disk: Callable[[], int | None],
    ) -> None:
        self.counting = counting
        self._file = file
        self._disk = disk
        behind: WrittenBehind[CountBatch, _Week | None] = WrittenBehind(
            pool, self._add, _merged, what="what is counted"
        )
        super().__init__(clock, behind, file.close)
        self._week_at = float("-inf")
        self.week: Mapping[str, Sums] = {}
        self.growth: float | None = None

    def write(self) -> "Deferred[Any]":
        """Write the counts; if that fails, they are written with the next ones."""
        now = self._clock.seconds()
        batch = self.counting.take(now, self._disk())
        writing = self._behind.write(batch, now >= self._week_at + WEEK_INTERVAL)
        return writing.addCallback(self._note_week)

    def _add(self, batch: CountBatch, with_week: bool) -> "_Week | None":
        """Write a batch, and read the sums of the week if asked to. It runs in a thread."""
        self._file.add(batch)
        if not with_week:
            return None
        since = int(batch.time) - _WEEK
        sums = self._file.by_upstream(QUARTER_DAY, since)
        return _Week(sums, growth(self._file.stored(QUARTER, since)))

    def _note_week(self, week: "_Week | None") -> None:
        if week is not None:
            self.week, self.growth = week
            self._week_at = self._clock.seconds()

    def series(self, span: Span, upstream: str | None) -> "Deferred[Sequence[CountPeriod]]":
        """Read the periods of a span, of one upstream or of all. Fails with OSError."""
        start = span.start(self._clock.seconds())
        return self._behind.run(self._file.series, span.step, start, upstream)

    def names(self, span: Span, kind: str) -> "Deferred[Mapping[str, Sums]]":
        """Read the sums of a span by name. Fails with OSError."""
        start = int(self._clock.seconds()) - span.seconds
        start = start // span.names_step * span.names_step
        return self._behind.run(self._file.names, span.names_step, start, kind)


def _merged(earlier: CountBatch, later: CountBatch) -> CountBatch:
    """Make one batch of two, with the time of the later one."""
    upstreams, names = dict(earlier.upstreams), dict(earlier.names)
    for name, sums in later.upstreams.items():
        _add_to(upstreams, name, sums)
    for key, sums in later.names.items():
        if key in names or len(names) < MOST_NAMES:
            _add_to(names, key, sums)
    return CountBatch(later.time, upstreams, names, later.disk)


def _add_to(table: dict[Any, Sums], key: Any, more: Sums) -> None:
    known = table.get(key)
    if known is None:
        table[key] = more
        return
    table[key] = Sums(
        served=known.served + more.served,
        fetched=known.fetched + more.fetched,
        requests=known.requests + more.requests,
        hits=known.hits + more.hits,
        failed=known.failed + more.failed,
        pulls=known.pulls + more.pulls,
    )
