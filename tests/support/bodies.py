"""Blob bodies in memory that misbehave on demand.

Bodies arrive chunk by chunk, one for each turn of the clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from zope.interface import implementer

from regcache.errors import UpstreamFailure, UpstreamTimedOut, UpstreamUnreachable
from regcache.interfaces import IBlobBody, IBodyConsumer, IBodyLoan


class BodyOwner(Protocol):
    """The upstream that a body comes from; see :class:`tests.support.registries.FakeRegistry`."""

    clock: Clock
    name: str
    credentials: str
    chunk: int
    pace: float
    stall_timeout: float | None
    relays_left: int
    loans: int

    def note_sent(self, content: bytes, start: int, data: bytes) -> None:
        """Some bytes of a body went out."""


@dataclass
class Fault:
    """How one blob answer goes wrong.

    :ivar refuse: fails at once with this.
    :ivar by_url: which URL refused, where that is not the one that was asked first.
    :ivar cut: the body breaks off after so many bytes.
    :ivar stall: the body stops after so many bytes; it fails after the registry's
        ``stall_timeout``, if there is one.
    :ivar ends: the body ends cleanly after so many bytes, as one without a length can.
    :ivar flip: the byte at this offset of the blob is wrong.
    :ivar shift: the bytes come from so much further on than the answer says.
    :ivar claim_size: what the answer says the size is.
    :ivar claim_start: the answer says that it begins so much further on.
    :ivar hide_size: the answer does not say the size.
    :ivar ignore_range: the answer begins at 0.
    :ivar surplus: bytes sent behind the end.
    :ivar media_type: what the answer says that it is.
    """

    refuse: UpstreamFailure | None = None
    by_url: int | None = None
    cut: int | None = None
    stall: int | None = None
    ends: int | None = None
    flip: int | None = None
    shift: int = 0
    claim_size: int | None = None
    claim_start: int = 0
    hide_size: bool = False
    ignore_range: bool = False
    surplus: bytes = b""
    media_type: str = ""


@implementer(IBodyLoan)
class FakeLoan:
    """A body whose connection is lent."""

    def __init__(self, body: "FakeBody") -> None:
        self._body = body

    def receive(self, put: Callable[[memoryview], None], most: int, seconds: float) -> None:
        """Bring it."""
        self._body.bring(put, most)

    def give_back(self) -> None:
        """Once."""
        assert self._body.lent
        self._body.lent = False


@implementer(IBlobBody)
class FakeBody:
    """A body in memory.

    :ivar lent: a thread may be receiving it.

    :ivar open: the connection is still held.
    :ivar relayed: it has a place among the relays, and none among the downloads.
    """

    def __init__(
        self,
        registry: BodyOwner,
        content: bytes,
        start: int,
        end: int,
        fault: Fault,
        url_index: int = 0,
        relayed: bool = False,
    ) -> None:
        self.start = start + fault.claim_start
        self.end = None if fault.hide_size else end
        self.size = None if fault.hide_size else (fault.claim_size or len(content))
        self.media_type = fault.media_type
        self.credentials = registry.credentials
        self.url_index = url_index
        self.paused = False
        self.aborted = False
        self.open = True
        self.delivered = self.lent = False
        self.relayed = relayed
        self._registry = registry
        self._content = content
        self._fault = fault
        self._first = self._position = start
        self._stop = end
        self._owed = False
        self._consumer: IBodyConsumer | None = None
        self._call: IDelayedCall | None = None

    def deliver(self, consumer: IBodyConsumer) -> None:
        """Begin."""
        assert not self.delivered
        self.delivered = True
        self._consumer = consumer
        self._later()

    def make_relay(self) -> bool:
        """Take a place among the relays, if there is one."""
        if not self.relayed and self._registry.relays_left:
            self._registry.relays_left -= 1
            self.relayed = True
        return self.relayed

    def pause(self) -> None:
        """Stop for now."""
        self.paused = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def resume(self) -> None:
        """Go on."""
        assert not self.lent
        if self.paused:
            self.paused = False
            self._later()

    def lend(self) -> "FakeLoan | None":
        """Lend it."""
        assert self.paused
        assert not self.lent
        if not self.open:
            return None
        self.lent = True
        self._registry.loans += 1
        return FakeLoan(self)

    def bring(self, put: Callable[[memoryview], None], most: int) -> None:
        """As a thread receives: one chunk a turn of the clock, in pieces, up to the fault."""
        if self._owed:
            return
        self._owed = True
        most = min(most, self._registry.chunk)
        limit, end = self._limit(), min(self._stop, self._position + most)
        if limit is not None:
            end = min(end, self._first + limit)
        size = max(1, most // 5)
        while self._position < end:
            start, stop = self._position, min(end, self._position + size)
            data = self._piece(start, stop)
            put(memoryview(data))
            self._registry.note_sent(self._content, start, data)
            self._position = stop

    def _piece(self, start: int, stop: int) -> bytes:
        fault = self._fault
        data = bytearray(self._content[start + fault.shift : stop + fault.shift])
        data += bytes(max(0, stop - start - len(data)))
        if fault.flip is not None and start <= fault.flip < stop:
            data[fault.flip - start] ^= 0xFF
        return bytes(data)

    def abort(self) -> None:
        """Close."""
        self.pause()
        self.aborted = True
        self.open = False

    def _later(self) -> None:
        if self._call is None and self.delivered and not self.paused and self.open:
            turns, self._owed = 1 + self._owed, False
            self._call = self._registry.clock.callLater(turns * self._registry.pace, self._send)

    def _limit(self) -> int | None:
        """Where the fault is, counted from the first byte."""
        limits = (self._fault.cut, self._fault.stall, self._fault.ends)
        return next((limit for limit in limits if limit is not None), None)

    def _send(self) -> None:
        self._call = None
        limit, start = self._limit(), self._position
        stop = min(self._stop, start + self._registry.chunk)
        if limit is not None:
            stop = min(stop, self._first + limit)
        data = self._piece(start, stop)
        self._position = stop
        self._registry.note_sent(self._content, start, data)
        if data:
            self._consumer_now().body_chunk(data)
        self._go_on(limit is not None and stop - self._first >= limit)

    def _go_on(self, at_limit: bool) -> None:
        if not self.open:
            return
        if at_limit and self._fault.cut is not None:
            self.aborted = True
            self._fail(UpstreamUnreachable(self._registry.name, "the connection broke"))
        elif at_limit and self._fault.stall is not None:
            self._wait_for_stall()
        elif self._position < self._stop and not at_limit:
            self._later()
        else:
            self._end()

    def _wait_for_stall(self) -> None:
        seconds = self._registry.stall_timeout
        if seconds is not None and not self.paused:
            self._call = self._registry.clock.callLater(seconds, self._stalled)

    def _stalled(self) -> None:
        self._call = None
        self._fail(UpstreamTimedOut(self._registry.name, "its body stalled"))

    def _fail(self, failure: UpstreamFailure) -> None:
        self.open = False
        self._consumer_now().body_failed(failure)

    def _end(self) -> None:
        if self._fault.surplus:
            self._registry.note_sent(self._content, self._position, self._fault.surplus)
            self._consumer_now().body_chunk(self._fault.surplus)
        if self.open:
            self.open = False
            self._consumer_now().body_ended()

    def _consumer_now(self) -> IBodyConsumer:
        assert self._consumer is not None
        return self._consumer
