"""Tests for regcache.store.sync: one call for all that was written."""

import ctypes
import errno
import os

from twisted.trial.unittest import SynchronousTestCase

from regcache.store.sync import FileSystem, _system_call
from tests.store.stores import open_descriptors


class FileSystemTests(SynchronousTestCase):
    """Tests for :class:`FileSystem`."""

    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.calls: list[int] = []
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors() - before, set()))

    def note(self, descriptor: int) -> int:
        """A system call that succeeds."""
        self.calls.append(descriptor)
        return 0

    def refuse(self, descriptor: int) -> int:
        """A system call that fails."""
        ctypes.set_errno(errno.EIO)
        return -1

    def test_real(self) -> None:
        """The system's own call takes a folder."""
        system = FileSystem(self.folder)
        system.open()
        self.addCleanup(system.close)
        self.assertTrue(system.sync())

    def test_same_descriptor(self) -> None:
        """Every sync uses the same descriptor, which is closed in the end."""
        system = FileSystem(self.folder, self.note)
        system.open()
        system.open()
        self.assertTrue(system.sync() and system.sync())
        self.assertEqual(len(set(self.calls)), 1)
        self.assertEqual(
            os.path.realpath(f"/proc/self/fd/{self.calls[0]}"), os.path.realpath(self.folder)
        )
        system.close()
        system.close()
        self.assertRaises(OSError, os.fstat, self.calls[0])

    def test_refused(self) -> None:
        """What could not be written is told, and nothing vouched for from there on."""
        system = FileSystem(self.folder, self.refuse)
        system.open()
        self.addCleanup(system.close)
        raised = self.assertRaises(OSError, system.sync)
        self.assertEqual(raised.errno, errno.EIO)
        self.assertFalse(system.sync())

    def test_not_open(self) -> None:
        """It vouches for nothing that was written before it was opened."""
        self.assertFalse(FileSystem(self.folder, self.note).sync())
        self.assertEqual(self.calls, [])

    def test_missing(self) -> None:
        """Without the call nothing is opened, and nothing claimed."""
        system = FileSystem(self.folder, None)
        system.open()
        self.assertFalse(system.sync())

    def test_kernels(self) -> None:
        """Only kernels that tell of failed writes are relied upon."""
        for release, reliable in (
            ("6.12.41+deb13-amd64", True),
            ("5.8.0", True),
            ("5.7.19", False),
            ("4.19.0-27-amd64", False),
            ("10.0", True),
            ("unknown", False),
            ("", False),
        ):
            self.assertIs(_system_call(release) is not None, reliable, release)
