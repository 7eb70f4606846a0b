"""How much accounts were served, and whether that is all."""

from datetime import date, datetime
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.quotas import DAILY, MONTHLY, QuotaBook, ReachedQuota
from regcache.local_days import LocalDays
from regcache.seats import Seat
from regcache.usage import ServedTo
from tests.test_local_days import set_zone

DAY = 86_400.0


class QuotaBookTests(SynchronousTestCase):
    """The sums, by a clock that the test turns."""

    def setUp(self) -> None:
        set_zone(self, "Europe/Berlin")
        self.start(datetime(2026, 11, 30, 12))

    def start(self, now: datetime) -> None:
        """A new process."""
        self.clock = Clock()
        self.clock.advance(now.timestamp())
        self.book = QuotaBook(self.clock, LocalDays())

    def reached(self, **quota: Any) -> ReachedQuota | None:
        """What alice has used up."""
        return self.book.reached(Seat(name="alice", **quota))

    def test_bounds(self) -> None:
        """A quota is used up when all of it was served, and not a byte before."""
        self.assertIsNone(self.reached(daily=1, monthly=1))
        self.book.end("alice", 1, 99)
        self.assertIsNone(self.reached(daily=100, monthly=100))
        self.book.end("alice", 2, 1)
        self.assertEqual(self.reached(daily=100), ReachedQuota(DAILY, 100, DAY / 2))
        self.assertEqual(self.reached(monthly=100), ReachedQuota(MONTHLY, 100, DAY / 2))
        self.assertIsNone(self.reached(daily=101, monthly=101))
        self.assertIsNone(self.reached())
        self.assertIsNone(self.book.reached(Seat(name="bob", daily=1, monthly=1)))
        self.assertEqual(self.reached(daily=0), ReachedQuota(DAILY, 0, DAY / 2))

    def test_under_way(self) -> None:
        """What answers under way have sent counts at once, and once."""
        sent = {1: 0, 2: 0}
        for serial in sent:
            self.book.begin("alice", serial, lambda serial=serial: sent[serial])
        sent[1], sent[2] = 40, 60
        self.assertEqual(self.book.used("alice"), ServedTo(100, 100))
        self.assertEqual(self.reached(daily=100), ReachedQuota(DAILY, 100, DAY / 2))
        self.book.end("alice", 1, 45)
        self.assertEqual(self.book.used("alice"), ServedTo(105, 105))
        self.book.end("alice", 2, 60)
        self.assertEqual(self.book.used("alice"), ServedTo(105, 105))

    def test_midnight(self) -> None:
        """At midnight the day begins anew, and at the end of November the month."""
        self.book.end("alice", 1, 100)
        self.clock.advance(DAY / 2 - 0.5)
        self.assertEqual(self.reached(daily=100), ReachedQuota(DAILY, 100, 0.5))
        self.clock.advance(0.5)
        self.assertIsNone(self.reached(daily=1, monthly=1))
        self.book.end("alice", 2, 7)
        self.clock.advance(DAY)
        self.assertEqual(self.book.used("alice"), ServedTo(0, 7))
        self.book.end("alice", 3, 1)
        self.assertEqual(self.book.used("alice"), ServedTo(1, 8))

    def test_clock_changes(self) -> None:
        """The day on which clocks are put back has 25 hours, the other one 23."""
        for day, hours in ((date(2026, 10, 25), 25), (date(2027, 3, 28), 23)):
            self.start(datetime(day.year, day.month, day.day))
            self.book.end("alice", 1, 1)
            self.assertEqual(self.reached(daily=1), ReachedQuota(DAILY, 1, hours * 3600.0))
            self.clock.advance(hours * 3600 - 1)
            self.assertEqual(self.reached(daily=1), ReachedQuota(DAILY, 1, 1.0))
            self.clock.advance(1)
            self.assertIsNone(self.reached(daily=1))
            self.assertEqual(self.book.used("alice"), ServedTo(0, 1))

    def test_end_over_midnight(self) -> None:
        """An answer over midnight counts on the day on which it ends."""
        self.book.begin("alice", 1, lambda: 80)
        self.clock.advance(DAY / 2)
        self.assertEqual(self.book.used("alice"), ServedTo(80, 80))
        self.book.end("alice", 1, 90)
        self.assertEqual(self.book.used("alice"), ServedTo(90, 90))

    def test_other_name(self) -> None:
        """What ends under another name than it began with, of who was removed, is not kept."""
        self.book.begin("alice", 1, lambda: 80)
        self.book.end("alice", 1, 90, counted_for="*")
        self.assertEqual(self.book.used("alice"), ServedTo(0, 0))
        self.assertEqual(self.book.used("*"), ServedTo(90, 90))

    def test_overfilled(self) -> None:
        """Who was served something in another month takes no room in this one."""
        for number in range(5000):
            self.book.end(f"job-{number}", number, 1)
        self.assertEqual(len(self.book), 5000)
        self.clock.advance(DAY)
        self.assertEqual(self.book.used("job-1"), ServedTo(0, 0))
        self.assertEqual(len(self.book), 0)
        self.book.end("alice", 1, 1)
        self.assertEqual(len(self.book), 1)

    def test_load(self) -> None:
        """What was served before the start is added to what was counted meanwhile."""
        self.assertFalse(self.book.opened.open)
        self.book.end("alice", 1, 5)
        self.book.load({"alice": ServedTo(10, 100), "bob": ServedTo(0, 7)}, date(2026, 11, 30))
        self.assertTrue(self.book.opened.open)
        self.assertEqual(self.book.used("alice"), ServedTo(15, 105))
        self.assertEqual(self.book.used("bob"), ServedTo(0, 7))

    def test_load_at_midnight(self) -> None:
        """What was read before midnight is no part of the day after, nor of its month."""
        self.clock.advance(DAY / 2)
        self.book.end("alice", 1, 5)
        self.book.load({"alice": ServedTo(10, 100), "bob": ServedTo(1, 1)}, date(2026, 11, 30))
        self.assertEqual(self.book.used("alice"), ServedTo(5, 5))
        self.assertEqual(self.book.used("bob"), ServedTo(0, 0))
