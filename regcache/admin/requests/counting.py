"""Counts requests: for the last hour in memory, for a month on the disk, written behind.

What a recorder does is done for every request, so it only adds to a few numbers. They are taken
away every few seconds: that is how exact their time is. What cannot be written is
kept, and written with what follows; there are at most :data:`MOST_NAMES` names in it.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

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
from regcache.medians import BOUNDS, added_up, median, place_of
from regcache.web.records import RequestRecord

#: Seconds between two looks at the sums of a week.
WEEK_INTERVAL = 60.0
_WEEK, _HOUR_MINUTES = 7 * 86_400, 60
#: Names that wait to be written; others are not counted meanwhile.
MOST_NAMES = 1000
#: Outcomes of requests whose bytes came from an upstream.
FETCHED = frozenset({"miss", "relay"})
_HITS, _BAD = frozenset({"hit", "revalidated", "stale"}), frozenset({"error", "denied"})
#: Kinds of requests that wait to be added up.
MOST_GROUPS = 2000

_Key = tuple[str, str, str, str, bool, bool, bool]
"""Upstream, repository, account, outcome; whether it succeeded, failed, began a pull."""


class _Minute:
    """What happened in one minute."""

    __slots__ = ("failed", "first_bytes", "number", "requests")

    def __init__(self, number: int) -> None:
        self.number = number
        self.requests = self.failed = 0
        self.first_bytes: dict[int, int] = {}


class HourCounts(NamedTuple):
    """The last hour, as far as this process was there.

    :ivar first_byte: half of the answers began within so many seconds; None without any.
    """

    requests: int
    failed: int
    first_byte: float | None


class _Group:
    """Requests that are counted alike."""

    __slots__ = ("bytes", "count")

    def __init__(self) -> None:
        self.count = self.bytes = 0


class RequestCounting:
    """Counts what ends. A :data:`~regcache.web.records.Recorder`.

    Requests that are alike are counted together, and added up when that is taken away.

    :param fetched: gives the bytes that came from each upstream since the start.
    """

    def __init__(self, fetched: Callable[[], Mapping[str, int]]) -> None:
        self._fetched = fetched
        self._fetched_before: dict[str, int] = {}
        self._groups: dict[_Key, _Group] = {}
        self._upstreams: dict[str, Sums] = {}
        self._names: dict[tuple[str, str], Sums] = {}
        self._first_bytes = [0] * (len(BOUNDS) + 1)
        self._minutes: deque[_Minute] = deque(maxlen=_HOUR_MINUTES)

    def __call__(self, record: RequestRecord) -> None:
        if not record.is_distribution:
            self._count_beside(record)
            return
        outcome, is_pull = record.outcome, record.is_pull
        failed = (outcome in _BAD or record.ended_early != "") and is_failed(record)
        well = not failed and record.status < 400
        key = (record.upstream, record.repository, record.account, outcome, well, failed, is_pull)
        group = self._groups.get(key)
        if group is None:
            group = self._begin_group(key)
        group.count += 1
        group.bytes += record.body_bytes
        first = record.first_byte
        if first is not None:
            self._first_bytes[place_of(first)] += 1

    def _count_beside(self, record: RequestRecord) -> None:
        """Count what an account was served of tokens, pages and the like: bytes alone."""
        found = self._sums_of((NameKind.PRINCIPAL, record.account)) if record.account else None
        if found is not None:
            found.served += record.body_bytes

    def _begin_group(self, key: _Key) -> _Group:
        if len(self._groups) >= MOST_GROUPS:
            self._add_up()
        group = self._groups[key] = _Group()
        return group

    def _add_up(self) -> None:
        groups, self._groups = self._groups, {}
        for key, group in groups.items():
            upstream, repository, account, outcome, well, failed, is_pull = key
            sums = self._upstreams.setdefault(upstream, Sums())
            sums.failed += group.count * failed
            _count(sums, group, outcome)
            for kind, name, is_named in (
                (NameKind.PRINCIPAL, account, account != ""),
                # Of repositories only what is there, so that clients make up no names.
                (NameKind.REPOSITORY, f"{upstream}/{repository}", well and repository != ""),
            ):
                found = self._sums_of((kind, name)) if is_named else None
                if found is not None:
                    _count(found, group, outcome)
                    found.pulls += group.count * is_pull
                    found.fetched += group.bytes * (outcome in FETCHED)

    def _sums_of(self, key: tuple[str, str]) -> Sums | None:
        sums = self._names.get(key)
        if sums is None and len(self._names) < MOST_NAMES:
            sums = self._names[key] = Sums()
        return sums

    def take(self, now: float, disk: int | None) -> CountBatch:
        """What was counted since the last time.

        :param now: Unix seconds.
        :param disk: bytes that are stored.
        """
        self._add_up()
        for name, count in self._fetched().items():
            more = count - self._fetched_before.get(name, 0)
            if more:
                self._fetched_before[name] = count
                self._upstreams.setdefault(name, Sums()).fetched += more
        self._note_minute(int(now) // MINUTE)
        batch = CountBatch(now, self._upstreams, self._names, disk)
        self._upstreams, self._names = {}, {}
        self._first_bytes = [0] * len(self._first_bytes)
        return batch

    def _note_minute(self, number: int) -> None:
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(_Minute(number))
        minute = self._minutes[-1]
        for sums in self._upstreams.values():
            minute.requests += sums.requests
            minute.failed += sums.failed
        for place, count in enumerate(self._first_bytes):
            if count:
                minute.first_bytes[place] = minute.first_bytes.get(place, 0) + count

    def hour(self, now: float) -> HourCounts:
        """The last hour, up to a few seconds ago."""
        since = int(now) // MINUTE - _HOUR_MINUTES
        minutes = [each for each in self._minutes if each.number > since]
        return HourCounts(
            sum(each.requests for each in minutes),
            sum(each.failed for each in minutes),
            median(added_up(each.first_bytes for each in minutes)),
        )


def _count(sums: Sums, group: _Group, outcome: str) -> None:
    sums.requests += group.count
    sums.served += group.bytes
    sums.hits += group.count * (outcome in _HITS)


class _Week(NamedTuple):
    """What is known of the last seven days."""

    sums: Mapping[str, Sums]
    growth: float | None


class CountHistory(WritingService):
    """Writes what is counted, and reads it again.

    :param pool: for the disk.
    :param disk: gives the bytes that are stored; None where that is not known.
    :ivar week: sums of the last seven days by upstream; empty until they are known.
    :ivar growth: bytes a second by which the disk filled in these days; None where that is not
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
        """Write what was counted; it waits for another time if that fails."""
        now = self._clock.seconds()
        batch = self.counting.take(now, self._disk())
        writing = self._behind.write(batch, now >= self._week_at + WEEK_INTERVAL)
        return writing.addCallback(self._note_week)

    def _add(self, batch: CountBatch, with_week: bool) -> "_Week | None":
        """In a thread."""
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
        """The periods of a span, of one upstream or of all. Fails with OSError."""
        start = span.start(self._clock.seconds())
        return self._behind.run(self._file.series, span.step, start, upstream)

    def names(self, span: Span, kind: str) -> "Deferred[Mapping[str, Sums]]":
        """The sums of a span by name. Fails with OSError."""
        start = int(self._clock.seconds()) - span.seconds
        start = start // span.names_step * span.names_step
        return self._behind.run(self._file.names, span.names_step, start, kind)


def _merged(earlier: CountBatch, later: CountBatch) -> CountBatch:
    """Both as one, of the time of the later one."""
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
        known.served + more.served,
        known.fetched + more.fetched,
        known.requests + more.requests,
        known.hits + more.hits,
        known.failed + more.failed,
        known.pulls + more.pulls,
    )
