"""Removes content from index, memory and disk, in an order that survives a kill -9.

1. Requests for the content wait, so that its file is neither opened nor replaced.
2. The index notes that the content has no place, and that its file is to be removed. If the disk
   is too full for that, the file is removed first. While another program locks the index nothing
   is evicted: what is new is passed through.
3. Memory forgets the content.
4. The file is removed. Requests that waited go on, and find nothing.
5. The index notes that the file is removed.

A kill -9 before step 2 leaves everything as it was. After it the file is removed at the next start
(:meth:`regcache.cache.removal.Removal.resume`).
"""

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from regcache.cache.forgetting import Forgetting
from regcache.digests import Digest
from regcache.interfaces import IBlobStore, IndexClosedError, IndexInUseError, IPlaces
from regcache.retention import Candidate, Selection

AT_ONCE = 16
"""Contents that are evicted together: their files are removed in parallel."""


class ActiveDownloads(Protocol):
    """The downloads that are under way."""

    def __contains__(self, digest: Digest) -> bool:
        """Whether a digest is being fetched from any upstream."""


class ContentEviction:
    """Evicts content that is not in use.

    :param downloads: what they fetch is not evicted.
    """

    _log = Logger()

    def __init__(
        self,
        places: IPlaces,
        store: IBlobStore,
        forgetting: Forgetting,
        downloads: ActiveDownloads,
    ) -> None:
        self._places = places
        self._store = store
        self._forgetting = forgetting
        self._downloads = downloads

    def begin(self, digest: Digest) -> bool:
        """Begin an eviction; False if the content is in use.

        :meth:`evict` or :meth:`cancel` has to follow.
        """
        return digest not in self._downloads and self._store.begin_eviction(digest)

    async def evict(
        self, candidates: Sequence[Candidate], selection: Selection | None = None
    ) -> Sequence[Candidate]:
        """Evict contents; gives those that were evicted. A cancellation does not stop it half-way.

        :param candidates: for each of which :meth:`begin` has just given True.
        :param selection: contents that are outside it by now are not evicted.
        :raises OSError: if neither the index nor the files can be changed.
        """
        # Stopped half-way, it would leave contents for which requests wait for ever.
        evicted: Deferred[Sequence[Candidate]] = Deferred()
        Deferred.fromCoroutine(self._evict(candidates, selection)).chainDeferred(evicted)
        return await evicted

    async def _evict(
        self, candidates: Sequence[Candidate], selection: Selection | None
    ) -> Sequence[Candidate]:
        gone: Sequence[Candidate] = ()
        refusal: OSError | None = None
        try:
            gone = await self._places.evict(candidates, selection)
        except (IndexClosedError, IndexInUseError):
            raise  # the daemon stops, so pins are not known; or it can be noted before long
        except OSError as error:
            self._log.warn("what is evicted cannot be noted yet: {error}", error=error)
            gone, refusal = candidates, error
        finally:
            going = {each.digest for each in gone}
            await self.cancel([each for each in candidates if each.digest not in going])
        if not gone:
            return ()
        await gatherResults([self._forgetting.evicted(each.digest) for each in gone])
        removed = await self._remove([each.digest for each in gone])
        left = [each for each in gone if each.digest in removed]
        if refusal is not None and not left:
            raise refusal
        await self._note_left(left, refusal is None, selection)
        return left

    async def _note_left(
        self, left: Sequence[Candidate], noted: bool, selection: Selection | None
    ) -> None:
        """Note removed files. If that fails, the next request for one finds that it is missing."""
        try:
            if not noted:
                await self._note_lost(left, await self._places.evict(left, selection))
            await self._places.left([each.digest for each in left])
        except OSError as error:
            self._log.warn("what was evicted could not be noted: {error}", error=error)

    async def _note_lost(self, left: Sequence[Candidate], evicted: Sequence[Candidate]) -> None:
        """Report contents whose file is removed, and that the index keeps: pinned or used since."""
        known = {each.digest for each in evicted}
        for each in left:
            if each.digest not in known:
                await self._forgetting.lost(each.digest)

    async def cancel(self, candidates: Sequence[Candidate]) -> None:
        """End evictions that were begun, and keep the contents."""
        for each in candidates:
            await self._store.held.end(each.digest, remove=False)

    async def _remove(self, digests: Sequence[Digest]) -> set[Digest]:
        """Remove files; gives those that are removed now."""
        leaving = [self._leave(digest) for digest in digests]
        return {digest for digest in await gatherResults(leaving) if digest is not None}

    def _leave(self, digest: Digest) -> "Deferred[Digest | None]":
        async def leave() -> Digest | None:
            try:
                await self._store.held.end(digest, remove=True)
            except OSError as error:
                self._log.warn("{digest} cannot be evicted: {error}", digest=digest, error=error)
                return None
            return digest

        return Deferred.fromCoroutine(leave())
