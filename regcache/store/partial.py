"""Partial files: content that is being fetched, in a sparse file."""

import errno
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredSemaphore, fail, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from regcache.digests import Digest
from regcache.interfaces import IPartialFile, Received
from regcache.intervals import Intervals
from regcache.store.content_file import REMEMBERED, CachedReads, ContentFile, FileTurns, OpenFile
from regcache.store.file_operations import VectorWrite
from regcache.store.growing import GrowingContent, allocate, cut
from regcache.store.interval_saver import IntervalSaver
from regcache.store.partial_names import PartialNames, Sidecar
from regcache.store.receiving import Receiving, Source
from regcache.store.trailing_hash import TrailingHash


class PartialOwner(Protocol):
    """The interface of what opened a partial file, for that file.

    :ivar background_syncs: limits the syncs in the background.
    :ivar receiving: limits how many bodies are received by threads.
    """

    background_syncs: DeferredSemaphore
    receiving: DeferredSemaphore
    clock: IReactorTime

    def save_pause(self) -> float:
        """Seconds from the write of bytes to the record of them on the disk."""

    def may_commit(self, digest: Digest) -> "Deferred[None]":
        """Fires when the file may get its final name."""

    def committing(self, digest: Digest) -> AbstractContextManager[None]:
        """A context in which the file gets its final name."""

    def committed(self, names: PartialNames, size: int, replaced: int) -> None:
        """The file has its final name. It replaced content of ``replaced`` bytes."""

    def detached(self, names: PartialNames) -> None:
        """The names in partial/ are free, after a commit or discard. Called at most once."""


class PresentContent(ContentFile):
    """What can be read of content of which only parts are there.

    :ivar present: the parts.
    """

    present: Intervals
    _generation = 0  # counts how often it was begun anew

    @property
    def closing(self) -> bool:
        """Whether :meth:`close` was called. The last uses may still be under way."""
        return self._opened.closing

    def _readable(self, offset: int, length: int) -> int | None:
        wanted = min(length, self.present.end_of(offset) - offset)
        if wanted > 0:
            return wanted
        at_end = self.size is not None and offset >= self.size
        return 0 if at_end or length <= 0 else None

    def read(self, offset: int, length: int) -> "Deferred[bytes]":
        """Read in the pool what is present from ``offset`` on, at most ``length`` bytes.

        Fails as :meth:`ContentFile.read`, and with ESTALE if :meth:`clear` was called meanwhile.
        """
        return super().read(offset, length).addCallback(self._still_meant, self._generation)

    def _still_meant(self, content: bytes, generation: int) -> bytes:
        if generation != self._generation:
            raise OSError(errno.ESTALE, "the content was begun anew")
        return content


