"""Files that are read again when they change."""

import errno
import os
from pathlib import Path
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from regcache.watched_file import INTERVAL, FileUnusableError, WatchedFile
from regcache.whole_file import MOST_BYTES
from tests.support.pools import HeldPool, ImmediatePool


def read(content: bytes) -> str:
    """What the file says; ``bad`` cannot be used."""
    text = content.decode("utf-8")
    if text == "bad":
        raise ValueError("line 1 is wrong")
    return text


class WatchedFileTests(SynchronousTestCase):
    """One file."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.path = Path(self.mktemp())
        self.path.write_text("first")
        self.applied: list[str] = []
        self.file = self.watch(ImmediatePool())

    def watch(self, pool: ImmediatePool | HeldPool) -> WatchedFile:
        """A watcher of the file."""
        return WatchedFile(str(self.path), read, self.applied.append, pool=pool, clock=self.clock)

    def say_what_holds(self) -> None:
        """Have a watcher that knows what holds where the file is gone."""
        self.file = WatchedFile(
            str(self.path),
            read,
            self.applied.append,
            pool=ImmediatePool(),
            clock=self.clock,
            gone=lambda: "nothing",
        )

    def replace(self, text: str) -> None:
        """Another file takes its place, as editors and configuration maps do it."""
        other = self.path.with_name(self.path.name + ".new")
        other.write_text(text)
        os.replace(other, self.path)

    def begin(self) -> None:
        """Load the file, and watch."""
        self.file.load()
        self.file.startService()
        self.addCleanup(self.file.stopService)

    def failing(self, error: OSError) -> "mock._patch[mock.Mock]":
        """It cannot be opened."""
        return mock.patch("regcache.watched_file.open", create=True, side_effect=error)

    def said(self) -> list[str]:
        """Why it is not used, as it will be logged."""
        lines: list[str] = []

        def note(event: LogEvent) -> None:
            if event.get("path") == str(self.path) and "why" in event:
                lines.append(event["why"])

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        return lines

    def test_load(self) -> None:
        """The file is read before the daemon runs."""
        self.file.load()
        self.assertEqual(self.applied, ["first"])

    def test_unusable(self) -> None:
        """A file that cannot be read or used stops the start, with its name and why."""
        for text in ("bad", None):
            if text is None:
                self.path.unlink()
            else:
                self.path.write_text(text)
            error = self.assertRaises(FileUnusableError, self.file.load)
            self.assertIn(str(self.path), str(error))
        self.assertEqual(self.applied, [])

    def test_overtaken(self) -> None:
        """What a look finds that a later one has overtaken is not put in force again."""
        pool = HeldPool()
        self.file = self.watch(pool)
        self.begin()
        self.replace("second")
        early = Deferred.fromCoroutine(self.file.look())
        result, function, args = pool.jobs.pop()
        found = function(*args)  # it has read the file, and its thread waits
        self.replace("third")
        late = Deferred.fromCoroutine(self.file.look())
        pool.release()
        result.callback(found)
        self.successResultOf(early)
        self.successResultOf(late)
        self.assertEqual(self.applied, ["first", "third"])

    def test_changed(self) -> None:
        """A file that was replaced, or written in place, is read again, once."""
        self.begin()
        self.replace("second")
        self.clock.advance(INTERVAL)
        self.clock.advance(INTERVAL)
        self.path.write_text("third one")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.applied, ["first", "second", "third one"])

    def test_bad_meanwhile(self) -> None:
        """What cannot be used, or is gone, leaves the last in force, until it is well again."""
        self.begin()
        for text in ("bad", "x" * (MOST_BYTES + 1)):
            self.replace(text)
            self.clock.advance(INTERVAL)
        self.path.unlink()
        self.clock.advance(INTERVAL)
        self.assertEqual(self.applied, ["first"])
        self.path.write_text("again")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.applied, ["first", "again"])

    def test_may_not_be_read(self) -> None:
        """What may not be opened is tried and said once, until it changes."""
        self.begin()
        lines = self.said()
        self.replace("second")
        with self.failing(PermissionError(errno.EACCES, "Permission denied")) as opened:
            self.clock.pump([INTERVAL] * 5)
            self.assertEqual((opened.call_count, lines), (1, ["Permission denied"]))
            self.replace("third")
            self.clock.pump([INTERVAL] * 5)
            self.assertEqual((opened.call_count, len(lines)), (2, 2))
        self.path.chmod(0o640)
        self.clock.pump([INTERVAL] * 2)
        self.assertEqual(self.applied, ["first", "third"])

    def test_directory(self) -> None:
        """A folder in its place is said once, and the file that comes back is read."""
        self.begin()
        lines = self.said()
        self.path.unlink()
        self.path.mkdir()
        self.clock.pump([INTERVAL] * 5)
        self.assertEqual(lines, ["Is a directory"])
        self.path.rmdir()
        self.path.write_text("second")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.applied, ["first", "second"])

    def test_changed_as_it_was_tried(self) -> None:
        """What may be read a moment after it was tried is read at the next look."""
        self.begin()
        self.replace("second")

        def refuse(*_: object) -> None:
            self.replace("third")
            raise PermissionError(errno.EACCES, "Permission denied")

        with mock.patch("regcache.watched_file.open", create=True, side_effect=refuse):
            self.clock.advance(INTERVAL)
        self.clock.advance(INTERVAL)
        self.assertEqual(self.applied, ["first", "third"])

    def test_passing_fault(self) -> None:
        """Where no descriptor is left it is tried again each second, and said once."""
        self.begin()
        lines = self.said()
        self.replace("second")
        with self.failing(OSError(errno.EMFILE, "Too many open files")):
            self.clock.pump([INTERVAL] * 5)
        self.assertEqual(lines, ["Too many open files"])
        self.clock.advance(INTERVAL)
        self.assertEqual(self.applied, ["first", "second"])

    def test_gone_after_a_fault(self) -> None:
        """A file that is removed while it cannot be opened is not in force any more."""
        searched, refused = os.stat, PermissionError(errno.EACCES, "the folder, too")
        for error, stat in (
            (errno.EACCES, searched),
            (errno.EMFILE, searched),
            (errno.EACCES, refused),
        ):
            self.setUp()
            self.say_what_holds()
            self.begin()
            self.replace("second")
            fault = OSError(error, "fault")
            with self.failing(fault), mock.patch("regcache.watched_file.os.stat", side_effect=stat):
                self.clock.pump([INTERVAL] * 2)
            self.path.unlink()
            self.clock.pump([INTERVAL] * 2)
            self.assertEqual(self.applied, ["first", "nothing"])

    def test_gone(self) -> None:
        """Where it is said what then holds, a file that is gone is not in force any more."""
        self.say_what_holds()
        self.begin()
        self.path.unlink()
        self.clock.pump([INTERVAL] * 3)
        self.assertEqual(self.applied, ["first", "nothing"])
        self.path.write_text("again")
        self.clock.advance(INTERVAL)
        self.path.write_text("bad")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.applied, ["first", "nothing", "again"])
        self.path.unlink()
        self.assertRaises(FileUnusableError, self.file.load)

    def test_not_utf8(self) -> None:
        """What cannot be decoded cannot be used."""
        self.begin()
        self.path.write_bytes(b"\xff")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.applied, ["first"])

    def test_stopped_meanwhile(self) -> None:
        """What comes of a look after the stop is not applied."""
        pool = HeldPool()
        self.file = self.watch(pool)
        self.file.load()
        self.file.startService()
        self.replace("second")
        self.clock.advance(INTERVAL)
        self.file.stopService()
        pool.release_all()
        self.assertEqual(self.applied, ["first"])
