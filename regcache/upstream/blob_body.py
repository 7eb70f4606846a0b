"""The body of an answer with a blob: delivered, paused, and aborted if it is too slow."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from regcache.errors import UpstreamBadAnswer, UpstreamFailure, UpstreamTimedOut
from regcache.interfaces import IBlobBody, IBodyConsumer, IBodyLoan, IUpstreamMeter
from regcache.light_dataclass import dataclass
from regcache.seam.lent_connection import LentConnection
from regcache.upstream.exchange import Answer, BodyEnd
from regcache.upstream.failures import failure_from
from regcache.upstream.fields import media_type, only_value
from regcache.upstream.remote import Remote

#: Less than this counts as a stall, too: it keeps a place, for next to nothing (bytes a second).
SLOWEST = 1024
#: ... measured over so long (seconds).
WINDOW = 60.0


def _nothing() -> None:
    """What is over is not too slow."""


class Pace:
    """Measures whether a body makes progress.

    It is too slow if nothing comes for ``stall`` seconds, or less than ``SLOWEST`` over a minute.
    The time in which we have paused it does not count.

    :param too_slow: called once, unless it is stopped before.
    """

    def __init__(self, clock: IReactorTime, stall: float, too_slow: Callable[[], None]) -> None:
        self._clock = clock
        self._stall = stall
        self._window = max(WINDOW, stall)
        self._too_slow = too_slow
        self._call: IDelayedCall | None = None
        self._last = self._since = clock.seconds()
        self._spent = 0.0
        self._count = 0

    def begin(self) -> None:
        """Begin to count, from 0. A timer that runs already finds at its end what is left."""
        self._spent, self._count = 0.0, 0
        self._last = self._since = self._clock.seconds()
        if self._call is None:
            self._look_later()

    def progress(self, count: int) -> None:
        """Note that bytes came. Cheap enough for every chunk."""
        self._last = self._clock.seconds()
        self._count += count

    def start(self) -> None:
        """Go on counting. Idempotent."""
        if self._call is None:
            self._last = self._since = self._clock.seconds()
            self._look_later()

    def stop(self) -> None:
        """Count no more for now. Idempotent."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
            self._spent += self._clock.seconds() - self._since

    def end(self) -> None:
        """Count no more, and keep nothing of the body. Idempotent."""
        self.stop()
        self._too_slow = _nothing

    def _look_later(self) -> None:
        due = min(self._last + self._stall, self._since + self._window - self._spent)
        self._call = self._clock.callLater(max(0.0, due - self._clock.seconds()), self._look)

    def _look(self) -> None:
        self._call = None
        now = self._clock.seconds()
        over = self._spent + now - self._since >= self._window
        if now - self._last >= self._stall or (over and self._count < SLOWEST * self._window):
            self._too_slow()
            return
        if over:
            self._since, self._spent, self._count = now, 0.0, 0
        self._look_later()


@dataclass(frozen=True, slots=True)
class Extent:
    """The bytes in an answer: ``[start, end)`` of ``size``; None if it does not state that."""

    start: int
    end: int | None
    size: int | None


@implementer(IBodyLoan)
class BodyLoan:
    """A body whose connection is lent to a thread."""

    def __init__(self, body: "BlobBody", lent: LentConnection) -> None:
        self._body = body
        self._lent = lent

    def receive(self, put: Callable[[memoryview], None], most: int, seconds: float) -> None:
        """Receive at most ``most`` bytes, for about so long. In a thread."""
        self._lent.receive(put, most, seconds)

    def give_back(self) -> None:
        """The threads are done."""
        self._body.took(self._lent.taken)
        self._lent.give_back()


