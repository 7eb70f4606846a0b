"""Opens, lists and sweeps the partial files in their folder."""

import errno
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from heapq import nsmallest
from math import inf

from twisted.internet.defer import Deferred, DeferredSemaphore, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.digests import Digest
from regcache.identity import Repository, UpstreamIdentity
from regcache.interfaces import IWorkPool
from regcache.light_dataclass import dataclass
from regcache.plans import PartialSums
from regcache.store.aside import NotOursError
from regcache.store.content_file import CachedReads, OpenFile
from regcache.store.identities import describe
from regcache.store.keyed_locks import KeyedLocks
from regcache.store.leaving import LeavingContents
from regcache.store.partial import PartialFile
from regcache.store.partial_names import PartialNames, read_upstream
from regcache.store.paths import (
    SIDECAR_SUFFIX,
    TEMPORARY_SUFFIX,
    PartialKey,
    StorePaths,
    partial_key,
)
from regcache.store.pool import handed_over

MOST_NAMES = 30_000
"""Names in the folder that are in memory at a time. There are two for each file."""

SAVE_PAUSE, SAVE_PAUSE_EACH, SAVE_PAUSE_MOST = 0.05, 0.02, 1.0
"""Seconds from a write to the record of it on the disk: at least, for each open file, and at most.
So there are at most 50 records a second, or one for each of more than 50 files."""

MOST_RECEIVING = 4
"""Threads receive so many bodies at the same time. Others wait for some milliseconds, so that some
threads stay free for other work."""


