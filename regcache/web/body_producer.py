"""Sends a body from memory in pieces, as fast as the client takes it.

=======  =====================  ====================================================
state    event                  what holds afterwards
=======  =====================  ====================================================
sending  transport is full      paused; the stall timer runs
sending  all is written         over: the answer is finished
sending  nothing may be sent    waiting; no timer runs
waiting  something may be sent  sending
waiting  transport is full      paused, and waiting
paused   transport is empty     sending; the timer is stopped
paused   stall timer            over: the connection is cut
any      client leaves          over
=======  =====================  ====================================================

It begins in state paused if the transport is full already. Events after the end are ignored. All
clients share one body; each has at most two pieces of it in its transport.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from zope.interface import implementer

from regcache.web.pacing.pacing import Allowance
from regcache.web.stall import StallTimer

#: What is written at a time (bytes).
PIECE = 64 * 1024


class BodyRequest(Protocol):
    """The part of a request that a :class:`BodyProducer` uses."""

    @property
    def is_full(self) -> bool:
        """Whether what is written now would have to wait."""

    def unsent_bytes(self) -> int | None:
        """Changes as long as the client takes something."""

    def notifyFinish(self) -> "Deferred[None]":
        """Fires when the request has ended, or fails when its client has left."""

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """Let a producer write the body from now on."""

    def unregisterProducer(self) -> None:
        """The producer has written everything."""

    def write(self, data: bytes) -> None:
        """Send a part of the body."""

    def finish(self) -> None:
        """End the answer, and the request."""

    def abort(self, reason: str) -> None:
        """Cut the connection."""


@implementer(IPushProducer)
class BodyProducer:
    """Sends a body behind the head of an answer, and ends the request."""

    def __init__(
        self,
        request: BodyRequest,
        body: bytes,
        clock: IReactorTime,
        stall: float,
        *,
        allowance: Allowance | None = None,
    ) -> None:
        """
        :param stall: seconds after which a client that takes nothing is cut off.
        :param allowance: what may be sent; None where nothing limits that. It is ended.
        """
        self._request = request
        self._body = body
        self._allowance = allowance
        self._timer = StallTimer(clock, stall, request.unsent_bytes, self._stalled)
        self._position = 0
        self._paused = False
        self._over = False

    def start(self) -> None:
        """Begin. The client may leave at any time."""
        request = self._request
        request.notifyFinish().addBoth(lambda _: self.stopProducing())
        request.registerProducer(self, True)
        # A transport that is full already does not pause a producer that registers now.
        if request.is_full:
            self.pauseProducing()
        self._push()

    def pauseProducing(self) -> None:
        """The transport has enough. It may say so several times."""
        if not self._over and not self._paused:
            self._paused = True
            self._timer.start()

    def resumeProducing(self) -> None:
        """The transport is empty."""
        if not self._over:
            self._paused = False
            self._timer.stop()
            self._push()

    def stopProducing(self) -> None:
        """The client has left, or has everything."""
        self._over = True
        self._timer.stop()
        if self._allowance is not None:
            self._allowance.end()

    def _push(self) -> None:
        while not self._paused and not self._over and (most := self._most()):
            piece = self._body[self._position : self._position + most]
            self._position += len(piece)
            if self._allowance is not None:
                self._allowance.spend(len(piece))
            self._request.write(piece)
            if self._position == len(self._body):
                self._end()
                self._request.finish()

    def _most(self) -> int:
        """How much may be written now."""
        if self._allowance is None:
            return PIECE
        return min(PIECE, self._allowance.left) if self._allowance.ask(self._push) else 0

    def _end(self) -> None:
        """Unregister first: TLS does not close a connection that still has a producer."""
        self.stopProducing()
        self._request.unregisterProducer()

    def _stalled(self) -> None:
        self._end()
        self._request.abort("the client took nothing for too long")
