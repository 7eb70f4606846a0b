"""Content that is being fetched: in memory first, and in a file when it has to be.

======  ============================  =====================================================
state   event                         what holds afterwards
======  ============================  =====================================================
memory  a write that fits             memory; the bytes are present at once
memory  any other write; ``prepare``  moving
        for much, or with a full
        backlog; ``to_disk``; ``save``
memory  commit                        memory; a shared job stores it; it counts in the
                                      backlog until then
memory  clear                         memory; nothing is on the disk
memory  discard                       memory; if it becomes too much for memory later, it
                                      moves to a file without a name
moving  anything but reading          waits until the bytes are in the file
moving  they are in the file          disk
moving  the disk refuses              moving, for good: all waiting and later steps fail
disk    anything                      as :class:`~regcache.store.partial.PartialFile` says
any     close                         closed; a file that is still being opened, as soon as it is
======  ============================  =====================================================
"""

import errno
from collections.abc import Callable, Sequence
from contextlib import suppress

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.digests import Digest
from regcache.interfaces import IPartialFile, Received
from regcache.intervals import Intervals
from regcache.store.late_file import LateFile
from regcache.store.partial import PartialFile
from regcache.store.receiving import Source

#: How much stays in memory (bytes). Clients get no byte of it before all of it was verified.
MEMORY = 64 * 1024
#: How much may wait to be stored after its answers, of all small contents together (bytes).
MOST_BEHIND = 8 * 1024 * 1024
#: How much waiting content takes in memory besides its bytes (bytes), even if it is one byte.
OVERHEAD = 4096


