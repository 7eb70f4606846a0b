"""A fill: writes one answer of an upstream into a download.

==========  =======================================================================
state       meaning
==========  =======================================================================
asking      the request is on its way; the place in the blob is reserved
flowing     the body arrives; chunks are queued, one write at a time is in the pool
draining    no more bytes will come; those in the queue are still written
over        the owner was told how it ended, once
==========  =======================================================================

The queue of bytes to be written is bounded. With more than ``QUEUE_HIGH`` bytes the upstream is
paused, and at ``QUEUE_LOW`` it is read again, so a fill has at most the high mark and one read of
the socket in memory. The low mark is the size of one write: so the disk has work while the upstream
begins to send again. The file may keep written bytes longer, until they are hashed; that has a
bound of its own (``store/trailing_hash.py``).

A write costs about as much as receiving 64 KiB, and each wakes the readers. So a body that comes
in small pieces is written in batches: of ``BATCH`` bytes, or what has come within ``LINGER`` of the
first piece. The beginning and the end of a body are written at once.
"""

from collections import deque
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.cache.download.planning import Stretch
from regcache.cache.download.target import FillTarget
from regcache.errors import UpstreamBadAnswer, UpstreamFailure
from regcache.gate import has_result
from regcache.interfaces import IBlobBody, IBodyConsumer

#: The upstream is paused when more than this waits for the disk (bytes).
QUEUE_HIGH = 2 * 1024 * 1024
#: ... and read again when no more than this is left (bytes).
QUEUE_LOW = 1024 * 1024
#: A job in the pool writes about this much (bytes); a chunk is not divided.
WRITE_SIZE = 1024 * 1024
#: So many bytes are written without waiting for more; so are so many at the beginning of a body.
BATCH = 256 * 1024
#: How long fewer bytes wait for more (seconds).
LINGER = 0.002


class FillOwner(Protocol):
    """The interface of what began a fill, for that fill."""

    def met_present(self, position: int) -> bool:
        """Whether a fill may stop at bytes that are claimed from ``position`` on."""

    def fill_over(self, fill: "Fill", failure: UpstreamFailure | None) -> None:
        """The fill has ended; all bytes that it claimed are written."""

    def fill_cannot_write(self, error: BaseException | None) -> None:
        """The disk refused a write."""


class _Run:
    """Contiguous chunks that wait to be written."""

    __slots__ = ("chunks", "length", "offset")

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.length = 0
        self.chunks: list[bytes] = []


