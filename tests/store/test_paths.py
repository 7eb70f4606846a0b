"""Tests for regcache.store.paths and regcache.store.lock."""

import errno
import os
import stat
import subprocess
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest, InvalidDigestError
from regcache.store.lock import StoreLock, StoreLockedError
from regcache.store.paths import PartialKey, StorageUnusableError, StorePaths, partial_key

DIGEST = Digest.of(b"content")


class StorePathsTests(SynchronousTestCase):
    """Tests for :class:`StorePaths`."""

    def test_layout(self) -> None:
        """Names are as documented."""
        paths, name = StorePaths("/s"), DIGEST.hex
        self.assertEqual(paths.blob(DIGEST), f"/s/blobs/sha256/{name[:2]}/{name}")
        self.assertEqual(paths.partial(PartialKey(DIGEST)), f"/s/partial/sha256-{name}")
        self.assertEqual(paths.sidecar(PartialKey(DIGEST)), f"/s/partial/sha256-{name}.json")
        self.assertEqual((paths.index, paths.lock), ("/s/index.sqlite", "/s/lock"))

    def test_folders(self) -> None:
        """The folders of a blob are those from its own to blobs/."""
        expected = [f"/s/blobs/sha256/{DIGEST.hex[:2]}", "/s/blobs/sha256", "/s/blobs"]
        self.assertEqual(list(StorePaths("/s").folders(DIGEST)), expected)

    def test_no_traversal(self) -> None:
        """A digest that was not parsed does not become a path."""
        for forged in (Digest("sha256", "../" * 21 + "x"), Digest("..", DIGEST.hex)):
            self.assertRaises(InvalidDigestError, StorePaths("/s").blob, forged)
            self.assertRaises(InvalidDigestError, StorePaths("/s").partial, PartialKey(forged))

    def test_prepare(self) -> None:
        """Folders are made for the daemon's user alone, and may exist already."""
        paths = StorePaths(os.path.abspath(self.mktemp()))
        paths.prepare()
        paths.prepare()
        for folder in (paths.directory, paths.blobs, f"{paths.blobs}/sha512", paths.partials):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700, folder)

    def test_unusable(self) -> None:
        """Without a directory that can be read nothing begins, and a line says what to type."""
        path = os.path.abspath(self.mktemp())
        with open(path, "w"):
            paths = StorePaths(path)
        error = self.assertRaises(StorageUnusableError, paths.prepare)
        self.assertEqual(
            str(error),
            f"storage.directory: {path} is no folder: name another one, or type:"
            f" mv {path} {path}.old",
        )
        error = self.assertRaises(StorageUnusableError, StorePaths(f"{path}/in it").prepare)
        self.assertIn("cannot be made: Not a directory", str(error))
        self.assertIn(f"type: mkdir -p '{path}/in it' && chown ", str(error))

    def test_what_cannot_be_made(self) -> None:
        """A directory that can only be read is enough to begin with."""

        def refuse(path: str, *args: Any, **options: Any) -> None:
            raise OSError(errno.EROFS, "Read-only file system", path)

        paths = StorePaths(os.path.abspath(self.mktemp()))
        os.mkdir(paths.directory)
        self.patch(os, "makedirs", refuse)
        paths.prepare()
        self.assertEqual(os.listdir(paths.directory), [])

    def test_partial_key(self) -> None:
        """What a file is of is read back from the names in partial/, and from no other name."""
        paths = StorePaths("/s")
        for key in (PartialKey(DIGEST), PartialKey(DIGEST, "0123456789abcdef")):
            for path in (paths.partial(key), paths.sidecar(key)):
                self.assertEqual(partial_key(os.path.basename(path)), key)
        name = f"sha256-{DIGEST.hex}"
        others = ("sha256-00", f"md5-{DIGEST.hex}", f"{name}.json.tmp", f"{name}.0", "x", "")
        for other in others:
            self.assertIsNone(partial_key(other), other)


_HOLD = """
import sys
from regcache.store.lock import StoreLock
StoreLock(sys.argv[1], 4711).acquire()
print("held", flush=True)
sys.stdin.read()
"""


