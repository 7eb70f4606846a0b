"""The hash of a growing file, which is computed after the writes, in the background.

======  =============================================================================
state   meaning
======  =============================================================================
level   all that was handed over is hashed; the step that has the file's turn may hash
behind  a job is hashing; what is stored meanwhile waits for the next job
======  =============================================================================

==================  ===============================  ======================================
event               level                            behind
==================  ===============================  ======================================
small write         one job stores and hashes it     as a large one
large write         stored, and has fired; a job     stored, as soon as ``MOST_BEHIND``
                    begins to hash it: behind        allows it; waits for the next job
... after a gap     the hash reads on, by a budget   is not hashed, but read again later
a store fails       nothing of it is handed over     nothing of it is handed over
a job ends                                           a job for what waits, or level
a job fails                                          level: what waits is dropped, and read
                                                     again; the next write fails as the job
receive             one job stores and hashes it     begins when level
verify              begins at once                   begins when level
clear               forgets the hash at once         drops what waits; forgets when level
discard             nothing                          drops what waits
close               nothing                          drops what waits when the job ends;
                                                     then the descriptor may be closed
==================  ===============================  ======================================

Writes, receive, verify, clear and discard have the file's turn until they fire. So at most one of
them waits for the hash, and no two threads ever use it.

Bytes that are to be hashed are kept in memory: at most ``MOST_BEHIND`` of a file, or one write if
that is larger.
"""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from regcache.interfaces import Received
from regcache.intervals import Intervals
from regcache.store.content_file import FileClosedError, OpenFile
from regcache.store.growing import GrowingContent, Piece, Stretch, length_of
from regcache.store.receiving import Receiving, Source

LARGE = 512 * 1024
"""From here on (bytes) hashing a write is worth a job of its own.

More than what a body that drips is written in: behind a slow link nothing is gained by it.
"""

MOST_BEHIND = 2 * 1024 * 1024
"""What is kept of a file to be hashed (bytes); writes that are too much wait."""

_VERIFY_STEP = 64 * 1024 * 1024  # bytes hashed by one job, so that other files get their turn
_NOTHING = -1  # less than any number of bytes: fits when level only


class TrailingHash:
    """Stores what is written to one file, and hashes it. For the reactor's thread.

    :param present: the intervals in the file; marked by the writers, see :meth:`write`.
    """

    def __init__(self, opened: OpenFile, content: GrowingContent, present: Intervals) -> None:
        self._opened = opened
        self._content = content
        self._present = present
        self._handed_to = 0  # where the hash will be when nothing waits
        self._waiting: list[Stretch] = []
        self._behind = False
        self._unhashed = 0  # bytes of what waits, and of what is in the job
        self._unhashed_in_job = 0
        self._job_to = 0  # where the hash will be when the job ends
        self._waiter: tuple[int, Deferred[None]] | None = None
        self._fault: BaseException | None = None

    def write(self, pieces: Sequence[Piece], mark: Callable[[], bool]) -> "Deferred[None]":
        """Store pieces that are not present. They may be hashed later. In the file's turn.

        Fails with OSError, also with that of an earlier hash; then the pieces are not stored.

        :param mark: called when they are stored, to mark them as present. It returns False if they
            do not count any more.
        """
        length = length_of(pieces)
        if not self._behind:  # as small writes mostly find it
            return self._write(pieces, length, mark)
        room = self._room(MOST_BEHIND - length)
        return room.addCallback(lambda _: self._write(pieces, length, mark))

    def _write(
        self, pieces: Sequence[Piece], length: int, mark: Callable[[], bool]
    ) -> "Deferred[None]":
        fault, self._fault = self._fault, None
        if fault is not None:
            return fail(fault)
        if self._behind or length >= LARGE:
            storing = self._opened.work(self._content.store, pieces)
            return storing.addCallback(self._stored, pieces, length, mark)
        present_to = self._present.end_of(self._content.hashed_to)
        writing = self._opened.work(self._content.write, pieces, present_to)
        return writing.addCallback(self._written, mark)

    def _written(self, _: None, mark: Callable[[], bool]) -> None:
        mark()

    def _stored(
        self, _: None, pieces: Sequence[Piece], length: int, mark: Callable[[], bool]
    ) -> None:
        if not self._behind:
            self._handed_to = self._content.hashed_to
        present_to = self._present.end_of(self._handed_to)
        if mark() and not self._opened.closing:
            self._hand_over(pieces, self._handed_to if self._behind else present_to, 2 * length)

    def _hand_over(self, pieces: Sequence[Piece], present_to: int, budget: int) -> None:
        """Hand over those pieces that follow the ones before, to be hashed."""
        begin = self._handed_to
        read_to = end = max(begin, min(present_to, begin + budget))
        following = []
        for piece in pieces:
            if piece[0] == end:
                following.append(piece)
                end += length_of([piece])
        if end == begin:
            return
        self._waiting.append((read_to, following))
        self._handed_to = end
        self._unhashed += end - read_to
        if not self._behind:
            self._opened.keep_open()
            self._begin()

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._behind = True
        self._job_to, self._unhashed_in_job = self._handed_to, self._unhashed
        self._opened.work(self._content.hash, waiting).addBoth(self._ended)

    def _ended(self, outcome: object) -> None:
        if isinstance(outcome, Failure) and outcome.value is not None:
            # Its traceback would keep the bytes in memory.
            self._fault = outcome.value.with_traceback(None)
        self._unhashed -= self._unhashed_in_job
        if self._waiting and self._fault is None and not self._opened.closing:
            self._begin()
        else:
            self._waiting.clear()
            self._behind, self._unhashed = False, 0
            self._opened.release()
        self._tell_waiter()

    def _has_room(self, most: int) -> bool:
        return not self._behind or self._unhashed <= most

    def _room(self, most: int) -> "Deferred[None]":
        """Fires when no more than ``most`` bytes are kept, or the hash is level."""
        if self._has_room(most):
            return succeed(None)
        self._waiter = (most, Deferred())
        return self._waiter[1]

    def _tell_waiter(self) -> None:
        if self._waiter is not None and self._has_room(self._waiter[0]):
            (_, ready), self._waiter = self._waiter, None
            ready.callback(None)

    def receive(self, job: Receiving, source: Source) -> "Deferred[Received]":
        """Have a source's bytes written and hashed by one job. In the file's turn."""
        return self._room(_NOTHING).addCallback(lambda _: self._receive(job, source))

    def _receive(self, job: Receiving, source: Source) -> "Deferred[Received]":
        fault, self._fault = self._fault, None
        if fault is not None:
            return succeed(Received(0, fault))
        return self._opened.work(job.run, source, self._present.end_of(self._content.hashed_to))

    def let_go(self) -> None:
        """Drop what waits to be hashed. If it is needed later it is read again."""
        if self._behind:
            self._waiting.clear()
            self._handed_to, self._unhashed = self._job_to, self._unhashed_in_job

    async def forget(self) -> None:
        """Hash from the start again. In the file's turn."""
        self.let_go()
        await self._room(_NOTHING)
        self._content.forget_hash()
        self._fault = None

    async def matches(self, size: int) -> bool:
        """Whether the file is ``size`` bytes and has its digest. In the file's turn.

        :raises OSError: if the disk fails, or the file was closed.
        """
        await self._room(_NOTHING)
        while self._content.hashed_to < size:
            if self._opened.closing:
                raise FileClosedError
            await self._opened.work(self._content.catch_up, size, _VERIFY_STEP)
        return bool(await self._opened.work(self._content.matches, size))
