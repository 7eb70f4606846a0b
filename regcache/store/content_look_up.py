"""Looks up complete content on the disk, and finds out whether it is damaged."""

import os
from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from regcache.bounded import BoundedTable
from regcache.digests import Digest
from regcache.interfaces import Found, IContentFile, IWorkPool, Verified
from regcache.store.content_file import CachedReads, OpenFile
from regcache.store.contents import (
    Damage,
    Opened,
    Wanted,
    load_content,
    look_up_contents,
    open_content,
    remove_damaged,
    signature_of,
)
from regcache.store.leaving import LeavingContents
from regcache.store.open_contents import OpenContents, Opening, SharedFile
from regcache.store.paths import PartialKey, StorePaths
from regcache.store.pool import PoolStoppedError, handed_over
from regcache.store.shared_jobs import Later, SharedJobs
from regcache.store.soundness import Certainty, Pace, Soundness

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

    :param leaving: content that is being evicted: look-ups of it wait.
    :param lost: called with the digest and size of content that was found to be damaged, and
        whether it was removed.
    """

    log = Logger()

    def __init__(
        self,
        pool: IWorkPool,
        paths: StorePaths,
        cached: CachedReads,
        soundness: Soundness,
        *,
        leaving: LeavingContents,
        lost: Callable[[Digest, int, bool], None],
        later: Later | None = None,
    ) -> None:
        self._pool = pool
        self._paths = paths
        self._leaving = leaving
        self._lost = lost
        self._open = OpenContents(cached)
        self._soundness = soundness
        self._stuck: BoundedTable[Digest, int] = BoundedTable(MOST_STUCK)
        self._looking = SharedJobs[tuple[Wanted, PartialKey], Opened | Damage | bool](
            pool,
            look_up_contents,
            paths,
            most_items=MOST_LOOKED_UP,
            most_jobs=LOOKING_JOBS,
            later=later,
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
        if digest in self._leaving:
            await self._leaving.over(digest)
        shared = await self._share(digest, size)
        while shared is None and (opened := self._open.opened_soon(digest)) and await opened:
            shared = await self._share(digest, size)
        if shared is not None:
            return Found(shared, False, self._check_meanwhile(digest))
        opening = self._open.begin_opening(digest)
        try:
            found = await self._looking.run(((digest, size), key))
            if isinstance(found, bool):
                return Found(None, found)
            if isinstance(found, Damage):
                self._found_damaged(digest, found)
                return Found(None, False)
            compared = described if size is None and described == found.size else size
            file = await self._sound(digest, found, compared, opening)
            return Found(file, False, self._check_meanwhile(digest) if file else None)
        finally:
            self._open.end_opening(digest, opening)

    async def _share(self, digest: Digest, size: int | None) -> IContentFile | None:
        """Content that is open already, unless its file was changed since."""
        shared, opened = self._open.share(digest), self._open.find(digest)
        if shared is None or opened is None:
            return None
        whole = False
        try:
            whole = size in (None, shared.size) and await opened.is_unchanged()
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
        sound = self._soundness.certainty(digest, found, size) is not Certainty.CHECK
        signature = found.signature
        try:
            if not sound and await self._check(digest, found.size, opened):
                # The check has marked the file as synced, which changes its times.
                signature, sound = signature_of(await opened.run(os.fstat)), True
        finally:
            if not sound:
                opened.close()
        return self._open.add(digest, opened, signature, opening) if sound else None

    def _check_meanwhile(self, digest: Digest) -> "Deferred[bool] | None":
        """Hash large content while it is sent, if need be. Fires with whether it is whole."""
        file = self._open.find(digest)
        if file is None or not self._soundness.is_unsure(digest, file.size, file.signature):
            return None
        return Deferred.fromCoroutine(self._check_open(digest, file))

    async def _check_open(self, digest: Digest, file: SharedFile) -> bool:
        """The same of a file that it keeps open, as a reader does."""
        share = self._open.share(digest)
        try:
            return await self._check(digest, file.size, file.opened)
        except (OSError, PoolStoppedError) as error:
            self.log.warn("verifying {digest} failed: {why}", digest=str(digest), why=error)
            return False
        finally:
            _close(share)

    async def verify(
        self, digest: Digest, size: int | None, pool: IWorkPool, pace: Pace
    ) -> Verified:
        """Hash content again, and remove it if it is damaged. Fails with OSError.

        :param size: what the index says (bytes).
        """
        found = await pool.run(open_content, self._paths, (digest, size))
        if isinstance(found, Damage):
            self._found_damaged(digest, found)
            return Verified.DAMAGED
        if found is None:
            return Verified.MISSING
        opened = OpenFile(found.raw, pool)
        try:
            sound = await self._check(digest, found.size, opened, pace)
        finally:
            opened.close()
        return Verified.SOUND if sound else Verified.DAMAGED

    async def _check(
        self, digest: Digest, size: int, opened: OpenFile, anew: Pace | None = None
    ) -> bool:
        """Hash content of which it is not known that it is whole. If it is damaged, remove it."""
        if await self._soundness.is_sound(digest, size, opened, anew):
            return True
        path, why = self._paths.blob(digest), "it has another digest"
        damage = await opened.run(lambda file: remove_damaged(path, file, size, why))
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

    def __iter__(self) -> Iterator[Digest]:
        """What is being read or opened."""
        return iter(self._open)

    def __contains__(self, digest: Digest) -> bool:
        """Whether it is being read or opened."""
        return digest in self._open

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
