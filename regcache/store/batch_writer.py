"""Writes pending data from memory to the index: at intervals, on request, and at the end.

=======  ==============================  ====================================================
state    flush, or the interval is over  stop
=======  ==============================  ====================================================
idle     writes                          writes, and fires when that is done
writing  writes once more after that     writes once more after that, and fires then
=======  ==============================  ====================================================
"""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.gate import Gate
from regcache.store.index_file import IndexUnavailableError

INTERVAL = 30.0
"""Seconds between two batches."""


class BatchWriter:
    """Writes one batch after the other. Data that cannot be written are lost.

    :param write: writes all data that are pending.
    :param what: the name of the data in the log.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, write: Callable[[], Awaitable[None]], *, what: str
    ) -> None:
        self._write = write
        self._what = what
        self._wanted = False
        self._done: Gate | None = None
        self._loop = LoopingCall(self._begin)
        self._loop.clock = clock

    @property
    def is_writing(self) -> bool:
        """Whether a batch is being written."""
        return self._done is not None

    def start(self) -> None:
        """Begin to write at intervals."""
        self._loop.start(INTERVAL, now=False)

    def stop(self) -> "Deferred[None]":
        """Write what is pending, and no more after that. Fires when that is done. Idempotent."""
        if not self._loop.running:
            return succeed(None)
        self._loop.stop()
        return self.flush()

    def flush(self) -> "Deferred[None]":
        """Write what is pending. Fires when that is done, or has failed."""
        self._wanted = True
        done = self._done
        if done is None:
            done = self._done = Gate()
            writing = Deferred.fromCoroutine(self._write_wanted())
            writing.addErrback(self._lost).addCallback(lambda _: self._wrote(done))
        return done.wait()

    def _begin(self) -> None:
        self.flush()

    async def _write_wanted(self) -> None:
        while self._wanted:
            self._wanted = False
            await self._write()

    def _wrote(self, done: Gate) -> None:
        self._done = None
        done.succeed()

    def _lost(self, failure: Failure) -> None:
        self._wanted = False
        if not isinstance(failure.value, IndexUnavailableError):
            self._log.failure("{what} could not be written", failure, what=self._what)
