"""Fakes around a reader: its file, its source and its sink."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from regcache.cache.download.reader import Reader
from regcache.digests import Digest
from regcache.interfaces import IContentFile, IReaderSink, Wait


@implementer(IContentFile)
class FakeFile:
    """Content in memory, of which nothing is in the page cache unless ``cached``.

    :ivar reads: the reads in the pool that were not answered yet.
    """

    def __init__(self, content: bytes, cached: bool = True) -> None:
        self.digest = Digest.of(content)
        self.size: int | None = len(content)
        self.content = content
        self.is_cached = cached
        self.reads: list[tuple[Deferred[bytes], int, int]] = []
        self.closed = 0

    def read(self, offset: int, length: int) -> "Deferred[bytes]":
        """Later."""
        reading: Deferred[bytes] = Deferred()
        self.reads.append((reading, offset, length))
        return reading

    def answer(self) -> None:
        """Answer the oldest read."""
        reading, offset, length = self.reads.pop(0)
        reading.callback(self.content[offset : offset + length])

    def read_now(self, offset: int, length: int) -> bytes | None:
        """At once, or not at all."""
        return self.content[offset : offset + length] if self.is_cached else None

    def cached(self, offset: int, length: int) -> bool:
        """As it was told."""
        return self.is_cached

    def fileno(self) -> int:
        """There is none."""
        raise OSError("no descriptor")

    def close(self) -> None:
        """Count it."""
        self.closed += 1


class GrowingSource:
    """A source that releases more and more.

    :ivar waits: the positions at which the reader waited.
    :ivar on_wait: called when it does.
    """

    wait = Wait.UPSTREAM

    def __init__(self, file: FakeFile) -> None:
        self.file = file
        self.end = 0
        self.waits: list[int] = []
        self.left = 0
        self.on_wait: Callable[[], object] = lambda: None

    def released(self, position: int) -> int:
        """Up to the end."""
        return self.end

    def ready(self) -> "Deferred[None]":
        """At once."""
        return succeed(None)

    def reader_waits(self, reader: Reader) -> None:
        """Note where."""
        self.waits.append(reader.position)
        self.on_wait()

    def reader_left(self, reader: Reader) -> None:
        """Count it."""
        self.left += 1


@implementer(IReaderSink)
class FakeSink:
    """Collects; ``then`` is called at the end of a range.

    :ivar takes_files: whether it sends from files itself, when the test says so.
    :ivar stretches: what it was asked to send so.
    """

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ends = 0
        self.takes_files = False
        self.stretches: list[tuple[int, int]] = []
        self.reasons: list[str] = []
        self.on_write: Callable[[], object] = lambda: None
        self.then: Callable[[], object] = lambda: None

    def write(self, data: bytes) -> None:
        """Collect."""
        self.pieces.append(data)
        self.on_write()

    def send_file(
        self, file: IContentFile, start: int, end: int, sent: Callable[[int], None]
    ) -> bool:
        """Note it, where it takes files."""
        if self.takes_files:
            self.stretches.append((start, end))
            self._sent = sent
        return self.takes_files

    def sent(self, count: int) -> None:
        """So much of the last stretch is on its way, and no more."""
        self._sent(count)

    def range_ended(self) -> None:
        """Count it."""
        self.ends += 1
        self.then()

    def broken(self, reason: str) -> None:
        """Note it."""
        self.reasons.append(reason)

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)
