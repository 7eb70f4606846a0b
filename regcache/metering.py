"""Puts together what counts usage and keeps to quotas: a part of the composition root."""

from collections.abc import Callable
from typing import Any

from regcache.access.quotas import QuotaBook
from regcache.account_metrics import AccountMetrics
from regcache.admin.requests.pending import PendingRecords
from regcache.admin.requests.usage_counting import UsageCounting, UsageHistory
from regcache.interfaces import IWorkPool
from regcache.light_dataclass import dataclass
from regcache.local_days import LocalDays
from regcache.metrics import Metrics
from regcache.store.usage_file import UsageFile
from regcache.web.pull_starts import PullStarts
from regcache.web.quota_gate import QuotaGate


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """What lives as long as the process.

    :ivar days: of local time.
    :ivar book: how much accounts were served.
    :ivar gate: refuses principals that have used up a quota.
    :ivar pulls: tells which requests begin a pull.
    :ivar accounts: tells the metrics.
    """

    days: LocalDays
    book: QuotaBook
    gate: QuotaGate
    pulls: PullStarts
    accounts: AccountMetrics

    def history(
        self,
        path: str,
        reactor: Any,
        pool: IWorkPool,
        *,
        is_known: Callable[[str], bool],
        pending: PendingRecords,
    ) -> UsageHistory:
        """What counts usage and writes it. Once in a process.

        :param path: of the file.
        :param is_known: whether an account is one of our own files.
        :param pending: hands on the requests that end.
        """
        counting = UsageCounting(self.days, self.book, is_known, pending)
        return UsageHistory(
            counting,
            self.book,
            UsageFile(path),
            pool=pool,
            clock=reactor,
            days=self.days,
            told=self.accounts.add,
        )


def build_metering(reactor: Any, metrics: Metrics) -> Metering:
    """Make it."""
    days, accounts = LocalDays(), AccountMetrics()
    metrics.registry.register(accounts)
    book = QuotaBook(reactor, days)
    return Metering(
        days=days,
        book=book,
        gate=QuotaGate(book, reactor),
        pulls=PullStarts(reactor),
        accounts=accounts,
    )