@implementer(IBodyConsumer)
class Fill:
    """Writes one upstream body, from ``stretch.start`` on, into its download."""

    def __init__(
        self,
        owner: FillOwner,
        target: FillTarget,
        stretch: Stretch,
        *,
        upstream: str,
        clock: IReactorTime,
    ) -> None:
        self._owner = owner
        self._target = target
        self._clock = clock
        self._lingering: IDelayedCall | None = None
        self._eager_to = stretch.start + BATCH
        self.end = stretch.end
        self._upstream = upstream
        self._runs: deque[_Run] = deque()
        self._queued = 0
        self._writing = False
        self._no_more = False
        self._over = False
        self.stopped = False
        self._failure: UpstreamFailure | None = None
        self._asking: Deferred[IBlobBody] | None = None
        self.body: IBlobBody | None = None
        self.position = stretch.start

    @property
    def stretch(self) -> Stretch:
        """The part that this fill will still bring."""
        return Stretch(self.position, self.end)

    def ask(self, asking: "Deferred[IBlobBody]") -> None:
        """Wait for the upstream's answer, which :meth:`stop` cancels."""
        self._asking = asking
        asking.addBoth(self._asked)

    def _asked(self, result: "IBlobBody | Failure") -> "IBlobBody | Failure":
        self._asking = None
        return result

    def flow(self, body: IBlobBody) -> None:
        """Begin to take the body."""
        self.body = body
        self.position = body.start
        self._eager_to = body.start + BATCH
        if self._over:
            body.abort()
        else:
            body.deliver(self)

    def stop(self) -> None:
        """Take no more from the upstream. Bytes that have arrived are still written."""
        self.stopped = True
        if self._asking is None:
            self._let_go()
            self._finish(None)
        else:
            self._asking.cancel()

    def _let_go(self) -> None:
        """Make the upstream stop sending."""
        body = self.body
        if self._asking is not None:
            self._asking.cancel()
        elif body is not None and not self._no_more:
            if self.position == body.end:
                body.resume()  # it has come whole: it ends by itself, and its connection stays
            else:
                body.abort()

    def _let_go_of_surplus(self) -> None:
        """Abort a body that goes on although all of it should have come."""
        if self.body is not None:
            self.body.abort()

    def drop(self) -> None:
        """Stop, and drop bytes that have arrived. The owner is not told anything any more."""
        self._over = True
        self._runs.clear()
        if self._lingering is not None:
            self._linger_no_more()
        self._let_go()
        self._no_more = True

    def body_chunk(self, data: bytes) -> None:
        """Queue the new parts of a chunk. Stop if all that follows is present."""
        if self._no_more:
            self._let_go_of_surplus()
            return
        start, end = self.position, self.position + len(data)
        self.position = end
        if self._is_surplus(end):
            self._break(UpstreamBadAnswer(self._upstream, "more bytes than announced"))
            return
        claimed = self._target.claimed
        gaps = claimed.gaps(start, end)
        claimed.add(start, end)
        for gap_start, gap_end in gaps:
            whole = gap_end - gap_start == len(data)
            self._queue(gap_start, data if whole else data[gap_start - start : gap_end - start])
        if claimed.end_of(end) > end and self._owner.met_present(end):
            self.stop()
            return
        if self._queued > QUEUE_HIGH and self.body is not None:
            self.body.pause()
        self._pump()

    def _is_surplus(self, position: int) -> bool:
        """Whether bytes before ``position`` were not announced."""
        size = self._target.file.size
        if size is not None and position > size:
            return True
        end = None if self.body is None else self.body.end
        return end is not None and position > end

    def body_ended(self) -> None:
        """The upstream sent all that it announced."""
        self._finish(None)

    def body_failed(self, failure: UpstreamFailure) -> None:
        """The upstream broke off."""
        self._finish(failure)

    def _break(self, failure: UpstreamFailure) -> None:
        if self.body is not None:
            self.body.abort()
        self._finish(failure)

    def _finish(self, failure: UpstreamFailure | None) -> None:
        if not self._no_more:
            self._no_more = True
            self._failure = failure
        self._pump()

    def _queue(self, offset: int, data: bytes) -> None:
        run = self._runs[-1] if self._runs else None
        if run is None or run.offset + run.length != offset or run.length >= WRITE_SIZE:
            run = _Run(offset)
            self._runs.append(run)
        run.chunks.append(data)
        run.length += len(data)
        self._queued += len(data)

    def _pump(self) -> None:
        if self._writing or self._over:
            return
        if self._runs:
            self._write_or_linger()
        elif self._no_more:
            self._over = True
            self._owner.fill_over(self, self._failure)

    def _write_or_linger(self) -> None:
        eager = self._no_more or self._runs[0].offset < self._eager_to
        if eager or self._queued >= BATCH:
            self._write(self._runs.popleft())
        elif self._lingering is None:
            self._lingering = self._clock.callLater(LINGER, self._lingered)

    def _lingered(self) -> None:
        self._lingering = None
        if self._runs and not self._writing:
            self._write(self._runs.popleft())

    def _linger_no_more(self) -> None:
        lingering, self._lingering = self._lingering, None
        if lingering is not None:
            lingering.cancel()

    def _write(self, run: _Run) -> None:
        if self._lingering is not None:
            self._linger_no_more()
        self._writing = True
        writing = self._target.file.write(run.offset, run.chunks)
        if has_result(writing):
            self._wrote(None, run.length)
        else:
            writing.addCallbacks(self._wrote, self._write_failed, callbackArgs=(run.length,))

    def _wrote(self, _: None, length: int) -> None:
        self._writing = False
        self._queued -= length
        if self._over:
            return
        if self._queued <= QUEUE_LOW and self.body is not None and not self._no_more:
            self.body.resume()
        self._target.wrote(self.position, self.end)
        self._pump()

    def _write_failed(self, failure: Failure) -> None:
        self._writing = False
        if not self._over:
            self._over = True
            self._runs.clear()
            self._let_go()
            self._owner.fill_cannot_write(failure.value)
