"""Counts what accounts use: in memory, and written behind every few seconds.

What a recorder does is done for every request, so it only adds to a few numbers. A kill -9 loses
what ended in the last seconds, and what was being written.

=================  =======================  ==================================================
the file           event                    what holds afterwards
=================  =======================  ==================================================
not read yet       the service starts, or   what was served before is added to the quotas, once
                   the interval is over
not read yet       it cannot be read        the quotas go by what was counted since the start;
                                            nothing is written, and it is read again later
read               the interval is over     what was counted is written
read               that fails               it is kept, and written with what follows
any                the service stops        the same once more, and the file is closed
=================  =======================  ==================================================

So what was read never includes what this process has counted.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from regcache.access.quotas import QuotaBook
from regcache.admin.requests.counting import FETCHED
from regcache.admin.requests.written_behind import WritingService, WrittenBehind
from regcache.interfaces import IWorkPool
from regcache.local_days import LocalDays
from regcache.usage import (
    NOBODY,
    OTHERS,
    IUsageFile,
    Usage,
    UsageBatch,
    UsageKey,
    UsageQuestion,
    UsageRow,
    address_class,
)
from regcache.web.records import RequestRecord

#: Accounts of an external token server that are told apart each day; further ones count as one.
MOST_OTHERS = 1000


class UsageCounting:
    """Counts what ends. A :data:`~regcache.web.records.Recorder`.

    :param book: the quotas, which are told as well.
    :param is_known: whether an account is one of our own files; there are only so many of these.
    """

    def __init__(
        self, clock: IReactorTime, days: LocalDays, book: QuotaBook, is_known: Callable[[str], bool]
    ) -> None:
        self._clock = clock
        self._days = days
        self._book = book
        self._is_known = is_known
        self._batch: dict[UsageKey, Usage] = {}
        self._today: dict[tuple[str, str, str], Usage] = {}  # of the batch, what is of the day
        self._others: set[str] = set()
        self._day = date.min
        self._begin = self._end = 0.0

    def __call__(self, record: RequestRecord) -> None:
        now = self._clock.seconds()
        if not self._begin <= now < self._end:
            self._look_at_the_day(now)
        account = record.account
        if account:
            name, where = self._name(account), ""
            self._book.end(account, record.serial, record.body_bytes, counted_for=name)
        else:
            name, where = NOBODY, address_class(record.peer)
        upstream = record.upstream
        usage = self._today.get((name, where, upstream))
        if usage is None:
            usage = self._today[name, where, upstream] = Usage()
            self._batch[UsageKey(self._day, name, where, upstream)] = usage
        usage.requests += 1
        usage.pulls += record.is_pull
        usage.served += record.body_bytes
        if record.outcome in FETCHED:
            usage.fetched += record.body_bytes
        elif record.outcome == "denied":
            usage.refused += record.shows_login

    def _look_at_the_day(self, now: float) -> None:
        day = self._days.day(now)
        if day != self._day:
            self._day, self._others, self._today = day, set(), {}
        self._begin, self._end = now, self._days.next_day(now)

    def _name(self, account: str) -> str:
        if account in self._others or self._is_known(account):
            return account
        if len(self._others) >= MOST_OTHERS:
            return OTHERS
        self._others.add(account)
        return account

    def take(self) -> UsageBatch:
        """What was counted since the last time."""
        batch, self._batch, self._today = self._batch, {}, {}
        return batch


class UsageHistory(WritingService):
    """Writes what is counted, and reads it again; what was served before is read first.

    :param pool: for the disk.
    :param told: gets each batch as it is taken.
    """

    def __init__(
        self,
        counting: UsageCounting,
        book: QuotaBook,
        file: IUsageFile,
        *,
        pool: IWorkPool,
        clock: IReactorTime,
        days: LocalDays,
        told: Callable[[UsageBatch], object] = lambda batch: None,
    ) -> None:
        self._told = told
        self.counting = counting
        self._book = book
        self._file = file
        self._days = days
        behind: WrittenBehind[UsageBatch, None] = WrittenBehind(
            pool, file.add, merged, what="usage"
        )
        super().__init__(clock, behind, file.close)
        self._is_read = False

    def write(self) -> "Deferred[Any]":
        """Write what was counted."""
        today, batch = self.today(), self.counting.take()
        self._told(batch)
        if self._is_read:
            return self._behind.write(batch, today)
        self._behind.keep(batch)
        reading = self._behind.run(self._file.served, today)
        return reading.addCallbacks(self._read, self._not_read, callbackArgs=(today,))

    def _read(self, served: Any, today: date) -> "Deferred[Any] | None":
        if self._is_read:
            return None  # it was asked for again meanwhile
        self._is_read = True
        self._book.load(served, today)
        return self._behind.write({}, today)

    def _not_read(self, failure: Failure) -> None:
        self._behind.say(failure)
        self._book.opened.succeed()

    def today(self) -> date:
        """The day of local time."""
        return self._days.day(self._clock.seconds())

    def rows(self, question: UsageQuestion, most: int) -> "Deferred[Sequence[UsageRow]]":
        """The sums that are asked for, up to a moment ago. Fails with OSError.

        It fails with TooManyRowsError if there are more than ``most``.
        """
        self.write()
        return self._behind.run(self._file.rows, question, most)


def merged(earlier: UsageBatch, later: UsageBatch) -> UsageBatch:
    """Both as one."""
    both = dict(earlier)
    for key, more in later.items():
        known = both.get(key)
        if known is None:
            both[key] = more
        else:
            known.add(more)
    return both
