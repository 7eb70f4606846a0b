"""Syncing of new content to the disk, in batches, behind the answers.

Content is committed by a rename alone, so a crash of the machine can leave a name with
zeros for bytes. What was synced is therefore marked, by its mode (see
:func:`~regcache.store.files.settle`): content without the mark that this process does not
know either is verified before it is served. No clock and no walk is needed for that.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.digests import Digest
from regcache.interfaces import IWorkPool
from regcache.store.files import remove, settle, sync_folder
from regcache.store.paths import StorePaths

DELAY = 2.0
"""Seconds between a commit and the begin of the sync that it waits for."""


@dataclass
class _Outcome:
    """What became of a batch.

    :ivar lost: content that the disk refused to take, with its size in bytes; removed.
    :ivar untried: content that could not be opened, e.g. for want of descriptors.
    :ivar faults: what to log.
    """

    lost: list[tuple[Digest, int]] = field(default_factory=list)
    untried: list[Digest] = field(default_factory=list)
    faults: list[OSError] = field(default_factory=list)


class SyncQueue:
    """New content that waits for the disk.

    :param lost: called with the digest and size of content that was removed, because the
        disk refused to take it and its bytes cannot be relied upon.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        pool: IWorkPool,
        paths: StorePaths,
        lost: Callable[[Digest, int], None],
        delay: float = DELAY,
    ) -> None:
        self._clock = clock
        self._pool = pool
        self._paths = paths
        self._lost = lost
        self._delay = delay
        self._pending: set[Digest] = set()
        self._syncing: frozenset[Digest] = frozenset()
        self._timer: IDelayedCall | None = None
        self._turn = DeferredLock()
        self._closed = False

    def __contains__(self, digest: Digest) -> bool:
        """Whether this process committed the content and has not synced it yet."""
        return digest in self._pending or digest in self._syncing

    def add(self, digest: Digest) -> None:
        """Note that verified content has got its final name."""
        self._pending.add(digest)
        self._schedule()

    def discard(self, digest: Digest) -> None:
        """Note that content was removed."""
        self._pending.discard(digest)

    def flush(self) -> "Deferred[None]":
        """Sync now; fires when everything that was added before has been tried."""
        return self._turn.run(self._round)

    def close(self) -> "Deferred[None]":
        """Sync what is pending, and nothing after it. The pool must still run."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return self.flush()

    def _schedule(self) -> None:
        """Have a round after the delay, if there is anything to do."""
        if self._pending and self._timer is None and not self._closed:
            self._timer = self._clock.callLater(self._delay, self._elapsed)

    def _elapsed(self) -> None:
        self._timer = None
        self.flush()

    def _round(self) -> "Deferred[None]":
        """Sync what is pending by now."""
        self._syncing = frozenset(self._pending)
        self._pending.clear()
        if not self._syncing:
            return succeed(None)
        job: Deferred[_Outcome] = self._pool.run(_sync_batch, self._paths, self._syncing)
        return job.addErrback(self._failed).addCallback(self._done)

    def _failed(self, failure: Failure) -> _Outcome:
        """Nothing was done: there is no pool any more, or a fault of ours."""
        self.log.failure("syncing new content", failure)
        return _Outcome(untried=list(self._syncing))

    def _done(self, outcome: _Outcome) -> None:
        for fault in outcome.faults:
            self.log.warn("new content could not be synced: {fault}", fault=fault)
        self._syncing = frozenset()
        self._pending.update(outcome.untried)
        for digest, size in outcome.lost:
            self._pending.discard(digest)
            self._lost(digest, size)
        self._schedule()


def _sync_batch(paths: StorePaths, batch: Iterable[Digest]) -> _Outcome:
    """Sync files, then the folders that name them. Blocks."""
    outcome = _Outcome()
    folders: set[str] = set()
    for digest in batch:
        if _sync_content(paths.blob(digest), digest, outcome):
            folders.update(paths.folders(digest))
    for folder in sorted(folders, key=len, reverse=True):
        try:
            sync_folder(folder)
        except OSError as fault:  # at worst the name is lost, which is no wrong byte
            outcome.faults.append(fault)
    return outcome


def _sync_content(path: str, digest: Digest, outcome: _Outcome) -> bool:
    """Whether the file is on the disk now; if not, the outcome tells why."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError as fault:
        outcome.untried.append(digest)
        outcome.faults.append(fault)
        return False
    try:
        settle(descriptor)
    except OSError as fault:
        size = remove(path) or 0
        outcome.lost.append((digest, size))
        outcome.faults.append(fault)
        return False
    finally:
        os.close(descriptor)
    return True
