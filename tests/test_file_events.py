"""What is told of files that may have changed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.inotify import IN_DELETE_SELF, IN_MOVED_TO, INotifyError
from twisted.internet.task import Clock
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from regcache.file_events import INTERVAL, FileEvents, steps_to
from tests.support.pools import HeldPool, ImmediatePool


class Kernel:
    """Stands for inotify: the test says what happens."""

    def __init__(self, unreadable: str = "") -> None:
        self.watched: dict[str, int] = {}
        self.notice: Callable[[object, Any, int], None] = lambda *_: None
        self.closed = False
        self._unreadable = unreadable

    def startReading(self) -> None:
        """Nothing to read from."""

    def watch(self, path: Any, mask: int, callbacks: Any) -> None:
        """Watch a directory."""
        if path.path == self._unreadable:
            raise INotifyError("no")
        self.watched[path.path] = mask
        (self.notice,) = callbacks

    def loseConnection(self) -> None:
        """Close it."""
        self.closed = True


class EventTests(SynchronousTestCase):
    """Subscriptions, over real directories."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "one").mkdir(parents=True)
        (self.folder / "two").mkdir()
        for name in ("one", "two"):
            (self.folder / name / "file").write_text(name)
        self.link = self.folder / "data"
        self.link.symlink_to("one")
        self.path = self.folder / "etc" / "file"
        self.path.parent.mkdir()
        self.path.symlink_to("../data/file")
        self.kernels: list[Kernel] = []
        self.told: list[str] = []
        self.clock = Clock()
        self.events = FileEvents(self.clock, ImmediatePool(), self.make)
        self.events.startService()
        self.addCleanup(self.events.stopService)

    def make(self, reactor: object) -> Kernel:
        """Another one."""
        self.kernels.append(Kernel())
        return self.kernels[-1]

    def subscribe(self, path: Path, name: str = "x") -> Callable[[], None]:
        """Want to know of a file; what that tells at once is left out."""
        end = self.events.subscribe([str(path)], lambda: self.told.append(name))
        self.told.clear()
        return end

    def happen(self, path: Path, mask: int = IN_MOVED_TO) -> list[str]:
        """Something happens to an entry; who was told, which the new way may repeat."""
        self.told.clear()
        self.kernels[-1].notice(None, FilePath(os.fsencode(path)), mask)
        return sorted(set(self.told))

    def test_steps(self) -> None:
        """The way to a file goes through each link, and each folder above it."""
        steps = list(steps_to(str(self.path)))
        folder = str(self.folder)
        self.assertEqual(
            steps[-5:],
            [
                (folder, "etc"),
                (f"{folder}/etc", "file"),
                (folder, "data"),
                (folder, "one"),
                (f"{folder}/one", "file"),
            ],
        )
        self.assertEqual(steps[0], ("/", folder.split("/")[1]))

    def test_odd_ways(self) -> None:
        """A way ends at what is missing, and in a circle of links."""
        missing = list(steps_to(str(self.folder / "none" / "deep" / "file")))
        self.assertEqual(missing[-1], (str(self.folder), "none"))
        (self.folder / "circle").symlink_to("circle")
        self.assertLess(len(list(steps_to(str(self.folder / "circle")))), 100)

    def test_told(self) -> None:
        """Each link and folder on the way is told of, and no neighbour."""
        self.subscribe(self.path)
        for entry in (self.path, self.link, self.folder, self.folder / "one" / "file"):
            self.assertEqual(self.happen(entry), ["x"], entry)
        for entry in (self.folder / "two", self.folder / "one" / "other"):
            self.assertEqual(self.happen(entry), [], entry)

    def test_swapped_link(self) -> None:
        """After a link was swapped what it leads to now is watched."""
        self.subscribe(self.path)
        self.link.unlink()
        self.link.symlink_to("two")
        self.assertEqual(self.happen(self.link), ["x"])
        self.assertTrue(self.kernels[-2].closed)
        self.assertIn(str(self.folder / "two"), self.kernels[-1].watched)
        self.assertEqual(self.happen(self.folder / "two" / "file"), ["x"])

    def test_folder_that_is_gone(self) -> None:
        """When a watched folder is deleted all is watched anew."""
        self.subscribe(self.path)
        before = len(self.kernels)
        self.happen(self.folder / "one", IN_DELETE_SELF)
        self.assertEqual(len(self.kernels), before + 1)
        self.assertFalse(self.kernels[-1].closed)

    def test_file_that_comes(self) -> None:
        """A file that is missing is told of when the folder on its way comes, and the file."""
        late = self.folder / "late" / "file"
        self.subscribe(late)
        late.parent.mkdir()
        self.assertEqual(self.happen(late.parent), ["x"])
        self.assertEqual(self.happen(late), ["x"])

    def test_several(self) -> None:
        """Each is told of its own files; who has ended is told nothing, and not watched for."""
        other = self.folder / "two" / "file"
        self.subscribe(self.path, "first")
        end = self.subscribe(other, "second")
        self.assertEqual(self.happen(other), ["second"])
        end()
        self.assertEqual(self.happen(other), [])
        self.assertNotIn(str(other.parent), self.kernels[-1].watched)

    def test_nothing_is_missed(self) -> None:
        """When others come to be watched, each is told: what happened meanwhile may be lost."""
        self.subscribe(self.path, "first")
        self.events.subscribe([str(self.folder / "two" / "file")], lambda: None)
        self.assertEqual(self.told, ["first"])

    def test_no_inotify(self) -> None:
        """Where the kernel gives none, that is said once, and asked for again later."""
        asked: list[object] = []

        def make(reactor: object) -> Any:
            asked.append(reactor)
            raise OSError("too many")

        self.events = FileEvents(self.clock, ImmediatePool(), make)
        self.events.startService()
        self.addCleanup(self.events.stopService)
        self.subscribe(self.path)
        before = len(asked)
        self.clock.advance(INTERVAL)
        self.assertGreater(len(asked), before)

    def test_unreadable_folder(self) -> None:
        """A folder that cannot be watched leaves the others."""
        folder = str(self.folder / "one")
        self.events = FileEvents(self.clock, ImmediatePool(), lambda _: self.keep(Kernel(folder)))
        self.events.startService()
        self.addCleanup(self.events.stopService)
        self.subscribe(self.path)
        self.assertNotIn(folder, self.kernels[-1].watched)
        self.assertEqual(self.happen(self.link), ["x"])

    def keep(self, kernel: Kernel) -> Kernel:
        """Have it for the test."""
        self.kernels.append(kernel)
        return kernel

    def test_stopped(self) -> None:
        """After a stop nothing is told, even of work that is under way."""
        self.subscribe(self.path)
        kernel = self.kernels[-1]
        self.events.stopService()
        self.assertEqual(self.happen(self.path), [])
        self.assertTrue(kernel.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_meanwhile(self) -> None:
        """A stop while ways are looked for leaves nothing open."""
        pool = HeldPool()
        self.events = FileEvents(self.clock, pool, self.make)
        self.events.startService()
        self.subscribe(self.path)
        self.events.stopService()
        before = len(self.kernels)
        pool.release_all()
        self.assertEqual(len(self.kernels), before)
