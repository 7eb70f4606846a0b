"""Sweeps: what goes for its age, and when."""

from errno import ENOSPC
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.eviction.sweep_times import FIRST, SweepRules, SweepTimes
from regcache.cache.eviction.sweeper import Swept
from regcache.digests import Digest
from regcache.facts import CronLine
from regcache.interfaces import IndexClosedError
from regcache.pins import Pin
from regcache.retention import FIRST as START
from regcache.retention import Selection, SweepNote
from regcache.store.index_file import IndexWriteError
from regcache.timetables import next_time
from tests.support.evictions import MIB, Storage
from tests.support.index_cases import repository_of

HOUR, DAY = 3600.0, 86_400.0


class SweepCase(SynchronousTestCase):
    """A store with an image of two layers, and a clock at a round time."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.storage = Storage(self.mktemp(), self.clock)
        self.storage.start()
        self.addCleanup(self.storage.stop)
        self.image = self.storage.add_image("old", MIB, MIB)

    def stored(self, *digests: Digest) -> list[bool]:
        """Which of some contents are there."""
        files = self.storage.files()
        return [digest in files for digest in digests]

    def result(self, coroutine: Any) -> Any:
        """What it comes to."""
        doing = Deferred.fromCoroutine(coroutine)
        self.clock.pump([0] * 50)
        return self.successResultOf(doing)

    def refusal(self, coroutine: Any, kind: type[Exception]) -> Any:
        """How it fails."""
        doing = Deferred.fromCoroutine(coroutine)
        self.clock.pump([0] * 50)
        return self.failureResultOf(doing, kind).value

    def sweep(self, selection: Selection) -> Swept:
        """Sweep."""
        swept: Swept = self.result(self.storage.sweeper.sweep(selection))
        return swept


class SweeperTests(SweepCase):
    """What a sweep takes."""

    def test_age(self) -> None:
        """What was not used in the time goes; what was used, by its manifest alone, stays."""
        self.clock.advance(DAY)
        used = self.storage.add_image("used", MIB)
        self.clock.advance(DAY)
        self.storage.index.touch(used[0], self.clock.seconds())
        unused = self.storage.add_image("unused", MIB)
        self.clock.advance(DAY)
        now = self.clock.seconds()
        swept = self.sweep(Selection(now, now - 1.5 * DAY))
        self.assertEqual(self.stored(*self.image, *used, *unused), [False] * 3 + [True] * 4)
        self.assertEqual((swept.contents, swept.freed // MIB), (3, 2))
        self.assertEqual(self.storage.ledger.contents, self.storage.on_disk())
        self.assertEqual(self.storage.sweeper.last, swept)
        note = SweepNote(swept.began, swept.seconds, swept.all_freed)
        self.assertEqual(self.result(self.storage.sweeper.latest()), note)
        self.storage.sweeper.last = None  # the daemon starts again
        self.assertEqual(self.result(self.storage.sweeper.latest()), note)

    def test_index_is_closed(self) -> None:
        """Where the daemon stops meanwhile nothing goes that the index could not look at."""
        self.clock.advance(DAY)
        found = self.storage.index.places.candidates(START, self.clock.seconds())
        candidates = self.successResultOf(found).candidates
        self.assertTrue(all(self.storage.eviction.begin(each.digest) for each in candidates))
        self.successResultOf(self.storage.index.close())
        self.refusal(self.storage.eviction.evict(candidates), IndexClosedError)
        self.assertEqual(self.stored(*self.image), [True] * 3)
        self.assertTrue(all(self.storage.eviction.begin(each.digest) for each in candidates))

    def test_pinned_behind_its_file(self) -> None:
        """On a full disk the file goes before it is noted: what is pinned meanwhile is not here."""
        self.clock.advance(DAY)
        places, pins = self.storage.index.places, self.storage.index.pins
        candidates = self.successResultOf(places.candidates(START, self.clock.seconds())).candidates
        self.assertTrue(all(self.storage.eviction.begin(each.digest) for each in candidates))
        evict, asked = places.evict, list[object]()

        def full_at_first(*arguments: Any) -> Any:
            asked.append(arguments)
            if len(asked) == 1:
                return fail(IndexWriteError(ENOSPC, "the disk is full"))
            pin = Pin("somebody", self.clock.seconds())
            self.successResultOf(pins.pin(repository_of("a"), str(self.image[0]), pin))
            return evict(*arguments)

        self.patch(places, "evict", full_at_first)
        self.result(self.storage.eviction.evict(candidates))
        self.assertEqual(self.stored(*self.image), [False] * 3)
        known = self.storage.index.occupied_bytes()
        self.assertEqual(self.successResultOf(known), 0)

    def test_used_at_its_turn(self) -> None:
        """A use that was noted a moment ago, and is not written yet, counts."""
        self.clock.advance(DAY)
        self.storage.index.touch(self.image[0], self.clock.seconds())
        now = self.clock.seconds()
        self.assertEqual(self.sweep(Selection(now, now - HOUR)).contents, 0)

    def test_busy(self) -> None:
        """What is open stays, and is told of."""
        self.clock.advance(DAY)
        file = self.successResultOf(self.storage.store.look_up(self.image[1], MIB)).file
        swept = self.sweep(Selection(self.clock.seconds()))
        self.assertEqual((swept.busy, swept.contents), ((self.image[1],), 2))
        file.close()

    def test_all_of_an_upstream(self) -> None:
        """Only what an upstream gave goes, where that is asked for."""
        now = self.clock.seconds()
        self.assertEqual(self.sweep(Selection(now, upstream="quay.io")).contents, 0)
        self.assertEqual(self.sweep(Selection(now, upstream="docker.io")).contents, 3)

    def test_up_to_a_position(self) -> None:
        """Only what is in front of a position goes, where that is asked for."""
        page = self.successResultOf(self.storage.index.places.candidates((0, -1e9, 0), 1e12))
        second = page.candidates[1]
        self.sweep(Selection(self.clock.seconds(), until=second.position))
        gone = [digest for digest in self.image if digest not in self.storage.files()]
        self.assertEqual(set(gone), {each.digest for each in page.candidates[:2]})

    def test_what_came_since(self) -> None:
        """What came after the time of the selection stays."""
        before = self.clock.seconds()
        self.clock.advance(1)
        later = self.storage.add_image("later", MIB)
        self.sweep(Selection(before))
        self.assertEqual(self.stored(*self.image, *later), [False] * 3 + [True] * 2)

    def test_progress(self) -> None:
        """It is told all the while how much has gone."""
        for number in range(40):
            self.storage.add_blob(f"{number}", 1000)
        told: list[int] = []
        self.result(self.storage.sweeper.sweep(Selection(self.clock.seconds()), told.append))
        self.assertGreater(len(told), 2)
        self.assertEqual(told, sorted(told))


class TimeTests(SweepCase):
    """When sweeps begin."""

    def times(self, **rules: Any) -> SweepTimes:
        """The sweeps of some rules, begun."""
        wanted = SweepRules(**{"unused_for": None, "sweep": HOUR, "purge": None, **rules})
        times = SweepTimes(self.clock, self.storage.sweeper, wanted)
        times.startService()
        self.addCleanup(lambda: times.running and times.stopService())
        return times

    def test_interval(self) -> None:
        """The first sweep comes soon, the others in the interval."""
        times = self.times(unused_for=2 * HOUR)
        self.clock.advance(FIRST)
        self.clock.pump([0, 0])
        self.assertIsNotNone(self.storage.sweeper.last)
        self.assertEqual(self.stored(*self.image), [True] * 3)
        self.assertEqual(times.next_sweep, self.clock.seconds() + HOUR)
        self.clock.pump([HOUR, 0, 0])
        self.assertEqual(self.stored(*self.image), [True] * 3)
        self.clock.pump([HOUR, 0, 0])
        self.assertEqual(self.stored(*self.image), [False] * 3)

    def test_other_rules(self) -> None:
        """Other rules hold at once: their times, and no longer those of before."""
        times = self.times()
        others = len(self.clock.getDelayedCalls())
        times.follow(SweepRules(2 * HOUR, DAY, None))
        began = self.clock.seconds()
        same = SweepRules(2 * HOUR, DAY, None)
        times.follow(same)
        self.assertEqual(times.next_sweep, began + FIRST)
        times.follow(SweepRules(None, HOUR, None))
        self.assertIsNone(times.next_sweep)
        self.assertEqual(len(self.clock.getDelayedCalls()), others)
        times.follow(SweepRules(2 * HOUR, 60.0, None))
        self.assertEqual(times.next_sweep, began + 60.0)
        times.stopService()
        times.follow(same)
        self.assertEqual(len(self.clock.getDelayedCalls()), others - 1)

    def test_never(self) -> None:
        """Without an age nothing is swept for it."""
        self.assertIsNone(self.times().next_sweep)
        self.assertEqual(self.clock.pump([DAY] * 3), None)
        self.assertIsNone(self.storage.sweeper.last)

    def test_purge(self) -> None:
        """At the time of a purge all goes, however new; and again at the next one."""
        self.times(purge=CronLine("0 4 * * *"))
        due = next_time(CronLine("0 4 * * *"), self.clock.seconds())
        while self.clock.seconds() < due - HOUR:
            self.clock.pump([HOUR / 2, 0])
        self.assertEqual(self.stored(*self.image), [True] * 3)
        self.clock.pump([HOUR / 2] * 2 + [0] * 3)
        self.assertEqual(self.stored(*self.image), [False] * 3)
        again = self.storage.add_image("again", MIB)
        self.clock.pump([HOUR / 2] * 48 + [0] * 3)
        self.assertEqual(self.stored(*again), [False] * 2)

    def test_stopped(self) -> None:
        """A daemon that stops begins no sweep, and leaves no timer."""
        times = self.times(unused_for=HOUR, purge=CronLine("0 4 * * *"))
        before = len(self.clock.getDelayedCalls())
        times.stopService()
        self.assertEqual(len(self.clock.getDelayedCalls()), before - 3)


class TimetableTests(SynchronousTestCase):
    """The next time of a timetable."""

    def test_interval(self) -> None:
        """An interval is that many seconds."""
        self.assertEqual(next_time(60.0, 1000.0), 1060.0)

    def test_cron(self) -> None:
        """A cron line is in local time, and later than now, at the very minute too."""
        line = CronLine("*/10 * * * *")
        self.assertEqual(next_time(line, 1_000_000.0), 1_000_200.0)
        self.assertEqual(next_time(line, 1_000_200.0), 1_000_800.0)