@implementer(IPartialFile)
class PartialFile(PresentContent):
    """Content that is being fetched. It can be read up to the first byte that is not present."""

    _opened: OpenFile
    content: bytes | None = None
    in_memory = crowded = False

    def __init__(
        self,
        names: PartialNames,
        opened: OpenFile,
        *,
        cached: CachedReads,
        state: Sidecar,
        owner: PartialOwner,
        pwritev: VectorWrite = os.pwritev,
    ) -> None:
        super().__init__(names.digest, state.size, opened, cached)
        self.anonymous = state.anonymous
        self.repository = ""
        self._upstream = state.upstream
        self.present = state.present
        self._names = names
        self._owner = owner
        self._growing = GrowingContent(names.digest, pwritev)
        self._hash = TrailingHash(opened, self._growing, self.present)
        self._turns = FileTurns(opened)
        self._saver = IntervalSaver(
            names,
            opened,
            turns=self._turns,
            known=self._known,
            synced=state.synced,
            background=owner.background_syncs,
            clock=owner.clock,
            pause=owner.save_pause,
        )
        self._verified = False
        self._attached = True

    def close(self) -> None:
        """Give the file back; what is under way ends first. Idempotent."""
        self._saver.rest()
        super().close()

    def _known(self) -> Sidecar:
        return Sidecar(
            self.size,
            anonymous=self.anonymous,
            present=self.present,
            upstream=self._upstream,
            repository=self.repository,
        )

    def set_size(self, size: int) -> None:
        """Fix the whole size. :raises ValueError: if it was another, or less than there is."""
        if self.size not in (None, size) or any(end > size for _, end in self.present):
            raise ValueError("the content has another size")
        self.size = size

    def prepare(self) -> "Deferred[None]":
        """Nothing to do: it is on the disk already."""
        return succeed(None)

    def to_disk(self) -> "Deferred[None]":
        """Nothing to do: it is on the disk already."""
        return succeed(None)

    def write(self, offset: int, chunks: Sequence[bytes]) -> "Deferred[None]":
        """Write the chunks from ``offset`` on, except for bytes that are present already.

        A byte is written only once, so what readers got and what was hashed cannot change. Fails
        with OSError, and with ValueError outside of the content. Nothing is written if
        :meth:`clear` was called meanwhile.
        """
        generation = self._generation
        return self._turns.run_plain(lambda: self._write(offset, chunks, generation))

    def _write(self, offset: int, chunks: Sequence[bytes], generation: int) -> "Deferred[None]":
        end = offset + sum(map(len, chunks))
        if generation != self._generation:
            return succeed(None)
        if offset < 0 or (self.size is not None and end > self.size):
            return fail(ValueError("these bytes lie outside of the content"))
        pieces = list(cut(offset, chunks, self.present.gaps(offset, end)))
        if not pieces:
            return succeed(None)

        def mark() -> bool:
            if generation == self._generation:
                self.present.add(offset, end)
                self._wrote(offset, end)
                self._saver.wrote()
            return generation == self._generation

        return self._hash.write(pieces, mark)

    def receive(self, offset: int, end: int, source: Source) -> "Deferred[Received]":
        """Have threads write what a source puts from ``offset`` on. Fails with FileClosedError.

        Nothing is done if :meth:`clear` was called meanwhile, or a byte before ``end`` is present
        or outside: each is written only once.
        """
        step = partial(self._receive, offset, end, source, self._generation)
        return self._turns.run_plain(lambda: self._owner.receiving.run(step))

    def _receive(
        self, offset: int, end: int, source: Source, generation: int
    ) -> "Deferred[Received]":
        fits = generation == self._generation and 0 <= offset < end <= (self.size or 0)
        if not fits or self.present.gaps(offset, end) != [(offset, end)]:
            return succeed(Received(0))
        began = self._owner.clock.seconds()
        receiving = self._hash.receive(Receiving(self._growing, offset, end), source)
        return receiving.addCallback(self._mark, offset, generation, began)

    def _mark(self, received: Received, offset: int, generation: int, began: float) -> Received:
        end = offset + received.count
        if generation == self._generation and received.count:
            self.present.add(offset, end)
            if self._owner.clock.seconds() - began <= REMEMBERED:
                self._wrote(offset, end)
            self._saver.wrote()
        return received

    def allocate(self, start: int, end: int) -> "Deferred[None]":
        """Reserve disk space for ``[start, end)``, if that is supported. Fails with OSError."""
        return self._opened.run(allocate, start, end)

    def save(self, sync: bool = True) -> "Deferred[None]":
        """Record which intervals are present. Fails with OSError.

        :param sync: sync the data first, so that they also count after a crash of the machine.
            Otherwise they only count after the end of this process. Then, if much is to be synced,
            that is done in the background; if it fails, so does the next save.
        """
        return self._saver.save(sync)

    def verify(self) -> "Deferred[bool]":
        """Whether all of ``size`` is present and has the digest. Fails with OSError."""
        generation = self._generation
        return self._turns.run(lambda: self._verify(generation))

    async def _verify(self, generation: int) -> bool:
        size = self.size
        if size is None or not self.present.covers(0, size):
            return False
        matches = await self._hash.matches(size)
        self._verified = matches and generation == self._generation
        return self._verified

    def commit(self) -> "Deferred[None]":
        """Rename into blobs/. Fails with ValueError before :meth:`verify`, and with OSError."""
        return self._turns.run(self._commit)

    async def _commit(self) -> None:
        if not self._verified or not self._attached or self.size is None:
            raise ValueError("only verified content is committed, and once")
        self._saver.check()
        await self._owner.may_commit(self.digest)
        with self._owner.committing(self.digest):
            replaced = await self._opened.work(lambda descriptor: self._names.install())
            self._owner.committed(self._names, self.size, replaced)
        self._detach()

    def clear(self) -> "Deferred[None]":
        """Forget all bytes, the size too, to begin anew. Fails with OSError.

        Fails with ValueError after a commit or discard.
        """
        if not self._attached:
            return fail(ValueError("the file has its final bytes, or is removed"))
        self._generation += 1
        self._verified = False
        self.present.clear()
        self.size, self.anonymous = None, True
        self._saver.reset()
        self._hash.let_go()
        return self._turns.run(self._clear)

    async def _clear(self) -> None:
        if self._attached:
            await self._hash.forget()
            await self._opened.work(lambda descriptor: self._names.forget())
            await self._opened.work(os.ftruncate, 0)

    def discard(self) -> "Deferred[None]":
        """Remove the file and its intervals from the disk; nothing after a commit."""
        self._hash.let_go()
        return self._turns.run(self._discard)

    async def _discard(self) -> None:
        if self._attached:
            await self._opened.work(lambda descriptor: self._names.remove())
            self._detach()

    def _detach(self) -> None:
        self._attached = False
        self._saver.stop()
        self._owner.detached(self._names)
