"""Notices that another file has taken the place of one: by a rename, or by a swapped link.

A file that is written in place stays the same one. Its number on the disk may be given to another
file once it is gone; therefore the file is held open until the next one is known.
"""

import os
from contextlib import suppress

#: What a file is: device and inode; None where there is none.
Identity = tuple[int, int] | None


class ReplacedFile:
    """One path, in threads: the file that was there when it was read last, and what is there now.

    :param path: links on the way are followed each time.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._held: int | None = None
        self._seen: tuple[int, ...] | None = None

    def hold(self) -> Identity:
        """Take what is there now for the one that is being read."""
        former, self._held, self._seen = self._held, None, None
        with suppress(OSError):
            self._held = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if former is not None:
            os.close(former)
        return None if self._held is None else _identity(os.fstat(self._held))

    def is_replaced(self) -> bool:
        """Whether another file is there, that was not being written since the last look.

        A path that leads nowhere is no replacement: it may be on the way.
        """
        try:
            status = os.stat(self.path)
        except OSError:
            self._seen = None
            return False
        held = None if self._held is None else _identity(os.fstat(self._held))
        if _identity(status) == held:
            self._seen = None
            return False
        seen, self._seen = self._seen, (*_identity(status), status.st_size, status.st_mtime_ns)
        return seen == self._seen

    def close(self) -> None:
        """Hold no file any more."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
