"""Complete content on disk: opening, reading, storing. Blocks, and belongs into a pool."""

import io
import os

from regcache.digests import Digest
from regcache.store.files import (
    MODE_GROWING,
    install,
    is_settled,
    read_exactly,
    remove,
    remove_same,
    write_all,
)
from regcache.store.paths import TEMPORARY_SUFFIX, StorePaths

Opened = tuple[io.FileIO, int, bool]
"""An open file, its size in bytes, and whether it was synced after verification."""


def open_content(path: str) -> Opened | None:
    """Open content; None if it is not here. :raises OSError: for other faults."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    status = os.fstat(descriptor)
    return io.FileIO(descriptor, "r"), status.st_size, is_settled(status)


def look_up_content(path: str, partial: str) -> Opened | bool:
    """Open content; where it is not here, say whether there is a partial file of it.

    :raises OSError: for other faults.
    """
    return open_content(path) or os.path.lexists(partial)


def load_content(path: str, digest: Digest, limit: int) -> tuple[bytes | None, int | None]:
    """Read and verify small content.

    :returns: the content, or None if it is absent, over the limit or damaged; and the size in
        bytes of damaged content, which is removed.
    """
    opened = open_content(path)
    if opened is None:
        return None, None
    raw, size, _ = opened
    with raw:
        if size > limit:
            return None, None
        content = read_exactly(raw.fileno(), 0, size)
        if digest.names(content):
            return content, None
        return None, size if remove_same(path, raw.fileno()) else None


def keep_content(paths: StorePaths, digest: Digest, content: bytes) -> int:
    """Store content under its name, by way of a temporary file. Once at a time per digest.

    :returns: the size of what was replaced, in bytes.
    :raises ValueError: if the content has another digest.
    """
    if not digest.names(content):
        raise ValueError("the content has another digest")
    temporary = paths.partial(digest) + TEMPORARY_SUFFIX
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, MODE_GROWING)
    try:
        try:
            write_all(descriptor, [content], 0)
        finally:
            os.close(descriptor)
        return install(temporary, paths.blob(digest))
    except BaseException:
        remove(temporary)
        raise
