"""The target of a download's fills: its file, the space of that, and the readers.

Space is claimed from the ledger when an answer states a size; without one, as the content grows.
Blocks are allocated ahead of the fills, so that a full disk is noticed early: a fill waits for the
first step of that before its body flows, and further steps are taken meanwhile. The ledger is not
told of allocated blocks, so it counts them twice: as less free space, and as part of the claim.
Therefore it may refuse claims a little too early, but never too late.
"""

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.download.context import WITHHELD, NotStoredError
from regcache.cache.download.readers import Readers
from regcache.gate import has_result
from regcache.interfaces import IBlobBody, IPartialFile, ISpace, ISpaceClaim

#: How much is allocated at most in one step, and ahead of a fill (bytes).
STEP = 64 * 1024 * 1024
#: For content up to this size nothing is allocated (bytes): the write itself shows a full disk.
UNRESERVED = 1024 * 1024

NO_ROOM = "there is no space for it, or it is larger than storage.max_blob"
"""Why what has no claim is not kept, for the log; the ledger has said before which it is."""


class Allocation:
    """Allocates the blocks of one file, step by step.

    :param failed: called with the error of a step for which no fill waits.
    """

    def __init__(self, file: IPartialFile, failed: Callable[[BaseException | None], None]) -> None:
        self._file = file
        self._failed = failed
        self._reserved = file.present.copy()
        self._running = False

    def first(self, start: int, end: int | None) -> "Deferred[None]":
        """Allocate the first step of ``[start, end)``. Fails with OSError."""
        stop = self._stop(end)
        if self._reserved.end_of(start) > start or start >= stop:
            return succeed(None)
        return self._reserve(start, stop)

    def ahead(self, position: int, end: int | None) -> None:
        """Allocate a further step if a fill at ``position`` is near the end of the last one."""
        reached = self._reserved.end_of(position)
        if self._running or reached - position > STEP // 2:
            return
        stop = self._stop(end)
        if reached >= stop:
            return
        self._running = True
        self._reserve(reached, stop).addCallbacks(self._ended, self._step_failed)

    def _stop(self, end: int | None) -> int:
        """Where allocation ends."""
        size = self._file.size or 0
        return size if end is None else min(end, size)

    def _reserve(self, start: int, stop: int) -> "Deferred[None]":
        stop = min(stop, start + STEP)
        reserving = self._file.allocate(start, stop)
        return reserving.addCallback(lambda _: self._reserved.add(start, stop))

    def _ended(self, _: None) -> None:
        self._running = False

    def _step_failed(self, failure: Failure) -> None:
        self._running = False
        self._failed(failure.value)


class PartialClaim:
    """Keeps one partial file within its claim of space, and saves or drops it in the end."""

    _log = Logger()

    def __init__(self, file: IPartialFile, space: ISpace) -> None:
        self.file = file
        self._space = space
        self._claim: ISpaceClaim | None = None
        self._claimed = 0
        self._written = file.present.total

    def claim(self, size: int) -> bool:
        """Claim at least ``size`` bytes in all. Returns whether that was granted."""
        if self._claim is None:
            self._claim = self._space.claim(size)
            if self._claim is not None:
                self._claimed = size
                self._claim.holds(self._written)
            return self._claim is not None
        if size > self._claimed:
            if not self._claim.grow(size):
                return False
            self._claimed = size
        return True

    def room(self) -> "Deferred[None]":
        """Fires when there is room for what is claimed. Fails with NoRoomError."""
        return succeed(None) if self._claim is None else self._claim.room()

    def wrote(self, total: int) -> bool:
        """Account for what was written.

        :param total: how many bytes are present.
        :returns: False if there is no space for so many.
        """
        if (self._claim is None or total > self._claimed) and not self.claim(total):
            return False
        if self._claim is not None and total > self._written:
            self._claim.wrote(total - self._written)
        self._written = total
        return True

    async def end(self, discard: bool) -> None:
        """Save the file for a later download, or remove it."""
        ending: Deferred[None] = self.file.discard() if discard else self.file.save()
        try:
            await ending
        except OSError as error:
            self._log.warn(
                "the partial file of {digest} cannot be {what}: {error}",
                digest=self.file.digest,
                what="removed" if discard else "saved",
                error=error,
            )
        self.release()

    def release(self) -> None:
        """Release the claim. Idempotent. What is claimed later begins with nothing."""
        claim, self._claim = self._claim, None
        self._written = 0
        if claim is not None:
            claim.release()


class TargetEvents(Protocol):
    """The interface of the download, for its target."""

    def complete(self) -> None:
        """Every byte is present."""

    def unread(self) -> None:
        """Something changed, and there are no readers."""

    def outgrew(self) -> None:
        """There is no space for further bytes."""

    def not_stored(self, error: NotStoredError) -> None:
        """It can be kept neither on the disk nor in memory."""

    def disk_refused(self, error: BaseException | None) -> None:
        """The disk refused what is needed to go on."""


