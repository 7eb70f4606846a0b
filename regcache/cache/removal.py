"""Removes what clients with ``delete``, operators and plans name. One service for all of them.

============  ====================================  ==========================================
step          event                                 what holds afterwards
============  ====================================  ==========================================
waiting       the removals before it are done       looking
looking       it is not here, or it is pinned       over: refused; nothing has changed
looking       the index says what goes              forgetting
forgetting    all memories have acknowledged        removing: what began before keeps nothing
removing      the index has committed               tidying: nobody has a right to it any more
removing      the index cannot be written           over: failed; it is still there
tidying       all memories have acknowledged again  freeing: what came up meanwhile is out, too
freeing       a file is gone, or was not there      freeing the next one
freeing       it came again meanwhile               that file stays; freeing the next one
freeing       the last one is gone                  over: done
freeing       the disk refuses                      over: failed; the next start tries again
any           who asked for it has left             as before, to its end
any           the daemon is killed                  as :mod:`regcache.store.index_removal` says
============  ====================================  ==========================================

Who is being sent what is removed gets all of it.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from regcache.cache.forgetting import Forgetting, Kind
from regcache.digests import Digest
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.interfaces import IBlobStore, IRemovalIndex
from regcache.removals import RemovalEffect, RemovalTarget
from regcache.single_flight import Flights

#: Files that are removed between two looks at what has come again.
MOST_FREED = 64
#: Messages in one turn of the reactor.
MOST_MESSAGES = 64
#: Names of repositories that are read at once.
PAGE = 200


def _messages(repository: Repository, effect: RemovalEffect) -> Iterator[tuple[Kind, Hashable]]:
    """What is to be forgotten."""
    for tag in effect.tags:
        yield Kind.TAG, (repository, tag)
    gone = {each.digest for each in effect.gone}
    for digest in effect.withdrawn:
        if digest in gone:
            yield Kind.CONTENT, digest
        else:
            yield Kind.RIGHT, RepositoryContent(repository, digest)


class NotHereError(Exception):
    """The repository does not have what was to be removed."""


class PinnedError(Exception):
    """It is pinned, or something pinned needs it."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What removals have come to.

    :ivar tags: how many tags have gone.
    :ivar contents: how many manifests and blobs have left the disk.
    :ivar freed: their bytes.
    :ivar pinned: what stayed, since it is pinned.
    """

    _: KW_ONLY
    tags: int = 0
    contents: int = 0
    freed: int = 0
    pinned: tuple[RemovalTarget, ...] = ()

    def __add__(self, other: "Removed") -> "Removed":
        return Removed(
            tags=self.tags + other.tags,
            contents=self.contents + other.contents,
            freed=self.freed + other.freed,
            pinned=self.pinned + other.pinned,
        )


@dataclass(slots=True)
class Removal:
    """Removes tags, manifests, blobs, repositories, and all that an upstream has."""

    _log = Logger()

    index: IRemovalIndex
    store: IBlobStore
    forgetting: Forgetting
    clock: IReactorTime
    _turns: DeferredLock = field(default_factory=DeferredLock, init=False)
    _flights: Flights[Removed] = field(init=False)

    def __post_init__(self) -> None:
        self._flights = Flights(self.clock)

    async def resume(self) -> None:
        """Begin where the process before has ended: remove the files that it could not.

        Before anything is asked for. Fails with OSError.
        """
        self.forgetting.removed.resume(await self.index.last_generation())
        while leaving := await self.index.leaving():
            await self._free(leaving)

    async def look(self, target: RemovalTarget) -> RemovalEffect:
        """What a removal would come to."""
        return await self.index.look(target)

    async def remove(self, target: RemovalTarget) -> Removed:
        """Remove one thing. The disk is free when this is done.

        :raises NotHereError: if the repository does not have it.
        :raises PinnedError: if it is pinned, or something pinned needs it.
        :raises OSError: if the index or the disk refuses.
        """
        return await self._flights.join(target, lambda: self._in_turn(target))

    async def remove_repository(self, repository: Repository) -> Removed:
        """Remove all that a repository has, but for what is pinned. Fails with OSError."""
        return await self._flights.join(repository, lambda: self._remove_repository(repository))

    async def remove_upstream(self, upstream: UpstreamIdentity) -> Removed:
        """The same for all repositories of an upstream."""
        removed, after = Removed(), ""
        while names := await self.index.repositories(upstream, after, PAGE):
            for name in names:
                removed += await self.remove_repository(Repository(upstream, name))
            after = names[-1]
        return removed

    async def _remove_repository(self, repository: Repository) -> Removed:
        removed = Removed()
        target = await self.index.left_in(repository, None)
        while target is not None:
            try:
                removed += await self.remove(target)
            except NotHereError:
                pass  # it went along with something else
            except PinnedError:
                removed += Removed(pinned=(target,))
            target = await self.index.left_in(repository, target)
        await self.index.clear(repository)
        await self.forgetting.remove(Kind.REPOSITORY, repository)
        return removed

    async def _in_turn(self, target: RemovalTarget) -> Removed:
        await self._turns.acquire()
        try:
            return await self._remove(target)
        finally:
            self._turns.release()

    async def _remove(self, target: RemovalTarget) -> Removed:
        seen = await self.index.look(target)
        if seen.pinned:
            raise PinnedError(f"{target} is pinned")
        if not seen.found:
            raise NotHereError(f"{target} is not here")
        await self._forget(target.repository, seen)
        effect = await self.index.remove(target, self.forgetting.removed.current)
        if not effect.found or effect.pinned:
            raise NotHereError(f"{target} is not here any more")
        await self._forget(target.repository, effect)
        await self._free([each.digest for each in effect.gone])
        freed = sum(each.size for each in effect.gone)
        self._log.info(
            "removed {target}: {tags} tags, {contents} manifests and blobs, {freed} bytes",
            target=str(target),
            tags=len(effect.tags),
            contents=len(effect.gone),
            freed=freed,
        )
        return Removed(tags=len(effect.tags), contents=len(effect.gone), freed=freed)

    async def _forget(self, repository: Repository, effect: RemovalEffect) -> None:
        """Have everybody forget what goes. Fails if that is not certain."""
        for number, (kind, key) in enumerate(_messages(repository, effect), 1):
            await self.forgetting.remove(kind, key)
            if not number % MOST_MESSAGES:
                await deferLater(self.clock, 0)

    async def _free(self, digests: Sequence[Digest]) -> None:
        """Remove files, but for what has come again meanwhile. Fails with OSError."""
        for start in range(0, len(digests), MOST_FREED):
            some = digests[start : start + MOST_FREED]
            for digest in await self.index.still_leaving(some):
                await self.store.remove(digest)
                await self.store.remove_partials(digest)
            await self.index.have_left(some)
