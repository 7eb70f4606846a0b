"""Makes changes of the index in their order, also while another program locks the file.

Group commit: changes that come while an earlier one still waits for the thread share its
transaction. None waits longer because of that, and a burst of them needs one commit.

In WAL mode readers wait for no writer. So while another program has the lock to write, the thread
waits for it only some milliseconds, again and again, and readings go on in between.

======  ============================  =========================================================
state   event                         what happens
======  ============================  =========================================================
free    a change                      it goes to the thread
free    a batch finds a lock          locked: it waits, and so do all behind it, in their order
locked  a change                      it waits behind the others
locked  ``RETRY`` is over             the first that wait are tried, in one transaction
locked  there still is a lock         those whose callers wait for an answer now fail, if the lock
                                      has lasted for ``PATIENCE``; it is told once
locked  there is none                 free: all that wait go to the thread, in their order
locked  it should end, and the lock   all that wait fail, and it is told how many are lost
        lasts for ``LAST`` more
======  ============================  =========================================================

What clients' requests record is kept: they go on as soon as it waits. That is bounded by
``MOST_KEPT``, beyond which it fails. Readings do not see what waits.
"""

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.gate import Gate
from regcache.interfaces import IWorkPool
from regcache.store.index_batches import MOST_IN_BATCH, Change, WriteBatch
from regcache.store.index_file import IndexFile, IndexLockedError, IndexWriteError

RETRY = 0.5
"""Seconds between two attempts while another program locks the index."""

PATIENCE = 1.0
"""Seconds that a lock may last before those are told who wait to be answered; longer ones are said
in the log."""

LAST = 5.0
"""Seconds for which the end of the process waits for a lock."""

MOST_KEPT = 16 * 1024 * 1024
"""Bytes of changes whose callers went on. Beyond them a change fails, as on a full disk."""

LOCKED = (
    "another program has locked the index: until it ends, what is learnt is kept in memory alone,"
    " and nothing can be removed, evicted or pinned"
)

_SECONDS_BETWEEN_COMPLAINTS = 60.0
_Outcomes = list[IndexWriteError | None]
"""One for each change of a batch."""


def _do_nothing(_connection: object) -> None:
    """Changes nothing, to find out whether anything can be changed."""


