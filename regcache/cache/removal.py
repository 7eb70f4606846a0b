"""Removes content for clients with the right ``delete``, for operators and for plans.

============  ====================================  ==========================================
step          event                                 next step, or result
============  ====================================  ==========================================
waiting       the removals before it are done       looking
looking       it is not here, or it is pinned       over: refused; nothing has changed
looking       it is a blob that is being fetched,   again: it is forgotten, so that its readers
              or was in part, and nothing here      get it, but it is not stored; its partial
              lists it                              files are removed
again         it is not here                        over: done
again         it was stored before all subscribers  forgetting
              had acknowledged
looking       the index says what will be removed   forgetting
forgetting    all subscribers have acknowledged     removing: earlier work stores nothing any more
removing      it is not here any more, or pinned    over: refused; it was only forgotten
removing      the index has committed               tidying: no right to it is left
removing      the index cannot be written           over: failed; it is still there. If the disk is
                                                    full, its files are removed first, as
                                                    :mod:`regcache.cache.files_ahead` says
tidying       all subscribers have acknowledged     freeing: they have forgotten what they
              again                                 remembered meanwhile, too
freeing       a file is gone, or was not there      freeing the next file
freeing       it was stored again meanwhile, or     freeing the next file; this one stays, as
              is just being stored                  :mod:`regcache.cache.removed_files` says
freeing       the last file is gone                 over: done
freeing       the last file is gone, and the index  forgetting what the next step removes
              says that more has to be removed
freeing       the disk refuses                      over: failed; tried again after some seconds,
                                                    before the next removal, and behind the next
                                                    start
further step  the index cannot be written           the same
any           the caller does not wait any more     the same as if it waited
any           the daemon is killed                  see :mod:`regcache.store.index_removal`
============  ====================================  ==========================================

A very large image is removed in several steps. Each of them is like a removal of its own, without a
target: :mod:`regcache.store.removed_contents` says what happens between two of them.

Answers that are being sent still get all of the removed content.
"""

import errno
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, field, replace
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from regcache.cache.download.download import Download
from regcache.cache.files_ahead import FilesAhead
from regcache.cache.forgetting import Forgetting, Kind
from regcache.cache.gone import GoneLately
from regcache.cache.removal_retries import RemovalRetries
from regcache.cache.removed_files import RemovedFiles
from regcache.digests import Digest
from regcache.facts import in_blocks, in_units
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.interfaces import IBlobStore, IRemovalIndex
from regcache.light_dataclass import dataclass
from regcache.removals import GoneContent, RemovalEffect, RemovalTarget, RemovedKind
from regcache.single_flight import Flights

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

#: So many messages are sent in one turn of the reactor.
MOST_MESSAGES = 64


def _messages(
    repository: Repository | None, effect: RemovalEffect
) -> Iterator[tuple[Kind, Hashable]]:
    """Make the messages about what has to be forgotten.

    :param repository: None if it is not known any more; then the contents are forgotten for all.
    """
    for tag in effect.tags:
        yield Kind.TAG, (repository, tag)
    gone = {each.digest for each in effect.gone}
    for digest in effect.withdrawn:
        if repository is None or digest in gone:
            yield Kind.CONTENT, digest
        else:
            yield Kind.RIGHT, RepositoryContent(repository, digest)


class NotHereError(Exception):
    """Says that the repository does not have the target of a removal."""


class PinnedError(Exception):
    """Says that the target of a removal is pinned, or that pinned content needs it."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Holds the result of a removal.

    :ivar tags: how many tags were removed.
    :ivar contents: how many manifests and blobs were removed from the disk.
    :ivar freed: how much of the disk they took (bytes of whole blocks).
    """

    _: KW_ONLY
    tags: int = 0
    contents: int = 0
    freed: int = 0


class RunningDownloads(Protocol):
    """Finds running downloads."""

    async def find(self, digest: Digest, upstream: UpstreamIdentity) -> Download | None:
        """Find the download from an upstream. Wait for one that is just being stored."""


