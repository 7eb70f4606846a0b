"""Open files of content. Their descriptors are closed when no thread uses them any more.

If a descriptor is closed while a thread still reads from it, its number may be given to another
file, and the thread reads wrong bytes. So every use is counted.
"""

import errno
import io
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, execute, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.digests import Digest
from regcache.interfaces import IContentFile, IWorkPool
from regcache.store.file_operations import read_exactly
from regcache.store.pool import PoolStoppedError, handed_over

_LARGEST_BUFFER = 1024 * 1024
_PROBE_STEP = 128 * 1024  # what the kernel reads ahead at once by default
#: For so long, bytes that were found in the page cache are assumed to be there still (seconds).
REMEMBERED = 0.05
_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class FileClosedError(OSError):
    """The file was used after it had been closed."""

    def __init__(self) -> None:
        super().__init__(errno.EBADF, "the content file is closed")


class Sampled:
    """Which parts of a file were found in the page cache, or written to it, a moment ago.

    This saves system calls: fifty readers of a growing file ask for the same bytes in turn. Each
    call gives the interpreter's lock away, and waits for it afterwards.

    :ivar steps: the numbers of the steps whose first byte was there.
    """

    def __init__(self) -> None:
        self.steps: set[int] = set()
        self._since = 0.0

    def forget_old(self, now: float) -> None:
        """Forget what may be older than ``REMEMBERED``."""
        if not 0 <= now - self._since <= REMEMBERED:
            self.steps.clear()
            self._since = now

    def add(self, offset: int, end: int) -> None:
        """Note all steps whose first byte lies in ``[offset, end)``."""
        self.steps.update(range(-(-offset // _PROBE_STEP), -(-end // _PROBE_STEP)))


class CachedReads:
    """preadv2(2) with RWF_NOWAIT: reads from the page cache, or not at all, but never blocks.

    All files of a store share one: if the file system cannot do this, that is found out only once,
    and there is one buffer. For the reactor thread.
    """

    def __init__(
        self,
        preadv: Callable[..., int] = os.preadv,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._preadv = preadv
        self._seconds = seconds
        self._byte = memoryview(bytearray(1))
        self._flag: int | None = getattr(os, "RWF_NOWAIT", None)
        self._proven = False  # something was read so
        self._buffer = bytearray()

    def read(self, descriptor: int, offset: int, length: int) -> bytes | None:
        """Exactly ``length`` bytes, or None."""
        if length > _LARGEST_BUFFER:
            return None
        if len(self._buffer) < length:
            self._buffer = bytearray(length)
        view = memoryview(self._buffer)[:length]
        return bytes(view) if self._fill(view, descriptor, offset) else None

    def has(self, descriptor: int, offset: int, length: int, sampled: Sampled) -> bool:
        """Whether the page cache has ``length`` bytes, judged by samples.

        Pages leave the cache in the order in which they came into it, several at a time. If one is
        missing between two samples, that costs one access to the disk.
        """
        sampled.forget_old(self._seconds())
        for sample in _samples(offset, offset + length - 1, sampled.steps):
            if not self._fill(self._byte, descriptor, sample):
                return False
        return True

    def wrote(self, offset: int, end: int, sampled: Sampled) -> None:
        """Take what was written just now for present, where files are read from the page cache."""
        if self._proven:
            sampled.forget_old(self._seconds())
            sampled.add(offset, end)

    def _fill(self, view: memoryview, descriptor: int, offset: int) -> bool:
        """Whether the whole view was read without blocking."""
        if self._flag is None:
            return False
        try:
            filled = self._preadv(descriptor, [view], offset, self._flag) == len(view)
            self._proven = self._proven or filled
            return filled
        except OSError as error:  # EAGAIN above all; other faults show again in the pool
            if error.errno in _UNSUPPORTED:
                self._flag = None
            return False


def _samples(first: int, last: int, steps: set[int]) -> Iterator[int]:
    """Where to look in ``[first, last]``: in each step that was not found lately, and at the end.

    The caller must only ask for the next place if the one before was in memory.
    """
    for step in range(first // _PROBE_STEP, last // _PROBE_STEP + 1):
        if step not in steps:
            start = step * _PROBE_STEP
            yield max(first, start)
            if last < start + _PROBE_STEP:
                yield last
            if start >= first:
                steps.add(step)


class OpenFile:
    """A descriptor that counts its users. For the reactor thread.

    :param raw: the file; it closes itself, with a ResourceWarning, if it is never closed.
    :param closed: called once when the descriptor has been closed.
    """

    log = Logger()

    def __init__(
        self, raw: io.FileIO, pool: IWorkPool, closed: Callable[[], None] = lambda: None
    ) -> None:
        self._raw = raw
        self._pool = pool
        self._closed = closed
        self._users = 0
        self._given_back = False
        self.closing = False

    def fileno(self) -> int:
        """The descriptor. :raises FileClosedError: after :meth:`close`."""
        if self.closing:
            raise FileClosedError
        return self._raw.fileno()

    def keep_open(self) -> None:
        """Keep the descriptor until :meth:`release`. :raises FileClosedError: after close."""
        if self.closing:
            raise FileClosedError
        self._users += 1

    def release(self) -> None:
        """The opposite of :meth:`keep_open`."""
        self._users -= 1
        self._close_if_unused()

    def work(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Call ``function(descriptor, *args)`` in the pool. Only between keep_open and release."""
        return self._pool.run(function, self._raw.fileno(), *args)

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Call ``function(descriptor, *args)`` in the pool; the file stays open meanwhile."""
        try:
            self.keep_open()
        except FileClosedError:
            return fail()
        return handed_over(self.work(function, *args).addBoth(self._passed))

    def _passed(self, outcome: Any) -> Any:
        self.release()
        return outcome

    def close(self) -> None:
        """Close the descriptor once it is unused. Idempotent."""
        if not self.closing:
            self.closing = True
            self._close_if_unused()

    def _close_if_unused(self) -> None:
        if not self.closing or self._users or self._given_back:
            return
        self._given_back = True
        if os.fstat(self._raw.fileno()).st_nlink:
            closing = execute(self._raw.close)
        else:  # the last close of a removed file frees its blocks, which takes time
            closing = self._pool.run(self._raw.close)
            closing.addErrback(self._close_here)
        closing.addErrback(lambda failure: self.log.failure("closing a content file", failure))
        closing.addBoth(lambda _: self._closed())

    def _close_here(self, failure: Failure) -> None:
        """Close it in this thread, since the pool does not run any more."""
        failure.trap(PoolStoppedError)
        self._raw.close()


class Handle(Protocol):
    """The part of an open file that a :class:`ContentFile` uses.

    :ivar closing: whether :meth:`close` was called.
    """

    closing: bool

    def fileno(self) -> int:
        """The descriptor. :raises FileClosedError: after :meth:`close`."""

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Call ``function(descriptor, *args)`` in the pool; the file stays open meanwhile."""

    def close(self) -> None:
        """Give it back. Idempotent."""


@implementer(IContentFile)
class ContentFile:
    """Complete content, open for reading."""

    def __init__(
        self, digest: Digest, size: int | None, opened: Handle, cached: CachedReads
    ) -> None:
        self.digest = digest
        self.size = size
        self._opened = opened
        self._cached = cached
        self._sampled = Sampled()

    def _readable(self, offset: int, length: int) -> int | None:
        """How many bytes may be read from ``offset``; None if none are present."""
        return max(0, min(length, (self.size or 0) - offset))

    def read(self, offset: int, length: int) -> "Deferred[bytes]":
        """Read in the pool. Gives less than ``length`` only at the end, b"" only after it.

        Fails with OSError: ENODATA if no byte is present, EIO if the file has become shorter than
        its content, EBADF after :meth:`close`.
        """
        if self._opened.closing:
            return fail(FileClosedError())
        wanted = self._readable(offset, length)
        if wanted is None:
            return fail(OSError(errno.ENODATA, "these bytes are not present"))
        if wanted == 0:
            return succeed(b"")
        return self._opened.run(read_exactly, offset, wanted)

    def read_now(self, offset: int, length: int) -> bytes | None:
        """Read from the page cache; None if it does not have all of these bytes."""
        wanted = self._readable(offset, length)
        if wanted is None or self._opened.closing:
            return None
        return self._cached.read(self._opened.fileno(), offset, wanted) if wanted else b""

    def cached(self, offset: int, length: int) -> bool:
        """Whether ``length`` bytes are present and in the page cache, so that sendfile is quick."""
        if not length or self._opened.closing or self._readable(offset, length) != length:
            return False
        return self._cached.has(self._opened.fileno(), offset, length, self._sampled)

    def _wrote(self, offset: int, end: int) -> None:
        """These bytes were written just now."""
        self._cached.wrote(offset, end, self._sampled)

    def fileno(self) -> int:
        """The descriptor. :raises FileClosedError: after :meth:`close`."""
        return self._opened.fileno()

    def close(self) -> None:
        """Give the file back; what is under way ends first. Idempotent."""
        self._opened.close()


T = TypeVar("T")
Step = Callable[[], Coroutine["Deferred[Any]", Any, T]]


class FileTurns:
    """Runs steps on one file to their end, even if their callers do not wait for them any more.

    The file stays open meanwhile. Steps that change it run one after the other, in the order in
    which they were asked for: no two threads ever write or hash the same file.
    """

    def __init__(self, opened: OpenFile) -> None:
        self._opened = opened
        self._lock = DeferredLock()

    def run_now(self, step: Step[T]) -> "Deferred[T]":
        """Run a step now. Fails with FileClosedError after the file was closed."""
        try:
            self._opened.keep_open()
        except FileClosedError:
            return fail()
        running: Deferred[T] = Deferred.fromCoroutine(step())
        return handed_over(running.addBoth(self._passed))

    def run(self, step: Step[T]) -> "Deferred[T]":
        """Run a step in its turn. Fails with FileClosedError after the file was closed."""
        return self.run_now(lambda: self.turn(step))

    def run_plain(self, step: Callable[[], "Deferred[T]"]) -> "Deferred[T]":
        """As :meth:`run`, for a step that is no coroutine: much cheaper for a small write."""
        try:
            self._opened.keep_open()
        except FileClosedError:
            return fail()
        running: Deferred[T] = self._lock.run(step)
        return handed_over(running.addBoth(self._passed))

    async def turn(self, step: Callable[[], Awaitable[T]]) -> T:
        """Run a part of a step in its turn. Only within a step of :meth:`run_now`."""
        await self._lock.acquire()
        try:
            return await step()
        finally:
            self._lock.release()

    def _passed(self, outcome: Any) -> Any:
        self._opened.release()
        return outcome
