"""Counting requests, and writing that behind."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.requests.counting import MOST_NAMES, CountHistory, RequestCounting
from regcache.admin.requests.pending import PendingRecords
from regcache.admin.requests.written_behind import INTERVAL
from regcache.counts import SPANS, CountBatch, NameKind, Sums
from regcache.medians import BOUNDS, place_of
from regcache.store.count_file import CountFile
from tests.admin.requests.rows import row
from tests.support.pools import ImmediatePool

NOW = 1_800_000_000.0
REPOSITORY = (NameKind.REPOSITORY, "docker.io/library/alpine")


class CountingTests(SynchronousTestCase):
    """What a recorder counts."""

    def setUp(self) -> None:
        self.fetched: dict[str, int] = {}
        self.pending = PendingRecords()
        self.first_bytes = [0] * (len(BOUNDS) + 1)
        self.counting = RequestCounting(
            lambda: self.fetched, lambda: list(self.first_bytes), self.pending
        )

    def take(self) -> CountBatch:
        """What was counted."""
        return self.counting.take(NOW, None)

    def test_sums(self) -> None:
        """Requests, hits, failures and bytes are counted by upstream."""
        self.pending(row())
        self.pending(row(outcome="miss", body_bytes=500))
        self.pending(row(outcome="error", status=502, body_bytes=0))
        self.pending(row(outcome="denied", status=401, shows_login=False, upstream=""))
        self.pending(row(is_distribution=False))
        self.fetched["docker.io"] = 600
        batch = self.take()
        self.assertEqual(
            batch.upstreams["docker.io"],
            Sums(served=1500, fetched=600, requests=3, hits=1, failed=1),
        )
        self.assertEqual(batch.upstreams[""], Sums(served=1000, requests=1))
        self.fetched["docker.io"] = 700
        self.assertEqual(self.take().upstreams, {"docker.io": Sums(fetched=100)})

    def test_names(self) -> None:
        """What succeeded is counted by repository, and all that concerns an account by it."""
        bob = (NameKind.PRINCIPAL, "bob")
        self.pending(row(account="bob", is_pull=True))
        self.pending(row(reference="sha256:ab", outcome="miss"))
        self.pending(row(repository="made/up", outcome="error", status=404))
        self.pending(row(repository="made/up", outcome="error", status=404, account="bob"))
        self.pending(row(is_distribution=False, account="bob", body_bytes=5))
        names = self.take().names
        self.assertEqual(
            names[REPOSITORY], Sums(served=2000, fetched=1000, requests=2, hits=1, pulls=1)
        )
        self.assertEqual(names[bob], Sums(served=2005, requests=2, hits=1, pulls=1))
        self.assertEqual(len(names), 2)

    def test_overfilled(self) -> None:
        """Of too many names further ones are not counted by name."""
        for number in range(MOST_NAMES + 50):
            self.pending(row(repository=f"r{number}"))
        batch = self.take()
        self.assertEqual(len(batch.names), MOST_NAMES)
        self.assertEqual(batch.upstreams["docker.io"].requests, MOST_NAMES + 50)

    def test_hour(self) -> None:
        """The last hour: requests, failures, and the time in which half of them began."""
        self.assertEqual(self.counting.hour(NOW), (0, 0, None))
        for milliseconds in (1, 10, 1000):
            self.pending(row())
            self.first_bytes[place_of(milliseconds / 1000)] += 1
        self.pending(row(first_byte=None, outcome="error", status=502))
        self.take()
        hour = self.counting.hour(NOW)
        self.assertEqual((hour.requests, hour.failed), (4, 1))
        assert hour.first_byte is not None
        self.assertTrue(0.01 <= hour.first_byte <= 0.0125, hour)
        self.assertEqual(self.counting.hour(NOW + 3600).requests, 0)


class BrokenFile(CountFile):
    """Fails as long as it is told to."""

    broken = True

    def add(self, batch: CountBatch) -> None:
        """Add, or fail."""
        if self.broken:
            raise OSError("the disk is full")
        super().add(batch)


class HistoryTests(SynchronousTestCase):
    """Written behind."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.file = BrokenFile(self.mktemp())
        self.file.broken = False
        self.stored = 9
        self.history = self.make(self.file)

    def make(self, file: CountFile) -> CountHistory:
        """A history that runs."""
        pool: Any = ImmediatePool()
        self.pending = PendingRecords()
        counting = RequestCounting(dict, list, self.pending)
        history = CountHistory(
            counting, file, pool=pool, clock=self.clock, disk=lambda: self.stored
        )
        history.startService()
        self.addCleanup(lambda: history.running and history.stopService())
        return history

    def requests(self) -> int:
        """How many are in the file."""
        found = self.successResultOf(self.history.series(SPANS["24h"], None))
        return sum(each.sums.requests for each in found)

    def test_interval(self) -> None:
        """What was counted is in the file some seconds later."""
        self.pending(row())
        self.assertEqual(self.requests(), 0)
        self.clock.advance(INTERVAL)
        self.assertEqual(self.requests(), 1)

    def test_failure(self) -> None:
        """What cannot be written is written with what follows, and that is said once."""
        self.file.broken = True
        for _ in range(3):
            self.pending(row(account="bob"))
            self.clock.advance(INTERVAL)
        self.assertEqual(self.requests(), 0)
        self.file.broken = False
        self.clock.advance(INTERVAL)
        self.assertEqual(self.requests(), 3)
        names = self.successResultOf(self.history.names(SPANS["1h"], NameKind.PRINCIPAL))
        self.assertEqual(names["bob"].requests, 3)

    def test_growth(self) -> None:
        """How fast the disk fills is known once there are some hours of it."""
        self.assertIsNone(self.history.growth)
        for _ in range(32):
            self.stored += 900 * 5
            self.clock.advance(900)
        self.assertAlmostEqual(self.history.growth or 0.0, 5.0, places=1)

    def test_week(self) -> None:
        """The sums of a week are there for who asks at once."""
        self.assertEqual(self.history.week, {})
        self.pending(row())
        self.clock.pump([INTERVAL] * 14)
        self.assertEqual(self.history.week["docker.io"].requests, 1)

    def test_stop(self) -> None:
        """A stop writes what was counted."""
        path = self.mktemp()
        history = self.make(CountFile(path))
        self.pending(row())
        self.successResultOf(history.stopService())
        self.assertEqual(CountFile(path).by_upstream(60, 0)["docker.io"].requests, 1)
