"""Files that others see whole or not at all: written beside their place, and renamed."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

#: A file of accounts, seats or keys that is larger is neither read nor written (bytes).
MOST_BYTES = 4 * 1024 * 1024


class FileTooLargeError(ValueError):
    """A file has more than :data:`MOST_BYTES`."""

    def __init__(self) -> None:
        super().__init__(f"it is larger than {MOST_BYTES // 1024**2} MiB, the most that is read")


def read_whole(file: BinaryIO) -> bytes:
    """All of an open file. Blocks. Raises OSError.

    :raises FileTooLargeError: if that is too much.
    """
    content = file.read(MOST_BYTES + 1)
    if not fits(content):
        raise FileTooLargeError
    return content


def fits(content: bytes) -> bool:
    """Whether :func:`read_whole` would read it again: nothing else may be written."""
    return len(content) <= MOST_BYTES


@contextmanager
def alone_in(folder: str) -> Iterator[None]:
    """Keep out others that change a file there at this moment: their change would be lost."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_whole(
    path: str, content: bytes, prepare: Callable[[int], object] = lambda descriptor: None
) -> None:
    """Put a file with some content in a place. Blocks. Raises OSError.

    :param prepare: gives the open file the owner and mode that it has to have; it has mode 0600.
    """
    prefix = f".{os.path.basename(path)}."
    descriptor, temporary = tempfile.mkstemp(prefix=prefix, dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            prepare(descriptor)
            os.fsync(descriptor)
        os.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