class StoreLockTests(SynchronousTestCase):
    """Tests for :class:`StoreLock`."""

    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "lock")

    def test_second_is_refused(self) -> None:
        """The second one is refused, and told who has it."""
        first = StoreLock(self.path, 123)
        first.acquire()
        self.addCleanup(first.release)
        for _ in range(2):  # who is refused takes nothing away
            error = self.assertRaises(StoreLockedError, StoreLock(self.path, 456).acquire)
            self.assertEqual(error.pid, "123")
            self.assertEqual(
                str(error),
                f"storage.directory: {self.folder} is in use by process 123:"
                " name another one, or type: kill 123",
            )

    def test_fork(self) -> None:
        """A daemon that has forked tells its own pid."""
        first = StoreLock(self.path, 12345)
        first.acquire()
        self.addCleanup(first.release)
        first.tell(678)
        error = self.assertRaises(StoreLockedError, StoreLock(self.path, 456).acquire)
        self.assertEqual(error.pid, "678")

    def refuse(self, code: int) -> None:
        """Have the disk make no lock file."""
        open_file = os.open

        def refuse(path: str, flags: int, *args: Any) -> int:
            if path == self.path and flags & os.O_CREAT:
                raise OSError(code, os.strerror(code), path)
            return open_file(path, flags, *args)

        self.patch(os, "open", refuse)

    def test_disk_that_takes_no_file(self) -> None:
        """Where no lock file can be made the folder is locked, also against those who can."""
        for code in (errno.EROFS, errno.ENOSPC, errno.EACCES):
            first = StoreLock(self.path, 123)
            self.refuse(code)
            first.acquire()
            self.assertRaises(StoreLockedError, StoreLock(self.path, 456).acquire)
            self.doCleanups()
            self.assertRaises(StoreLockedError, StoreLock(self.path, 456).acquire)
            first.release()
            second = StoreLock(self.path, 456)
            second.acquire()
            second.release()
            os.unlink(self.path)

    def test_old_file_on_a_disk_that_takes_none(self) -> None:
        """An old lock file is locked as it is; its pid is overwritten without a new block."""
        first = StoreLock(self.path, 12345)
        first.acquire()
        self.addCleanup(first.release)
        self.refuse(errno.EROFS)
        lock = StoreLock(self.path, 123)
        error = self.assertRaises(StoreLockedError, lock.acquire)
        self.assertEqual(error.pid, "12345")

    def test_something_else_has_its_name(self) -> None:
        """A folder, FIFO or link in its place is put aside."""
        for make in (os.mkdir, os.mkfifo, lambda path: os.symlink("/etc/passwd", path)):
            make(self.path)
            lock = StoreLock(self.path, 123)
            lock.acquire()
            self.assertTrue(os.path.isfile(self.path) and not os.path.islink(self.path))
            lock.release()
            os.unlink(self.path)

    def test_pid_unreadable(self) -> None:
        """A holder that has not written its pid is called another process."""
        first = StoreLock(self.path, 123)
        first.acquire()
        self.addCleanup(first.release)
        with open(self.path, "wb") as file:
            file.write(b"\xff not a pid")
        error = self.assertRaises(StoreLockedError, StoreLock(self.path, 456).acquire)
        self.assertIn("in use by another process", str(error))

    def test_release(self) -> None:
        """Once it is given up another may have it; giving up twice changes nothing."""
        first = StoreLock(self.path, 123)
        first.acquire()
        first.release()
        first.release()
        second = StoreLock(self.path, 456)
        second.acquire()
        second.release()

    def test_killed_holder(self) -> None:
        """A process that was killed holds nothing, even if the file says so."""
        holder = subprocess.Popen(
            [sys.executable, "-c", _HOLD, self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        with holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            error = self.assertRaises(StoreLockedError, StoreLock(self.path, 1).acquire)
            self.assertEqual(error.pid, "4711")
            holder.kill()
        lock = StoreLock(self.path, 1)
        lock.acquire()
        lock.release()

    def test_cannot_be_made(self) -> None:
        """A folder that is not there is an OSError."""
        self.assertRaises(FileNotFoundError, StoreLock(self.path + "/no/lock", 1).acquire)
