"""What has come of a body and waits to be written.

A write costs about as much as receiving 64 KiB, and each wakes the readers. So a body that comes
in small pieces is written in batches: of ``BATCH`` bytes, or what has come within ``LINGER`` of the
first piece. The beginning and the end of a body are written at once.
"""

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: A job in the pool writes about this much (bytes); a chunk is not divided.
WRITE_SIZE = 1024 * 1024
#: So many bytes are written without waiting for more; so are so many at the beginning of a body.
BATCH = 256 * 1024
#: How long fewer bytes wait for more (seconds).
LINGER = 0.002


class Run:
    """Contiguous chunks that wait to be written."""

    __slots__ = ("chunks", "length", "offset")

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.length = 0
        self.chunks: list[bytes] = []


class Unwritten:
    """The queue of one fill.

    :ivar queued: how many bytes were put, and are not :meth:`written`.
    """

    def __init__(self, clock: IReactorTime, start: int) -> None:
        self._clock = clock
        self._runs: deque[Run] = deque()
        self._lingering: IDelayedCall | None = None
        self.queued = 0
        self.begin(start)

    def __bool__(self) -> bool:
        return bool(self._runs)

    def begin(self, start: int) -> None:
        """A body begins at this offset."""
        self._eager_to = start + BATCH

    def put(self, offset: int, data: bytes) -> None:
        """Queue something."""
        run = self._runs[-1] if self._runs else None
        if run is None or run.offset + run.length != offset or run.length >= WRITE_SIZE:
            run = Run(offset)
            self._runs.append(run)
        run.chunks.append(data)
        run.length += len(data)
        self.queued += len(data)

    def take(self) -> Run:
        """The first of what waits. There must be something."""
        self._linger_no_more()
        return self._runs.popleft()

    def take_batch(self, is_end: bool, lingered: Callable[[], None]) -> Run | None:
        """The first of what waits, if it is enough; else ``lingered`` is called soon.

        :param is_end: nothing will be put any more.
        """
        if is_end or self._runs[0].offset < self._eager_to or self.queued >= BATCH:
            return self.take()
        if self._lingering is None:
            self._lingering = self._clock.callLater(LINGER, self._lingered, lingered)
        return None

    def written(self, length: int) -> None:
        """So many bytes are written."""
        self.queued -= length

    def clear(self) -> None:
        """Drop what waits."""
        self._linger_no_more()
        self._runs.clear()

    def _lingered(self, tell: Callable[[], None]) -> None:
        self._lingering = None
        tell()

    def _linger_no_more(self) -> None:
        lingering, self._lingering = self._lingering, None
        if lingering is not None:
            lingering.cancel()
