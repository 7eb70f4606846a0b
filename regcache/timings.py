"""What took how long until an upstream answered: one small record for each request of a client.

It is begun by the handler of a request, and filled where the facts arise: by the agents of an
upstream, which stand behind caches, shared work and retries. It is handed down with the execution
context (PEP 567), which Twisted keeps for each coroutine, so that nothing in between has to know of
it. Without one nothing is measured.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
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
#: Shared work whose phases count for one request.
MOST_SHARED = 16
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

    :ivar asked_by: the account or address that asked; "" where none did, or it is not known.
    :ivar events: in their order.
    :ivar seconds: gives the time (clock seconds).
    """

    __slots__ = ("_is_interrupted", "_phases", "_shared", "asked_by", "events", "seconds")

    def __init__(self, seconds: Callable[[], float], asked_by: str = "") -> None:
        self.seconds = seconds
        self.asked_by = asked_by
        self._phases: list[Phase] = []
        self._shared: list[FetchTimings] = []
        self.events: list[FetchEvent] = []
        self._is_interrupted = False

    @property
    def phases(self) -> list[Phase]:
        """In the order in which they ended, those of shared work included."""
        if not self._shared:
            return self._phases
        found = [*self._phases, *(phase for each in self._shared for phase in each.phases)]
        return sorted(found, key=lambda each: each.start + each.duration)[:MOST_PHASES]

    def add(self, name: str, start: float, end: float, host: str) -> None:
        """A phase has ended."""
        if len(self._phases) < MOST_PHASES:
            self._phases.append(Phase(name, start, max(0.0, end - start), host))

    def share(self, work: "FetchTimings") -> None:
        """Work is waited for that others may wait for, too: what it took counts here as well."""
        if len(self._shared) < MOST_SHARED:
            self._shared.append(work)

    def broke_off(self, offset: int, why: str) -> None:
        """A body broke off.

        :param offset: in the blob (bytes).
        """
        self._is_interrupted = True
        self._note(BROKEN, offset, why)

    def parked(self, offset: int) -> None:
        """A download is parked: its last client left, and nothing more is asked for.

        :param offset: in the blob, where it will go on (bytes).
        """
        self._is_interrupted = True
        self._note(PARKED, offset, "")

    def goes_on(self, offset: int) -> None:
        """A body begins, perhaps in the place of one that broke off or was parked."""
        if self._is_interrupted:
            self._is_interrupted = False
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
            _reset(token)


def begin_timings(seconds: Callable[[], float], asked_by: str = "") -> FetchTimings:
    """A record for the coroutine that calls this, and for all that it begins."""
    timings = FetchTimings(seconds, asked_by)
    _current.set(timings)
    return timings


def current_timings() -> FetchTimings | None:
    """The record of what is done now, if there is one."""
    return _current.get()


def shared_timings(seconds: Callable[[], float]) -> FetchTimings:
    """A record for work that begins now, and that others may join.

    Who began it is who asked for it.
    """
    begun_by = _current.get()
    return FetchTimings(seconds, "" if begun_by is None else begun_by.asked_by)


def join_timings(work: FetchTimings) -> None:
    """Who is served now waits for this work."""
    timings = _current.get()
    if timings is not None:
        timings.share(work)


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
        _reset(token)
        timings.add(name, start, timings.seconds(), host)


def _reset(token: "Token[FetchTimings | None]") -> None:
    """Have the record again that was there before.

    The garbage collector ends coroutines that have no waiter any more, in the context of the code
    that runs at that moment. Nothing was set there, and the coroutine's own context is gone.
    """
    with suppress(ValueError):  # the token is of another context
        _current.reset(token)
