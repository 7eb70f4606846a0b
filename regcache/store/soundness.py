"""Decides whether stored content may be served as it is, or has to be hashed.

The size of a file is compared with the index's whenever it is opened
(:mod:`regcache.store.contents`). Besides:

====================================  ==========================================================
content                               hashed
====================================  ==========================================================
verified by this process, and not     no
synced yet
may not have reached the disk before  before it is served
the machine crashed
of a size that the index does not     before it is served
know
up to ``SMALL``                       before it is served: the first time that this process
                                      opens it, then once a day, and when its file has changed;
                                      not with :attr:`Reading.NONE`
larger                                not; with :attr:`Reading.ALL` as often as small content,
                                      while it is being sent
====================================  ==========================================================

What was hashed is remembered with the signature of its file, for as many contents as fit.
"""

import errno
import os
from collections.abc import Awaitable, Callable
from enum import Enum

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.digests import Digest
from regcache.store.content_file import OpenFile
from regcache.store.contents import Opened, Signature, signature_of
from regcache.store.file_operations import is_settled, is_unlinked, settle
from regcache.store.growing import GrowingContent
from regcache.store.keyed_locks import KeyedLocks

SMALL = 1024 * 1024
"""Content of up to so many bytes is hashed before its answer begins."""

HOLDS = 24 * 3600.0
"""How long it is known that content was whole (seconds)."""

_MOST_REMEMBERED = 16_384
_STEP = 8 * 1024 * 1024  # other jobs of the pool have their turn in between

#: What says that these bytes are bad, and not that the system lacks something at the moment.
_OF_THE_FILE = frozenset({errno.EIO, errno.EBADMSG})

Pace = Callable[[int], Awaitable[object]]
"""Called with the number of bytes that a step has hashed; the next step waits for it."""


class Reading(Enum):
    """What is verified when it is read: ``storage.verify_on_read``."""

    NONE = "none"
    SMALL = "small"
    ALL = "all"


class Certainty(Enum):
    """What has to be done before content is served."""

    SERVE = "nothing"
    CHECK = "hash it before"
    CHECK_MEANWHILE = "hash it while it is being sent"


async def at_once(_count: int) -> None:
    """The next step may begin."""


class Soundness:
    """Says of open content whether it may be served, and remembers what was hashed.

    :param is_new: whether this process verified a digest, and has not synced it yet.
    """

    def __init__(
        self, is_new: Callable[[Digest], bool], reading: Reading, clock: IReactorTime
    ) -> None:
        self._is_new = is_new
        self._reading = reading
        self._locks = KeyedLocks[Digest]()
        self._sound: BoundedTable[Digest, Signature] = BoundedTable(_MOST_REMEMBERED, clock)

    def follow(self, reading: Reading) -> None:
        """Verify this when it is read, from now on."""
        self._reading = reading

    def forget(self, digest: Digest) -> None:
        """Forget the result for this content."""
        self._sound.drop(digest)

    def certainty(self, digest: Digest, found: Opened, size: int | None) -> Certainty:
        """What has to be done before it is served.

        :param size: the size with which that of the file was compared (bytes), or None.
        """
        if self._is_new(digest):
            return Certainty.SERVE
        if not found.settled or size is None:
            return Certainty.CHECK
        if found.size > SMALL:
            unsure = self.is_unsure(digest, found.size, found.signature)
            return Certainty.CHECK_MEANWHILE if unsure else Certainty.SERVE
        if self._reading is Reading.NONE or self._sound.get(digest) == found.signature:
            return Certainty.SERVE
        return Certainty.CHECK

    def is_unsure(self, digest: Digest, size: int, signature: Signature) -> bool:
        """Whether large content that is being sent has to be hashed meanwhile."""
        if self._reading is not Reading.ALL or size <= SMALL or self._is_new(digest):
            return False
        return self._sound.get(digest) != signature

    async def is_sound(
        self, digest: Digest, size: int, opened: OpenFile, anew: Pace | None = None
    ) -> bool:
        """Whether a file has its digest; if so it is synced and marked.

        A file with a part that the disk cannot read or sync (EIO) is not sound. Further calls for
        the same digest wait for the outcome. Fails with OSError for other faults.

        :param size: of the file, in bytes.
        :param anew: hash it at this pace, even if a result is remembered; None: use that.
        """
        if anew is not None:  # others must not wait as long as this may take
            return await self._hash(digest, size, opened, anew)
        await self._locks.acquire(digest)
        try:
            if await opened.run(is_unlinked):
                return False  # an earlier call found it damaged
            known = self._sound.get(digest)
            if known is not None and known == await opened.run(_signature):
                return True
            return await self._hash(digest, size, opened, at_once)
        finally:
            self._locks.release(digest)

    async def _hash(self, digest: Digest, size: int, opened: OpenFile, pace: Pace) -> bool:
        if not await self._verify(digest, size, opened, pace):
            return False
        self._sound.put(digest, await opened.run(_signature), seconds=HOLDS)
        return True

    async def _verify(self, digest: Digest, size: int, opened: OpenFile, pace: Pace) -> bool:
        hashing = GrowingContent(digest)
        try:
            while hashing.hashed_to < size:
                before = hashing.hashed_to
                await opened.run(hashing.catch_up, size, _STEP)
                await pace(hashing.hashed_to - before)
            if not await opened.run(hashing.is_exactly, size):
                return False
            await opened.run(_settle)
        except OSError as error:
            if error.errno not in _OF_THE_FILE:
                raise
            return False
        return True


def _settle(descriptor: int) -> None:
    if not is_settled(os.fstat(descriptor)):
        settle(descriptor)


def _signature(descriptor: int) -> Signature:
    return signature_of(os.fstat(descriptor))