@implementer(IBlobBody)
class BlobBody(Protocol):
    """A body that waits, flows, is paused, and ends in exactly one way.

    A body that is not being delivered keeps a connection: it may only wait for ``stall_timeout``.
    """

    def __init__(
        self,
        answer: Answer,
        remote: Remote,
        extent: Extent,
        *,
        clock: IReactorTime,
        meter: IUpstreamMeter,
        stall_timeout: float,
    ) -> None:
        self.start, self.end, self.size = extent.start, extent.end, extent.size
        self.media_type = media_type(only_value(answer.headers, "content-type"))
        self.credentials = answer.credentials
        self.url_index = remote.index
        self._remote = remote
        self._answer = answer
        self._meter = meter
        self._position = extent.start
        self._consumer: IBodyConsumer | None = None
        self._failure: UpstreamFailure | None = None
        self._over = False
        self._paused = False
        self._pace = Pace(clock, stall_timeout, self._stalled)
        self._pace.start()

    def deliver(self, consumer: IBodyConsumer) -> None:
        """Begin to deliver."""
        if self._failure is not None:
            consumer.body_failed(self._failure)
        if self._over:
            return
        self._consumer = consumer
        self._pace.begin()
        if self._paused:
            self._pace.stop()
        self._answer.deliver(self)
        if self._paused and not self._over:
            # Twisted always resumes the transport at the end of deliverBody.
            self._pause_transport()

    def make_relay(self) -> bool:
        """Change from a place for downloads to one for relays.

        From then on it is read in small pieces: else many slow clients would take much memory.
        """
        place = self._answer.place
        if place is not None and not place.move(self._remote.relay_places):
            return False
        self._answer.read_little()
        return True

    def pause(self) -> None:
        """Stop reading from the upstream."""
        if self._over or self._paused:
            return
        self._paused = True
        if self._consumer is not None:
            self._pace.stop()
        self._pause_transport()

    def resume(self) -> None:
        """Read on."""
        if self._over or not self._paused:
            return
        self._paused = False
        self._pace.start()
        if self.transport is not None:
            self.transport.resumeProducing()  # type: ignore[attr-defined]

    def lend(self) -> "BodyLoan | None":
        """Lend the connection to a thread. Only while it is paused; it stays so."""
        if self._over or not self._paused or self._consumer is None or self.end is None:
            return None
        lent = self._answer.lend()
        return None if lent is None else BodyLoan(self, lent)

    def took(self, count: int) -> None:
        """A thread took so many bytes."""
        if not self._over:
            self._pace.progress(count)
        self._meter.upstream_sent(self._remote.upstream, count)
        self._position += count

    def abort(self) -> None:
        """Close the connection, and say nothing more."""
        if self._over:
            return
        self._close()
        self._answer.abort()

    def dataReceived(self, data: bytes) -> None:
        """Hand a chunk on, unless it is more than was announced."""
        if self._over or self._consumer is None:
            return
        self._pace.progress(len(data))
        self._meter.upstream_sent(self._remote.upstream, len(data))
        self._position += len(data)
        if self.end is not None and self._position > self.end:
            self._fail("its body is longer than announced")
        else:
            self._consumer.body_chunk(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Report how the body ended."""
        if self._over:
            return
        raised = (reason.value if reason is not None else None) or ResponseDone()
        if isinstance(raised, ResponseDone | PotentialDataLoss):
            if self.end is not None and self._position != self.end:
                self._fail("its body is shorter than announced")
                return
            consumer = self._close()
            self._answer.finish()
            if consumer is not None:
                consumer.body_ended()
        else:
            self._end_with(failure_from(self._remote.upstream, raised), BodyEnd.BROKEN)

    def _pause_transport(self) -> None:
        if self.transport is not None:
            self.transport.pauseProducing()  # type: ignore[attr-defined]

    def _stalled(self) -> None:
        failure = UpstreamTimedOut(self._remote.upstream, "its body stalled")
        # A body that was not yet asked for waits for us, not for the upstream.
        waited_for = self._consumer is not None
        self._end_with(failure, BodyEnd.TIMED_OUT if waited_for else BodyEnd.GIVEN_UP)

    def _fail(self, reason: str) -> None:
        self._end_with(UpstreamBadAnswer(self._remote.upstream, reason), BodyEnd.GIVEN_UP)

    def _end_with(self, failure: UpstreamFailure, end: BodyEnd) -> None:
        self._failure = failure
        consumer = self._close()
        self._answer.abort(end)
        if consumer is not None:
            consumer.body_failed(failure)

    def _close(self) -> IBodyConsumer | None:
        self._over = True
        self._pace.end()
        consumer, self._consumer = self._consumer, None
        return consumer
