"""Moves aside what has the name of one of our files, but is no regular file.

A folder, a FIFO or a symlink under such a name was made by someone else. It is never opened for
writing, followed or waited for. It is moved into ``aside/`` of the storage directory, where its
owner can find it, so that the name is free. Regular files under our names are taken as ours.
"""

import errno
import os
import stat
import time

from twisted.logger import Logger

MOST_ASIDE = 100
"""Things that are kept aside. Further ones without content are removed, others stay."""

_MODE = 0o700
_log = Logger()


class NotOursError(OSError):
    """Something that is no regular file has the name of one of ours."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EEXIST, "something else has the name of this file", path)


def open_regular(path: str, flags: int, mode: int = 0o600) -> tuple[int, os.stat_result]:
    """Open a file of ours. Never blocks on a FIFO.

    :returns: a descriptor, and the status of the file.
    :raises NotOursError: if it is no regular file.
    :raises OSError: for other faults.
    """
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, mode)
    except FileNotFoundError:
        raise  # and not by a dangling link: that is a loop, with these flags
    except OSError as error:
        if is_strange(path):
            raise NotOursError(path) from error
        raise
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status
    os.close(descriptor)
    raise NotOursError(path)


def is_strange(path: str) -> bool:
    """Whether there is something at a path that is no regular file."""
    try:
        return not stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


class Aside:
    """The folder for what is moved aside. All methods block, and belong into a pool.

    :param directory: the storage directory.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self.folder = os.path.join(directory, "aside")

    def clear(self, path: str) -> None:
        """Free the name of a file, if something else has it; that is logged.

        :raises NotOursError: if that cannot be moved.
        """
        if is_strange(path):
            self._put(path)

    def clear_folders(self, path: str) -> None:
        """Free the names of the folders that a path leads through below the storage directory.

        A symlink to a folder counts as a folder: an operator may keep some on another disk. A
        dangling one stays as it is, since that disk may only be unmounted.

        :raises NotOursError: if it cannot be moved.
        """
        folder = self._directory
        for name in os.path.relpath(os.path.dirname(path), folder).split(os.sep):
            folder = os.path.join(folder, name)
            if os.path.exists(folder) and not os.path.isdir(folder):
                self._put(folder)

    def _put(self, path: str) -> None:
        try:
            where = self._move(path)
        except FileNotFoundError:  # another process was faster
            return
        except OSError as error:
            raise NotOursError(path) from error
        _log.warn(
            "{path} is no file or folder of this program: it was {where}", path=path, where=where
        )

    def _move(self, path: str) -> str:
        """Move or remove something. Returns what was done, for the log."""
        os.makedirs(self.folder, mode=_MODE, exist_ok=True)
        if len(os.listdir(self.folder)) >= MOST_ASIDE:
            self._remove_empty(path)
            return "removed"
        target = self._free_name(os.path.basename(path))
        os.rename(path, target)
        return f"moved to {target}"

    def _remove_empty(self, path: str) -> None:
        """Remove a symlink, a FIFO or an empty folder. :raises OSError: if it is not empty."""
        kind = stat.S_IFMT(os.lstat(path).st_mode)
        if kind == stat.S_IFDIR:
            os.rmdir(path)
        elif kind == stat.S_IFREG:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        else:
            os.unlink(path)

    def _free_name(self, name: str) -> str:
        moment = int(time.time())
        while os.path.lexists(found := os.path.join(self.folder, f"{moment}-{name}")):
            moment += 1
        return found
