"""tests.support.outcomes and tests.support.timed_reporter: what a run of tests tells at its end."""

import io
import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support import timed_reporter
from tests.support.outcomes import Outcome, failed, is_good, keep, kept, lines, outcome, total
from tests.support.timed_reporter import Seconds, TimedReporter


def took(wall: float, cpu: float = 0.0) -> Seconds:
    """So many seconds."""
    return {"wall": wall, "cpu": cpu}


def good(**modules: Seconds) -> Outcome:
    """One test passed."""
    counts = {"passed": 1, "failed": 0, "skipped": 0}
    return {"counts": counts, "failures": [], "modules": modules, "tests": {}}


class OutcomeTests(SynchronousTestCase):
    """Adding up, keeping and telling."""

    def test_kept(self) -> None:
        """A file holds all that was appended to it, in folders that are made for it."""
        file = Path(self.mktemp()) / "tally"
        given = [good(one=took(2)), failed("no answer")]
        for each in given:
            keep(file, each)
        self.assertEqual(list(kept(file)), given)

    def test_sum(self) -> None:
        """Counts, failures and the seconds of a module that ran twice are added up."""
        found = total([good(one=took(2, 1)), good(one=took(3, 0.5)), failed("no answer")])
        self.assertEqual(found["counts"], {"passed": 2, "failed": 1, "skipped": 0})
        self.assertEqual(found["failures"], ["no answer"])
        self.assertEqual(found["modules"], {"one": took(5, 1.5)})

    def test_only_what_passed_is_good(self) -> None:
        """Nothing at all is as bad as a failure."""
        self.assertTrue(is_good(good()))
        self.assertFalse(is_good(total([good(), failed("no answer")])))
        self.assertFalse(is_good(total([])))

    def test_last_line(self) -> None:
        """The last line has the counts, and failures are before it."""
        told = list(lines(total([good(), failed("no answer")])))
        self.assertEqual(told, ["failed: no answer", "1 passed, 1 failed"])
        one = good()
        one["counts"]["skipped"] = 3
        self.assertEqual(list(lines(one)), ["1 passed, 0 failed, 3 skipped"])

    def test_slowest(self) -> None:
        """The ten slowest modules are listed, the slowest first."""
        modules = {f"tests.test_{count}": took(count, count / 4) for count in range(12)}
        told = list(lines(good(**modules)))[:-1]
        self.assertEqual(len(told), 10)
        self.assertEqual(told[0], "slow module:   11.0 s, CPU   2.8 s  tests.test_11")


class Sample(SynchronousTestCase):
    """What the reporter is tried with."""

    def right(self) -> None:
        """It passes."""

    def wrong(self) -> None:
        """It fails."""
        self.assertEqual(1, 2)

    def interrupted(self) -> None:
        """A signal arrives."""
        timed_reporter.interrupt(2, None)


class TimedReporterTests(SynchronousTestCase):
    """The reporter."""

    def test_each_test_and_its_module(self) -> None:
        """Each test and each module has its seconds, and the outcome what failed why."""
        result = TimedReporter(io.StringIO())
        for name in ("right", "wrong"):
            Sample(name).run(result)
        self.assertEqual([name.rpartition(".")[2] for name in result.tests], ["right", "wrong"])
        walls = [each["wall"] for each in result.tests.values()]
        self.assertAlmostEqual(result.modules[__name__]["wall"], sum(walls))
        found = outcome(result)
        self.assertEqual(found["counts"], {"passed": 1, "failed": 1, "skipped": 0})
        self.assertIn("Sample.wrong", found["failures"][0])
        self.assertIn("1 != 2", found["failures"][0])

    def test_interrupt(self) -> None:
        """An interrupt ends the test that runs, and no other one begins."""
        self.patch(timed_reporter, "interrupted", threading.Event())
        result = TimedReporter(io.StringIO())
        Sample("interrupted").run(result)
        self.assertTrue(result.shouldStop)
        self.assertEqual(len(result.errors), 1)
