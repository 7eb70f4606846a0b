"""fallocate(2) itself.

os.posix_fallocate writes zeros where the file system cannot allocate, which would double
the work of the disk; the system call says so instead.
"""

import ctypes
import errno
import os
from collections.abc import Callable

STEP = 64 * 1024 * 1024
"""Most bytes allocated by one call, so that none of them takes long."""

_KEEP_SIZE = 1  # linux/falloc.h: FALLOC_FL_KEEP_SIZE; a growing file's size stays what was written
_NOT_SUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS})

Fallocate = Callable[[int, int, int, int], int]


def _system_call() -> Fallocate | None:
    """The C library's function with 64 bit offsets, or None where there is none."""
    library = ctypes.CDLL(None, use_errno=True)
    function = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if function is None:
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    function.restype = ctypes.c_int
    result: Fallocate = function
    return result


_FALLOCATE = _system_call()


def allocate(
    descriptor: int, start: int, end: int, system_call: Fallocate | None = _FALLOCATE
) -> None:
    """Reserve disk space for ``[start, end)`` of a file. Blocks.

    Does nothing where the file system cannot do so.

    :raises OSError: where there is no space (ENOSPC, EDQUOT), or another fault.
    """
    while system_call is not None and start < end:
        length = min(STEP, end - start)
        if system_call(descriptor, _KEEP_SIZE, start, length) == 0:
            start += length
            continue
        code = ctypes.get_errno()
        if code in _NOT_SUPPORTED:
            return
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
