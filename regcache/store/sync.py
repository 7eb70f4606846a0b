"""Syncs new content to the disk, in batches, after the answers.

Content is committed by a rename alone, so a crash of the machine can leave a file of zeros under
its name. Therefore synced content is marked, by its mode (see
:func:`~regcache.store.file_operations.settle`). Content without the mark is verified before it is
served, unless this process has stored it. So nothing has to be scanned after a crash.

Syncing competes with requests for the disk, and for the interpreter's lock. So it begins when
nothing was committed for a moment, but not much later than the first commit.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from dataclasses import field
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.digests import Digest
from regcache.interfaces import IWorkPool
from regcache.light_dataclass import dataclass
from regcache.store.aside import NotOursError, open_regular
from regcache.store.file_operations import mark_settled, remove_same, settle, sync_folder
from regcache.store.paths import StorePaths

SystemCall = Callable[[int], int]

_FIRST_RELIABLE = (5, 8)
"""Older kernels do not tell of writes that failed: syncfs(2), BUGS."""


def _system_call(release: str = os.uname().release) -> SystemCall | None:
    """The C library's function, or None where it cannot be relied upon."""
    numbers = release.split(".")[:2]
    if not all(number.isdecimal() for number in numbers):
        return None
    if tuple(map(int, numbers)) < _FIRST_RELIABLE:
        return None
    function: SystemCall | None = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    return function


_SYNCFS = _system_call()


