"""Opening, reading and storing complete content. All of it blocks, and belongs into a pool."""

import io
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.light_dataclass import dataclass
from regcache.store.aside import NotOursError, open_regular
from regcache.store.file_operations import is_settled, read_exactly, remove, remove_same, write_all
from regcache.store.paths import PartialKey, StorePaths
from regcache.store.shared_jobs import outcomes

Wanted = tuple[Digest, int | None]
"""A digest, and the size that the index says it has (bytes)."""


Signature = tuple[int, int, int, int]
"""The inode and the size of a file, and the times of its last write and last change."""


def signature_of(status: os.stat_result) -> Signature:
    """A value that changes when the file is written to."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@dataclass(frozen=True, slots=True)
class Opened:
    """An open file.

    :ivar size: in bytes.
    :ivar settled: whether it was synced after verification.
    """

    raw: io.FileIO
    size: int
    settled: bool
    signature: Signature


@dataclass(frozen=True, slots=True)
class Damage:
    """Damaged content, which is not served.

    :ivar size: of the file, in bytes.
    :ivar difference: what differs, for the log.
    :ivar removed: whether the file is gone.
    """

    size: int
    difference: str
    removed: bool


def open_content(paths: StorePaths, wanted: Wanted) -> Opened | Damage | None:
    """Open content; None if it is not here.

    A file of another size than the index says is damaged; it is removed at once.

    :raises OSError: for other faults.
    """
    digest, size = wanted
    path = paths.blob(digest)
    try:
        descriptor, status = open_regular(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except NotOursError:
        paths.aside.clear(path)
        return None
    except NotADirectoryError:
        paths.aside.clear_folders(path)
        return None
    raw = io.FileIO(descriptor, "r")
    if size in (None, status.st_size):
        return Opened(raw, status.st_size, is_settled(status), signature_of(status))
    with raw:
        return remove_damaged(path, raw.fileno(), status.st_size, f"the index says {size} bytes")


def remove_damaged(path: str, descriptor: int, size: int, difference: str) -> Damage | None:
    """Remove a damaged file. Returns None if another file has its name by now."""
    try:
        removed = remove_same(path, descriptor)
    except OSError as error:
        return Damage(size, f"{difference}; it cannot be removed: {error.strerror}", False)
    return Damage(size, difference, True) if removed else None


def remove_content(paths: StorePaths, digest: Digest) -> int | None:
    """Remove content. Returns its size in bytes, or None if there was none.

    :raises OSError: if the disk fails.
    """
    path = paths.blob(digest)
    paths.aside.clear(path)
    return remove(path)


def occupied_by(paths: StorePaths, digests: Sequence[Digest]) -> int:
    """Add up the sizes of the files of some contents, in bytes of whole blocks.

    :raises OSError: if the disk fails.
    """
    found = 0
    for digest in digests:
        with suppress(FileNotFoundError, NotADirectoryError):
            found += in_blocks(os.lstat(paths.blob(digest)).st_size)
    return found


def look_up_contents(paths: StorePaths, wanted: Sequence[tuple[Wanted, PartialKey]]) -> list[Any]:
    """Open contents. Of each that is not here, find out whether its partial file is.

    :returns: for each of them Opened, Damage, a bool, or the Failure of an OSError.
    """

    def look_up(each: tuple[Wanted, PartialKey]) -> Opened | Damage | bool:
        return open_content(paths, each[0]) or os.path.lexists(paths.partial(each[1]))

    return outcomes(look_up, wanted)


def load_content(paths: StorePaths, wanted: Wanted, limit: int) -> bytes | Damage | None:
    """Read and verify small content; None if it is absent, or over the limit.

    :raises OSError: if the disk fails.
    """
    opened = open_content(paths, wanted)
    if not isinstance(opened, Opened):
        return opened
    digest, _ = wanted
    with opened.raw as raw:
        if opened.size > limit:
            return None
        content = read_exactly(raw.fileno(), 0, opened.size)
        if digest.names(content):
            return content
        return remove_damaged(
            paths.blob(digest), raw.fileno(), opened.size, "it has another digest"
        )


def keep_contents(paths: StorePaths, contents: Sequence[tuple[Digest, bytes]]) -> list[Any]:
    """Store contents.

    :returns: for each the size in bytes of what was replaced, or the Failure of an OSError, or
        of a ValueError.
    """

    def keep(content: tuple[Digest, bytes]) -> int:
        return _keep_content(paths, *content)

    return outcomes(keep, contents)


def _keep_content(paths: StorePaths, digest: Digest, content: bytes) -> int:
    """Store content under its name, by a temporary file. Not for the same digest at the same time.

    :returns: the size of what was replaced, in bytes.
    :raises ValueError: if the content has another digest.
    """
    if not digest.names(content):
        raise ValueError("the content has another digest")
    temporary = paths.temporary(digest)
    descriptor = paths.make_growing(temporary)
    try:
        try:
            write_all(descriptor, [content], 0)
        finally:
            os.close(descriptor)
        return paths.put_in_place(temporary, paths.blob(digest))
    except BaseException:
        remove(temporary)
        raise
