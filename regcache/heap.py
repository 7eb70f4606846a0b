"""Makes the C library's allocator keep freed memory.

Sockets are read in large pieces, which are freed soon. By default glibc returns such memory to the
kernel at once. For the next piece each page is cleared and faulted in again, which took an eighth
of the processor time of a large download.
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
