"""A reader that gives its client no more than an allowance.

It is placed between a reader and the sender of its bytes; neither of them knows about it. Answers
without a limit have none. Stretches of a file are cut to what may be sent; pieces that were
already read wait here.

=========  ==========================  ===================================================
state      event                       what holds afterwards
=========  ==========================  ===================================================
flowing    bytes, fewer than may be    flowing: they are passed on
           sent
flowing    more bytes                  waiting: the rest waits here, and the reader pauses
flowing    a stretch of the file       flowing: as much of it as may be sent is sent
flowing    the same, and nothing may   waiting: it begins later; the reader sees no difference
           be sent
waiting    something may be sent       flowing: what waits here is sent first, then the reader
                                       goes on
waiting    bytes nevertheless          waiting: they wait here, too
waiting    the end of the range        waiting: it is reported after the last byte
any        the client takes nothing    the same, and full: nothing is passed on but a stretch,
                                       and the reader pauses
any        the client leaves, or the   over: what waits here is dropped, and the allowance ends
           content breaks
=========  ==========================  ===================================================

While an answer waits like this, its client does not count as stalled.
"""

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from regcache.interfaces import IContentFile, IReader, IReaderSink, Wait
from regcache.web.pacing.pacing import Allowance


@implementer(IReader, IReaderSink)
class PacedReader:
    """Passes on the bytes of a reader, within an allowance.

    :ivar size: of the whole content (bytes), or None if it is not known.
    """

    def __init__(self, reader: IReader, allowance: Allowance) -> None:
        self._reader = reader
        self._allowance = allowance
        self._sink: IReaderSink | None = None
        self._unsent: deque[bytes | memoryview] = deque()
        self._stretch: Callable[[], object] | None = None
        self._full = False
        self._reads = False
        self._ended = False
        self._flushing = False
        self._over = False

    @property
    def size(self) -> int | None:
        """The size of the whole content (bytes), or None if it is not known."""
        size: int | None = self._reader.size
        return size

    # As the reader of a sender

    @property
    def waits_for(self) -> Wait:
        """The limit, where something waits here; else whom the reader waits for."""
        if self._unsent or self._stretch is not None:
            return Wait.LIMIT
        waits: Wait = self._reader.waits_for
        return waits

    def ready(self) -> "Deferred[None]":
        """Fires when the head of the answer may be sent; fails with what prevents it."""
        return self._reader.ready()

    def step_between(self, sink: IReaderSink) -> None:
        """Stand from now on between the reader and the sink that it has had so far."""
        self._sink = sink
        self._reader.pass_to(self)

    def begin(self, start: int, end: int | None, sink: IReaderSink) -> None:
        """Send ``[start, end)`` to the sink; an end of None is the end of the content."""
        self._sink, self._ended = sink, False
        self._reader.begin(start, end, self)

    def pass_to(self, sink: IReaderSink) -> None:
        """Send the rest of the range to another sink."""
        self._sink = sink

    def leave(self) -> None:
        """The client has left, or has everything. Idempotent."""
        if not self._over:
            self._over = True
            self._unsent.clear()
            self._sink = self._stretch = None
            self._allowance.end()
        self._reader.leave()

    def client_is_fast(self, fast: bool) -> None:
        """Whether the client is fast, so that larger pieces may be read."""
        self._reader.client_is_fast(fast)

    def pauseProducing(self) -> None:
        """The client takes nothing for now."""
        self._full = True
        self._reader.pauseProducing()

    def pause_for_limit(self) -> None:
        """Pause because of another limit."""
        self.pauseProducing()

    def resumeProducing(self) -> None:
        """The client takes more."""
        self._full = False
        self._flush()

    def stopProducing(self) -> None:
        """The client has left."""
        self.leave()

    # As the sender of a reader

    def write(self, data: bytes) -> None:
        """Pass on what may be sent, and keep the rest."""
        if self._over:
            return
        self._unsent.append(data)
        self._flush(resume=False)

    def send_file(
        self, file: IContentFile, start: int, end: int, sent: Callable[[int], None]
    ) -> bool:
        """Send as much of ``[start, end)`` from the file itself as may be sent, now or later."""
        if self._over or self._reads:
            return False
        if self._allowance.ask(self._go_on):
            return self._send_stretch(file, start, end, sent)

        def begin() -> None:
            if not self._send_stretch(file, start, end, sent):
                sent(0)

        self._stretch = begin
        return True

    def range_ended(self) -> None:
        """All bytes of the range were passed on, or wait here."""
        self._ended = True
        self._flush(resume=False)

    def broken(self, reason: str) -> None:
        """No more bytes will come: drop those that wait here, too."""
        sink = self._sink
        self.leave()
        if sink is not None:
            sink.broken(reason)

    def _send_stretch(
        self, file: IContentFile, start: int, end: int, sent: Callable[[int], None]
    ) -> bool:
        assert self._sink is not None
        count = min(end - start, self._allowance.left)
        # Counted before: how much of a stretch was sent is not told if it is cut off.
        self._allowance.spend(count)

        def ended(sent_bytes: int) -> None:
            self._allowance.spend(sent_bytes - count)
            sent(sent_bytes)

        if self._sink.send_file(file, start, start + count, ended):
            return True
        self._allowance.spend(-count)
        self._reads = True  # it is not possible here
        return False

    def _go_on(self) -> None:
        """Something may be sent."""
        stretch, self._stretch = self._stretch, None
        if stretch is not None:
            stretch()
        else:
            self._flush()

    def _flush(self, resume: bool = True) -> None:
        """Pass on bytes that wait here, as many as may be sent; if all are, let the reader go on.

        :param resume: the reader may have been paused.
        """
        if self._flushing or self._over:
            return
        self._flushing = True
        try:
            while self._unsent and not self._full and self._allowance.ask(self._go_on):
                self._pass_on()
        finally:
            self._flushing = False
        if self._over:
            return
        if self._unsent:
            self._stop_reader()
        elif self._ended:
            self._end_range()
        elif resume and not self._full:
            self._reader.resumeProducing()

    def _stop_reader(self) -> None:
        if self._full:
            self._reader.pauseProducing()
        else:
            self._reader.pause_for_limit()

    def _pass_on(self) -> None:
        assert self._sink is not None
        data, left = self._unsent.popleft(), self._allowance.left
        if len(data) > left:
            view = memoryview(data)
            self._unsent.appendleft(view[left:])
            data = view[:left]
        self._allowance.spend(len(data))
        self._sink.write(data if isinstance(data, bytes) else bytes(data))

    def _end_range(self) -> None:
        self._ended = False
        assert self._sink is not None
        self._sink.range_ended()
