"""All streams of events: how many there may be, when each is told something, and when it ends.

Nothing runs while there is none. Twice a second each stream looks at the topics that are due, one
look at a time. It ends when the daemon drains, when its session ends, and when its account is
removed or has another password. Each look checks that first, so a stream tells no more than the
calls of the API would answer.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

from collections.abc import Awaitable, Callable, Hashable, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.admin.api.callers import Caller
from regcache.admin.events.event_stream import EventStream
from regcache.admin.events.topics import Topic
from regcache.errors import RegistryError
from regcache.web.request import Request

#: Seconds between two looks, and between two comments.
STEP, COMMENT = 0.5, 15.0
#: Streams of all, and of one account or address.
MOST_STREAMS, MOST_OF_ONE = 100, 12


class TooManyStreamsError(Exception):
    """There are as many as may be."""


class _Listener:
    """One stream with its topics."""

    def __init__(
        self,
        stream: EventStream,
        request: Request,
        caller: Caller,
        *,
        topics: Sequence[Topic],
        find: Callable[[], Awaitable[Caller]],
        last_id: Callable[[], str],
    ) -> None:
        self.last_id = last_id
        self.stream, self.request, self.caller = stream, request, caller
        self.topics, self.find = topics, find
        self.due = dict.fromkeys(range(len(topics)), float("-inf"))
        self.comment_at = 0.0
        self.is_busy = False

    @property
    def owner(self) -> Hashable:
        """Who has it."""
        return self.caller.account or self.request.peer_name

    def bye(self, reason: str) -> None:
        """End it, and say why."""
        self.stream.bye(reason, self.last_id())


class EventHub(Service):
    """Runs all streams."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._listeners: list[_Listener] = []
        self._loop = LoopingCall(self._step)
        self._loop.clock = clock

    def __len__(self) -> int:
        """How many streams there are."""
        return len(self._listeners)

    def open(
        self,
        request: Request,
        caller: Caller,
        topics: Sequence[Topic],
        find: Callable[[], Awaitable[Caller]],
        *,
        last_id: Callable[[], str],
        reset: bool = False,
    ) -> None:
        """Begin a stream.

        :param find: finds out again who asks.
        :param last_id: gives what the client shows when it comes back.
        :param reset: the client has missed what cannot be told any more.
        :raises TooManyStreamsError: if there are too many.
        """
        listener = _Listener(
            EventStream(request), request, caller, topics=topics, find=find, last_id=last_id
        )
        self._sweep()
        own = sum(each.owner == listener.owner for each in self._listeners)
        if len(self._listeners) >= MOST_STREAMS or own >= MOST_OF_ONE:
            raise TooManyStreamsError
        listener.comment_at = self._clock.seconds() + COMMENT
        listener.stream.begin()
        if listener.stream.over:
            return
        if reset:
            listener.stream.send("reset", {}, last_id())
        self._listeners.append(listener)
        if not self._loop.running:
            self._loop.start(STEP, now=True)

    def stopService(self) -> None:
        """End all streams."""
        super().stopService()
        for each in list(self._listeners):
            each.bye("drain")
        self._sweep()

    def _sweep(self) -> None:
        self._listeners = [each for each in self._listeners if not each.stream.over]
        if not self._listeners and self._loop.running:
            self._loop.stop()

    def _step(self) -> None:
        now = self._clock.seconds()
        for each in list(self._listeners):
            if each.request.site.draining:
                each.bye("drain")
            each.stream.check(now)
            if each.stream.is_open and not each.is_busy:
                each.is_busy = True
                looking = Deferred.fromCoroutine(self._look(each, now))
                looking.addErrback(self._failed, each).addBoth(self._looked, each)
        self._sweep()

    def _looked(self, _: object, listener: _Listener) -> None:
        listener.is_busy = False

    def _failed(self, failure: Failure, listener: _Listener) -> None:
        self._log.failure("telling events failed", failure)
        listener.bye("fault")

    async def _look(self, listener: _Listener, now: float) -> None:
        if not await self._is_proved(listener):
            listener.bye("session over")
            return
        for number, topic in enumerate(listener.topics):
            if now >= listener.due[number]:
                listener.due[number] = now + topic.every - STEP / 4
                if not await self._tell(listener, topic, now):
                    listener.bye("session over")
                    return
        if now >= listener.comment_at:
            listener.comment_at = now + COMMENT
            listener.stream.comment()

    async def _tell(self, listener: _Listener, topic: Topic, now: float) -> bool:
        """Tell what one topic has. Returns whether the client is still who it was."""
        try:
            events = await topic.look(listener.caller)
        except (RegistryError, OSError):
            return True  # the index is busy, for instance: the next look tells it
        if self._clock.seconds() - now >= STEP and not await self._is_proved(listener):
            return False  # a session may have ended while the topic waited for the index
        for each in events:
            listener.stream.send(each.name, each.data, listener.last_id())
        return True

    async def _is_proved(self, listener: _Listener) -> bool:
        try:
            caller = await listener.find()
        except RegistryError:
            return False
        former, listener.caller = listener.caller, caller
        return _mark(caller) == _mark(former)


def _mark(caller: Caller) -> tuple[object, ...]:
    """What must not change as long as a stream goes on."""
    return caller.role, caller.account, caller.via, caller.session
