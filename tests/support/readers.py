"""A fake of IReader that the test drives."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from regcache.interfaces import IReader, IReaderSink, Wait


@implementer(IReader)
class FakeReader:
    """Sends what the test tells it to.

    :ivar began: the ranges that were begun.
    :ivar calls: the other calls, in order.
    :ivar left: how often it was told to leave.
    :ivar at_begin: called as soon as a range has begun.
    """

    waits_for = Wait.UPSTREAM

    def __init__(self, content: bytes = b"", size: int | None = None) -> None:
        self.content = content
        self.size = len(content) if size is None else size
        self.began: list[tuple[int, int | None]] = []
        self.calls: list[str] = []
        self.fast = False
        self.left = 0
        self.paused = False
        self.sink: IReaderSink | None = None
        self.at_begin: Callable[[], object] | None = None

    def ready(self) -> "Deferred[None]":
        """At once."""
        return succeed(None)

    def begin(self, start: int, end: int | None, sink: IReaderSink) -> None:
        """Note the range."""
        self.began.append((start, end))
        self.sink = sink
        if self.at_begin is not None:
            self.at_begin()

    def pass_to(self, sink: IReaderSink) -> None:
        """Take another sink."""
        if self.sink is not None:
            self.sink = sink

    def send(self, data: bytes) -> None:
        """Bytes of the present range."""
        assert self.sink is not None
        self.sink.write(data)

    def send_range(self) -> None:
        """All of the present range, and its end."""
        start, end = self.began[-1]
        self.send(self.content[start:end])
        self.end()

    def end(self) -> None:
        """The range is through."""
        assert self.sink is not None
        self.sink.range_ended()

    def fail(self, reason: str) -> None:
        """The content broke off."""
        assert self.sink is not None
        self.sink.broken(reason)

    def leave(self) -> None:
        """Count it."""
        self.left += 1

    def client_is_fast(self, fast: bool) -> None:
        """Note it."""
        self.fast = fast

    def pauseProducing(self) -> None:
        """Note it."""
        self.calls.append("pause")
        self.paused = True

    def pause_for_limit(self) -> None:
        """Note it."""
        self.calls.append("hold")
        self.paused = True

    def resumeProducing(self) -> None:
        """Note it."""
        self.calls.append("resume")
        self.paused = False

    def stopProducing(self) -> None:
        """As leave."""
        self.leave()
