"""Collects pulls in memory, and writes them to the index in batches."""

from twisted.internet.interfaces import IReactorTime

from regcache.digests import Digest
from regcache.facts import ManifestUse
from regcache.identity import Repository
from regcache.store import index_pulls
from regcache.store.batch_writer import BatchWriter
from regcache.store.index_pulls import Pulled
from regcache.store.index_thread import IndexThread

MOST_PENDING = 8192
"""Manifests whose pulls wait in memory; those of further ones are not counted."""

STEP = 128
"""Manifests whose pulls are written in one step."""


class PullWriter(BatchWriter):
    """Counts pulls. One costs only an entry in a dictionary."""

    def __init__(self, thread: IndexThread, clock: IReactorTime) -> None:
        self._thread = thread
        self._clock = clock
        self._pending: dict[tuple[Repository, Digest], Pulled] = {}
        super().__init__(clock, self._write_pending, what="pulls")

    def __len__(self) -> int:
        """For how many manifests pulls wait to be written."""
        return len(self._pending)

    def note(self, repository: Repository, digest: Digest, use: ManifestUse) -> None:
        """Note that a manifest was asked for."""
        key = (repository, digest)
        pulled = self._pending.get(key)
        if pulled is None:
            if len(self._pending) >= MOST_PENDING:
                return
            pulled = self._pending[key] = Pulled()
        pulled.last = self._clock.seconds()
        if use is ManifestUse.BY_TAG:
            pulled.by_tag += 1
        elif use is ManifestUse.GOT:
            pulled.got += 1
        else:
            pulled.headed += 1

    async def _write_pending(self) -> None:
        waiting = [(*key, pulled) for key, pulled in self._pending.items()]
        self._pending = {}
        for start in range(0, len(waiting), STEP):
            some = waiting[start : start + STEP]
            await self._thread.write(index_pulls.note_pulls, some, is_patient=True)
