"""The body of a request that comes in a stream."""

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
