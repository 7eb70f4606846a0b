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
bound of its own (``store/trailing_hash.py``). A large body that comes fast is received by threads
instead, stretch by stretch (``cache/download/lending.py``).
"""

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.cache.download.lending import Lending
from regcache.cache.download.planning import FillPlan, Stretch
from regcache.cache.download.target import FillTarget
from regcache.cache.download.unwritten import Run, Unwritten
from regcache.errors import UpstreamBadAnswer, UpstreamFailure
from regcache.gate import has_result
from regcache.interfaces import IBlobBody, IBodyConsumer

#: The upstream is paused when more than this waits for the disk (bytes).
QUEUE_HIGH = 2 * 1024 * 1024
#: ... and read again when no more than this is left (bytes).
QUEUE_LOW = 1024 * 1024


class FillOwner(Protocol):
    """The interface of what began a fill, for that fill.

    :ivar plan: what other fills of the download bring.
    """

    plan: "FillPlan[Fill]"

    def fill_over(self, fill: "Fill", failure: UpstreamFailure | None) -> None:
        """The fill has ended; all bytes that it claimed are written."""

    def fill_cannot_write(self, error: BaseException | None) -> None:
        """The disk refused a write."""


def _is_surplus(position: int, size: int | None, body: IBlobBody | None) -> bool:
    """Whether bytes before ``position`` were not announced."""
    ends = (size, None if body is None else body.end)
    return any(end is not None and position > end for end in ends)


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
        self.end = stretch.end
        self._upstream = upstream
        self._unwritten = Unwritten(clock, stretch.start)
        self._writing = False
        self._no_more = False
        self._over = False
        self.stopped = False
        self._failure: UpstreamFailure | None = None
        self._asking: Deferred[IBlobBody] | None = None
        self.body: IBlobBody | None = None
        self.position = stretch.start
        self._lending = Lending(target, owner.plan)

    @property
    def stretch(self) -> Stretch:
        """The part that this fill will still bring."""
        return Stretch(self._lending.end or self.position, self.end)

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
        self._unwritten.begin(body.start)
        self._lending.flow(body)
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

    def drop(self) -> None:
        """Stop, and drop bytes that have arrived. The owner is not told anything any more."""
        self._over = True
        self._unwritten.clear()
        self._let_go()
        self._no_more = True

    def body_chunk(self, data: bytes) -> None:
        """Queue the new parts of a chunk. Stop if all that follows is present."""
        if self._no_more:
            if self.body is not None:  # which goes on although all of it should have come
                self.body.abort()
            return
        start, end = self.position, self.position + len(data)
        self.position = end
        if _is_surplus(end, self._target.file.size, self.body):
            self._break(UpstreamBadAnswer(self._upstream, "more bytes than announced"))
            return
        claimed = self._target.claimed
        gaps = claimed.gaps(start, end)
        claimed.add(start, end)
        for gap_start, gap_end in gaps:
            whole = gap_end - gap_start == len(data)
            part = data if whole else data[gap_start - start : gap_end - start]
            self._unwritten.put(gap_start, part)
        if self._meets_present():
            return
        body = self.body
        if body is not None:
            lend = self._lending.consider(body, end, len(data))
            if lend or self._unwritten.queued > QUEUE_HIGH:
                body.pause()
        self._pump()

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

    def _pump(self) -> None:
        if self._writing or self._over or self._lending.end is not None:
            return
        if self._unwritten:
            run = self._unwritten.take_batch(self._no_more, self._lingered)
            if run is not None:
                self._write(run)
        elif self._no_more:
            self._over = True
            self._owner.fill_over(self, self._failure)
        elif self._lending.wanted and self.body is not None:
            self._lending.lend_or_resume(self.body, self.position, self._received)

    def _received(self, count: int, fault: BaseException | None) -> None:
        """Threads have received so many bytes of the body. It is lent again before all else."""
        self.position += count
        if self._over:
            return
        if fault is not None:
            self._cannot_write(fault)
            return
        position = self.position
        if self._no_more or self._meets_present() or self.body is None:
            self._pump()
        elif self._lending.is_fast(count):
            self._lending.lend_or_resume(self.body, self.position, self._received)
        else:
            self.body.resume()
        self._target.wrote(position, self.end)

    def _meets_present(self) -> bool:
        """Stop if all that follows is present."""
        position = self.position
        met = self._target.claimed.end_of(position) > position
        if met and self._owner.plan.met_present(position):
            self.stop()
        return self._no_more

    def _lingered(self) -> None:
        if self._unwritten and not self._writing:
            self._write(self._unwritten.take())

    def _write(self, run: Run) -> None:
        self._writing = True
        writing = self._target.file.write(run.offset, run.chunks)
        if has_result(writing):
            self._wrote(None, run.length)
        else:
            writing.addCallbacks(self._wrote, self._write_failed, callbackArgs=(run.length,))

    def _wrote(self, _: None, length: int) -> None:
        self._writing = False
        self._unwritten.written(length)
        if self._over:
            return
        more = self._unwritten.queued <= QUEUE_LOW and not self._no_more
        if more and self.body is not None and not self._lending.wanted:
            self.body.resume()
        self._target.wrote(self.position, self.end)
        self._pump()

    def _write_failed(self, failure: Failure) -> None:
        self._writing = False
        if not self._over:
            self._cannot_write(failure.value)

    def _cannot_write(self, error: BaseException | None) -> None:
        self._over = True
        self._unwritten.clear()
        self._let_go()
        self._owner.fill_cannot_write(error)
