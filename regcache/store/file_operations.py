"""Operations on files. All of them block, and belong into a pool."""

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice

MODE_GROWING = 0o600
"""Mode of files that may not have reached the disk."""

MODE_SETTLED = 0o400
"""Mode of content that was synced to the disk after it had been verified."""

_MOST_BUFFERS = 1024  # IOV_MAX

VectorWrite = Callable[[int, Sequence["bytes | memoryview"], int], int]


def read_exactly(descriptor: int, offset: int, length: int) -> bytes:
    """Read ``length`` bytes.

    :raises OSError: EIO if the file ends before that.
    """
    content = os.pread(descriptor, length, offset)
    while len(content) < length:
        more = os.pread(descriptor, length - len(content), offset + len(content))
        if not more:
            raise OSError(errno.EIO, "the file is shorter than its content")
        content += more
    return content


def write_all(
    descriptor: int,
    buffers: Iterable["bytes | memoryview"],
    offset: int,
    pwritev: VectorWrite = os.pwritev,
) -> int:
    """Write all buffers one after another, with as many calls as that takes.

    :returns: the offset after the last byte.
    :raises OSError: as pwritev does; some bytes may have been written then.
    """
    queue = deque(memoryview(buffer) for buffer in buffers if len(buffer))
    while queue:
        count = pwritev(descriptor, list(islice(queue, _MOST_BUFFERS)), offset)
        if count <= 0:
            raise OSError(errno.EIO, "the disk takes no more bytes")
        offset += count
        _drop(queue, count)
    return offset


def _drop(queue: "deque[memoryview]", count: int) -> None:
    """Take ``count`` bytes from the front of the queue."""
    while count:
        head = queue.popleft()
        if len(head) > count:
            queue.appendleft(head[count:])
            return
        count -= len(head)


def remove(path: str) -> int | None:
    """Unlink a file. Returns its size in bytes, or None if there was none."""
    try:
        size = os.lstat(path).st_size
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return size


def remove_same(path: str, descriptor: int) -> bool:
    """Unlink a file, if it is still the one of the descriptor. Returns whether it was."""
    try:
        if not os.path.samestat(os.lstat(path), os.fstat(descriptor)):
            return False
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def settle(descriptor: int) -> None:
    """Sync verified content, and mark that by the mode of the file.

    The mode is changed when the data are on the disk, so the mark is never wrong. On file systems
    without modes there is no mark, and the content is verified more often.
    """
    os.fdatasync(descriptor)
    mark_settled(descriptor)


def mark_settled(descriptor: int) -> None:
    """Mark a file, by its mode, as synced. Its data must be on the disk."""
    with suppress(OSError):
        os.fchmod(descriptor, MODE_SETTLED)


def is_settled(status: os.stat_result) -> bool:
    """Whether a file has the mark: its content was synced after verification."""
    return not status.st_mode & 0o222


def sync_folder(path: str) -> None:
    """Sync the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_unlinked(descriptor: int) -> bool:
    """Whether the file has no name any more."""
    return os.fstat(descriptor).st_nlink == 0
