"""Taking content off the disk: index, memory and file, in an order that survives a kill -9.

1. Its file is set out: nobody opens it, or gives its name to another, till the end of it.
2. The index notes that it has no place, and that its file is leaving. If that cannot be
   written, since the disk is full, the file goes first: that frees the room for it.
3. Memory forgets it.
4. The file is removed; who waited for it goes on, and finds nothing.
5. The index notes that it has left.

After a kill -9 before 2 nothing has happened; after it the file is removed at the next start
(:meth:`regcache.cache.removal.Removal.resume`).
"""

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from regcache.cache.forgetting import Forgetting
from regcache.digests import Digest
from regcache.interfaces import IBlobStore, IndexClosedError, IPlaces
from regcache.retention import Candidate, Selection

AT_ONCE = 16
"""Contents that go together: their files are removed side by side, in some of the threads."""


class BeingFetched(Protocol):
    """What is being fetched."""

    def __contains__(self, digest: Digest) -> bool:
        """Whether a digest is, from whatever upstream."""


class ContentEviction:
    """Evicts content that nobody uses at this moment.

    :param downloads: what is being fetched, and stays.
    """

    _log = Logger()

    def __init__(
        self,
        places: IPlaces,
        store: IBlobStore,
        forgetting: Forgetting,
        downloads: BeingFetched,
    ) -> None:
        self._places = places
        self._store = store
        self._forgetting = forgetting
        self._downloads = downloads

    def may_go(self, digest: Digest) -> bool:
        """Whether it may be evicted now; then :meth:`evict` is called, which takes it up."""
        return digest not in self._downloads and self._store.set_out(digest)

    async def evict(
        self, candidates: Sequence[Candidate], selection: Selection | None = None
    ) -> Sequence[Candidate]:
        """Evict what may go; gives what went. Who is called off has it go on to its end.

        :param candidates: of each of which :meth:`may_go` has just said so.
        :param selection: what they have to be among still.
        :raises OSError: if neither index nor disk let us.
        """
        # If it were cancelled half-way, files would stay set out, and requests for them would hang.
        told: Deferred[Sequence[Candidate]] = Deferred()
        Deferred.fromCoroutine(self._evict(candidates, selection)).chainDeferred(told)
        return await told

    async def _evict(
        self, candidates: Sequence[Candidate], selection: Selection | None
    ) -> Sequence[Candidate]:
        gone: Sequence[Candidate] = ()
        noted = True
        try:
            gone = await self._places.evict(candidates, selection)
        except IndexClosedError:  # the daemon stops: what is pinned is not known
            raise
        except OSError as error:
            self._log.warn("what is evicted cannot be noted yet: {error}", error=error)
            gone, noted = candidates, False
        finally:
            going = {each.digest for each in gone}
            await self.let_stay([each for each in candidates if each.digest not in going])
        if not gone:
            return ()
        await gatherResults([self._forgetting.evicted(each.digest) for each in gone])
        removed = await self._remove([each.digest for each in gone])
        left = [each for each in gone if each.digest in removed]
        await self._note_left(left, noted, selection)
        return left

    async def _note_left(
        self, left: Sequence[Candidate], noted: bool, selection: Selection | None
    ) -> None:
        """Note it. If that fails again, the next request for it finds out that it is gone."""
        try:
            if not noted:
                await self._note_lost(left, await self._places.evict(left, selection))
            await self._places.left([each.digest for each in left])
        except OSError as error:
            self._log.warn("what was evicted could not be noted: {error}", error=error)

    async def _note_lost(self, left: Sequence[Candidate], evicted: Sequence[Candidate]) -> None:
        """What was pinned or used since its file went has its place still, without a file."""
        known = {each.digest for each in evicted}
        for each in left:
            if each.digest not in known:
                await self._forgetting.lost(each.digest)

    async def let_stay(self, candidates: Sequence[Candidate]) -> None:
        """They are not to be evicted after all."""
        for each in candidates:
            await self._store.leave(each.digest, remove=False)

    async def _remove(self, digests: Sequence[Digest]) -> set[Digest]:
        """Remove files; gives those that are not there any more."""
        leaving = [self._leave(digest) for digest in digests]
        return {digest for digest in await gatherResults(leaving) if digest is not None}

    def _leave(self, digest: Digest) -> "Deferred[Digest | None]":
        async def leave() -> Digest | None:
            try:
                await self._store.leave(digest, remove=True)
            except OSError as error:
                self._log.warn("{digest} cannot be evicted: {error}", digest=digest, error=error)
                return None
            return digest

        return Deferred.fromCoroutine(leave())