class NullEvents:
    """Ignores all events. It replaces a download that is complete or has ended.

    Otherwise the fill and the download would refer to each other, and their memory would be freed
    only by Python's garbage collector.
    """

    def complete(self, *_: object) -> None:
        """Do nothing."""

    unread = outgrew = not_stored = disk_refused = drained = complete
    gave_up = storage_failed = failed = complete


class FillTarget:
    """Takes the bytes of one attempt at a blob.

    :ivar claimed: every byte that is present, or has arrived and waits to be written.
    :ivar answered: whether a valid answer came, so that answers to clients may begin.
    :ivar url_index: of the URL that answered last; None before one did.
    :ivar stored: whether the content is, or will be, stored; else it only passes through memory.
    :ivar mentioned_size: the size by a manifest (bytes), if that is known and believed.
    :ivar heads_out: whether answers may have begun.
    """

    def __init__(
        self,
        file: IPartialFile,
        space: ISpace,
        readers: Readers,
        events: TargetEvents,
        *,
        mentioned: int | None = None,
    ) -> None:
        self.mentioned_size = mentioned
        self.file = file
        self.claimed = file.present.copy()
        self.readers = readers
        self.partial_claim = PartialClaim(file, space)
        self.answered = False
        self.stored = True
        self.url_index: int | None = None
        self._events = events
        self._allocation: Allocation | None = None
        self.heads_out = False

    def drop(self) -> None:
        """Report no further events to the download."""
        self._events = NullEvents()

    @property
    def is_complete(self) -> bool:
        """Whether every byte is present."""
        return self.file.present.total == self.file.size

    @property
    def public(self) -> bool:
        """Whether an answer has come, and every byte was given without credentials."""
        return self.answered and self.file.anonymous

    def may_park(self, finish: int | None) -> bool:
        """Whether to park it while there are no readers.

        :param finish: go on if at most so many bytes are missing; None: always. If the size is not
            known: if at most so many are present.
        """
        if finish is None or not self.answered:
            return False
        present, size = self.file.present.total, self.file.size
        return present > finish if size is None else size - present > finish

    def announced(self, body: IBlobBody) -> None:
        """Claim space for the size in an answer; not for one that only a manifest states.

        :raises NotStoredError: if the claim is refused, and it is too large for memory.
        """
        self.url_index = body.url_index
        if not self.stored or self.partial_claim.claim(max(body.size or 0, self.claimed.total)):
            return
        small = body.size is not None and body.size <= WITHHELD and body.start == 0
        if not (small and self.file.in_memory) or self.file.crowded:
            raise NotStoredError(NO_ROOM, body)
        self.stored = False

    def prepare(self, start: int, end: int | None) -> "Deferred[None]":
        """Prepare for the bytes of ``[start, end)``. Fails with OSError, and with NoRoomError."""
        room = self.partial_claim.room()
        if has_result(room):
            ready = self.file.prepare()
        else:
            ready = room.addCallback(lambda _: self.file.prepare())
        if (self.file.size or 0) <= UNRESERVED:
            return ready
        allocation = self._allocation
        if allocation is None:
            allocation = self._allocation = Allocation(self.file, self._events.disk_refused)
        return ready.addCallback(lambda _: allocation.first(start, end))

    def begin(self) -> None:
        """The body of an answer is about to flow."""
        if not self.answered:
            self.answered = True
            self._release_heads()
            if not self.readers:
                self._events.unread()

    def wrote(self, position: int, end: int | None) -> None:
        """A fill has written bytes up to ``position``, on its way to ``end``."""
        if self._allocation is not None:
            self._allocation.ahead(position, end)
        self.changed()

    def changed(self) -> None:
        """Wake the readers, and tell the download if its state changes."""
        total = self.file.present.total
        if self.stored and not self.partial_claim.wrote(total):
            self._events.outgrew()
            return
        if not self.heads_out:
            self._release_heads()
        if total == self.file.size:
            self._events.complete()
        elif not self.readers:
            self._events.unread()
        self.readers.wake()

    def hold_nothing(self) -> None:
        """Move to the disk: an answer broke off, and it may take long until it goes on."""
        if not self.claimed:
            return
        if self.stored:
            moving = self.file.to_disk()
            moving.addErrback(lambda failure: self._events.disk_refused(failure.value))
        else:
            self._events.not_stored(NotStoredError(NO_ROOM))

    def _release_heads(self) -> None:
        """Let the answers begin. If the blob is small they wait until it is verified."""
        size = self.file.size
        length = self.file.present.end_of(0) if size is None else size
        if self.answered and length > WITHHELD:
            self.heads_out = True
            self.readers.release_head()