class FileSystem:
    """The file system of a folder, to sync it as a whole.

    It must be opened before the files are written: by its descriptor the kernel reports all writes
    that failed since then. But it reports that only once, and not of which file. So after the first
    fault this way of syncing is not used any more. For one thread at a time.
    """

    def __init__(self, folder: str, system_call: SystemCall | None = _SYNCFS) -> None:
        self._folder = folder
        self._system_call = system_call
        self._descriptor: int | None = None

    def open(self) -> None:
        """Open the folder. :raises OSError: if the folder cannot be opened."""
        if self._system_call is not None and self._descriptor is None:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            self._descriptor = os.open(self._folder, flags)

    def sync(self) -> bool:
        """Sync the whole file system. Blocks.

        :returns: whether everything that was written since :meth:`open` is on the disk; False, and
            nothing is done, if that cannot be found out.
        :raises OSError: if something could not be written, perhaps of another program.
        """
        if self._system_call is None or self._descriptor is None:
            return False
        if self._system_call(self._descriptor) != 0:
            code = ctypes.get_errno()
            self._system_call = None
            raise OSError(code, os.strerror(code))
        return True

    def close(self) -> None:
        """Close the folder. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


TOGETHER = 8
"""From so many files on the whole file system is synced once, and not each by itself."""


@dataclass
class Outcome:
    """The outcome of a batch.

    :ivar lost: content that the disk refused to take, with its size in bytes; removed.
    :ivar untried: content that could not be opened, for example without free descriptors.
    :ivar faults: errors to log.
    """

    lost: list[tuple[Digest, int]] = field(default_factory=list)
    untried: list[Digest] = field(default_factory=list)
    faults: list[OSError] = field(default_factory=list)


def sync_contents(paths: StorePaths, system: FileSystem, batch: Sequence[Digest]) -> Outcome:
    """Sync files and their names, then mark the files. All of them are open at a time."""
    outcome = Outcome()
    # A descriptor stays with its file, even if that is removed or replaced.
    opened: dict[Digest, int] = {}
    try:
        for digest in batch:
            _open(paths.blob(digest), digest, opened, outcome)
        if len(opened) < TOGETHER or not _sync_together(system, outcome):
            _sync_each(paths, opened, outcome)
        else:
            for descriptor in opened.values():
                mark_settled(descriptor)
    finally:
        for descriptor in opened.values():
            os.close(descriptor)
    return outcome


def _open(path: str, digest: Digest, opened: dict[Digest, int], outcome: Outcome) -> None:
    if outcome.untried:  # there are no descriptors left, or something as general as that
        outcome.untried.append(digest)
        return
    try:
        opened[digest], _ = open_regular(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError, NotOursError):  # it was removed since
        return
    except OSError as fault:
        outcome.untried.append(digest)
        outcome.faults.append(fault)


def _sync_together(system: FileSystem, outcome: Outcome) -> bool:
    """Sync the file system. Returns whether that succeeded; if not, sync each file by itself."""
    try:
        return system.sync()
    except OSError as fault:
        outcome.faults.append(fault)
        return False


def _sync_each(paths: StorePaths, opened: dict[Digest, int], outcome: Outcome) -> None:
    folders: set[str] = set()
    for digest, descriptor in opened.items():
        try:
            settle(descriptor)
        except OSError as fault:
            _remove(paths.blob(digest), digest, descriptor, outcome)
            outcome.faults.append(fault)
        else:
            folders.update(paths.folders(digest))
    for folder in sorted(folders, key=len, reverse=True):
        try:
            sync_folder(folder)
        except OSError as fault:  # at worst a crash loses the name, not any byte
            outcome.faults.append(fault)


def _remove(path: str, digest: Digest, descriptor: int, outcome: Outcome) -> None:
    """Remove a file, unless another one has its name by now."""
    size = os.fstat(descriptor).st_size
    if remove_same(path, descriptor):
        outcome.lost.append((digest, size))


T = TypeVar("T")

QUIET = 2.0
"""Seconds without a commit after which a sync begins ..."""

LATEST = 10.0
"""... and seconds after the first commit that waits for it."""

MOST_IN_JOB = 64
"""Contents that one job in a thread syncs. Their files are open, so they cannot be evicted."""

CLOSING_SECONDS = 5.0
"""When the daemon stops, no job is begun after that; the rest is verified when it is used."""


class SyncQueue:
    """New content that waits for the disk.

    :param system: the open file system, to sync many files by one call; closed in the end.
    :param is_leaving: whether content is being evicted. It is not opened then: an open file that
        is removed still takes its place on the disk.
    :param lost: called with the digest and size of content that was removed, because the
        disk refused to take it and its bytes cannot be relied upon.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        pool: IWorkPool,
        paths: StorePaths,
        system: FileSystem,
        *,
        is_leaving: Callable[[Digest], bool],
        lost: Callable[[Digest, int], None],
    ) -> None:
        self._clock = clock
        self._pool = pool
        self._paths = paths
        self._system = system
        self._is_leaving = is_leaving
        self._lost = lost
        self._pending: dict[Digest, None] = {}
        self._syncing: frozenset[Digest] = frozenset()
        self._first_at = self._last_at = 0.0
        self._timer: IDelayedCall | None = None
        self._turn = DeferredLock()
        self._until: float | None = None  # set when it closes

    def __contains__(self, digest: Digest) -> bool:
        """Whether this process committed the content and has not synced it yet."""
        return digest in self._pending or digest in self._syncing

    def holds(self, digest: Digest) -> bool:
        """Whether a thread has the content open at this moment."""
        return digest in self._syncing

    def add(self, digest: Digest) -> None:
        """Note that verified content has got its final name."""
        self._pending[digest] = None
        self._last_at = self._clock.seconds()
        self._schedule()

    def discard(self, digest: Digest) -> None:
        """Note that content was removed."""
        self._pending.pop(digest, None)

    def flush(self) -> "Deferred[None]":
        """Sync now. Fires when everything that was added before was synced, or failed."""
        return self._turn.run(self._flush)

    def close(self) -> "Deferred[None]":
        """Sync what is pending, for a bounded time, and stop. The pool must run."""
        self._until = self._clock.seconds() + CLOSING_SECONDS
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return self._turn.run(self._flush).addBoth(self._let_go)

    def _let_go(self, outcome: T) -> T:
        self._system.close()
        if self._pending:
            self.log.warn(
                "{count} new contents were not synced in time: they are verified when next used",
                count=len(self._pending),
            )
        return outcome

    def _schedule(self) -> None:
        """Schedule a sync, if there is anything to sync."""
        if self._pending and self._timer is None and self._until is None:
            self._first_at = self._clock.seconds()
            self._timer = self._clock.callLater(QUIET, self._elapsed)

    def _elapsed(self) -> None:
        """Sync, unless content was committed a moment ago: then a little later."""
        self._timer = None
        due = min(self._last_at + QUIET, self._first_at + LATEST)
        remaining = due - self._clock.seconds()
        if remaining > 0:
            self._timer = self._clock.callLater(remaining, self._elapsed)
        else:
            self.flush().addErrback(partial(self.log.failure, "syncing new content"))

    async def _flush(self) -> None:
        """Sync what is pending, or as much of it as there is time for."""
        batch = list(self._pending)
        while batch and self._has_time():
            untried = await self._sync(batch[:MOST_IN_JOB])
            if untried and self._until is None:
                break  # the others would meet the same; all are tried again later
            batch = batch[MOST_IN_JOB:]
        self._schedule()

    def _has_time(self) -> bool:
        return self._until is None or self._clock.seconds() < self._until

    async def _sync(self, batch: Sequence[Digest]) -> bool:
        """Sync a part of what is pending, without what was removed meanwhile, or is leaving.

        :returns: whether some of it could not be tried.
        """
        present = [each for each in batch if each in self._pending and not self._is_leaving(each)]
        if not present:
            return False
        self._syncing = frozenset(present)
        for digest in present:
            del self._pending[digest]

        def failed(failure: Failure) -> Outcome:
            """Nothing was done: there is no pool any more, or a fault of ours."""
            self.log.failure("syncing new content", failure)
            return Outcome(untried=present)

        job: Deferred[Outcome] = self._pool.run(sync_contents, self._paths, self._system, present)
        outcome = await job.addErrback(failed)
        self._syncing = frozenset()
        self._done(outcome)
        return bool(outcome.untried)

    def _done(self, outcome: Outcome) -> None:
        if outcome.faults:
            self.log.warn(
                "new content could not be synced: {fault} ({count} such faults)",
                fault=outcome.faults[0],
                count=len(outcome.faults),
            )
        self._pending.update(dict.fromkeys(outcome.untried))
        for digest, size in outcome.lost:
            self._pending.pop(digest, None)
            self._lost(digest, size)
