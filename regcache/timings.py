"""What took how long until an upstream answered: one small record for each request of a client.

It is begun by the handler of a request, and filled where the facts arise: by the agents of an
upstream, which stand behind caches, shared work and retries. It is handed down with the execution
context (PEP 567), which Twisted keeps for each coroutine, so that nothing in between has to know of
it. Without one nothing is measured.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

QUEUE, DNS, CONNECT, TLS, TOKEN, REDIRECT, FIRST_BYTE = PHASES = (
    "queue",
    "dns",
    "connect",
    "tls",
    "token",
    "redirect",
    "first_byte",
)
BROKEN, RESUMED, JOINED, PARKED = EVENTS = ("broken", "resumed", "joined", "parked")
#: Phases and events that one record has: an upstream decides how often it redirects and breaks off.
MOST_PHASES, MOST_EVENTS = 48, 32
_LONGEST_TEXT = 200

_current: ContextVar["FetchTimings | None"] = ContextVar("timings", default=None)


class Phase(NamedTuple):
    """Something that took time.

    :ivar start: clock seconds.
    :ivar duration: seconds.
    """

    name: str
    start: float
    duration: float
    host: str


class FetchEvent(NamedTuple):
    """Something that happened to a body.

    :ivar at: clock seconds.
    :ivar offset: in the blob (bytes).
    """

    at: float
    kind: str
    offset: int
    text: str


class FetchTimings:
    """The record.

    :ivar phases: in the order in which they ended.
    :ivar events: in their order.
    :ivar seconds: gives the time (clock seconds).
    """

    __slots__ = ("_is_broken", "events", "phases", "seconds")

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        self.phases: list[Phase] = []
        self.events: list[FetchEvent] = []
        self._is_broken = False

    def add(self, name: str, start: float, end: float, host: str) -> None:
        """A phase has ended."""
        if len(self.phases) < MOST_PHASES:
            self.phases.append(Phase(name, start, max(0.0, end - start), host))

    def broke_off(self, offset: int, why: str) -> None:
        """A body broke off.

        :param offset: in the blob (bytes).
        """
        self._is_broken = True
        self._note(BROKEN, offset, why)

    def goes_on(self, offset: int) -> None:
        """A body begins, perhaps in the place of one that broke off."""
        if self._is_broken:
            self._is_broken = False
            self._note(RESUMED, offset, "")

    def _note(self, kind: str, offset: int, text: str) -> None:
        if len(self.events) < MOST_EVENTS:
            self.events.append(FetchEvent(self.seconds(), kind, offset, text[:_LONGEST_TEXT]))

    @contextmanager
    def active(self) -> Iterator[None]:
        """What is begun within it is measured here."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


def begin_timings(seconds: Callable[[], float]) -> FetchTimings:
    """A record for the coroutine that calls this, and for all that it begins."""
    timings = FetchTimings(seconds)
    _current.set(timings)
    return timings


def current_timings() -> FetchTimings | None:
    """The record of what is done now, if there is one."""
    return _current.get()


def present_timings() -> FetchTimings:
    """The same; where there is none, a new one that is thrown away."""
    return _current.get() or FetchTimings(lambda: 0.0)


@contextmanager
def measured(name: str, host: str) -> Iterator[None]:
    """Add what is done within it to the present record, as one phase without others in it."""
    timings = _current.get()
    if timings is None:
        yield
        return
    start, token = timings.seconds(), _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)
        timings.add(name, start, timings.seconds(), host)
