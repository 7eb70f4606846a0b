"""A reader: reads a complete or growing file for one answer to a client.

All events call one idempotent method, :meth:`Reader.step`: bytes were written, the client takes
more, a read from the disk is done. Whether the client takes more is a flag.

=============  ====================================================================
state          meaning
=============  ====================================================================
idle           attached to its source, no range begun (the answer's head is not sent)
paused         the client takes nothing for now
reading        a read in the pool is under way; its result is dropped after ``leave``
sending        the sink sends from the file itself, and says when that has ended; if it
               could send nothing, the next piece is read
waiting        has sent all that is there; the source will call :meth:`step`
done           the range was sent; another may begin
left           nothing happens any more; the source was told once
=============  ====================================================================
"""

from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.interfaces import IContentFile, IReader, IReaderSink, Wait

#: How much is read at a time (bytes): little for clients that may be slow, since each may keep that
#: much in memory; more for fast ones, since larger reads mean fewer wake-ups.
LEAST_READ = 64 * 1024
MOST_READ = 512 * 1024


class Source(Protocol):
    """The source from which a reader takes its bytes.

    :ivar wait: who is waited for where it has released all that is there.
    """

    wait: Wait

    @property
    def file(self) -> IContentFile:
        """The file; it is open until the reader leaves."""

    def released(self, position: int) -> int:
        """The end of the bytes that may be sent from ``position`` on."""

    def ready(self) -> "Deferred[None]":
        """Fires when the head of the answer may be sent, or fails."""

    def reader_waits(self, reader: "Reader") -> None:
        """The reader has sent all that is there, and waits for the bytes at its position."""

    def reader_left(self, reader: "Reader") -> None:
        """The reader has left."""


class FileSource:
    """Complete content, all of which may be sent."""

    wait = Wait.DISK

    def __init__(self, file: IContentFile) -> None:
        self.file = file

    def released(self, position: int) -> int:
        """All of the file."""
        return self.file.size or 0

    def ready(self) -> "Deferred[None]":
        """At once."""
        ready: Deferred[None] = Deferred()
        ready.callback(None)
        return ready

    def reader_waits(self, reader: "Reader") -> None:
        """A complete file that ends too early was damaged by another program: abort."""
        reader.abort("the stored file is shorter than it was")

    def reader_left(self, reader: "Reader") -> None:
        """Its only reader left."""
        self.file.close()


@implementer(IReader)
class Reader:
    """Sends ranges of a source to a sink, one after another."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._sink: IReaderSink | None = None
        self._paused = False
        self._busy = False
        self._must_read = False
        self._stepping = False
        self._due = False
        self._left = False
        self._read_size = LEAST_READ
        self.position = 0
        self.end: int | None = None

    @property
    def size(self) -> int | None:
        """The size of the whole content (bytes), or None if it is not known."""
        return self._source.file.size

    @property
    def waits_for(self) -> Wait:
        """Who it waits for, where its client would take more."""
        return Wait.DISK if self._busy else self._source.wait

    @property
    def begun(self) -> bool:
        """Whether an answer depends on this reader now."""
        return self._sink is not None

    @property
    def wants(self) -> bool:
        """Whether this reader takes bytes now, and has not sent all of its range."""
        return self._sink is not None and not self._paused and not self._left

    def ready(self) -> "Deferred[None]":
        """Fires when the head of the answer may be sent; fails with what prevents it."""
        return self._source.ready()

    def begin(self, start: int, end: int | None, sink: IReaderSink) -> None:
        """Send ``[start, end)`` to the sink; an end of None is the end of the content."""
        self.position, self.end, self._sink = start, end, sink
        self.step()

    def pass_to(self, sink: IReaderSink) -> None:
        """Send the rest of the range to another sink."""
        if self._sink is not None:
            self._sink = sink

    def client_is_fast(self, fast: bool) -> None:
        """Choose the size of reads by whether the client is fast."""
        self._read_size = MOST_READ if fast else LEAST_READ

    def pauseProducing(self) -> None:
        """The client takes nothing for now."""
        self._paused = True

    def pause_for_limit(self) -> None:
        """The client is sent nothing for now, because of a limit."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The client takes more."""
        self._paused = False
        self.step()

    def stopProducing(self) -> None:
        """The client has left."""
        self.leave()

    def leave(self) -> None:
        """Leave the source. Idempotent."""
        if not self._left:
            self._left, self._sink = True, None
            self._source.reader_left(self)

    def abort(self, reason: str) -> None:
        """Abort the answer, so that the client cannot take it for complete."""
        sink = self._sink
        if sink is not None:
            sink.broken(reason)
        self.leave()

    def step(self) -> None:
        """Send what can be sent now. Events call this at any time, even while it runs."""
        self._due = True
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._due:
                # Set again by an event that comes while this runs.
                self._due = False
                while self.wants and not self._busy and self._send_some():
                    pass
        finally:
            self._stepping = False

    def _send_some(self) -> bool:
        """Send one piece. Returns whether another one may follow at once."""
        end = self.size if self.end is None else self.end
        if end is not None and self.position >= end:
            return self._end_range()
        available = self._source.released(self.position)
        if end is not None:
            available = min(available, end)
        if available <= self.position:
            self._source.reader_waits(self)
            return False
        return self._send_file(available) or self._read(available - self.position)

    def _end_range(self) -> bool:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.range_ended()
        return True

    def _send_file(self, end: int) -> bool:
        """Let the sink send from the file itself. Returns False if a piece has to be read."""
        if self._must_read or self._sink is None:
            return False
        self._busy = True
        if self._sink.send_file(self._source.file, self.position, end, self._was_sent):
            return True
        self._busy = False
        return False

    def _was_sent(self, count: int) -> None:
        self._busy = False
        self.position += count
        # The bytes are not in memory, or not there at all: reading will show.
        self._must_read = not count
        self.step()

    def _read(self, length: int) -> bool:
        self._must_read = False
        length = min(length, self._read_size)
        data = self._source.file.read_now(self.position, length)
        if data:
            self._deliver(data)
            return True
        self._busy = True
        reading = self._source.file.read(self.position, length)
        reading.addCallbacks(self._was_read, self._read_failed)
        return not self._busy

    def _was_read(self, data: bytes) -> None:
        self._busy = False
        if self._left:
            return
        if not data:
            self.abort("the file ended too early")
            return
        # A pause that came meanwhile is obeyed for what follows; this piece is bounded.
        self._deliver(data)
        self.step()

    def _read_failed(self, failure: Failure) -> None:
        self._busy = False
        if not self._left and not failure.check(CancelledError):
            self.abort(f"reading failed: {failure.getErrorMessage()}")

    def _deliver(self, data: bytes) -> None:
        self.position += len(data)
        if self._sink is not None:
            self._sink.write(data)
