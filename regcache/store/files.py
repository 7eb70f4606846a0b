"""What threads do to files. Everything here blocks, and belongs into a pool."""

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

_MODE_FOLDER = 0o700
_MOST_BUFFERS = 1024  # IOV_MAX

VectorWrite = Callable[[int, Sequence["bytes | memoryview"], int], int]


def read_exactly(descriptor: int, offset: int, length: int) -> bytes:
    """Read ``length`` bytes.

    :raises OSError: (EIO) if the file ends before; it is shorter than it has to be.
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
    """Write the buffers one after another, however short the single writes are.

    :returns: the offset behind the last byte.
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
    """Unlink a file; its size in bytes, or None where there was none."""
    try:
        size = os.lstat(path).st_size
        os.unlink(path)
    except FileNotFoundError:
        return None
    return size


def remove_same(path: str, descriptor: int) -> bool:
    """Unlink a file if it still is the one that the descriptor means."""
    try:
        if not os.path.samestat(os.lstat(path), os.fstat(descriptor)):
            return False
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def install(source: str, target: str) -> int:
    """Rename a verified file to its final name, with the present as its time.

    :returns: the size of what was replaced, in bytes.
    """
    os.utime(source)
    return put_in_place(source, target)


def put_in_place(source: str, target: str) -> int:
    """Rename a verified file to its final name, and make the folder for that if need be.

    :returns: the size of what was replaced, in bytes.
    """
    try:
        replaced = os.lstat(target).st_size
    except FileNotFoundError:
        replaced = 0
    try:
        os.replace(source, target)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), mode=_MODE_FOLDER, exist_ok=True)
        os.replace(source, target)
    return replaced


def replace_file(path: str, content: bytes, durable: bool) -> None:
    """Write a small file by atomic replace.

    :param durable: whether the bytes must be on the disk before the name means them.
    """
    temporary = path + ".tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, MODE_GROWING)
    try:
        write_all(descriptor, [content], 0)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)


def settle(descriptor: int) -> None:
    """Sync verified content, and let its mode tell so.

    The mode is changed after the data are on the disk, so it never tells too much. File
    systems without modes keep it as it was, and the content is verified more often.
    """
    os.fdatasync(descriptor)
    mark_settled(descriptor)


def mark_settled(descriptor: int) -> None:
    """Have the mode of a file say that its data are on the disk, which they have to be."""
    with suppress(OSError):
        os.fchmod(descriptor, MODE_SETTLED)


def is_settled(status: os.stat_result) -> bool:
    """Whether the mode says that the content was synced after verification."""
    return not status.st_mode & 0o222


def sync_folder(path: str) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_unlinked(descriptor: int) -> bool:
    """Whether the file has no name any more."""
    return os.fstat(descriptor).st_nlink == 0
