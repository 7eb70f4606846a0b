"""Content that may not have reached the disk before the machine crashed."""

from regcache.bounded import BoundedTable
from regcache.digests import Digest
from regcache.store.content_file import OpenFile
from regcache.store.files import is_unlinked, settle
from regcache.store.growing import GrowingContent
from regcache.store.keyed_locks import KeyedLocks

_VERIFY_STEP = 64 * 1024 * 1024
_MOST_REMEMBERED = 4096  # matters only on file systems that cannot keep the mark


class SuspectContent:
    """Verifies, once, content that carries no mark of having been synced."""

    def __init__(self) -> None:
        self._locks = KeyedLocks()
        self._sound: BoundedTable[Digest, bool] = BoundedTable(_MOST_REMEMBERED)

    def forget(self, digest: Digest) -> None:
        """What was said of this content counts no more."""
        self._sound.drop(digest)

    async def is_sound(self, digest: Digest, size: int, opened: OpenFile) -> bool:
        """Whether the file has the digest; if so it is synced and marked.

        A file that cannot be read, or not be synced, is not sound. Whoever asks for the same
        digest meanwhile waits for the outcome.
        """
        await self._locks.acquire(digest)
        try:
            if not self._sound.get(digest):
                if not await self._verify(digest, size, opened):
                    return False
                self._sound.put(digest, True)
            return True
        finally:
            self._locks.release(digest)

    async def _verify(self, digest: Digest, size: int, opened: OpenFile) -> bool:
        if await opened.run(is_unlinked):
            return False  # by whoever asked before and saw that it is damaged
        hashing = GrowingContent(digest)
        try:
            while hashing.hashed_to < size:
                await opened.run(hashing.catch_up, size, _VERIFY_STEP)
            if not await opened.run(hashing.matches, size):
                return False
            await opened.run(settle)
        except OSError:
            return False
        return True
