"""Complete content on disk: opening, reading, storing. Blocks, and belongs into a pool."""

import io
import os
from collections.abc import Sequence
from typing import Any

from regcache.digests import Digest
from regcache.store.files import (
    MODE_GROWING,
    is_settled,
    put_in_place,
    read_exactly,
    remove,
    remove_same,
    write_all,
)
from regcache.store.paths import TEMPORARY_SUFFIX, StorePaths
from regcache.store.shared_jobs import outcomes

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


def look_up_contents(paths: StorePaths, digests: Sequence[Digest]) -> list[Any]:
    """Open contents; of each that is not here, say whether there is a partial file.

    :returns: for each digest Opened, a bool, or the Failure of an OSError.
    """

    def look_up(digest: Digest) -> Opened | bool:
        return open_content(paths.blob(digest)) or os.path.lexists(paths.partial(digest))

    return outcomes(look_up, digests)


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


def keep_contents(paths: StorePaths, contents: Sequence[tuple[Digest, bytes]]) -> list[Any]:
    """Store contents.

    :returns: for each the size in bytes of what was replaced, or the Failure of an OSError, or
        of a ValueError.
    """

    def keep(content: tuple[Digest, bytes]) -> int:
        return _keep_content(paths, *content)

    return outcomes(keep, contents)


def _keep_content(paths: StorePaths, digest: Digest, content: bytes) -> int:
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
        return put_in_place(temporary, paths.blob(digest))
    except BaseException:
        remove(temporary)
        raise
