"""Looks up complete content on the disk, and finds out whether it is damaged."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from regcache.bounded import BoundedTable
from regcache.digests import Digest
from regcache.interfaces import Found, IContentFile, IWorkPool
from regcache.store.content_file import CachedReads, OpenFile
from regcache.store.contents import (
    Damage,
    Opened,
    Wanted,
    load_content,
    look_up_contents,
    remove_damaged,
)
from regcache.store.open_contents import OpenContents, Opening
from regcache.store.paths import PartialKey, StorePaths
from regcache.store.pool import handed_over
from regcache.store.shared_jobs import SharedJobs
from regcache.store.soundness import Soundness

#: How many look-ups share a job, and how many such jobs run at a time: a disk can serve several.
MOST_LOOKED_UP, LOOKING_JOBS = 8, 4
#: Damaged files that cannot be removed are reported once each, as long as there are no more.
MOST_STUCK = 1000


def _close(file: IContentFile | None) -> None:
    """Close a file, since no caller waits for it any more."""
    if file is not None:
        file.close()


class ContentLookUp:
    """Opens and reads complete content, after checking it. For the reactor thread.

    :param is_new: whether this process verified a digest, and has not synced it yet.
    :param lost: called with the digest and size of content that was found to be damaged, and
        whether it was removed.
    """

    log = Logger()

    def __init__(
        self,
        pool: IWorkPool,
        paths: StorePaths,
        cached: CachedReads,
        *,
        is_new: Callable[[Digest], bool],
        lost: Callable[[Digest, int, bool], None],
    ) -> None:
        self._pool = pool
        self._paths = paths
        self._lost = lost
        self._open = OpenContents(cached)
        self._soundness = Soundness(is_new)
        self._stuck: BoundedTable[Digest, int] = BoundedTable(MOST_STUCK)
        self._looking = SharedJobs[tuple[Wanted, PartialKey], Opened | Damage | bool](
            pool, look_up_contents, paths, most_items=MOST_LOOKED_UP, most_jobs=LOOKING_JOBS
        )

    def look_up(
        self, key: PartialKey, size: int | None, described: int | None
    ) -> "Deferred[Found]":
        """See :meth:`regcache.store.blob_store.BlobStore.look_up`.

        :param key: of the digest, and of the partial file that there may be.
        """
        looking = Deferred.fromCoroutine(self._look_up(key, size, described))
        return handed_over(looking, lambda found: _close(found.file))

    async def _look_up(self, key: PartialKey, size: int | None, described: int | None) -> Found:
        digest = key.digest
        if shared := await self._share(digest, size):
            return Found(shared, False)
        with self._open.opening(digest) as opening:
            found = await self._looking.run(((digest, size), key))
            if isinstance(found, bool):
                return Found(None, found)
            if isinstance(found, Damage):
                self._found_damaged(digest, found)
                return Found(None, False)
            compared = described if size is None and described == found.size else size
            return Found(await self._sound(digest, found, compared, opening), False)

    async def _share(self, digest: Digest, size: int | None) -> IContentFile | None:
        """Content that is open already, unless its file was changed since."""
        shared = self._open.share(digest)
        if shared is None:
            return None
        whole = False
        try:
            whole = size in (None, shared.size) and await shared.is_whole()
        finally:
            if not whole:
                shared.close()
                self._open.forget(digest)
        return shared if whole else None

    async def _sound(
        self, digest: Digest, found: Opened, size: int | None, opening: Opening
    ) -> IContentFile | None:
        """An open file, unless it turns out to be damaged."""
        opened = OpenFile(found.raw, self._pool)
        sound = self._soundness.is_certain(digest, found, size)
        try:
            sound = sound or await self._check(digest, found, opened)
        finally:
            if not sound:
                opened.close()
        return self._open.add(digest, opened, found.size, opening) if sound else None

    async def _check(self, digest: Digest, found: Opened, opened: OpenFile) -> bool:
        """Hash content of which it is not known that it is whole. If it is damaged, remove it."""
        if await self._soundness.is_sound(digest, found.size, opened):
            return True
        path, why = self._paths.blob(digest), "it has another digest"
        damage = await opened.run(lambda _: remove_damaged(path, found.raw, found.size, why))
        if damage is not None:
            self._found_damaged(digest, damage)
        return False

    def load(self, digest: Digest, limit: int, size: int | None) -> "Deferred[bytes | None]":
        """Read small content whole and verify it; None if absent, damaged or over ``limit``.

        :param size: what the index says (bytes); None where it does not know the content.

        Fails with OSError.
        """
        loading = self._pool.run(load_content, self._paths, (digest, size), limit)
        return handed_over(loading.addCallback(self._loaded, digest))

    def _loaded(self, outcome: bytes | Damage | None, digest: Digest) -> bytes | None:
        if not isinstance(outcome, Damage):
            return outcome
        self._found_damaged(digest, outcome)
        return None

    def forget(self, digest: Digest) -> None:
        """Forget what is known of a file, since another one has its name now, or none."""
        self._soundness.forget(digest)
        self._open.forget(digest)

    def _found_damaged(self, digest: Digest, damage: Damage) -> None:
        """Report damaged content; a file that cannot be removed only once."""
        if not damage.removed:
            if self._stuck.get(digest) == damage.size:
                return
            self._stuck.put(digest, damage.size)
        self.log.error(
            "stored content is damaged, and {what}: {digest}, {size} bytes: {difference}",
            what="was removed" if damage.removed else "is not used",
            digest=str(digest),
            size=damage.size,
            difference=damage.difference,
        )
        self._lost(digest, damage.size, damage.removed)
