"""Sends a reader's bytes to a client, as fast as the client takes them.

=========  ==========================  =================================================
state      event                       what holds afterwards
=========  ==========================  =================================================
new        transport is full already   paused: an answer before this one fills it
new        it is not                   sending; the head of the answer is out
sending    transport is full           paused; the stall timer runs
paused     transport is empty          sending; the timer is stopped
paused     stall timer                 over: the connection is cut
any        client leaves               over: the reader left
any        reader breaks               over: the connection is cut, never ended cleanly
sending    a range is through          the next part begins, or over: answer finished
=========  ==========================  =================================================

Whatever comes when it is over is ignored.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from zope.interface import implementer

from regcache.interfaces import IReader, IReaderSink
from regcache.web.request import Request
from regcache.web.stall import StallTimer, unsent_bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of the content, and the bytes that go before it (of multipart bodies)."""

    start: int
    end: int | None
    prologue: bytes = b""


@implementer(IReaderSink, IPushProducer)
class Sender:
    """Sends parts one after another, then an epilogue, and ends the request."""

    def __init__(
        self,
        request: Request,
        reader: IReader,
        parts: Sequence[Part],
        clock: IReactorTime,
        stall: float,
        epilogue: bytes = b"",
    ) -> None:
        """
        :param stall: seconds after which a client that takes nothing is cut off.
        """
        self._request = request
        self._reader = reader
        self._parts = deque(parts)
        self._clock = clock
        self._epilogue = epilogue
        self._timer = StallTimer(clock, stall, self._unsent, self._stalled)
        self._paused_at: float | None = None
        self._over = False
        self._done: Deferred[None] = Deferred(lambda _: self._detach())

    def send(self) -> "Deferred[None]":
        """Begin; fires when the request has ended. Cancelling it gives the reader back."""
        if self._request.gone:
            self._detach()
            return self._done
        # The head goes out now: the content may take its time.
        self._request.write(b"")
        self._request.registerProducer(self, True)
        if _is_full(self._request):
            self.pauseProducing()
        if not self._over:
            self._next_part()
        return self._done

    def pauseProducing(self) -> None:
        """The transport has enough. It may say so several times."""
        if self._over:
            return
        self._reader.pauseProducing()
        if self._paused_at is None:
            self._paused_at = self._clock.seconds()
            self._timer.start()

    def resumeProducing(self) -> None:
        """The transport is empty."""
        if self._over:
            return
        self._timer.stop()
        if self._paused_at is not None:
            self._reader.drained_in(self._clock.seconds() - self._paused_at)
            self._paused_at = None
        self._reader.resumeProducing()

    def stopProducing(self) -> None:
        """The client is gone."""
        self._detach()

    def write(self, data: bytes) -> None:
        """Send bytes of the present part."""
        self._request.write(data)

    def range_ended(self) -> None:
        """The present part is through."""
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
        """The content ended early: so does the connection."""
        if not self._over:
            self._end()
            self._request.abort(reason)

    def _next_part(self) -> None:
        part = self._parts.popleft()
        if part.prologue:
            self._request.write(part.prologue)
        self._reader.begin(part.start, part.end, self)

    def _unsent(self) -> int | None:
        return unsent_bytes(self._request.channel.transport)

    def _stalled(self) -> None:
        self.broken("the client took nothing for too long")

    def _end(self) -> None:
        """Unregister before anything finishes: TLS waits for its producer otherwise."""
        if not self._request.gone:
            self._request.unregisterProducer()
        self._detach()

    def _detach(self) -> None:
        if self._over:
            return
        self._over = True
        self._timer.stop()
        self._reader.leave()
        if not self._done.called:
            self._done.callback(None)


def _is_full(request: Request) -> bool:
    """Whether the transport was full before this answer began.

    A producer that is registered then is not told (twisted.web), and over TLS never would be.
    """
    return bool(getattr(request.channel, "_waitingForTransport", False))
