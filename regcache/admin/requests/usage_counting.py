"""Counts what accounts use: in memory, and written behind every few seconds.

Requests are counted by kind first (:mod:`regcache.admin.requests.pending`); only quotas are told at
once. A kill -9 loses what ended in the last seconds, and what was being written.

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
from regcache.admin.requests.pending import Alike, PendingRecords
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
    """Counts what ends.

    :param book: the quotas, which are told as each request ends.
    :param is_known: whether an account is one of our own files; there are only so many of these.
    :param pending: hands on the requests that end.
    """

    def __init__(
        self,
        days: LocalDays,
        book: QuotaBook,
        is_known: Callable[[str], bool],
        pending: PendingRecords,
    ) -> None:
        self._days = days
        self._book = book
        self._is_known = is_known
        self._settle = pending.settle
        pending.accounts_to(self._account_ended)
        pending.alike_to(self._add_up)
        self._batch: dict[UsageKey, Usage] = {}
        self._named: set[str] = set()  # accounts that are told apart today
        self._others = 0  # how many of them are of no file of ours
        self._day = date.min
        self._begin = self._end = 0.0

    def _account_ended(self, record: RequestRecord) -> None:
        """A quota is up to the last byte, so it does not wait."""
        self._look_at_the_day(record)
        account = record.account
        if account not in self._named:
            self._tell_apart(account)
        self._book.end(account, record.serial, record.body_bytes, counted_for=self._name(account))

    def _tell_apart(self, account: str) -> None:
        """See whether an account is one of those from now on."""
        is_other = not self._is_known(account)
        if is_other and self._others >= MOST_OTHERS:
            return
        self._settle()  # who was none of them until now is counted as that
        self._named.add(account)
        self._others += is_other

    def _name(self, account: str) -> str:
        is_apart = account in self._named or self._others < MOST_OTHERS
        return account if is_apart else OTHERS

    def _look_at_the_day(self, record: RequestRecord) -> None:
        now = record.arrived + record.seconds
        if self._begin <= now < self._end:
            return
        day = self._days.day(now)
        if day != self._day:
            self._settle()
            self._day, self._others, self._named = day, 0, set()
        self._begin, self._end = now, self._days.next_day(now)

    def _add_up(self, kinds: Sequence[Alike]) -> None:
        for alike in kinds:
            one = alike.one
            self._look_at_the_day(one)
            if one.account:
                name, where = self._name(one.account), ""
            else:
                name, where = NOBODY, address_class(one.peer)
            key = UsageKey(self._day, name, where, one.upstream)
            usage = self._batch.get(key)
            if usage is None:
                usage = self._batch[key] = Usage()
            usage.requests += alike.count
            usage.pulls += alike.count * one.is_pull
            usage.served += alike.bytes
            if one.outcome in FETCHED:
                usage.fetched += alike.bytes
            elif one.outcome == "denied":
                usage.refused += alike.count * one.shows_login

    def take(self) -> UsageBatch:
        """What was counted since the last time."""
        self._settle()
        batch, self._batch = self._batch, {}
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
