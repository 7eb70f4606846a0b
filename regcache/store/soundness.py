"""Decides whether stored content may be served as it is, or has to be hashed first.

The size of a file is compared with the index's whenever it is opened
(:mod:`regcache.store.contents`). Besides, content is hashed before it is first served if it may not
have reached the disk before a crash of the machine, and if the index does not know its size.
"""

import os
from collections.abc import Callable

from regcache.bounded import BoundedTable
from regcache.digests import Digest
from regcache.store.content_file import OpenFile
from regcache.store.contents import Opened
from regcache.store.file_operations import is_unlinked, settle
from regcache.store.growing import GrowingContent
from regcache.store.keyed_locks import KeyedLocks

_VERIFY_STEP = 64 * 1024 * 1024
_MOST_REMEMBERED = 4096

Signature = tuple[int, int, int]
"""The inode, the size and the time of the last write of a file that was verified."""


class Soundness:
    """Says of open content whether it may be served, and remembers what was hashed.

    :param is_new: whether this process verified a digest, and has not synced it yet.
    """

    def __init__(self, is_new: Callable[[Digest], bool]) -> None:
        self._is_new = is_new
        self._locks = KeyedLocks[Digest]()
        self._sound: BoundedTable[Digest, Signature] = BoundedTable(_MOST_REMEMBERED)

    def forget(self, digest: Digest) -> None:
        """Forget the result for this content."""
        self._sound.drop(digest)

    def is_certain(self, digest: Digest, found: Opened, size: int | None) -> bool:
        """Whether it may be served without hashing it.

        :param size: the size with which that of the file was compared (bytes), or None.
        """
        return self._is_new(digest) or (found.settled and size is not None)

    async def is_sound(self, digest: Digest, size: int, opened: OpenFile) -> bool:
        """Whether a file has its digest; if so it is synced and marked.

        A file that cannot be read or synced is not sound. Further calls for the same digest wait
        for the outcome.

        :param size: of the file, in bytes.
        """
        await self._locks.acquire(digest)
        try:
            if await opened.run(is_unlinked):
                return False  # an earlier call found it damaged
            known = self._sound.get(digest)
            if known is not None and known == await opened.run(_signature):
                return True
            if not await self._verify(digest, size, opened):
                return False
            self._sound.put(digest, await opened.run(_signature))
            return True
        finally:
            self._locks.release(digest)

    async def _verify(self, digest: Digest, size: int, opened: OpenFile) -> bool:
        hashing = GrowingContent(digest)
        try:
            while hashing.hashed_to < size:
                await opened.run(hashing.catch_up, size, _VERIFY_STEP)
            if not await opened.run(hashing.is_exactly, size):
                return False
            await opened.run(settle)
        except OSError:
            return False
        return True


def _signature(descriptor: int) -> Signature:
    status = os.fstat(descriptor)
    return status.st_ino, status.st_size, status.st_mtime_ns
