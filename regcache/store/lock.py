"""One daemon per storage directory."""

import fcntl
import os
from contextlib import suppress

from regcache.store.aside import Aside, open_regular


class StoreLockedError(Exception):
    """Another process holds the storage directory.

    :ivar pid: of that process, as it wrote it; "" if it did not.
    """

    def __init__(self, path: str, pid: str) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(f"{os.path.dirname(path)} is in use by {holder}")
        self.pid = pid


class StoreLock:
    """A lock file, held with flock(2) until :meth:`release` or the end of the process.

    The file is never removed: whoever unlinks a lock lets two processes hold one each.

    :param pid: what another process is told.
    """

    def __init__(self, path: str, pid: int) -> None:
        self._path = path
        self._pid = pid
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock at once. Called before the reactor runs.

        :raises StoreLockedError: if another process has it.
        :raises OSError: if the file cannot be made.
        """
        Aside(os.path.dirname(self._path)).clear(self._path)
        descriptor, _ = open_regular(self._path, os.O_RDWR | os.O_CREAT)
        try:
            self._take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _take(self, descriptor: int) -> None:
        """Lock the file and write the pid into it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreLockedError(self._path, _read_pid(descriptor)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % self._pid, 0)

    def release(self) -> None:
        """Give it up. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):  # a pid that stays behind is harmless without the lock
                os.ftruncate(descriptor, 0)
            os.close(descriptor)


def _read_pid(descriptor: int) -> str:
    """The pid in the file, or "" if there is none."""
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return text if text.isdecimal() else ""
