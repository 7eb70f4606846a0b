"""Compares the files under blobs/ with the index, and with their digests.

What a check does with each content, folder by folder:

==================  ==========================  ==============================================
the index           the disk                    what follows
==================  ==========================  ==============================================
knows it            a file that is right        nothing
knows it            a file of another size, or  removed, told of, and a miss from now on
                    with another digest
knows it            no file                     forgotten: a miss from now on
does not know it    a file that is right        adopted; no repository gets a right
does not know it    a file that is not right    removed, and told of
is removing it      a file                      nothing
either              it is just being stored     nothing
==================  ==========================  ==============================================

Files that the index knows are hashed only if the check is a thorough one.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import field
from itertools import product

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.digests import Digest, InvalidDigestError
from regcache.identity import UpstreamIdentity
from regcache.interfaces import IWorkPool, Verified
from regcache.light_dataclass import dataclass
from regcache.store.blob_store import BlobStore
from regcache.store.checks_index import ChecksIndex
from regcache.store.paths import ALGORITHMS, StorePaths
from regcache.store.soundness import Pace, at_once

_DIGITS = {"sha256": 64, "sha512": 128}

#: A folder is given up after so many contents that cannot be verified.
MOST_UNVERIFIED = 20
#: Damaged contents that a check remembers by name.
MOST_NAMED = 1000
#: Those of which it is told which images they belong to.
MOST_EXPLAINED = 100


@dataclass(frozen=True, slots=True)
class ContentFolder:
    """A folder below blobs/.

    :ivar prefix: the first two digits of the digests in it.
    """

    algorithm: str
    prefix: str

    def edge(self, digit: str) -> Digest:
        """The first digest that may lie in it, or the last one."""
        rest = _DIGITS[self.algorithm] - len(self.prefix)
        return Digest.parse(f"{self.algorithm}:{self.prefix}{digit * rest}")


FOLDERS = tuple(
    ContentFolder(algorithm, f"{number:02x}")
    for algorithm, number in product(ALGORITHMS, range(256))
)
"""All of them, in the order in which they are checked."""


@dataclass(slots=True, kw_only=True)
class CheckResult:
    """What a check has found so far.

    :ivar contents: how many were hashed.
    :ivar damaged: those that were removed; the first ``MOST_NAMED``.
    :ivar images: of the first ``MOST_EXPLAINED`` of them, names of images that lack it now.
    :ivar missing: how many had no file.
    :ivar adopted: how many the index did not know.
    :ivar unverified: how many could not be read for a reason that is not theirs.
    :ivar unread: bytes that the index knows, and that could not be hashed.
    """

    contents: int = 0
    damaged: list[Digest] = field(default_factory=list)
    damaged_count: int = 0
    images: dict[Digest, list[str]] = field(default_factory=dict)
    missing: int = 0
    adopted: int = 0
    unverified: int = 0
    unread: int = 0


class StoreCheck:
    """Checks folders.

    :param pool: where files are read and hashed.
    :param lost: called with content that has no file.
    """

    _log = Logger()

    def __init__(
        self,
        index: ChecksIndex,
        store: BlobStore,
        paths: StorePaths,
        *,
        pool: IWorkPool,
        clock: IReactorTime,
        lost: Callable[[Digest], object],
    ) -> None:
        self._index = index
        self._store = store
        self._paths = paths
        self._pool = pool
        self._clock = clock
        self._lost = lost

    async def check(
        self,
        folder: ContentFolder,
        result: CheckResult,
        *,
        thorough: bool,
        pace: Pace = at_once,
        upstream: UpstreamIdentity | None = None,
    ) -> None:
        """Check one folder, and add to the result what was found. Fails with OSError.

        :param thorough: hash what the index knows, too.
        :param upstream: look only at what the index knows of it.
        """
        path = os.path.join(self._paths.blobs, folder.algorithm, folder.prefix)
        files = await self._pool.run(list_contents, path, folder.algorithm)
        first, last = folder.edge("0"), folder.edge("f")
        known = await self._index.stored_between(first, last, upstream)
        for digest, size in known.items():
            if thorough or digest not in files:
                await self._check_known(digest, size, result, pace)
        if upstream is None:
            leaving = await self._index.leaving_between(first, last)
            for digest in files.keys() - known.keys() - leaving:
                await self._check_unknown(digest, result, pace)

    async def _check_known(
        self, digest: Digest, size: int, result: CheckResult, pace: Pace
    ) -> None:
        left = size

        async def count(hashed: int) -> None:
            nonlocal left
            left -= hashed
            await pace(hashed)

        verified = await self._verify(digest, size, result, count)
        result.unread += left
        self._count(digest, verified, result)
        if verified is Verified.DAMAGED and len(result.images) < MOST_EXPLAINED:
            result.images[digest] = await self._index.images_with(digest)
        if verified is Verified.MISSING and await self._is_expected(digest):
            result.missing += 1
            self._log.warn("stored content has no file any more: {digest}", digest=str(digest))
            self._lost(digest)

    async def _verify(
        self, digest: Digest, size: int | None, result: CheckResult, pace: Pace
    ) -> Verified | None:
        """Verify content; None if that is not possible now. Fails with OSError if little is."""
        try:
            verified = await self._store.verify(digest, size, self._pool, pace)
        except OSError as error:
            result.unverified += 1
            if result.unverified % MOST_UNVERIFIED == 0:
                raise
            self._log.warn("{digest} cannot be verified: {why}", digest=str(digest), why=error)
            return None
        return verified

    async def _is_expected(self, digest: Digest) -> bool:
        """Whether content should still be there: it may have been evicted or removed meanwhile."""
        known = await self._index.stored_between(digest, digest)
        return digest in known and digest not in set(self._store.changing())

    async def _check_unknown(self, digest: Digest, result: CheckResult, pace: Pace) -> None:
        if digest in set(self._store.changing()):
            return
        counted: list[int] = []

        async def count(hashed: int) -> None:
            counted.append(hashed)
            await pace(hashed)

        verified = await self._verify(digest, None, result, count)
        self._count(digest, verified, result)
        if verified is Verified.SOUND:
            result.adopted += 1
            self._log.info("stored content that was unknown is kept: {name}", name=str(digest))
            await self._index.adopt(digest, sum(counted), self._clock.seconds())

    def _count(self, digest: Digest, verified: Verified | None, result: CheckResult) -> None:
        if verified in (Verified.SOUND, Verified.DAMAGED):
            result.contents += 1
        if verified is Verified.DAMAGED:
            result.damaged_count += 1
            if len(result.damaged) < MOST_NAMED:
                result.damaged.append(digest)


def list_contents(path: str, algorithm: str) -> dict[Digest, int]:
    """The sizes of the files of contents in a folder. Blocks. :raises OSError: if the disk does."""
    try:
        with os.scandir(path) as entries:
            return dict(_contents(entries, algorithm))
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _contents(
    entries: "Iterator[os.DirEntry[str]]", algorithm: str
) -> Iterator[tuple[Digest, int]]:
    for entry in entries:
        try:
            digest = Digest.parse(f"{algorithm}:{entry.name}")
            status = entry.stat(follow_symlinks=False)
        except (InvalidDigestError, FileNotFoundError):
            continue
        if stat.S_ISREG(status.st_mode):
            yield digest, status.st_size
