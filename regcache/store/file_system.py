"""syncfs(2): everything that was written to a file system, in one call."""

import ctypes
import os
from collections.abc import Callable

SystemCall = Callable[[int], int]

_FIRST_RELIABLE = (5, 8)
"""Older kernels do not tell of writes that failed: syncfs(2), BUGS."""


def _system_call(release: str = os.uname().release) -> SystemCall | None:
    """The C library's function, or None where it cannot be relied upon."""
    numbers = release.split(".")[:2]
    if not all(number.isdecimal() for number in numbers):
        return None
    if tuple(map(int, numbers)) < _FIRST_RELIABLE:
        return None
    function: SystemCall | None = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    return function


_SYNCFS = _system_call()


class FileSystem:
    """The file system that a folder is on, for as long as it is held open.

    It is opened before anything is written that it is to vouch for: its descriptor tells of all
    writes that failed since, whoever else was told of them. But it tells once, and not of which
    file. So after the first fault it vouches for nothing any more. For one thread at a time.
    """

    def __init__(self, folder: str, system_call: SystemCall | None = _SYNCFS) -> None:
        self._folder = folder
        self._system_call = system_call
        self._descriptor: int | None = None

    def open(self) -> None:
        """Begin to be told. :raises OSError: if the folder cannot be opened."""
        if self._system_call is not None and self._descriptor is None:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            self._descriptor = os.open(self._folder, flags)

    def sync(self) -> bool:
        """Bring everything to the disk. Blocks.

        :returns: whether everything that was written since :meth:`open` is there; False, and
            nothing is done, where that cannot be told.
        :raises OSError: if something could not be written, perhaps not ours.
        """
        if self._system_call is None or self._descriptor is None:
            return False
        if self._system_call(self._descriptor) != 0:
            code = ctypes.get_errno()
            self._system_call = None
            raise OSError(code, os.strerror(code))
        return True

    def close(self) -> None:
        """Let go of the folder. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
