"""The two bodies of a stream: the one that is received, and the one that waits to be sent."""

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from regcache.web.request import Request


class RequestBody:
    """The body of a request, which has the header time-out to be there.

    :param too_late: called when that has passed.
    """

    def __init__(
        self, request: Request, clock: IReactorTime, limit: float, too_late: Callable[[], object]
    ) -> None:
        self._request = request
        self._clock = clock
        self._limit = limit
        self._too_late = too_late
        self._overdue: IDelayedCall | None = None

    @property
    def is_expected(self) -> bool:
        """Whether it has yet to come."""
        return self._overdue is not None

    def expect(self, length: int) -> None:
        """It will be this long."""
        self._request.gotLength(length)
        self._overdue = self._clock.callLater(self._limit, self._give_up)

    def receive(self, data: bytes) -> None:
        """A part of it; what comes unexpected is dropped."""
        if self.is_expected:
            self._request.handleContentChunk(data)

    def complete(self) -> None:
        """All of it is there: it is read from its beginning."""
        self.stop()
        if self._request.content is not None:
            self._request.content.seek(0)

    def stop(self) -> None:
        """It will not come. Idempotent."""
        overdue, self._overdue = self._overdue, None
        if overdue is not None:
            overdue.cancel()

    def _give_up(self) -> None:
        self._overdue = None
        self._too_late()


class HeldPieces:
    """Bytes of an answer that wait to be sent, as they were written.

    :ivar size: how many they are.
    """

    def __init__(self) -> None:
        self.size = 0
        self._pieces: deque[memoryview] = deque()

    def add(self, data: bytes) -> None:
        """Some more."""
        self._pieces.append(memoryview(data))
        self.size += len(data)

    def take(self, most: int) -> list[memoryview]:
        """The next of them, no more than this many bytes."""
        taken = []
        while most and self._pieces:
            piece = self._pieces.popleft()
            if len(piece) > most:
                self._pieces.appendleft(piece[most:])
                piece = piece[:most]
            taken.append(piece)
            most -= len(piece)
            self.size -= len(piece)
        return taken

    def clear(self) -> None:
        """None of them is sent any more."""
        self._pieces.clear()
        self.size = 0
