"""What the service manager is told: the rows of the table at the top of the module."""

import time
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.manager_reports import INTERVAL, ManagerReports, status_line

EXTEND = "EXTEND_TIMEOUT_USEC=30000000"


class Told:
    """A service manager that notes what it hears."""

    def __init__(self, wanted: bool = True) -> None:
        self.wanted = wanted
        self.messages: list[tuple[str, ...]] = []

    def send(self, *lines: str) -> None:
        """Note it."""
        self.messages.append(lines)

    def close(self) -> None:
        """Note that nothing follows."""
        self.messages.append(("closed",))

    def taken(self) -> list[tuple[str, ...]]:
        """What came since the last look."""
        messages, self.messages = self.messages, []
        return messages


class ReportCase(SynchronousTestCase):
    """The reports of a daemon that has been started, with a clock of their own."""

    def reports(self, watchdog: float | None = None, wanted: bool = True) -> ManagerReports:
        """Start them."""
        self.clock, self.told = Clock(), Told(wanted)
        told: Any = self.told
        made = ManagerReports(told, self.clock, watchdog=watchdog, status=lambda: "fine")
        made.startService()
        return made


class StateTests(ReportCase):
    """States and times."""

    def test_start(self) -> None:
        """A start that lasts asks for time; READY comes once all is open."""
        reports = self.reports()
        self.assertEqual(self.told.taken(), [("WATCHDOG=1", EXTEND)])
        self.clock.advance(INTERVAL)
        self.assertEqual(self.told.taken(), [("WATCHDOG=1", EXTEND)])
        reports.ready()
        self.assertEqual(self.told.taken(), [("READY=1", "STATUS=fine")])
        self.clock.advance(INTERVAL)
        self.assertEqual(self.told.taken(), [("WATCHDOG=1", "STATUS=fine")])

    def test_watchdog(self) -> None:
        """A watchdog hears often enough; a long one more often than it wants, for the status."""
        for watchdog, interval in ((3.0, 1.0), (60.0, INTERVAL), (None, INTERVAL)):
            reports = self.reports(watchdog)
            reports.ready()
            self.told.taken()
            self.clock.pump([interval / 4] * 12)
            self.assertEqual(len(self.told.taken()), 3, watchdog)

    def test_reload(self) -> None:
        """Each reload has the time at which it was asked for; READY follows the last."""
        reports = self.reports()
        reports.ready()
        self.told.taken()
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        reports.reload_asked()
        ((first, stamp),) = self.told.taken()
        name, _, value = stamp.partition("=")
        self.assertEqual((first, name), ("RELOADING=1", "MONOTONIC_USEC"))
        self.assertGreaterEqual(int(value), before)
        reports.reload_done()
        self.assertEqual(self.told.taken(), [("READY=1", "STATUS=fine")])

    def test_early_reload(self) -> None:
        """One that is asked for before the start is over is told after READY."""
        reports = self.reports()
        self.told.taken()
        reports.reload_asked()
        self.assertEqual(self.told.taken(), [])
        reports.ready()
        self.assertEqual([each[0] for each in self.told.taken()], ["READY=1", "RELOADING=1"])

    def test_stop(self) -> None:
        """A stop asks for time as long as it lasts; a reload that ends says READY no more."""
        reports = self.reports()
        reports.ready()
        reports.reload_asked()
        self.told.taken()
        reports.stopping()
        reports.reload_done()
        ((stopping, extend, _),) = self.told.taken()
        self.assertEqual((stopping, extend), ("STOPPING=1", EXTEND))
        self.clock.advance(INTERVAL)
        self.assertEqual(self.told.taken(), [("WATCHDOG=1", EXTEND)])
        reports.stopService()
        self.assertEqual(self.told.taken(), [("closed",)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody(self) -> None:
        """Without a service manager there is no timer."""
        self.reports(wanted=False)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class StatusTests(SynchronousTestCase):
    """The line."""

    def test_line(self) -> None:
        """It has the share of hits, the disk, and what is under way."""
        for outcomes, begins in (({}, "no answers yet"), ({"hit": 3, "miss": 1}, "75 % hits of 4")):
            line = status_line(outcomes, used=3 << 29, limit=10 << 30, downloads=2, answers=5)
            self.assertEqual(line[: len(begins)], begins)
            self.assertIn("1.5 of 10.0 GiB on disk; 2 downloads, 5 answers under way", line)