class PartialInUseError(OSError):
    """Says that a partial file is open already: only one download at a time may use it.

    If the disk refused to remove the file, it stays in use until its readers have finished.
    """

    def __init__(self, digest: Digest) -> None:
        super().__init__(errno.EBUSY, f"the partial file of {digest} is in use")


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the files in the folder.

    :ivar last: the name after which the next part begins.
    :ivar more: whether there may be a next part.
    """

    keys: list[PartialKey]
    last: str
    more: bool


_BEGIN = _Part([], "", more=True)


class PartialFiles:
    """Opens partial files; one at a time for each digest and upstream.

    :param leaving: knows which contents are being evicted: no file gets their names meanwhile.
    :param committed: called with digest, size and the size of what was replaced.
    :ivar under_commit: the digests that are about to get their final names.
    :param changed: called with each change of the bytes that closed partial files take. The space
        of an open one is claimed by its download.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        pool: IWorkPool,
        paths: StorePaths,
        *,
        boot_id: str,
        cached: CachedReads,
        leaving: LeavingContents,
        committed: Callable[[Digest, int, int], None],
        changed: Callable[[int], None],
    ) -> None:
        self.background_syncs = DeferredSemaphore(1)
        self.receiving = DeferredSemaphore(MOST_RECEIVING)
        self.clock = clock
        self._pool = pool
        self._paths = paths
        self._boot_id = boot_id
        self._cached = cached
        self._leaving = leaving
        self._committed = committed
        self._changed = changed
        self._locks = KeyedLocks[PartialKey]()
        self._files: dict[PartialKey, PartialFile] = {}
        self._opening: set[PartialKey] = set()
        self._upstreams: dict[PartialKey, UpstreamIdentity | None] = {}
        self.under_commit: list[Digest] = []  # one may be there twice
        self._read_on: dict[PartialFile, Digest] = {}

    def open(
        self, digest: Digest, upstream: UpstreamIdentity | None, apart: bool = False
    ) -> "Deferred[PartialFile]":
        """Open the file of an earlier attempt at an upstream, or begin a new one.

        It waits for a file that is being closed. Fails with OSError, and with PartialInUseError.

        :param apart: begin a file without a name, which can never be opened again.
        """
        keys = partial_keys(digest, upstream)
        if apart:
            keys = [PartialKey(digest, secrets.token_hex(8))]
        free = [key for key in keys if not self._in_use(key)]
        if not free or upstream in [self._upstreams[key] for key in keys if key not in free]:
            return fail(PartialInUseError(digest))
        key = free[0]
        self._opening.add(key)
        self._upstreams[key] = upstream
        return handed_over(Deferred.fromCoroutine(self._open(key, upstream)), PartialFile.close)

    def _in_use(self, key: PartialKey) -> bool:
        current = self._files.get(key)
        return key in self._opening or (current is not None and not current.closing)

    async def _open(self, key: PartialKey, upstream: UpstreamIdentity | None) -> PartialFile:
        await self._locks.acquire(key)
        names = self._names(key)
        try:
            raw, state, allocated = await self._pool.run(names.open, upstream)
        except BaseException:
            del self._upstreams[key]
            self._locks.release(key)
            raise
        finally:
            self._opening.discard(key)
        self._changed(-allocated)
        opened = OpenFile(raw, self._pool, lambda: self._closed(names, file))
        file = PartialFile(names, opened, cached=self._cached, state=state, owner=self)
        self._files[key] = file
        return file

    def _names(self, key: PartialKey) -> PartialNames:
        return PartialNames(self._paths, key, self._boot_id)

    def save_pause(self) -> float:
        """Return the seconds from a write to the record of it on the disk."""
        return min(SAVE_PAUSE_MOST, max(SAVE_PAUSE, SAVE_PAUSE_EACH * len(self._files)))

    def may_commit(self, digest: Digest) -> "Deferred[None]":
        """Return a Deferred that fires when a file may get the name of this content."""
        return self._leaving.over(digest)

    @contextmanager
    def committing(self, digest: Digest) -> Iterator[None]:
        """Enter a context in which a partial file gets its final name."""
        self.under_commit.append(digest)
        try:
            yield
        finally:
            self.under_commit.remove(digest)

    def committed(self, names: PartialNames, size: int, replaced: int) -> None:
        """Note that a partial file has got its final name."""
        self._read_on[self._files[names.key]] = names.digest
        self._committed(names.digest, size, replaced)

    def is_read_on(self, digest: Digest) -> bool:
        """Return whether a file with its final name is still open for its earlier readers."""
        return digest in self._read_on.values()

    def detached(self, names: PartialNames) -> None:
        """Free the names for another file. This one may still be read."""
        del self._files[names.key]
        if names.key not in self._opening:
            del self._upstreams[names.key]
        self._locks.release(names.key)

    def _closed(self, names: PartialNames, file: PartialFile) -> None:
        """Handle the close of a file. If it stays on the disk, find out how much space it takes."""
        self._read_on.pop(file, None)
        if self._files.get(names.key) is not file:
            return
        trimming = self._pool.run(names.trim)
        trimming.addCallbacks(self._changed, self._trim_failed)
        trimming.addCallback(lambda _: self.detached(names))

    def _trim_failed(self, failure: Failure) -> None:
        """Log that a file was not trimmed. Its space is counted again at the next start."""
        self.log.warn("a partial file was left as it is: {fault}", fault=failure.value)

    def sums(self, before: float, upstream: str = "") -> "Deferred[PartialSums]":
        """Count what :meth:`sweep` would remove. Fails with OSError."""
        return handed_over(Deferred.fromCoroutine(self._sums(before, upstream)))

    async def _sums(self, before: float, upstream: str) -> PartialSums:
        files, size, part = 0, 0, _BEGIN
        while part.more:
            part = await self._pool.run(_list_some, self._paths, upstream, part.last)
            closed = [key for key in part.keys if key not in self._locks]
            sizes = await self._pool.run(_sizes_of, self._paths, self._boot_id, closed, before)
            files, size = files + len(sizes), size + sum(sizes)
        return PartialSums(files, size)

    def sweep(self, before: float, upstream: str = "") -> "Deferred[int]":
        """Remove files that are not open and were last written before a time (Unix seconds).

        :param upstream: remove only files from an upstream of this name; "": from any.
        :returns: how many bytes of disk that freed. Fails with OSError.
        """
        return handed_over(Deferred.fromCoroutine(self._sweep(before, upstream)))

    async def _sweep(self, before: float, upstream: str) -> int:
        if not upstream:
            await self._pool.run(_remove_temporaries, self._paths, before)
        freed, part = 0, _BEGIN
        while part.more:
            part = await self._pool.run(_list_some, self._paths, upstream, part.last)
            freed += await self._remove_all(part.keys, before)
        return freed

    def sources(self, digest: Digest) -> "Deferred[set[Repository]]":
        """Find the repositories for which the closed files of a digest were fetched."""
        return handed_over(Deferred.fromCoroutine(self._sources(digest)))

    async def _sources(self, digest: Digest) -> set[Repository]:
        keys: list[PartialKey] = await self._pool.run(_list_keys, self._paths, digest)
        names = [self._names(each) for each in keys]
        parked = [each for each in names if each.key not in self._locks]
        found = [await self._pool.run(each.source) for each in parked]
        return {each for each in found if each is not None}

    def remove(self, digest: Digest) -> "Deferred[int]":
        """Remove the files of a digest that are not open, of any upstream.

        :returns: how many bytes of disk that freed. Fails with OSError.
        """
        return handed_over(Deferred.fromCoroutine(self._remove(digest)))

    async def _remove(self, digest: Digest) -> int:
        keys = await self._pool.run(_list_keys, self._paths, digest)
        return await self._remove_all(keys, inf)

    async def _remove_all(self, keys: list[PartialKey], before: float) -> int:
        freed = 0
        for key in keys:
            if key not in self._locks:
                with suppress(NotOursError):  # it stays, and is logged already
                    freed += await self._sweep_one(self._names(key), before)
        return freed

    async def _sweep_one(self, names: PartialNames, before: float) -> int:
        await self._locks.acquire(names.key)
        try:
            freed: int = await self._pool.run(_remove_old, names, before)
        finally:
            self._locks.release(names.key)
        self._changed(-freed)
        return freed


