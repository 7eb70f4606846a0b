"""PartialClaim on disk which intervals of a partial file are present."""

import os
from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredSemaphore, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from regcache.intervals import Intervals
from regcache.store.content_file import FileClosedError, OpenFile
from regcache.store.partial_names import PartialNames
from regcache.store.pool import PoolStoppedError
from regcache.store.sidecar import Sidecar
from regcache.store.turns import FileTurns

SYNC_BEHIND = 64 * 1024 * 1024
"""Bytes not synced that are worth a sync in the background."""

SYNC_PAUSE = 5.0
"""Seconds from the opening of the file, or the last sync in the background, to the next.

Writes wait for a sync that is under way, which would slow the fastest downloads to the pace of
the disk. So a crash of the machine costs a bounded time of downloading, not of bytes.
"""


class IntervalSaver:
    """Writes the sidecar of one partial file, and knows what of it was synced.

    :param known: what there is to be saved at present; ``synced`` is filled in here.
    :param background: shared by all files, so that slow syncs never take all threads.
    """

    def __init__(
        self,
        names: PartialNames,
        opened: OpenFile,
        turns: FileTurns,
        known: Callable[[], Sidecar],
        synced: Intervals,
        background: DeferredSemaphore,
        clock: IReactorTime,
    ) -> None:
        self._names = names
        self._opened = opened
        self._turns = turns
        self._known = known
        self._synced = synced
        self._background = background
        self._clock = clock
        self._synced_at = clock.seconds()
        self._generation = 0
        self._stopped = False
        self._syncing = False
        self._fault: BaseException | None = None

    def reset(self) -> None:
        """Nothing that was synced counts any more."""
        self._generation += 1
        self._synced = Intervals()

    def stop(self) -> None:
        """Write nothing any more: the name may belong to another file."""
        self._stopped = True

    def check(self) -> None:
        """:raises OSError: if a sync in the background failed: nobody else is told of that."""
        if self._fault is not None:
            raise self._fault

    def save(self, sync: bool) -> "Deferred[None]":
        """Write the sidecar; with ``sync``, after the data and for good. Fails with OSError."""
        if self._fault is not None:
            return fail(self._fault)
        if not sync:
            self._sync_behind()
        return self._turns.held(lambda: self._save(sync))

    async def _save(self, sync: bool) -> None:
        if sync and not self._stopped:
            await self._sync()
        await self._turns.turn(lambda: self._write(sync))

    async def _write(self, durable: bool) -> None:
        if self._stopped:
            return
        known = self._known()
        state = replace(known, present=known.present.copy(), synced=self._synced.copy())
        await self._opened.work(lambda descriptor: self._names.save(state, durable))

    async def _sync(self) -> None:
        """Bring to the disk what is present by now."""
        generation, present = self._generation, self._known().present.copy()
        await self._opened.work(os.fdatasync)
        if generation == self._generation:
            self._synced = present

    def _sync_behind(self) -> None:
        """Sync in the background, when it is worth it and in turn with other files."""
        behind = self._known().present.total - self._synced.total
        if self._syncing or self._stopped or behind < SYNC_BEHIND:
            return
        if self._clock.seconds() < self._synced_at + SYNC_PAUSE:
            return
        self._syncing = True
        syncing = self._background.run(self._turns.held, self._sync)
        syncing.addErrback(self._sync_failed).addCallback(self._sync_ended)

    def _sync_failed(self, failure: Failure) -> None:
        """Have the next save fail, unless the file was closed meanwhile."""
        if not failure.check(FileClosedError, PoolStoppedError):
            self._fault = failure.value

    def _sync_ended(self, _: object) -> None:
        self._syncing = False
        self._synced_at = self._clock.seconds()