class IndexWrites:
    """Changes of a file.

    :param pool: of one thread, which reads as well.
    :param begun: called when changes are given to the thread; readings from then on see them.
    :ivar written: how many changes there were.
    :ivar problem: says that there is a lock which has lasted for a while; "" if there is none.
    """

    log = Logger()

    def __init__(
        self,
        file: IndexFile,
        pool: IWorkPool,
        clock: IReactorTime,
        begun: Callable[[], None],
    ) -> None:
        self._file = file
        self._pool = pool
        self._clock = clock
        self._begun = begun
        self._batch: WriteBatch | None = None
        self._in_thread = 0  # batches
        self._waiting: list[Change] = []
        self._kept = 0  # bytes
        self._locked_since: float | None = None
        self._next_attempt: IDelayedCall | None = None
        self._ends_at: float | None = None
        self._finishing: Gate | None = None
        self._complained_at: float | None = None
        self._barred: IndexLockedError | None = None  # only for the thread
        self.written = 0
        self.problem = ""

    def make(self, change: Change) -> "Deferred[None]":
        """Make a change. Fires once it is committed, or kept. Fails with IndexWriteError."""
        self.written += 1
        change.number = self.written
        if self._locked_since is not None:
            self._wait(change)
        elif self._batch is None or not self._batch.add(change):
            self._batch = WriteBatch([change])
            self._give(self._batch)
        return change.done

    def hurry(self) -> None:
        """Wait for no lock much longer: the process is about to end."""
        if self._ends_at is None:
            self._ends_at = self._clock.seconds() + LAST

    def finish(self) -> "Deferred[None]":
        """Fires when all changes are made, or have failed."""
        self.hurry()
        self._finishing = Gate()
        done = self._finishing.wait()
        self._look_whether_idle()
        return done

    def _give(self, batch: WriteBatch) -> None:
        """Give a batch to the thread."""
        self._in_thread += 1
        self._begun()
        work = self._pool.run(self._write, batch)
        work.addCallbacks(partial(self._settle, batch), partial(self._fail, batch))
        work.addErrback(partial(self.log.failure, "index batch"))

    def _write(self, batch: WriteBatch) -> tuple[_Outcomes, bool]:
        """Make the changes of a batch. Called in the thread.

        What comes behind a batch that found a lock must not be made before it.

        :returns: the outcomes, and whether there is a lock.
        """
        operations = batch.take()
        if self._barred is not None and not batch.probes:
            return [self._barred] * len(operations), True
        self._barred = None
        outcomes = self._file.write(operations or [_do_nothing])
        last = outcomes[-1]  # none is tried behind the first that finds a lock
        self._barred = last if isinstance(last, IndexLockedError) else None
        return outcomes[: len(operations)], self._barred is not None

    def _settle(self, batch: WriteBatch, result: tuple[_Outcomes, bool]) -> None:
        self._in_thread -= 1
        outcomes, is_locked = result
        for change, outcome in zip(batch.changes, outcomes, strict=True):
            if isinstance(outcome, IndexLockedError):
                self._wait(change)
            else:
                self._complain(outcome)
                change.settle(outcome)
        if is_locked:
            self._find_locked(batch.probes)
        elif batch.probes:
            self._find_free()
        self._look_whether_idle()

    def _fail(self, batch: WriteBatch, failure: Failure) -> None:
        """The thread did not do its work."""
        self._in_thread -= 1
        batch.fail(failure)
        if batch.probes:
            self._find_free()
        self._look_whether_idle()

    def _wait(self, change: Change) -> None:
        """Let a change wait for the end of the lock; its caller goes on, if it is to be kept."""
        if change.is_kept and not change.is_answered:
            if self._kept + change.size > MOST_KEPT:
                change.answer(IndexLockedError("too much is kept in memory already"))
                return
            self._kept += change.size
            change.answer()
        self._waiting.append(change)

    def _find_locked(self, again: bool) -> None:
        """Another program has locked the file. :param again: a later attempt has found it."""
        now = self._clock.seconds()
        self._batch = None
        if self._locked_since is None:
            self._locked_since = now
        # Those behind the first come back from the thread one after another.
        self._waiting.sort(key=lambda change: change.number)
        if again and now - self._locked_since >= PATIENCE:
            self._tell()
            self._let_go(lambda change: not change.is_patient and not change.is_answered)
        if again and self._ends_at is not None and now >= self._ends_at:
            self._give_up()
        self._try_later()

    def _tell(self) -> None:
        if not self.problem:
            self.problem = LOCKED
            self.log.error("{path}: {problem}", path=self._file.path, problem=LOCKED)

    def _let_go(self, which: Callable[[Change], bool]) -> int:
        """Let some that wait fail. Returns of how many this was not expected any more."""
        gone = [each for each in self._waiting if which(each)]
        self._waiting = [each for each in self._waiting if not which(each)]
        told = sum(each.is_answered for each in gone)
        for each in gone:
            each.settle(IndexLockedError("another program has locked it"))
        return told

    def _give_up(self) -> None:
        lost = self._let_go(lambda change: True)
        if lost:
            self.log.error("{count} changes of the index are lost: it is locked", count=lost)

    def _try_later(self) -> None:
        if self._next_attempt is None:
            self._next_attempt = self._clock.callLater(RETRY, self._try)

    def _try(self) -> None:
        self._next_attempt = None
        if self._in_thread:  # others come back that were before some of those that wait
            self._try_later()
            return
        some = self._waiting[:MOST_IN_BATCH]
        del self._waiting[:MOST_IN_BATCH]
        self._give(WriteBatch(some, probes=True))

    def _find_free(self) -> None:
        """The file can be changed: make all changes that wait."""
        since, self._locked_since, self._kept = self._locked_since, None, 0
        self.written += 1  # copies of the file that were made meanwhile lack what waits
        waiting, self._waiting = self._waiting, []
        if self.problem:
            self.problem = ""
            seconds = round(self._clock.seconds() - (since or 0.0))
            self.log.info("the index is free again, after {seconds} s", seconds=seconds)
        for start in range(0, len(waiting), MOST_IN_BATCH):
            self._give(WriteBatch(waiting[start : start + MOST_IN_BATCH]))

    def _look_whether_idle(self) -> None:
        if self._finishing is None or self._in_thread or self._waiting:
            return
        if self._next_attempt is not None:
            self._next_attempt.cancel()
            self._next_attempt = None
        self._finishing.succeed()

    def _complain(self, outcome: IndexWriteError | None) -> None:
        """Say why changes fail, but not of each."""
        if outcome is None:
            return
        now = self._clock.seconds()
        if self._complained_at is None or now - self._complained_at >= _SECONDS_BETWEEN_COMPLAINTS:
            self._complained_at = now
            self.log.error("{error}", error=str(outcome))
