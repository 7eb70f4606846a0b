"""How the C library's allocator keeps what was freed.

The pieces that sockets are read in are freed soon after. By itself glibc gives such memory back
to the kernel at once and has each page cleared and faulted in again for the next piece, which
took an eighth of the processor time of a large download.
"""

import ctypes
from collections.abc import Callable

#: Freed memory that is kept for what comes next (bytes).
KEPT = 8 * 1024 * 1024
#: Larger pieces come straight from the kernel and go back there (bytes); ours are smaller.
MAPPED = 2 * 1024 * 1024

_M_TRIM_THRESHOLD = -1  # malloc.h
_M_MMAP_THRESHOLD = -3

SetOption = Callable[[int, int], int]


def _glibc() -> SetOption | None:
    """mallopt(3), or None where the C library is another one."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return None
    option: SetOption = library.mallopt
    return option


def keep_freed_memory(option: SetOption | None = None) -> bool:
    """Have the allocator keep a little for what comes next; whether it can be told so."""
    option = option or _glibc()
    if option is None:
        return False
    return bool(option(_M_MMAP_THRESHOLD, MAPPED) and option(_M_TRIM_THRESHOLD, KEPT))
