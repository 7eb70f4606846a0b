"""Counts what accounts use in memory, and writes it to the disk every few seconds.

Requests are counted by kind first (:mod:`regcache.admin.requests.pending`); only quotas get each
request at once. A kill -9 loses the requests of the last seconds, and those being written.

=================  =======================  ==================================================
the file           event                    what happens
=================  =======================  ==================================================
not read yet       the service starts, or   the file is read; the bytes that were served before
                   the interval is over     are added to the quotas once
not read yet       it cannot be read        the quotas use the counts since the start; nothing
                                            is written, and the file is read again later
read               the interval is over     the counts are written
read               the write fails          the counts are kept, and written with the next ones
any                the service stops        the same is done once more; the file is closed
=================  =======================  ==================================================

So the sums that are read never include what this process has counted.
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

#: At most so many accounts of an external token server are counted by name each day; all others
#: count as one.
MOST_OTHERS = 1000


class UsageCounting:
    """Counts requests by account as they end.

    :param book: the quotas, which get each request as it ends.
    :param is_known: returns whether an account is in a file of ours; their number is limited.
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
        self._named: set[str] = set()  # accounts that are counted by name today
        self._others = 0  # how many of them are in no file of ours
        self._day = date.min
        self._begin = self._end = 0.0

    def _account_ended(self, record: RequestRecord) -> None:
        """Count a request for its quota at once, since quotas are exact to the byte."""
        self._look_at_the_day(record)
        account = record.account
        if account not in self._named:
            self._tell_apart(account)
        self._book.end(account, record.serial, record.body_bytes, counted_for=self._name(account))

    def _tell_apart(self, account: str) -> None:
        """Count an account by its name from now on, if there are not too many."""
        is_other = not self._is_known(account)
        if is_other and self._others >= MOST_OTHERS:
            return
        self._settle()  # earlier requests are counted as before
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
        """Take the counts since the last call."""
        self._settle()
        batch, self._batch = self._batch, {}
        return batch


class UsageHistory(WritingService):
    """Writes the counts, and reads them again. It reads what was served before first.

    :param pool: runs what uses the disk.
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
        """Write the counts."""
        today, batch = self.today(), self.counting.take()
        self._told(batch)
        if self._is_read:
            return self._behind.write(batch, today)
        self._behind.keep(batch)
        reading = self._behind.run(self._file.served, today)
        return reading.addCallbacks(self._read, self._not_read, callbackArgs=(today,))

    def _read(self, served: Any, today: date) -> "Deferred[Any] | None":
        if self._is_read:
            return None  # another read has ended meanwhile
        self._is_read = True
        self._book.load(served, today)
        return self._behind.write({}, today)

    def _not_read(self, failure: Failure) -> None:
        self._behind.say(failure)
        self._book.opened.succeed()

    def today(self) -> date:
        """Return the current day of local time."""
        return self._days.day(self._clock.seconds())

    def rows(self, question: UsageQuestion, most: int) -> "Deferred[Sequence[UsageRow]]":
        """Read the sums that a question asks for, up to now. Fails with OSError.

        It fails with TooManyRowsError if there are more than ``most``.
        """
        self.write()
        return self._behind.run(self._file.rows, question, most)


def merged(earlier: UsageBatch, later: UsageBatch) -> UsageBatch:
    """Make one batch of two."""
    both = dict(earlier)
    for key, more in later.items():
        known = both.get(key)
        if known is None:
            both[key] = more
        else:
            known.add(more)
    return both
