"""Where the fills of one download write: its file, what that takes, and who is fed from it.

Space is claimed from the ledger when an answer announces a size, and as content grows that did
not. Disk is reserved ahead of the fills, so that a full one is noticed early: a fill's first
step is waited for before its body flows; the further ones go on beside it. The ledger is not
told of that: to it what is allocated is space that became less, and what it has still promised.
So it refuses a little early, never too late, whatever the file system does.
"""

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.download.context import WITHHELD, NotStoredError
from regcache.cache.download.readers import Readers
from regcache.interfaces import IBlobBody, IPartialFile, ISpace, ISpaceClaim

#: The most that is reserved at once, and ahead of a fill (bytes).
STEP = 64 * 1024 * 1024
#: Content up to this size is written without (bytes): one write tells as much.
UNRESERVED = 1024 * 1024


class Allocation:
    """What of one file is reserved.

    :param failed: called with the fault of a step that nobody waits for.
    """

    def __init__(self, file: IPartialFile, failed: Callable[[BaseException | None], None]) -> None:
        self._file = file
        self._failed = failed
        self._reserved = file.present.copy()
        self._running = False

    def first(self, start: int, end: int | None) -> "Deferred[None]":
        """Reserve the first step of ``[start, end)``. Fails with OSError."""
        stop = self._stop(end)
        if self._reserved.end_of(start) > start or start >= stop:
            return succeed(None)
        return self._reserve(start, stop)

    def ahead(self, position: int, end: int | None) -> None:
        """Reserve a further step if a fill at ``position`` comes near the end of the last."""
        reached = self._reserved.end_of(position)
        if self._running or reached - position > STEP // 2:
            return
        stop = self._stop(end)
        if reached >= stop:
            return
        self._running = True
        self._reserve(reached, stop).addCallbacks(self._ended, self._step_failed)

    def _stop(self, end: int | None) -> int:
        """Where reserving ends."""
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
    """Keeps one partial file within its claim, and saves it or drops it in the end."""

    _log = Logger()

    def __init__(self, file: IPartialFile, space: ISpace) -> None:
        self.file = file
        self._space = space
        self._claim: ISpaceClaim | None = None
        self._claimed = 0
        self._written = file.present.total

    def claim(self, size: int) -> bool:
        """Have a claim of at least ``size`` bytes in all; whether that was granted."""
        if self._claim is None:
            self._claim = self._space.claim(size)
            if self._claim is not None:
                self._claimed = size
                self._claim.wrote(self._written)
            return self._claim is not None
        if size > self._claimed:
            if not self._claim.grow(size):
                return False
            self._claimed = size
        return True

    def wrote(self, total: int) -> bool:
        """Account for what was written.

        :param total: bytes that are present.
        :returns: False where there is no space for so much.
        """
        if (self._claim is None or total > self._claimed) and not self.claim(total):
            return False
        if self._claim is not None and total > self._written:
            self._claim.wrote(total - self._written)
        self._written = total
        return True

    async def end(self, discard: bool) -> None:
        """Save the file for another day, or remove it."""
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
        """Give the claim back. Idempotent."""
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.release()


class TargetEvents(Protocol):
    """The download whose bytes these are."""

    def complete(self) -> None:
        """Every byte is present."""

    def unread(self) -> None:
        """Something changed, and nobody reads."""

    def outgrew(self) -> None:
        """There is no space for more of it."""

    def not_stored(self, error: NotStoredError) -> None:
        """It can be kept nowhere."""

    def disk_refused(self, error: BaseException | None) -> None:
        """The disk refused what is needed to go on."""


class FillTarget:
    """Takes the bytes of one attempt at a blob.

    :ivar claimed: every byte that is present, or has arrived and waits to be written.
    :ivar answered: a fitting answer came, so the heads of answers may go out in time.
    :ivar stored: the content is stored, or going to be; else it only passes through memory.
    """

    def __init__(
        self,
        file: IPartialFile,
        space: ISpace,
        readers: Readers,
        events: TargetEvents,
    ) -> None:
        self.file = file
        self.claimed = file.present.copy()
        self.readers = readers
        self.partial_claim = PartialClaim(file, space)
        self.answered = False
        self.stored = True
        self._events = events
        self._allocation: Allocation | None = None
        self._heads_out = False

    @property
    def is_complete(self) -> bool:
        """Whether every byte is present."""
        return self.file.present.total == self.file.size

    @property
    def public(self) -> bool:
        """Whether some answer came, and every byte was given without credentials."""
        return self.answered and self.file.anonymous

    def may_park(self, finish: int | None) -> bool:
        """Whether it should be parked while nobody reads.

        :param finish: the most that may be missing (bytes); None: anything. Of content that
            does not say its size, the most that may be present.
        """
        if finish is None or not self.answered:
            return False
        present, size = self.file.present.total, self.file.size
        return present > finish if size is None else size - present > finish

    def announced(self, body: IBlobBody) -> None:
        """Claim space for what an answer announces; never for what only a manifest says.

        :raises NotStoredError: where the claim is refused, and memory does not do.
        """
        if not self.stored or self.partial_claim.claim(max(body.size or 0, self.claimed.total)):
            return
        small = body.size is not None and body.size <= WITHHELD and body.start == 0
        if not (small and self.file.in_memory) or self.file.crowded:
            raise NotStoredError("there is no space for it", body)
        self.stored = False

    def prepare(self, start: int, end: int | None) -> "Deferred[None]":
        """Be ready for the bytes of ``[start, end)``. Fails with OSError."""
        ready = self.file.prepare()
        if (self.file.size or 0) <= UNRESERVED:
            return ready
        allocation = self._allocation
        if allocation is None:
            allocation = self._allocation = Allocation(self.file, self._events.disk_refused)
        return ready.addCallback(lambda _: allocation.first(start, end))

    def begin(self) -> None:
        """An answer is going to flow."""
        if not self.answered:
            self.answered = True
            self._release_heads()
            if not self.readers:
                self._events.unread()

    def wrote(self, position: int, end: int | None) -> None:
        """A fill that has come to ``position``, on its way to ``end``, has written something."""
        if self._allocation is not None:
            self._allocation.ahead(position, end)
        self.changed()

    def changed(self) -> None:
        """Let everybody look at what is there now."""
        total = self.file.present.total
        if self.stored and not self.partial_claim.wrote(total):
            self._events.outgrew()
            return
        if not self._heads_out:
            self._release_heads()
        if total == self.file.size:
            self._events.complete()
        elif not self.readers:
            self._events.unread()
        self.readers.wake()

    def hold_nothing(self) -> None:
        """An answer broke off. Nobody knows when it goes on: till then nothing is in memory."""
        if not self.claimed:
            return
        if self.stored:
            moving = self.file.to_disk()
            moving.addErrback(lambda failure: self._events.disk_refused(failure.value))
        else:
            self._events.not_stored(NotStoredError("there is no space for it"))

    def _release_heads(self) -> None:
        """Let the answers begin, unless the blob is small: then it is verified before."""
        size = self.file.size
        length = self.file.present.end_of(0) if size is None else size
        if self.answered and length > WITHHELD:
            self._heads_out = True
            self.readers.release_head()
