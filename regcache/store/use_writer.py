"""Collects uses of content in memory, and writes them to the index in batches."""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.digests import Digest
from regcache.gate import Gate
from regcache.store import index_uses
from regcache.store.index_file import IndexUnavailableError
from regcache.store.index_thread import IndexThread
from regcache.store.index_uses import Use, UseBatch

INTERVAL = 30.0
"""Seconds after which noted uses are written."""

MOST_PENDING = 16_384
"""Contents whose uses wait in memory. With more of them they are written at once, or given up
while the last batch is not written: what eviction knows is a little worse then."""


class UseWriter:
    """Records uses. One use costs only an entry in a dictionary."""

    _log = Logger()

    def __init__(self, thread: IndexThread, clock: IReactorTime) -> None:
        self._thread = thread
        self._pending: dict[Digest, Use] = {}
        self._wanted = False
        self._done: Gate | None = None
        self._loop = LoopingCall(self._begin)
        self._loop.clock = clock

    def __len__(self) -> int:
        """For how many contents uses wait to be written."""
        return len(self._pending)

    def start(self) -> None:
        """Write regularly from now on."""
        self._loop.start(INTERVAL, now=False)

    def stop(self) -> "Deferred[None]":
        """Write what is pending, and no more after that. Fires when that is done. Idempotent."""
        if not self._loop.running:
            return succeed(None)
        self._loop.stop()
        return self.flush()

    def _begin(self) -> None:
        self.flush()

    def touch(self, digest: Digest, now: float) -> None:
        """Note that content was used at a time (Unix seconds)."""
        use = self._pending.get(digest)
        if use is not None:
            use.count += 1
            use.last = now
        elif len(self._pending) < MOST_PENDING:
            self._pending[digest] = Use(1, now)
        elif self._done is None:
            self.flush()
            self._pending[digest] = Use(1, now)

    def flush(self) -> "Deferred[None]":
        """Write what is pending. Fires when that is done, or failed."""
        self._wanted = True
        done = self._done
        if done is None:
            done = self._done = Gate()
            writing = Deferred.fromCoroutine(self._write())
            writing.addErrback(self._lost).addCallback(lambda _: self._wrote(done))
        return done.wait()

    def forget(self, digest: Digest) -> None:
        """Drop the pending uses of removed content."""
        self._pending.pop(digest, None)

    async def _write(self) -> None:
        while self._wanted:
            self._wanted = False
            batch = UseBatch(list(self._pending.items()))
            self._pending = {}
            while batch.waiting:
                await self._thread.write(index_uses.note_uses, batch)

    def _wrote(self, done: Gate) -> None:
        self._done = None
        done.succeed()

    def _lost(self, failure: Failure) -> None:
        """Drop uses that cannot be written. Eviction is a little less exact then."""
        self._wanted = False
        if not isinstance(failure.value, IndexUnavailableError):
            self._log.failure("uses of contents could not be written", failure)