class Backlog:
    """Counts what waits to be stored. If it is too much, answers have to wait for the disk."""

    def __init__(self) -> None:
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether content has to be stored before its answer now."""
        return self._bytes >= MOST_BEHIND

    def add(self, count: int) -> None:
        """Count content of so many bytes."""
        self._bytes += count + OVERHEAD

    def remove(self, count: int) -> None:
        """Content of so many bytes is stored, or given up."""
        self._bytes -= count + OVERHEAD


@implementer(IPartialFile)
class SpooledFile:
    """Content that is being fetched, and of which no partial file was there before.

    :param begin_file: opens the file on the disk; with True, one without a name.
    :param keep: stores verified content.
    """

    def __init__(
        self,
        digest: Digest,
        begin_file: Callable[[bool], "Deferred[PartialFile]"],
        keep: Callable[[Digest, bytes], "Deferred[None]"],
        backlog: Backlog,
    ) -> None:
        self.digest = digest
        self.size: int | None = None
        self.present = Intervals()
        self._begin_file = begin_file
        self._keep = keep
        self._backlog = backlog
        self._anonymous, self.repository = True, ""
        self._chunks: list[bytes] = []
        self._length = 0
        self._disk = LateFile()
        self._closed = self._discarded = False

    @property
    def anonymous(self) -> bool:
        """Whether every byte so far was given without credentials."""
        return self._anonymous if self._disk.file is None else self._disk.file.anonymous

    @anonymous.setter
    def anonymous(self, anonymous: bool) -> None:
        self._anonymous = anonymous
        if self._disk.file is not None:
            self._disk.file.anonymous = anonymous

    @property
    def content(self) -> bytes | None:
        """All of it, if it is in memory; else None."""
        if self._disk.begun or self._length != self.size:
            return None
        return self._chunks[0] if len(self._chunks) == 1 else self._joined()

    @property
    def in_memory(self) -> bool:
        """Whether nothing of it is on the disk."""
        return not self._disk.begun

    @property
    def crowded(self) -> bool:
        """Whether it is in memory, but has to be stored before its answer."""
        return not self._disk.begun and self._backlog.is_full

    def _joined(self) -> bytes:
        if len(self._chunks) != 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]

    def set_size(self, size: int) -> None:
        """Fix the whole size. :raises ValueError: if it was another, or less than there is."""
        if self._disk.file is not None:
            self._disk.file.set_size(size)
        elif self.size not in (None, size) or self._length > size:
            raise ValueError("the content has another size")
        self.size = size

    def prepare(self) -> "Deferred[None]":
        """Move to the disk if the announced size is too large for memory. Fails with OSError."""
        fits = self.size is None or self.size <= MEMORY
        if not self._disk.begun and fits and not self._backlog.is_full:
            return succeed(None)
        return self._disk.wait(self._move)

    def to_disk(self) -> "Deferred[None]":
        """Move to the disk, unless it was discarded. Fails with OSError. Idempotent."""
        if self._discarded and not self._disk.begun:
            return succeed(None)
        return self._disk.wait(self._move)

    async def _move(self) -> PartialFile:
        """Open the file and write what is in memory into it."""
        file = await self._begin_file(self._discarded)
        try:
            if self._discarded:
                await file.discard()
            if file.present:  # of an earlier attempt that was not known
                await file.clear()
            file.anonymous, file.repository = self._anonymous, self.repository
            if self._length:
                await file.write(0, self._chunks)
            if self.size is not None:
                file.set_size(self.size)
        except BaseException:
            with suppress(OSError):
                await file.discard()
            file.close()
            raise
        file.anonymous, file.repository = self._anonymous, self.repository
        self.present = file.present
        self._chunks, self._length = [], 0
        if self._closed:
            file.close()
        return file

    def write(self, offset: int, chunks: Sequence[bytes]) -> "Deferred[None]":
        """Write the chunks. Fails with OSError, and with ValueError outside of the content."""
        if self._disk.file is not None:
            return self._disk.file.write(offset, chunks)
        end = offset + sum(map(len, chunks))
        if self._disk.begun or offset != self._length or end > MEMORY:
            return self._disk.run(self._move, lambda file: file.write(offset, chunks))
        if self.size is not None and end > self.size:
            return fail(ValueError("these bytes lie outside of the content"))
        self._chunks += chunks
        self._length = end
        self.present.add(offset, end)
        return succeed(None)

    def receive(self, offset: int, end: int, source: Source) -> "Deferred[Received]":
        """Have threads write what a source puts; on the disk only."""
        return self._disk.run(self._move, lambda file: file.receive(offset, end, source))

    def save(self, sync: bool = True) -> "Deferred[None]":
        """Move to the disk and record what is there, for a later download. Fails with OSError."""
        if not self._disk.begun and not self._length:
            return succeed(None)
        return self._disk.run(self._move, lambda file: file.save(sync))

    def allocate(self, start: int, end: int) -> "Deferred[None]":
        """Reserve disk space. Fails with OSError."""
        return self._disk.run(self._move, lambda file: file.allocate(start, end))

    def verify(self) -> "Deferred[bool]":
        """Whether all of ``size`` is present and has the digest. Fails with OSError."""
        if self._disk.file is not None:
            return self._disk.file.verify()
        content = self.content
        return succeed(content is not None and self.digest.names(content))

    def commit(self) -> "Deferred[None]":
        """Store it. Only after :meth:`verify` gave True. Fails with OSError."""
        content = self.content
        if content is None:
            return self._disk.run(self._move, PartialFile.commit)
        count = len(content)
        self._backlog.add(count)
        return self._keep(self.digest, content).addBoth(self._kept, count)

    def _kept(self, outcome: "Failure | None", count: int) -> "Failure | None":
        self._backlog.remove(count)
        return outcome

    def clear(self) -> "Deferred[None]":
        """Forget all bytes, to begin anew. Fails with OSError."""
        if self._disk.file is not None:
            clearing = self._disk.file.clear()
            self.size = self._disk.file.size
            return clearing
        if self._disk.begun:
            return self._disk.wait(self._move).addCallback(lambda _: self.clear())
        self.size, self._anonymous = None, True
        self._chunks, self._length = [], 0
        self.present.clear()
        return succeed(None)

    def discard(self) -> "Deferred[None]":
        """Remove what is on the disk; nothing after a commit. Fails with OSError."""
        self._discarded = True
        if not self._disk.begun or self._disk.failed:
            return succeed(None)
        return self._disk.run(self._move, PartialFile.discard)

    def read(self, offset: int, length: int) -> "Deferred[bytes]":
        """Up to ``length`` bytes. Fails with OSError."""
        if self._disk.file is not None:
            return self._disk.file.read(offset, length)
        return succeed(self._joined()[offset : offset + length])

    def read_now(self, offset: int, length: int) -> bytes | None:
        """The same without a wait; None if that is not possible."""
        if self._disk.file is not None:
            return self._disk.file.read_now(offset, length)
        return self._joined()[offset : offset + length]

    def cached(self, offset: int, length: int) -> bool:
        """Whether sendfile can send these bytes without blocking."""
        return self._disk.file is not None and self._disk.file.cached(offset, length)

    def fileno(self) -> int:
        """The descriptor. :raises OSError: EBADF if there is none."""
        if self._disk.file is None:
            raise OSError(errno.EBADF, "content in memory has no descriptor")
        return self._disk.file.fileno()

    def close(self) -> None:
        """Close the file, if there is one. Idempotent."""
        self._closed = True
        if self._disk.file is not None:
            self._disk.file.close()