@dataclass(slots=True)
class Removal:
    """Removes tags, manifests and blobs.

    :ivar gone: knows what was removed lately.
    :ivar left: the contents that an earlier process had removed from the index, and whose files may
        still be there.
    """

    _log = Logger()

    index: IRemovalIndex
    store: IBlobStore
    forgetting: Forgetting
    clock: IReactorTime
    _: KW_ONLY
    downloads: RunningDownloads
    _turns: DeferredLock = field(default_factory=DeferredLock, init=False)
    _flights: Flights[Removed] = field(init=False)
    _files: RemovedFiles = field(init=False)
    _retries: RemovalRetries = field(init=False)
    # An earlier process may have left an unfinished removal, of a repository that is not known.
    _is_unfinished: bool = field(default=True, init=False)
    _begun_in: Repository | None = field(default=None, init=False)
    gone: GoneLately = field(init=False)
    left: Sequence[Digest] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self._flights = Flights(self.clock)
        self._retries = RemovalRetries(self.clock, self._go_on)
        self._files = RemovedFiles(self.index, self.store, self.clock)
        self.gone = GoneLately(self.clock.seconds)
        self.forgetting.subscribe(self.gone)

    async def begin(self) -> None:
        """Find out what an earlier process had left. Call it before anything else is asked for.

        Fails with OSError.
        """
        self.forgetting.removed.resume(await self.index.last_generation())
        self.left = await self.index.leaving()

    async def resume(self) -> None:
        """Remove the files that an earlier process had left, and finish its removals.

        It may take seconds, so requests are answered meanwhile. What fails is told in the log, and
        tried again after some seconds.
        """
        with suppress(OSError):
            await self._go_on()
        self.left = ()

    def stop(self) -> None:
        """Finish nothing any more by itself; the next start does."""
        self._retries.stop()

    async def look(self, target: RemovalTarget) -> RemovalEffect:
        """Find out what a removal would do."""
        return await self.index.look(target)

    async def remove(self, target: RemovalTarget, by: str = "") -> Removed:
        """Remove one target. Return when its files are gone.

        :param by: the account that asks for it; "" for none.
        :raises NotHereError: if the repository does not have it.
        :raises PinnedError: if it is pinned, or pinned content needs it.
        :raises OSError: if the index or the disk refuses.
        """
        return await self._flights.join(target, lambda: self._in_turn(target, by))

    async def clear(self, repository: Repository) -> None:
        """Forget what is known of a repository that was removed as a whole. Fails with OSError.

        Its stored content stays, and so does the right to it.
        """
        await self.index.clear(repository)
        await self.forgetting.remove(Kind.REPOSITORY, repository)

    async def _in_turn(self, target: RemovalTarget, by: str) -> Removed:
        await self._turns.acquire()
        try:
            with suppress(OSError):  # it is tried again; the new removal may make the room for it
                await self._finish_earlier()
            return await self._remove(target, by)
        finally:
            self._turns.release()

    async def _go_on(self) -> None:
        """Remove what is left of removals that have failed. Fails with OSError."""
        await self._turns.acquire()
        try:
            await self._finish_earlier()
        finally:
            self._turns.release()

    async def _finish_earlier(self) -> None:
        if self._is_unfinished or self._retries.due:
            with self._retries.finishing():
                await self._files.free(await self.index.leaving())
                await self._finish()

    async def _finish(self) -> list[GoneContent]:
        """Do the further steps of a removal. Return the contents that it removed from the disk."""
        gone: list[GoneContent] = []
        while self._is_unfinished:
            seen = await self.index.look_further()
            effect = seen
            if seen.found:
                await self._forget(self._begun_in, seen)
                effect = await self._change_index(self.index.remove_further, seen)
                await self._forget(self._begun_in, effect)
            self._is_unfinished = effect.unfinished
            await self._files.free([each.digest for each in effect.gone])
            gone += effect.gone
        return gone

    async def _fetched_for(self, target: RemovalTarget) -> set[Repository]:
        """Find the repositories for which the target is being fetched, or was fetched in part."""
        if target.kind is not RemovedKind.BLOB or target.digest is None:
            return set()
        download = await self.downloads.find(target.digest, target.repository.upstream)
        if download is not None:
            return {download.task.source.repository}
        return await self.store.parked_for(target.digest)

    async def _remove(self, target: RemovalTarget, by: str) -> Removed:
        fetched_for = await self._fetched_for(target)
        target = replace(target, arriving=bool(fetched_for))
        seen = await self.index.look(target)
        if not seen.found and target.digest and target.repository in fetched_for:
            await self.forgetting.remove(Kind.CONTENT, target.digest)
            await self.store.remove_partials(target.digest)
            seen = await self.index.look(target)
            if not seen.found:
                return Removed()
        if seen.pinned:
            raise PinnedError(f"{target} is pinned")
        if not seen.found:
            raise NotHereError(f"{target} is not here")
        await self._forget(target.repository, seen)
        effect = await self._change_index(partial(self.index.remove, target), seen)
        if effect.pinned:
            raise PinnedError(f"{target} is pinned by now")
        if not effect.found:
            raise NotHereError(f"{target} is not here any more")
        self._begun_in = None if self._is_unfinished else target.repository
        self._is_unfinished = self._is_unfinished or effect.unfinished
        self.gone.note_deleted(target.repository, effect, by)
        with self._retries.watching():
            await self._forget(target.repository, effect)
            await self._files.free([each.digest for each in effect.gone])
            gone = [*effect.gone, *(await self._finish() if effect.unfinished else ())]
        freed = sum(in_blocks(each.size) for each in gone)
        self._log.info(
            "removed {target} for {by}: {tags} tags, {contents} manifests and blobs, {freed}",
            target=str(target),
            by=by or "somebody without an account",
            tags=len(effect.tags),
            contents=len(gone),
            freed=in_units(freed),
        )
        return Removed(tags=len(effect.tags), contents=len(gone), freed=freed)

    async def _change_index(
        self, change: "Callable[[int], Deferred[RemovalEffect]]", seen: RemovalEffect
    ) -> RemovalEffect:
        generation = self.forgetting.removed.current
        ahead = FilesAhead(self.store, self.forgetting, seen)
        effect = RemovalEffect()
        try:
            while True:
                try:
                    effect = await change(generation)
                    return effect
                except OSError as error:
                    if error.errno not in _FULL or not await ahead.remove_some():
                        raise
        finally:
            await ahead.end(each.digest for each in effect.gone)

    async def _forget(self, repository: Repository | None, effect: RemovalEffect) -> None:
        """Have all subscribers forget what is removed. Fails if one of them fails."""
        for number, (kind, key) in enumerate(_messages(repository, effect), 1):
            await self.forgetting.remove(kind, key)
            if not number % MOST_MESSAGES:
                await deferLater(self.clock, 0)
