"""How much accounts use, as metrics. Of many accounts only the first have a series of their own."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from regcache.usage import OTHERS, Usage, UsageBatch

#: Accounts that are told apart; GET usage has all of them.
MOST_ACCOUNTS = 200


class AccountMetrics(Collector):
    """Sums since the start, by account."""

    def __init__(self, most: int = MOST_ACCOUNTS) -> None:
        self._most = most
        self._sums: dict[str, Usage] = {}

    def add(self, batch: UsageBatch) -> None:
        """Add what was counted lately."""
        for key, usage in batch.items():
            known = key.account in self._sums or len(self._sums) < self._most
            self._sums.setdefault(key.account if known else OTHERS, Usage()).add(usage)

    def collect(self) -> Iterator[Metric]:
        """All of it, when the metrics are read."""
        for name, text, field in (
            (
                "regcache_account_requests",
                "Requests of accounts, up to some seconds ago.",
                "requests",
            ),
            ("regcache_account_served_bytes", "Body bytes sent to accounts.", "served"),
            ("regcache_account_refused", "Requests that were refused to accounts.", "refused"),
        ):
            family = CounterMetricFamily(name, text, labels=["account"])
            for account, usage in self._sums.items():
                family.add_metric([account], getattr(usage, field))
            yield family
