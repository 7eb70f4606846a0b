"""Counting what accounts use, and writing that behind."""

from datetime import date
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.quotas import QuotaBook
from regcache.admin.requests.pending import PendingRecords
from regcache.admin.requests.usage_counting import (
    MOST_OTHERS,
    UsageCounting,
    UsageHistory,
)
from regcache.admin.requests.written_behind import INTERVAL
from regcache.local_days import LocalDays
from regcache.store.usage_file import UsageFile
from regcache.usage import (
    NOBODY,
    OTHERS,
    AddressClass,
    ServedTo,
    Usage,
    UsageKey,
    UsageQuestion,
    UsageRow,
    address_class,
)
from regcache.web.records import refused_record
from tests.admin.requests.rows import row
from tests.support.pools import ImmediatePool

NOW = 1_800_000_000.0
ALL = UsageQuestion(first=date.min, last=date.max)


class UsageCase(SynchronousTestCase):
    """A clock, and what counts by it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.days = LocalDays()
        self.today = self.days.day(NOW)
        self.start()

    def start(self) -> None:
        """A new process."""
        self.book = QuotaBook(self.clock, self.days)
        self.known = {"alice", "bob"}
        self.pending = PendingRecords()
        self.counting = UsageCounting(
            self.days, self.book, lambda name: name in self.known, self.pending
        )

    def key(self, account: str, address_class: str = "", upstream: str = "docker.io") -> UsageKey:
        """A key of today."""
        return UsageKey(self.today, account, address_class, upstream)


class CountingTests(UsageCase):
    """What a recorder counts."""

    def test_sums(self) -> None:
        """Each request is counted by account and upstream; who has none by the address."""
        for changes in (
            {"account": "alice", "is_pull": True},
            {"account": "alice", "outcome": "miss", "body_bytes": 50},
            {"account": "alice", "outcome": "relay", "body_bytes": 7, "ended_early": "cut"},
            {"account": "alice", "outcome": "denied", "status": 429, "body_bytes": 3},
            {"account": "bob", "upstream": "", "is_distribution": False},
            {"outcome": "denied", "status": 401, "shows_login": False, "body_bytes": 9},
            {"peer": "unix"},
            {"peer": "10.1.2.3", "status": 304, "body_bytes": 0},
        ):
            self.pending(row(**({"peer": "8.8.8.8"} | changes)))  # type: ignore[arg-type]
        self.assertEqual(
            self.counting.take(),
            {
                self.key("alice"): Usage(requests=4, pulls=1, served=1060, fetched=57, refused=1),
                self.key("bob", upstream=""): Usage(requests=1, served=1000),
                self.key(NOBODY, AddressClass.PUBLIC): Usage(requests=1, served=9),
                self.key(NOBODY, AddressClass.LOCAL): Usage(requests=1, served=1000),
                self.key(NOBODY, AddressClass.PRIVATE): Usage(requests=1),
            },
        )
        self.assertEqual(self.counting.take(), {})
        self.assertEqual(self.book.used("alice"), ServedTo(1060, 1060))

    def test_overfilled(self) -> None:
        """Accounts of a token server are told apart up to a bound, our own ones always."""
        for number in range(MOST_OTHERS + 50):
            self.pending(row(account=f"job-{number}", body_bytes=1))
        self.pending(row(account="alice"))
        batch = self.counting.take()
        self.assertEqual(len(batch), MOST_OTHERS + 2)
        self.assertEqual(batch[self.key(OTHERS)].served, 50)
        self.assertEqual(batch[self.key("alice")].requests, 1)
        self.assertEqual(self.book.used("job-5000"), ServedTo(0, 0))
        self.book.begin("job-5000", 7, lambda: 40)
        self.pending(row(account="job-5000", serial=7, body_bytes=40))
        self.assertEqual(self.book.used("job-5000"), ServedTo(0, 0))
        self.counting.take()
        self.clock.advance(86_400)
        self.pending(row(account="job-5000", arrived=self.clock.seconds()))
        (key,) = self.counting.take()
        self.assertEqual(key.account, "job-5000")

    def test_midnight(self) -> None:
        """A request that waits at midnight counts on the day on which it ended."""
        midnight = self.days.next_day(NOW)
        for account in ("alice", "", "job-1"):
            for end in (midnight - 0.5, midnight + 0.5):
                self.clock.advance(max(0.0, end - self.clock.seconds()))
                self.pending(row(account=account, arrived=end - 0.004, peer="unix"))
        tomorrow = self.days.day(midnight)
        batch = self.counting.take()
        days = sorted((key.account, key.day, each.requests) for key, each in batch.items())
        self.assertEqual(
            days,
            [
                (name, day, 1)
                for name in ("alice", NOBODY, "job-1")
                for day in (self.today, tomorrow)
            ],
        )

    def test_late(self) -> None:
        """What ended before midnight and is taken away after it is none of the new day's."""
        self.pending(row(account="alice", arrived=self.days.next_day(NOW) - 1))
        self.clock.advance(86_400)
        self.assertEqual([key.day for key in self.counting.take()], [self.today])

    def fill(self) -> None:
        """So many accounts of a token server came that no other is told apart."""
        for number in range(MOST_OTHERS):
            self.pending(row(account=f"job-{number}"))
        self.counting.take()

    def test_removed(self) -> None:
        """What an account had before it was removed is its own, though it is added up later."""
        self.fill()
        self.pending(row(account="alice"))
        self.known.clear()
        self.assertEqual(self.counting.take(), {self.key("alice"): Usage(requests=1, served=1000)})
        self.assertEqual(self.book.used("alice"), ServedTo(1000, 1000))

    def test_added(self) -> None:
        """What counted for nobody alone still does after its account became one of ours."""
        self.fill()
        self.pending(row(account="carol"))
        self.known.add("carol")
        self.pending(row(account="carol"))
        self.assertEqual(
            self.counting.take(),
            {
                self.key(OTHERS): Usage(requests=1, served=1000),
                self.key("carol"): Usage(requests=1, served=1000),
            },
        )
        self.assertEqual(self.book.used("carol"), ServedTo(1000, 1000))

    def test_next_day(self) -> None:
        """What counted for nobody alone still does once another day has begun for another."""
        self.fill()
        self.pending(row(account="carol"))
        self.pending(row(account="alice", arrived=NOW + 86_400))
        self.assertEqual(
            {key.account: key.day for key in self.counting.take()},
            {OTHERS: self.today, "alice": self.days.day(NOW + 86_400)},
        )

    def test_quota(self) -> None:
        """A quota has what an answer sent as soon as it has ended."""
        self.book.begin("alice", 7, lambda: 900)
        self.assertEqual(self.book.used("alice"), ServedTo(900, 900))
        self.pending(row(account="alice", serial=7))
        self.assertEqual(self.book.used("alice"), ServedTo(1000, 1000))

    def test_refused(self) -> None:
        """What was refused before it was a request counts on its day, too."""
        self.pending(refused_record(None, "no request", 400, listener="443", now=NOW))
        self.assertEqual(
            self.counting.take(), {self.key(NOBODY, AddressClass.LOCAL, ""): Usage(requests=1)}
        )

    def test_addresses(self) -> None:
        """Every address, even an invalid one, is of one of three classes."""
        for address, expected in (
            ("127.0.0.2", AddressClass.LOCAL),
            ("::1", AddressClass.LOCAL),
            ("unix", AddressClass.LOCAL),
            ("192.168.3.4", AddressClass.PRIVATE),
            ("fe80::1%eth0", AddressClass.PRIVATE),
            ("fd00::1", AddressClass.PRIVATE),
            ("1.1.1.1", AddressClass.PUBLIC),
            ("2606:4700::1111", AddressClass.PUBLIC),
        ):
            self.assertEqual(address_class(address), expected, address)


