"""Tests for regcache.store.space_monitor."""

import os
from functools import partial

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from regcache.facts import Percentage
from regcache.store.space import FileSystemSpace, SpaceLedger, SpaceLimits
from regcache.store.space_monitor import INTERVAL, SpaceMonitor, measure_space
from tests.support.pools import HeldPool, ImmediatePool


class SpaceMonitorTests(SynchronousTestCase):
    """Tests for :class:`SpaceMonitor`."""

    def test_measures_again_and_again(self) -> None:
        """The ledger is told at once and then regularly, until the service stops."""
        clock, space = Clock(), SpaceLedger(SpaceLimits(Percentage(50), 10, 0))
        sizes = iter([100, 200, 300])
        monitor = SpaceMonitor(
            clock,
            ImmediatePool(),
            "/",
            space,
            measure=lambda path: FileSystemSpace(next(sizes), 99),
        )
        monitor.startService()
        self.assertEqual(space.max_size(), 50)
        clock.advance(INTERVAL)
        self.assertEqual(space.max_size(), 100)
        monitor.stopService()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_fault(self) -> None:
        """A file system that fails once is asked again."""
        clock, space = Clock(), SpaceLedger(SpaceLimits(10, 10, 0))
        path = os.path.abspath(self.mktemp())
        monitor = SpaceMonitor(clock, ImmediatePool(), path, space)
        monitor.startService()
        self.assertIsNone(space.claim(1))
        os.mkdir(path)
        clock.advance(INTERVAL)
        self.assertIsNotNone(space.claim(1))
        monitor.stopService()

    def test_hanging_file_system(self) -> None:
        """A file system that does not answer is not asked a second time meanwhile."""
        clock, pool = Clock(), HeldPool()
        monitor = SpaceMonitor(clock, pool, "/", SpaceLedger(SpaceLimits(10, 10, 0)))
        monitor.startService()
        clock.pump([INTERVAL] * 5)
        self.assertEqual(len(pool.jobs), 1)
        monitor.stopService()
        pool.release_all()

    def test_late_answer(self) -> None:
        """An answer that comes after that to a later question changes nothing."""
        pool, space = HeldPool(), SpaceLedger(SpaceLimits(1000, 1000, 0))
        sizes = iter([900, 100])
        monitor = SpaceMonitor(
            Clock(), pool, "/", space, measure=lambda _: FileSystemSpace(1000, next(sizes))
        )
        asked = [monitor.refresh(), monitor.refresh()]
        pool.release(1)
        pool.release(0)
        self.assertEqual(space.free, 900)
        for each in asked:
            self.successResultOf(each)

    def test_closed(self) -> None:
        """While nothing can be written nothing is claimed; the log says so, and when it is over."""
        clock, space = Clock(), SpaceLedger(SpaceLimits(10, 10, 0))
        problems = iter(["no space is left", "no space is left", "", ""])
        monitor = SpaceMonitor(
            clock,
            ImmediatePool(),
            "/cache",
            space,
            measure=lambda path: FileSystemSpace(100, 100, next(problems)),
        )
        with capturedLogs() as logged:
            monitor.startService()
            self.assertEqual(monitor.problem, "storage.directory: no space is left")
            clock.advance(INTERVAL)
            self.assertIsNone(space.claim(1))
            clock.advance(INTERVAL)
            self.assertEqual(monitor.problem, "")
            self.assertIsNotNone(space.claim(1))
            clock.advance(INTERVAL)
        lines = [formatEvent(event) for event in logged]
        self.assertEqual(len(lines), 2, lines)
        self.assertIn("/cache: no space is left", lines[0])
        monitor.stopService()

    def refuse(self, refused: str, path: str, *_: object, **__: object) -> bool:
        """Whether a folder may be written."""
        return path != refused

    def test_folders_that_may_not_be_written(self) -> None:
        """A folder that may not be written is named."""
        path = os.path.abspath(self.mktemp())
        os.makedirs(os.path.join(path, "blobs", "sha256"))
        self.assertEqual(measure_space(path).problem, "")
        for folder, told in (("", "it"), ("blobs/sha256", "blobs/sha256")):
            refused = os.path.join(path, folder)
            patch = self.patch(os, "access", partial(self.refuse, refused))
            self.assertEqual(measure_space(path).problem, f"{told} may not be written")
            patch.restore()

    def test_folder_on_another_disk(self) -> None:
        """A folder that lies on a disk which is not there is named."""
        path = os.path.abspath(self.mktemp())
        os.makedirs(path)
        os.symlink("on another disk", os.path.join(path, "blobs"))
        self.assertEqual(measure_space(path).problem, "blobs is a link that leads nowhere")

    def test_measure(self) -> None:
        """The system's own figures are bytes."""
        space = measure_space("/")
        self.assertTrue(0 <= space.free <= space.total)
        self.assertGreater(space.total, 1 << 20)


class FirstMeasurementTests(SynchronousTestCase):
    """What is said at the start."""

    def said(self, min_free: int, stored: int = 0, most: int = 5000) -> list[str]:
        """The warnings of two measurements, with 1000 bytes free."""
        space = SpaceLedger(SpaceLimits(most, 5000, min_free))
        space.change_contents(stored)
        monitor = SpaceMonitor(
            Clock(), ImmediatePool(), "/", space, measure=lambda _: FileSystemSpace(9000, 1000)
        )
        with capturedLogs() as events:
            for _ in range(2):
                self.successResultOf(monitor.refresh())
        return [formatEvent(event) for event in events]

    def test_no_room(self) -> None:
        """If nothing can be stored even after evictions, the key and the numbers are told once."""
        self.assertEqual(self.said(1000), [])
        self.assertEqual(self.said(1500, stored=600), [])
        (line,) = self.said(4096, stored=600)
        self.assertIn("nothing new is stored: storage.min_free 4.0 KiB: 1000 B are free", line)

    def test_beyond_the_file_system(self) -> None:
        """So is a limit that is larger than the file system."""
        (line,) = self.said(100, most=9001)
        self.assertIn("storage.max_size 8.8 KiB: the file system has 8.8 KiB in all", line)
