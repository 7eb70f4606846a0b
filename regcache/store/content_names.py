"""Names under blobs/: given to small content, and taken away. One change at a time for each."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from regcache.digests import Digest
from regcache.generations import Generations
from regcache.interfaces import IHeldContents, IWorkPool
from regcache.store.contents import keep_contents, occupied_by, remove_content
from regcache.store.keyed_locks import KeyedLocks
from regcache.store.leaving import LeavingContents
from regcache.store.paths import StorePaths
from regcache.store.pool import handed_over
from regcache.store.shared_jobs import Later, SharedJobs

#: How many small contents share a job that stores them, and how many such jobs run at a time. More
#: would not make a disk faster, and would keep the threads from other work.
MOST_KEPT, KEEPING_JOBS = 32, 2
#: Removals of which it is known when.
MOST_REMOVALS = 10_000


class ContentNames:
    """Stores small content, and removes content of any size. For the reactor thread.

    :param stored: called with a digest, the size of its content, and that of what it replaced.
    :param removed: called with a digest, and the size of the file that was removed, if any.
    :ivar leaving: content that is being evicted.
    :ivar removals: which contents were removed, or are about to be.
    """

    def __init__(
        self,
        pool: IWorkPool,
        paths: StorePaths,
        *,
        stored: Callable[[Digest, int, int], None],
        removed: Callable[[Digest, int | None], None],
        later: Later | None = None,
    ) -> None:
        self._pool = pool
        self._paths = paths
        self._stored = stored
        self._removed = removed
        self._locks = KeyedLocks[Digest]()
        self._keeping = SharedJobs[tuple[Digest, bytes], int](
            pool, keep_contents, paths, most_items=MOST_KEPT, most_jobs=KEEPING_JOBS, later=later
        )
        self.leaving = LeavingContents()
        self.removals: Generations[Digest] = Generations(MOST_REMOVALS)

    def __iter__(self) -> Iterator[Digest]:
        """The digests of contents that are being stored or removed."""
        return chain(self._locks, self.leaving)

    def keep(self, digest: Digest, content: bytes) -> "Deferred[None]":
        """See :meth:`regcache.store.blob_store.BlobStore.keep`."""
        return self._alone(digest, partial(self._keep, digest, content))

    async def _keep(self, digest: Digest, content: bytes) -> None:
        replaced = await self._keeping.run((digest, content))
        self._stored(digest, len(content), replaced)

    def remove(self, digest: Digest) -> "Deferred[bool]":
        """Delete complete content. Gives whether there was any. Fails with OSError."""
        return self._alone(digest, partial(self._remove, digest))

    def occupied(self, digests: Sequence[Digest]) -> "Deferred[int]":
        """See :meth:`regcache.store.blob_store.BlobStore.occupied`."""
        done: Deferred[int] = self._pool.run(occupied_by, self._paths, digests)
        return done

    def end_held(self, digest: Digest, remove: bool) -> "Deferred[bool]":
        """Remove content, or let it stay; then requests for it go on. Fails with OSError."""
        gone = Deferred.fromCoroutine(self._remove(digest)) if remove else succeed(False)
        return handed_over(self.leaving.end(digest, gone))

    def remove_held(self, digest: Digest) -> "Deferred[bool]":
        """Remove content that is held; requests for it still wait. Fails with OSError."""
        return handed_over(Deferred.fromCoroutine(self._remove(digest)))

    async def _remove(self, digest: Digest) -> bool:
        self.removals.advance(digest)
        size = await self._pool.run(remove_content, self._paths, digest)
        self._removed(digest, size)
        return size is not None

    def _alone(self, digest: Digest, step: Callable[[], Any]) -> "Deferred[Any]":
        """Run a step to its end. No other step about the same content runs meanwhile."""

        async def run() -> Any:
            if digest in self.leaving:
                await self.leaving.over(digest)
            if not self._locks.take(digest):
                await self._locks.acquire(digest)
            try:
                return await step()
            finally:
                self._locks.release(digest)

        return handed_over(Deferred.fromCoroutine(run()))


@implementer(IHeldContents)
class HeldContents:
    """Contents that are held while it is decided whether their files go.

    :param changing: lists contents that are being stored or removed, or are held already.
    """

    def __init__(self, names: ContentNames, changing: Callable[[], Iterator[Digest]]) -> None:
        self._names = names
        self._changing = changing

    def begin(self, digest: Digest) -> bool:
        """Hold content from now on; False if it is being stored or removed, or is held."""
        return self._names.leaving.begin(digest, digest in self._changing())

    def is_named(self, digest: Digest, since: int) -> bool:
        """Return whether a file that was open then still has its name, and is not held now."""
        going = digest in self._names.leaving or self._names.removals.concerns(digest, since)
        return not going

    def remove(self, digest: Digest) -> "Deferred[bool]":
        """Remove content that is held; requests for it still wait. Fails with OSError."""
        return self._names.remove_held(digest)

    def end(self, digest: Digest, remove: bool) -> "Deferred[bool]":
        """Remove content, or let it stay; then requests for it go on. Fails with OSError."""
        return self._names.end_held(digest, remove)
