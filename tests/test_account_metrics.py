"""How much accounts use, as metrics."""

from datetime import date

from twisted.trial.unittest import SynchronousTestCase

from regcache.account_metrics import MOST_ACCOUNTS, AccountMetrics
from regcache.metrics import Metrics
from regcache.usage import OTHERS, Usage, UsageKey


class AccountMetricsTests(SynchronousTestCase):
    """What is told."""

    def setUp(self) -> None:
        self.metrics, self.accounts = Metrics(), AccountMetrics()
        self.metrics.registry.register(self.accounts)

    def add(self, account: str, upstream: str = "a") -> None:
        """Something was counted."""
        key = UsageKey(date(2026, 12, 1), account, "", upstream)
        self.accounts.add({key: Usage(requests=1, served=10, refused=2)})

    def lines(self) -> list[str]:
        """The lines about accounts."""
        text = self.metrics.render().decode()
        return [line for line in text.splitlines() if line.startswith("regcache_account_")]

    def test_sums(self) -> None:
        """Each account has its sums, over all upstreams and batches."""
        self.add("alice")
        self.add("alice", "b")
        self.add("bob")
        self.assertEqual(
            self.lines(),
            [
                'regcache_account_requests_total{account="alice"} 2.0',
                'regcache_account_requests_total{account="bob"} 1.0',
                'regcache_account_served_bytes_total{account="alice"} 20.0',
                'regcache_account_served_bytes_total{account="bob"} 10.0',
                'regcache_account_refused_total{account="alice"} 4.0',
                'regcache_account_refused_total{account="bob"} 2.0',
            ],
        )

    def test_overfilled(self) -> None:
        """Too many accounts share one series."""
        for number in range(MOST_ACCOUNTS + 50):
            self.add(f"a{number}")
        self.add("a7")
        lines = self.lines()
        self.assertEqual(len(lines), 3 * (MOST_ACCOUNTS + 1))
        self.assertIn(f'regcache_account_requests_total{{account="{OTHERS}"}} 50.0', lines)
        self.assertIn('regcache_account_requests_total{account="a7"} 2.0', lines)
