"""Records on the disk which intervals of a partial file are present.

While bytes come in this is done some tenths of a second after each: so much is lost by a kill -9.
The record is a small file, which is replaced each time, without a sync: nothing waits for the
disk. After a crash of the machine only the intervals count that were synced before.
"""

import os
from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredSemaphore, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.intervals import Intervals
from regcache.store.content_file import FileClosedError, FileTurns, OpenFile
from regcache.store.partial_names import PartialNames, Sidecar
from regcache.store.pool import PoolStoppedError

SAVE_BEHIND = 8 * 1024 * 1024
"""Bytes not noted that are noted at once."""

RETRY_PAUSE = 1.0
"""Seconds to the next attempt when the disk refused one."""

SYNC_BEHIND = 64 * 1024 * 1024
"""Bytes not synced that are worth a sync in the background."""

SYNC_PAUSE = 5.0
"""Seconds from the opening of the file, or the last sync in the background, to the next.

Writes wait for a sync that is under way, which would slow the fastest downloads to the pace of
the disk. So a crash of the machine costs a bounded time of downloading, not of bytes.
"""


class IntervalSaver:
    """Writes the sidecar of one partial file, and remembers which of its bytes are synced.

    :param known: gives what is to be saved; ``synced`` is filled in here.
    :param background: shared by all files, so that slow syncs never take all threads.
    :param pause: gives the seconds from the write of bytes to the record of them.
    """

    log = Logger()

    def __init__(
        self,
        names: PartialNames,
        opened: OpenFile,
        *,
        turns: FileTurns,
        known: Callable[[], Sidecar],
        synced: Intervals,
        background: DeferredSemaphore,
        clock: IReactorTime,
        pause: Callable[[], float],
    ) -> None:
        self._names = names
        self._opened = opened
        self._turns = turns
        self._known = known
        self._synced = synced
        self._background = background
        self._clock = clock
        self._pause = pause
        self._noted = known().present.total
        self._noting = False
        self._timer: IDelayedCall | None = None
        self._synced_at = clock.seconds()
        self._generation = 0
        self._stopped = False
        self._syncing = False
        self._fault: BaseException | None = None

    def reset(self) -> None:
        """Forget what was synced: the file is empty again."""
        self._generation += 1
        self._synced = Intervals()
        self._noted = 0

    def stop(self) -> None:
        """Write nothing any more: the name may belong to another file by now."""
        self._stopped = True
        self.rest()

    def rest(self) -> None:
        """Write nothing by itself any more: the file is closed."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def wrote(self) -> None:
        """Record soon that further bytes were written."""
        if self._noting or self._stopped or self._fault is not None or self._opened.closing:
            return
        if self._known().present.total - self._noted >= SAVE_BEHIND:
            self.rest()
            self._note()
        elif self._timer is None:
            self._timer = self._clock.callLater(self._pause(), self._note)

    def _note(self) -> None:
        self._timer = None
        self._noting = True
        self.save(sync=False).addCallbacks(self._was_noted, self._not_noted)

    def _was_noted(self, _: None) -> None:
        self._noting = False
        if self._known().present.total > self._noted:
            self.wrote()

    def _not_noted(self, failure: Failure) -> None:
        """The disk refused the record: try again, unless the file was closed meanwhile."""
        self._noting = False
        if failure.check(FileClosedError, PoolStoppedError) or self._stopped:
            return
        self.log.warn(
            "the intervals of {digest} cannot be saved: {reason}",
            digest=str(self._names.digest),
            reason=failure.getErrorMessage(),
        )
        if self._fault is None and not self._opened.closing:
            self._timer = self._clock.callLater(RETRY_PAUSE, self._note)

    def check(self) -> None:
        """:raises OSError: if a sync in the background failed, which was not reported yet."""
        if self._fault is not None:
            raise self._fault

    def save(self, sync: bool) -> "Deferred[None]":
        """Write the sidecar. With ``sync`` sync the data before, and the sidecar, too.

        Fails with OSError.
        """
        if self._fault is not None:
            return fail(self._fault)
        if not sync:
            self._sync_behind()
        return self._turns.run_now(lambda: self._save(sync))

    async def _save(self, sync: bool) -> None:
        if sync and not self._stopped:
            await self._sync()
        await self._turns.turn(lambda: self._write(sync))

    async def _write(self, durable: bool) -> None:
        if self._stopped:
            return
        known = self._known()
        state = replace(known, present=known.present.copy(), synced=self._synced.copy())
        self._noted = state.present.total
        await self._opened.work(lambda descriptor: self._names.save(state, durable))

    async def _sync(self) -> None:
        """Sync the bytes that are present now."""
        generation, present = self._generation, self._known().present.copy()
        await self._opened.work(os.fdatasync)
        if generation == self._generation:
            self._synced = present

    def _sync_behind(self) -> None:
        """Sync in the background, if enough was written, one file after the other."""
        behind = self._known().present.total - self._synced.total
        if self._syncing or self._stopped or behind < SYNC_BEHIND:
            return
        if self._clock.seconds() < self._synced_at + SYNC_PAUSE:
            return
        self._syncing = True
        syncing = self._background.run(self._turns.run_now, self._sync)
        syncing.addErrback(self._sync_failed).addCallback(self._sync_ended)

    def _sync_failed(self, failure: Failure) -> None:
        """Let the next save fail, unless the file was closed meanwhile."""
        if not failure.check(FileClosedError, PoolStoppedError):
            self._fault = failure.value

    def _sync_ended(self, _: object) -> None:
        self._syncing = False
        self._synced_at = self._clock.seconds()
