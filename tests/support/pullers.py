"""Clients of the pipeline who look at every byte that they get."""

from typing import Any

from twisted.python.failure import Failure

from regcache.cache.download import readers
from regcache.cache.download.reader import FileSource
from regcache.cache.download.relay import Relay
from regcache.errors import RegistryError, UpstreamFailure
from tests.support.caches import Sink
from tests.support.pipeline import Daemon


class Puller(Sink):
    """Pulls parts of a blob, one after another, and checks them against what was sent.

    :ivar parts: (start, end) in thousandths of the blob; an end of 1000 is its end, and no
        parts stand for the whole.
    :ivar hesitant: does not begin by itself.
    :ivar outcome: "complete", "aborted", "refused", "gone", or None while it goes on.
    """

    def __init__(
        self,
        daemon: Daemon,
        number: int,
        repository: str,
        parts: list[tuple[int, int]],
        hesitant: bool = False,
        takes_files: bool = False,
    ) -> None:
        super().__init__(takes_files)
        self._queue: list[tuple[int, int | None]] = []
        self.content = daemon.contents[number]
        self.outcome: str | None = None
        self.hesitant = hesitant
        self.begun = False
        self.opened: Any = None
        self.error: BaseException | None = None
        self._daemon = daemon
        self._registry = daemon.registries[number]
        self._parts = parts
        self._stored = False
        self._start = 0
        self._end: int | None = None
        name = self._registry.name
        self.upstream = self._registry.identity
        self.opening = daemon.caches.open(daemon.digests[number], repository, name)
        self.opening.addCallbacks(self._opened, self._refused)

    def _opened(self, opened: Any) -> None:
        if self.outcome is not None:
            opened.reader.leave()
            return
        self.opened, self.reader = opened, opened.reader
        self._stored = isinstance(getattr(self.reader, "_source", None), FileSource)
        if not self.hesitant:
            self.begin()

    def _refused(self, failure: Failure) -> None:
        self.error = failure.value
        if self.outcome is None:
            self.outcome = "refused"
            expected = failure.check(UpstreamFailure, RegistryError)
            self._expect(expected is not None, f"refused with {failure.value!r}")

    def _expect(self, condition: bool, problem: str) -> None:
        """Note a problem: an exception would end up wherever the bytes come from."""
        if not condition:
            self._daemon.problems.append(problem)

    def begin(self) -> None:
        """Begin the first part."""
        if self.reader is None or self.begun or self.outcome is not None:
            return
        self.begun = True
        size = self.reader.size
        if size is None or not self._parts or self.opened.status.outcome == "relay":
            self._parts = self._parts[:1] if size is not None else []
        if not self._parts:
            self._queue = [(0, size)]
        else:
            spans = [(start * size // 1000, end * size // 1000) for start, end in self._parts]
            self._queue = [(start, end) for start, end in spans if start < end] or [(0, size)]
        self._next()

    def _next(self) -> None:
        self._start, self._end = self._queue.pop(0)
        self.data = bytearray()
        assert self.reader is not None
        self.reader.begin(self._start, self._end, self)

    def write(self, data: bytes) -> None:
        """Look at the bytes, wherever they are from."""
        position = self._start + len(self.data)
        within = self._end is None or position + len(data) <= self._end
        self._expect(within, "more than was asked for")
        self._expect(self.outcome is None, "bytes after the end")
        self._expect(self._may_have(position + len(data)), "the last bytes before the proof")
        self.data += data
        if self.slow and self.reader is not None:
            self.reader.pauseProducing()
        right = self.content[position : position + len(data)]
        if right == data:
            return
        self._expect(not self._stored, "wrong bytes from stored content")
        pairs = enumerate(zip(right.ljust(len(data), b"\0"), data, strict=True), position)
        for offset, (ours, theirs) in pairs:
            sent = ours == theirs or self._was_sent(offset, theirs)
            self._expect(sent, "bytes that nobody sent")

    def _may_have(self, end: int) -> bool:
        """Whether bytes up to ``end`` may have come: the last ones are verified before."""
        size = None if self.reader is None else self.reader.size
        if size is None or end <= max(0, size - readers.WITHHELD):
            return True
        if isinstance(self.reader, Relay):
            return self.reader._hasher.hexdigest() == self.reader._digest.hex
        return self._stored or self.reader._source.verified

    def _was_sent(self, offset: int, byte: int) -> bool:
        return any(
            start <= offset < start + len(data) and data[offset - start] == byte
            for start, data in self._registry.sent_wrong
        )

    def range_ended(self) -> None:
        """A part is complete: it must be as long as was announced, and right if it has the end."""
        size = len(self.content)
        end = size if self._end is None else self._end
        self._expect(self.outcome is None, "an end after the end")
        self._expect(len(self.data) == end - self._start, "a complete answer is too short")
        assert self.reader is not None
        if end in (size, self.reader.size):
            right = self.content[self._start :]
            self._expect(self.data == right, "an answer with the last byte is wrong")
        if self._queue:
            self._next()
            return
        self.outcome = "complete"
        self.reader.leave()

    def broken(self, reason: str) -> None:
        """The answer was aborted."""
        self._expect(self.outcome is None, f"aborted after the end: {reason}")
        self.outcome, self.reason = "aborted", reason

    def pause(self) -> None:
        """Take nothing for now."""
        self.slow = True
        if self.reader is not None:
            self.reader.pauseProducing()

    def resume(self) -> None:
        """Take more, for now or for good."""
        self.slow = False
        if self.reader is not None and self.outcome is None:
            self.take_stretch()
            self.reader.resumeProducing()

    def leave(self) -> None:
        """Leave at once, also during an answer."""
        if self.outcome is not None:
            return
        self.outcome = "gone"
        if self.reader is None:
            self.opening.cancel()
        else:
            self.reader.leave()

    def lose(self) -> None:
        """The daemon was killed."""
        if self.outcome is None:
            self.outcome = "gone"
        self.opening.addErrback(lambda _: None)