class BrokenFile(UsageFile):
    """Fails as long as it is told to."""

    cannot_read = cannot_write = is_wrong = False

    def add(self, batch: Any, today: date) -> None:
        """Add, or fail."""
        if self.cannot_write:
            raise OSError("the disk is full")
        if self.is_wrong:
            raise ValueError("a fault of ours")
        super().add(batch, today)

    def served(self, today: date) -> Any:
        """Read, or fail."""
        if self.cannot_read:
            raise OSError("the disk is ill")
        if self.is_wrong:
            raise ValueError("a fault of ours")
        return super().served(today)


class SlowPool:
    """Runs nothing until it is told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Any, tuple[Any, ...]]] = []

    def run(self, function: Any, *arguments: Any) -> "Deferred[Any]":
        """Keep it."""
        self.waiting.append((Deferred(), function, arguments))
        return self.waiting[-1][0]

    def go_on(self) -> None:
        """Run what waits."""
        waiting, self.waiting = self.waiting, []
        for done, function, arguments in waiting:
            done.callback(function(*arguments))


class HistoryTests(UsageCase):
    """Written behind."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = str(folder / "usage.sqlite")
        super().setUp()

    def start(self, pool: Any = None, **faults: bool) -> None:
        """A new process."""
        super().start()
        self.file = BrokenFile(self.path)
        for name, value in faults.items():
            setattr(self.file, name, value)
        history = UsageHistory(
            self.counting,
            self.book,
            self.file,
            pool=pool or ImmediatePool(),
            clock=self.clock,
            days=self.days,
        )
        history.startService()
        self.history = history
        self.addCleanup(lambda: history.running and history.stopService())

    def rows(self) -> list[UsageRow]:
        """What is in the file."""
        file = UsageFile(self.path)
        rows = list(file.rows(ALL, 100))
        file.close()
        return rows

    def served(self) -> int:
        """How much that is."""
        return sum(usage.served for _, usage in self.rows())

    def test_interval(self) -> None:
        """What was counted is in the file some seconds later, within ten in any case."""
        self.assertLess(2 * INTERVAL, 10.5)
        self.pending(row(account="alice"))
        self.assertEqual(self.served(), 0)
        self.clock.advance(INTERVAL)
        self.assertEqual(self.rows(), [(self.key("alice"), Usage(requests=1, served=1000))])

    def test_killed(self) -> None:
        """A process that is killed loses what was not written, and counts nothing twice."""
        self.pending(row(account="alice"))
        self.clock.advance(INTERVAL)
        self.pending(row(account="alice"))
        self.history._loop.stop()
        self.history.running = False
        self.start()
        self.assertEqual(self.book.used("alice"), ServedTo(1000, 1000))
        self.pending(row(account="alice"))
        self.clock.advance(INTERVAL)
        self.assertEqual(self.served(), 2000)
        self.assertEqual(self.book.used("alice"), ServedTo(2000, 2000))

    def test_stop(self) -> None:
        """A stop writes what was counted."""
        self.pending(row(account="alice"))
        self.successResultOf(self.history.stopService())
        self.assertEqual(self.served(), 1000)

    def test_full(self) -> None:
        """What cannot be written is kept, and written with what follows; the quotas go on."""
        self.file.cannot_write = True
        for _ in range(3):
            self.pending(row(account="alice"))
            self.clock.advance(INTERVAL)
        self.assertEqual(self.served(), 0)
        self.assertEqual(self.book.used("alice"), ServedTo(3000, 3000))
        self.file.cannot_write = False
        self.clock.advance(INTERVAL)
        self.assertEqual(self.served(), 3000)

    def test_wrong(self) -> None:
        """An error that is no fault of the disk loses no batch either, and is logged once."""
        self.file.is_wrong = True
        for _ in range(3):
            self.pending(row(account="alice"))
            self.clock.advance(INTERVAL)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.file.is_wrong = False
        self.clock.advance(INTERVAL)
        self.assertEqual(self.served(), 3000)

    def test_wrong_at_the_start(self) -> None:
        """So it is while the file is read: the quotas go by what is counted until it can be."""
        self.pending(row(account="alice"))
        self.successResultOf(self.history.stopService())
        self.start(is_wrong=True)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertTrue(self.book.opened.open)
        self.file.is_wrong = False
        self.clock.advance(INTERVAL)
        self.assertEqual(self.book.used("alice"), ServedTo(1000, 1000))

    def test_no_text(self) -> None:
        """A name that the file cannot have is left out of it, and told; the rest is written."""
        self.pending(row(account="\ud800"))
        self.pending(row(account="alice"))
        with capturedLogs() as logs:
            self.clock.advance(INTERVAL)
        told = [formatEvent(each) for each in logs if each["log_level"] is LogLevel.error]
        self.assertEqual(len(told), 1)
        self.assertIn("'\\ud800'", told[0])
        self.assertEqual(self.rows(), [(self.key("alice"), Usage(requests=1, served=1000))])

    def test_unreadable(self) -> None:
        """A file that cannot be read stops nobody; what was in it counts when it can be."""
        self.pending(row(account="alice"))
        self.successResultOf(self.history.stopService())
        self.start(cannot_read=True)
        self.assertTrue(self.book.opened.open)
        self.pending(row(account="alice"))
        self.clock.advance(INTERVAL)
        self.assertEqual(self.book.used("alice"), ServedTo(1000, 1000))
        self.assertEqual(self.served(), 1000)
        self.file.cannot_read = False
        self.clock.advance(INTERVAL)
        self.assertEqual(self.book.used("alice"), ServedTo(2000, 2000))
        self.assertEqual(self.served(), 2000)

    def test_slow_start(self) -> None:
        """Reading that takes long is done once, before anything is written."""
        self.pending(row(account="alice"))
        self.successResultOf(self.history.stopService())
        pool = SlowPool()
        self.start(pool)
        self.pending(row(account="alice"))
        self.clock.pump([INTERVAL] * 3)
        self.assertFalse(self.book.opened.open)
        for _ in range(10):
            pool.go_on()
        self.assertTrue(self.book.opened.open)
        self.assertEqual(self.book.used("alice"), ServedTo(2000, 2000))
        self.assertEqual(self.served(), 2000)
        stopping = self.history.stopService()
        pool.go_on()
        pool.go_on()
        self.successResultOf(stopping)

    def test_rows(self) -> None:
        """Who asks is told what was counted until now."""
        self.pending(row(account="alice"))
        rows = self.successResultOf(self.history.rows(ALL, 10))
        self.assertEqual([usage.served for _, usage in rows], [1000])
