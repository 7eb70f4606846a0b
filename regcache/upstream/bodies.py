"""Reads small bodies whole, with a bound: manifests, tokens, tag lists, error texts."""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from regcache.errors import UpstreamBadAnswer, UpstreamTimedOut
from regcache.interfaces import IUpstreamMeter
from regcache.upstream.exchange import Answer, BodyEnd
from regcache.upstream.failures import failure_from

LARGEST_DRAINED = 64 * 1024
DRAIN_SECONDS = 2.0


class BodyReader:
    """Reads bodies from one upstream.

    :param seconds: how long a whole body may take, however slowly it comes.
    """

    def __init__(
        self, upstream: str, clock: IReactorTime, meter: IUpstreamMeter, seconds: float
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        self._meter = meter
        self._seconds = seconds

    async def read(self, answer: Answer, limit: int) -> bytes:
        """Read a whole body. If that fails the connection is closed.

        :raises UpstreamBadAnswer: if it is over ``limit`` bytes.
        :raises UpstreamTimedOut: if it takes too long.
        :raises UpstreamUnreachable: if it breaks off.
        """
        if answer.length is not None and answer.length > limit:
            answer.abort()
            raise UpstreamBadAnswer(self._upstream, "its answer is too large")
        collector = _BodyCollector(answer, self._upstream, self._meter, limit=limit, lenient=False)
        return await collector.begin(self._clock, self._seconds)

    async def beginning(self, answer: Answer, limit: int) -> bytes:
        """Read at most ``limit`` bytes of a body, for a short time: for the text of an error."""
        if answer.length == 0:
            answer.finish()
            return b""
        collector = _BodyCollector(
            answer, self._upstream, self._meter, limit=LARGEST_DRAINED, lenient=True
        )
        content = await collector.begin(self._clock, min(DRAIN_SECONDS, self._seconds))
        return content[:limit]


class _BodyCollector(Protocol):
    """Collects a body. At the bound it either fails, or gives what it has.

    :ivar _lenient: whether what came so far is the result, however the body ends.
    """

    def __init__(
        self, answer: Answer, upstream: str, meter: IUpstreamMeter, *, limit: int, lenient: bool
    ) -> None:
        self._answer = answer
        self._upstream = upstream
        self._meter = meter
        self._limit = limit
        self._lenient = lenient
        self._chunks: list[bytes] = []
        self._count = 0
        self._timer: IDelayedCall | None = None
        self._done: Deferred[bytes] | None = Deferred(lambda _: self._abandon())

    def begin(self, clock: IReactorTime, seconds: float) -> "Deferred[bytes]":
        """Start the clock and the body."""
        done = self._done
        assert done is not None
        self._timer = clock.callLater(seconds, self._expire)
        self._answer.deliver(self)
        return done

    def dataReceived(self, data: bytes) -> None:
        if self._done is None:
            return
        self._meter.upstream_sent(self._upstream, len(data))
        self._chunks.append(data)
        self._count += len(data)
        if self._count > self._limit:
            self._fail(UpstreamBadAnswer(self._upstream, "its answer is too large"))

    def connectionLost(self, reason: Failure | None = None) -> None:
        done = self._end()
        if done is None:
            return
        raised = (reason.value if reason is not None else None) or ResponseDone()
        whole = isinstance(raised, ResponseDone | PotentialDataLoss)
        self._answer.finish(BodyEnd.WHOLE if whole else BodyEnd.BROKEN)
        if self._lenient or whole:
            done.callback(b"".join(self._chunks))
        else:
            done.errback(failure_from(self._upstream, raised))

    def _expire(self) -> None:
        end = BodyEnd.GIVEN_UP if self._lenient else BodyEnd.TIMED_OUT
        failure = UpstreamTimedOut(self._upstream, "its answer did not end within its time")
        self._fail(failure, end)

    def _fail(self, failure: Exception, end: BodyEnd = BodyEnd.GIVEN_UP) -> None:
        done = self._end()
        if done is None:
            return
        self._answer.abort(end)
        if self._lenient:
            done.callback(b"".join(self._chunks))
        else:
            done.errback(failure)

    def _abandon(self) -> None:
        self._end()
        self._answer.abort()

    def _end(self) -> "Deferred[bytes] | None":
        """Stop the timer, and return the Deferred the first time only."""
        done, self._done = self._done, None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        return done
