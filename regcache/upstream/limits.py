"""How many transfers one URL of an upstream has at once."""

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from regcache.upstream.exchange import Answer, IExchangeAgent, UpstreamRequest


class Places:
    """A number of places, given out in the order in which they were asked for."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: deque[Deferred[None]] = deque()

    @property
    def free(self) -> int:
        """How many places nobody has."""
        return self._free

    def take(self) -> bool:
        """Take a place if one is free now."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def acquire(self) -> "Deferred[None]":
        """Fires when a place is there. Cancelling it gives up waiting."""
        place: Deferred[None] = Deferred(self._give_up)
        if self.take():
            place.callback(None)
        else:
            self._waiting.append(place)
        return place

    def release(self) -> None:
        """Give a place back; whoever waits longest gets it."""
        if self._waiting:
            self._waiting.popleft().callback(None)
        else:
            self._free += 1

    def _give_up(self, place: "Deferred[None]") -> None:
        if place in self._waiting:
            self._waiting.remove(place)


@implementer(IExchangeAgent)
class LimitedAgent:
    """Holds a place from before the request until the body has ended or was aborted."""

    def __init__(self, inner: IExchangeAgent, places: Places) -> None:
        self._inner = inner
        self._places = places

    async def send(self, request: UpstreamRequest) -> Answer:
        """Wait for a place, then send. Whoever limits the time of this limits the wait too."""
        if not self._places.take():
            await self._places.acquire()
        release = once(self._places.release)
        try:
            answer: Answer = await self._inner.send(request)
        except BaseException:
            release()
            raise
        answer.on_finish(release)
        return answer


def once(function: Callable[[], None]) -> Callable[[], None]:
    """The same function, which does nothing when it is called again."""
    called = False

    def guarded() -> None:
        nonlocal called
        if not called:
            called = True
            function()

    return guarded
