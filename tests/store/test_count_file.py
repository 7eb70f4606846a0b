"""The file of what is counted over time."""

import os
import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.counts import (
    KEPT,
    MINUTE,
    QUARTER,
    QUARTER_DAY,
    CountBatch,
    NameKind,
    Sums,
)
from regcache.store.count_file import NAMES_OF_PAST, NAMES_OF_PRESENT, CountFile

NOW = 1_800_000_000


class CountFileTests(SynchronousTestCase):
    """What is kept."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = folder / "counts.sqlite"
        self.file = CountFile(str(self.path))
        self.addCleanup(lambda: self.file.close())

    def add(self, time: float, disk: int | None = None, **upstreams: int) -> None:
        """A batch with so many requests of each upstream."""
        sums = {name: Sums(requests=count, served=10 * count) for name, count in upstreams.items()}
        self.file.add(CountBatch(time, sums, {}, disk))

    def test_adding(self) -> None:
        """Batches add up within a period, of each length; the last size of the disk counts."""
        self.add(NOW, 5, a=1, b=2)
        self.add(NOW + 30, 6, a=4)
        self.add(NOW + 60, 7, a=8)
        for step, expected in ((MINUTE, [7, 8]), (QUARTER, [15]), (QUARTER_DAY, [15])):
            found = self.file.series(step, NOW - QUARTER_DAY, None)
            self.assertEqual([each.sums.requests for each in found], expected)
        (first, second) = self.file.series(MINUTE, NOW, None)
        self.assertEqual((first.disk, second.disk), (6, 7))
        found = self.file.series(MINUTE, NOW, "b")
        self.assertEqual([each.sums.served for each in found], [20])
        self.assertEqual(self.file.by_upstream(QUARTER_DAY, 0)["a"].requests, 13)

    def test_mode(self) -> None:
        """Nobody else reads what accounts asked for."""
        self.add(NOW, a=1)
        modes = {path.stat().st_mode & 0o777 for path in self.path.parent.iterdir()}
        self.assertEqual(modes, {0o600})

    def test_age(self) -> None:
        """Each period is dropped when its time is over."""
        self.add(NOW, a=1)
        for step, kept in KEPT.items():
            self.add(NOW + kept - step, b=1)
            self.assertEqual(len(self.file.series(step, 0, "a")), 1, step)
            self.add(NOW + kept + step + 1, b=1)
            self.assertEqual(len(self.file.series(step, 0, "a")), 0, step)

    def test_again(self) -> None:
        """What was counted is there after the file is opened again."""
        self.add(NOW, a=3)
        self.file.close()
        self.file = CountFile(str(self.path))
        self.assertEqual(self.file.by_upstream(QUARTER, 0)["a"].requests, 3)

    def test_overfilled(self) -> None:
        """Of many names the ones that served most are kept, and fewer when the period is over."""
        kind = NameKind.REPOSITORY
        for start in range(0, NAMES_OF_PRESENT + 1000, 500):
            names = {(kind, f"a/r{n}"): Sums(served=n) for n in range(start, start + 500)}
            self.file.add(CountBatch(NOW, {}, names))
        found = self.file.names(QUARTER, 0, kind)
        self.assertEqual(len(found), NAMES_OF_PRESENT)
        self.assertIn(f"a/r{NAMES_OF_PRESENT + 999}", found)
        self.file.add(CountBatch(NOW + QUARTER, {}, {(kind, "a/x"): Sums(served=1)}))
        self.assertEqual(len(self.file.names(QUARTER, 0, kind)), NAMES_OF_PAST[kind] + 1)
        self.assertEqual(self.file.names(QUARTER, 0, NameKind.PRINCIPAL), {})

    def test_damage(self) -> None:
        """A damaged file is begun anew, when it is opened and while it is open."""
        self.path.write_bytes(b"no database at all" * 1000)
        self.add(NOW, a=1)
        self.assertEqual(self.file.by_upstream(QUARTER, 0)["a"].requests, 1)
        self.file.close()
        self.path.write_bytes(self.path.read_bytes()[:100] + b"\xff" * 8000)
        self.file = CountFile(str(self.path))
        try:
            self.add(NOW, a=2)
        except OSError:
            self.add(NOW, a=2)
        self.assertEqual(self.file.by_upstream(QUARTER, 0)["a"].requests, 2)
        self.flushLoggedErrors()

    def test_newer(self) -> None:
        """A file of another version is begun anew."""
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        self.add(NOW, a=1)
        self.assertEqual(self.file.by_upstream(QUARTER, 0)["a"].requests, 1)

    def test_strange(self) -> None:
        """What has the name of the file and is none is moved aside; nobody waits for it."""
        os.mkfifo(self.path)
        self.add(NOW, a=1)
        self.assertTrue(self.path.is_file())

    def test_disk(self) -> None:
        """What cannot be opened fails with OSError, and is tried again next time."""
        self.file = CountFile(str(self.path / "missing" / "file"))
        with self.assertRaises(OSError):
            self.add(NOW, a=1)
        (self.path / "missing").mkdir(parents=True)
        self.add(NOW, a=1)
