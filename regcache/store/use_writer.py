"""Collects uses of content in memory, and writes them to the index in batches."""

from twisted.internet.interfaces import IReactorTime

from regcache.digests import Digest
from regcache.store import index_uses
from regcache.store.batch_writer import BatchWriter
from regcache.store.index_thread import IndexThread
from regcache.store.index_uses import Use, UseBatch

MOST_PENDING = 16_384
"""Contents whose uses wait in memory. With more of them they are written at once. While a batch is
being written, further uses are dropped; that makes eviction a little less exact."""


class UseWriter(BatchWriter):
    """Records uses. One use costs only an entry in a dictionary."""

    def __init__(self, thread: IndexThread, clock: IReactorTime) -> None:
        self._thread = thread
        self._pending: dict[Digest, Use] = {}
        super().__init__(clock, self._write_pending, what="uses of contents")

    def __len__(self) -> int:
        """For how many contents uses wait to be written."""
        return len(self._pending)

    def touch(self, digest: Digest, now: float) -> None:
        """Note that content was used at a time (Unix seconds)."""
        use = self._pending.get(digest)
        if use is not None:
            use.count += 1
            use.last = now
        elif len(self._pending) < MOST_PENDING:
            self._pending[digest] = Use(1, now)
        elif not self.is_writing:
            self.flush()
            self._pending[digest] = Use(1, now)

    def forget(self, digest: Digest) -> None:
        """Drop the pending uses of removed content."""
        self._pending.pop(digest, None)

    async def _write_pending(self) -> None:
        batch = UseBatch(list(self._pending.items()))
        self._pending = {}
        while batch.waiting:
            batch = await self._thread.write_for(index_uses.note_uses, batch, is_patient=True)