def partial_keys(digest: Digest, upstream: UpstreamIdentity | None) -> list[PartialKey]:
    """Make the keys of the partial file of a digest and an upstream, the usual one first.

    The usual one depends on the upstream's name. The other one is used if another upstream had the
    same name, and the content is still being fetched from that upstream.
    """
    return [PartialKey(digest, place) for place in _places(upstream)]


@lru_cache(maxsize=256)
def _places(upstream: UpstreamIdentity | None) -> tuple[str, ...]:
    if upstream is None:
        return ("",)
    return (_place(upstream.name), _place(json.dumps(describe(upstream))))


def _place(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _entries(paths: StorePaths) -> "Iterator[os.DirEntry[str]]":
    """Find what is in the folder; nothing if somebody has removed it. Blocks."""
    with suppress(FileNotFoundError), os.scandir(paths.partials) as entries:
        yield from entries


def _names(paths: StorePaths, after: str = "", begin: str = "") -> Iterator[str]:
    """Find the names of our files that sort behind another name, and begin so. Blocks.

    A file and its sidecar have the same name here, so most are found twice.
    """
    for entry in _entries(paths):
        name = entry.name.removesuffix(SIDECAR_SUFFIX)
        if name > after and name.startswith(begin) and partial_key(name) is not None:
            yield name


def _keys(names: Iterable[str]) -> list[PartialKey]:
    found = map(partial_key, dict.fromkeys(names))
    return [key for key in found if key is not None]


def _list_keys(paths: StorePaths, digest: Digest) -> list[PartialKey]:
    """List the keys of the files of a digest, of any upstream. Blocks."""
    return _keys(sorted(_names(paths, begin=str(PartialKey(digest)))))


def _list_some(paths: StorePaths, upstream: str, after: str) -> _Part:
    """List files behind a name that an upstream of this name gave; "": that any gave. Blocks.

    If another upstream had the same name before, only the sidecar tells which of them gave a file.
    """
    names = nsmallest(MOST_NAMES, _names(paths, after))
    found = _keys(names)
    if upstream:
        usual = _place(upstream)
        found = [
            key
            for key in found
            if key.upstream == usual or read_upstream(paths.sidecar(key)) == upstream
        ]
    return _Part(found, names[-1] if names else after, more=len(names) == MOST_NAMES)


def _sizes_of(paths: StorePaths, boot_id: str, keys: list[PartialKey], before: float) -> list[int]:
    """Find how many bytes of disk the files take that were last written before a time. Blocks."""
    sizes = []
    for key in keys:
        names = PartialNames(paths, key, boot_id)
        allocated, modified_at = names.allocated(), names.modified_at()
        if allocated is not None and modified_at is not None and modified_at < before:
            sizes.append(allocated)
    return sizes


def _remove_old(names: PartialNames, before: float) -> int:
    """Remove an old file, or a sidecar without one. Return how many bytes that freed. Blocks."""
    modified_at = names.modified_at()
    return names.remove() if modified_at is None or modified_at < before else 0


def _remove_temporaries(paths: StorePaths, before: float) -> None:
    """Remove temporary files that were left behind. Blocks."""
    for entry in _entries(paths):
        name = entry.name.removesuffix(TEMPORARY_SUFFIX)
        if name == entry.name or partial_key(name) is None:
            continue
        with suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode) and status.st_mtime < before:
                os.unlink(entry.path)
