"""Sends the bytes of a reader to a client, as fast as the client takes them.

=========  ==========================  =================================================
state      event                       what holds afterwards
=========  ==========================  =================================================
new        transport is full already   paused: the answer before this one is being sent
new        it is not                   sending, when it is this client's turn; the head of
                                       the answer is written at once
sending    transport is full           paused
paused     transport is empty          sending, when it is this client's turn
sending    a stretch of the file       from file: sendfile sends it, before anything else is
                                       written
from file  the stretch has ended       sending
paused,    nothing taken for too long  over: the connection is cut
from file
any        client leaves               over: the reader left
any        reader breaks               over: the connection is cut, never ended cleanly
sending    a range is complete         the next part begins, or over: answer finished
=========  ==========================  =================================================

Events after the end are ignored.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from regcache.interfaces import IContentFile, IReader, IReaderSink, Wait
from regcache.light_dataclass import dataclass
from regcache.seam.write_takeover import is_plain_stream
from regcache.web.pacing.paced_reader import PacedReader
from regcache.web.request import Request, open_allowance
from regcache.web.rounds import Rounds
from regcache.web.sendfile import FileStretch
from regcache.web.stall import StallTimer
from regcache.web.unsent import UnsentBound

#: How many clients begin, or go on, in one turn of the reactor.
MOST_PER_TURN = 8


class Turns:
    """Runs a bounded number of steps in each turn of the reactor, in the order they came.

    Two hundred slow clients that began together have room for more at the same time, too. Each
    takes a fraction of a millisecond; all of them in one turn would make other clients wait.

    A step cannot be cancelled. It must do nothing if it is not needed any more.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, most: int = MOST_PER_TURN) -> None:
        self._clock = clock
        self._most = most
        self._taken = 0
        self._waiting: deque[Callable[[], object]] = deque()

    def take(self, step: Callable[[], object]) -> None:
        """Run it now, or in one of the next turns."""
        if self._taken >= self._most:
            self._waiting.append(step)
            return
        self._taken += 1
        self._plan()
        step()

    def _plan(self) -> None:
        """Use another turn of the reactor if this one is full."""
        if self._taken >= self._most:
            self._clock.callLater(0, self._next_turn)

    def _next_turn(self) -> None:
        count = min(len(self._waiting), self._most)
        steps = [self._waiting.popleft() for _ in range(count)]
        self._taken = count
        self._plan()
        for step in steps:
            self._run(step)

    def _run(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception:  # noqa: BLE001 - the other steps go on
            self._log.failure("a client's turn failed")


@dataclass(frozen=True, slots=True)
class Part:
    """One range of the content, and the bytes that precede it in a multipart body."""

    start: int
    end: int | None
    prologue: bytes = b""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all senders of a site have in common.

    :ivar stall: seconds after which a client that takes nothing is cut off.
    """

    clock: IReactorTime
    stall: float
    turns: Turns
    rounds: Rounds


@implementer(IReaderSink, IPushProducer)
class Sender:
    """Sends parts one after another, then an epilogue, and ends the request."""

    def __init__(
        self,
        request: Request,
        reader: IReader,
        parts: Sequence[Part],
        terms: Terms,
        *,
        epilogue: bytes = b"",
    ) -> None:
        self._request = request
        self._source = self._reader = reader
        self._begun = False
        self._parts = deque(parts)
        self._epilogue = epilogue
        self._turns = terms.turns
        self._rounds = terms.rounds
        self._timer = StallTimer(terms.clock, terms.stall, self._progress, self._stalled)
        self._unsent = UnsentBound(request.own_stream, terms.clock, reader.client_is_fast)
        self._paused = False
        self._empty = True
        self._stretch: FileStretch | None = None
        self._over = False
        self._done: Deferred[None] = Deferred(lambda _: self._detach())

    @property
    def client(self) -> Request:
        """The request that it answers."""
        return self._request

    @property
    def source(self) -> IReader:
        """Where it has the bytes from."""
        return self._source

    @property
    def waits_for(self) -> Wait:
        """Who it waits for now."""
        if self._paused or self._stretch is not None:
            return Wait.CLIENT
        waits: Wait = self._reader.waits_for
        return waits

    def send(self) -> "Deferred[None]":
        """Begin. Fires when the request has ended. Cancelling it detaches the reader."""
        if self._request.gone:
            self._detach()
            return self._done
        # Write the head now, since the content may come later.
        self._request.write(b"")
        self._timer.start()
        self._request.registerProducer(self, True)
        if self._request.is_full:
            # A transport that is full already does not pause a producer that registers now.
            self.pauseProducing()
        self._turns.take(self._begin)
        return self._done

    def _begin(self) -> None:
        if self._over:
            return
        self._begun = True
        self.limit()
        self._next_part()

    def limit(self) -> None:
        """Obey a limit from now on, if there is one and there was none before."""
        if self._over or not self._begun or self._reader is not self._source:
            return
        allowance = open_allowance(self._request, is_download=True)
        if allowance is None:
            return
        self._reader = paced = PacedReader(self._source, allowance)
        if self._paused:
            paced.pauseProducing()
        paced.step_between(self)

    def pauseProducing(self) -> None:
        """The transport has enough. It may say so several times."""
        if self._over:
            return
        self._empty = False
        self._reader.pauseProducing()
        if not self._paused:
            self._paused = True
            self._timer.moved()

    def resumeProducing(self) -> None:
        """The transport is empty. It may fill again before this client's turn comes."""
        self._empty = True
        self._turns.take(self._resume)

    def _resume(self) -> None:
        if self._over or not self._empty:
            return
        self._paused = False
        self._timer.moved()
        self._reader.resumeProducing()

    def stopProducing(self) -> None:
        """The client has left."""
        self._detach()

    def write(self, data: bytes) -> None:
        """Send bytes of the present part."""
        self._request.write(data)
        self._unsent.passed(len(data))

    def send_file(
        self, file: IContentFile, start: int, end: int, sent: Callable[[int], None]
    ) -> bool:
        """Send a stretch of the present part from the file, over a plain transport.

        Not with chunked coding, which needs bytes before and after it: then it is read and written.
        """
        transport = self._request.own_stream
        if self._over or self._request.chunked or not is_plain_stream(transport):
            return False

        def ended(count: int) -> None:
            self._stretch = None
            sent(count)

        self._stretch = FileStretch(
            transport,
            self._rounds,
            file,
            start=start,
            end=end,
            progressed=self._sent_from_file,
            ended=ended,
        )
        self._timer.moved()
        self._stretch.start()
        return True

    def _sent_from_file(self, count: int) -> None:
        self._request.sent_elsewhere(count)
        self._unsent.passed(count)

    def range_ended(self) -> None:
        """The present part is complete."""
        if self._over:
            return
        if self._parts:
            self._next_part()
            return
        if self._epilogue:
            self._request.write(self._epilogue)
        self._end()
        self._request.finish()

    def broken(self, reason: str) -> None:
        """The content ended early, so the connection is cut."""
        if not self._over:
            self._end()
            self._request.abort(reason)

    def _next_part(self) -> None:
        part = self._parts.popleft()
        if part.prologue:
            self._request.write(part.prologue)
        self._reader.begin(part.start, part.end, self)

    def _progress(self) -> object:
        """A value that changes while the client takes something, or while it has to wait for us."""
        if not self._paused and self._stretch is None:
            return object()
        return self._request.body_bytes_sent, self._request.unsent_bytes()

    def _stalled(self) -> None:
        self.broken("the client took nothing for too long")

    def _end(self) -> None:
        """Unregister first: TLS does not close a connection that still has a producer."""
        if not self._request.gone:
            self._request.unregisterProducer()
        self._detach()

    def _detach(self) -> None:
        if self._over:
            return
        self._over = True
        self._timer.end()
        self._unsent.restore()
        if self._stretch is not None:
            self._stretch.stop()
        self._reader.leave()
        if not self._done.called:
            self._done.callback(None)
