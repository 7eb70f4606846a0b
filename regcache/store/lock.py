"""The lock of a storage directory: only one daemon may use it."""

import errno
import fcntl
import os
from contextlib import suppress

from regcache.store.aside import Aside, open_regular

_NOT_WRITABLE = frozenset(
    {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.ENOENT}
) | {errno.EEXIST}  # it is no regular file, and cannot be moved aside


class StoreLockedError(Exception):
    """Another process uses the storage directory. The text is one line that says what to do.

    :ivar pid: of that process, from the lock file; "" if it is not there.
    """

    def __init__(self, path: str, pid: str) -> None:
        holder = f"process {pid}" if pid else "another process"
        remedy = f", or type: kill {pid}" if pid else ""
        super().__init__(
            f"storage.directory: {os.path.dirname(path)} is in use by {holder}:"
            f" name another one{remedy}"
        )
        self.pid = pid


class StoreLock:
    """A lock file, held with flock(2) until :meth:`release` or the end of the process.

    The file is never removed: if it were, two processes could each lock a file of that name. On a
    disk that is full or read-only it cannot be made. Therefore the directory itself is locked, too.

    :param pid: the first content of the file, for other processes.
    """

    def __init__(self, path: str, pid: int) -> None:
        self._path = path
        self._pid = pid
        self._file: int | None = None
        self._folder: int | None = None
        self._held = self._writable = False

    def acquire(self) -> None:
        """Take the lock at once. Called before the reactor runs.

        :raises StoreLockedError: if another process has it.
        :raises OSError: if there is no such directory.
        """
        try:
            self._file, self._writable = self._open()
            if self._file is not None:
                self._take(self._file)
            self._take_folder()
            self._held = True
            self.tell(self._pid)
        except BaseException:
            self.release()
            raise

    def _open(self) -> tuple[int | None, bool]:
        """Open the file, if that is possible. Gives it, and whether it may be written."""
        with suppress(OSError):
            Aside(os.path.dirname(self._path)).clear(self._path)
        for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
            try:
                return open_regular(self._path, flags)[0], flags != os.O_RDONLY
            except OSError as error:
                if error.errno not in _NOT_WRITABLE:
                    raise
        return None, False

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = "" if self._file is None else _read_pid(self._file)
            raise StoreLockedError(self._path, pid) from None

    def _take_folder(self) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        self._folder = os.open(os.path.dirname(self._path), flags)
        try:
            self._take(self._folder)
        except OSError:  # some network file systems cannot lock folders
            if self._file is None:
                raise

    def tell(self, pid: int) -> None:
        """Write another pid into the file: a daemon that forks keeps its lock.

        It overwrites the old one, since a full disk has no room for a new block.
        """
        if self._file is not None and self._writable:
            with suppress(OSError):
                os.ftruncate(self._file, os.pwrite(self._file, b"%d\n" % pid, 0))

    def release(self) -> None:
        """Release the lock. Idempotent."""
        file, self._file = self._file, None
        folder, self._folder = self._folder, None
        held, self._held = self._held, False
        if file is not None:
            with suppress(OSError):  # without the lock an old pid does no harm
                if held:
                    os.ftruncate(file, 0)
            os.close(file)
        if folder is not None:
            os.close(folder)


def _read_pid(descriptor: int) -> str:
    """The pid in the file, or "" if there is none."""
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return text if text.isdecimal() else ""
