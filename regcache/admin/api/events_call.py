"""GET events: what changes, as it changes (server-sent events)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, replace
from typing import Any, NamedTuple

from regcache.admin.api.call_problems import InvalidProblem, UnavailableProblem
from regcache.admin.api.callers import Caller, Callers, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute, Handler
from regcache.admin.api.kinds import Parameter, Text
from regcache.admin.events.changes import Changes
from regcache.admin.events.hub import EventHub, TooManyStreamsError
from regcache.admin.events.topics import (
    NONE_TOLD,
    ChangedTopic,
    ItemsTopic,
    LastingItemsTopic,
    Look,
    RequestTopic,
    Topic,
    TransferTopic,
    WholeTopic,
)
from regcache.admin.requests.image_finder import ImageFinder
from regcache.admin.requests.ring import RequestRing
from regcache.light_dataclass import dataclass

TOPICS = ("status", "transfer", "request", "upstream", "job", "changed")

GET_EVENTS = ApiCall(
    method="GET",
    path="events",
    role=Role.READ,
    text="What changes, as it changes: text/event-stream (see below).",
    parameters=(Parameter("topics", Text(256, 1), "Some of them, with commas; else all."),),
)
#: All of them.
CALLS = (GET_EVENTS,)


class Told(NamedTuple):
    """How far a client was told.

    :ivar requests: how many of those that had ended were told as such.
    :ivar fetches: how many of them were looked at for what was fetched.
    :ivar changes: how many other changes were told.
    :ivar upstreams: a mark of the upstreams that were told.
    """

    requests: int
    fetches: int
    changes: int
    upstreams: str = NONE_TOLD


class EventIds:
    """What clients show when they come back: how far they were told, by this process."""

    def __init__(self, ring: RequestRing, changes: Changes) -> None:
        self._ring, self._changes = ring, changes

    @property
    def now(self) -> Told:
        """Everything that has happened."""
        return Told(self._ring.count, self._ring.count, self._changes.count)

    def of(self, topics: Iterable[Topic]) -> str:
        """That of a stream: of what happened it has no more than its topics have told."""
        told = self.now
        for each in topics:
            if isinstance(each, RequestTopic):
                told = told._replace(requests=each.ended)
            elif isinstance(each, ChangedTopic):
                told = told._replace(fetches=each.ended, changes=each.changed)
            elif isinstance(each, LastingItemsTopic):
                told = told._replace(upstreams=each.mark)
        return "-".join((self._ring.node, *map(str, told)))

    def read(self, text: str) -> Told | None:
        """How far a client was told; None where the rest cannot be told any more."""
        node, *numbers, mark = text.split("-") if "-" in text else (text, "")
        if node != self._ring.node or len(numbers) != 3 or not all(map(_is_number, numbers)):
            return None
        requests, fetches, changes = map(int, numbers)
        told = Told(requests, fetches, changes, mark)
        for ended in (told.requests, told.fetches):
            if not 0 <= self._ring.count - ended <= len(self._ring):
                return None
        return None if self._changes.since(told.changes) is None else told


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


@dataclass(frozen=True, slots=True)
class EventCall:
    """Answers the call.

    :ivar handlers: of the calls whose answers are told, by their path.
    """

    hub: EventHub
    callers: Callers
    ids: EventIds
    _: KW_ONLY
    ring: RequestRing
    images: ImageFinder
    changes: Changes
    handlers: Mapping[str, Handler]

    def routes(self) -> list[CallRoute]:
        """The call."""
        return [CallRoute(GET_EVENTS, self.handle)]

    def handle(self, asked: AskedCall) -> None:
        """Begin a stream; the answer ends when that does."""
        shown = asked.request.field_lines(b"last-event-id")
        told = self.ids.read(shown[0]) if shown else None
        since = told or self.ids.now
        makers: dict[str, Callable[[], Topic]] = {
            "status": lambda: WholeTopic("status", self._look("status", asked), 2.0),
            "transfer": lambda: TransferTopic(
                self._look("transfers", asked), self.ring, told is not None
            ),
            "request": lambda: RequestTopic(self.ring, self.images, since.requests),
            "upstream": lambda: LastingItemsTopic(
                "upstream",
                self._look("upstreams", asked),
                2.0,
                key="name",
                told=told and told.upstreams,
            ),
            "job": lambda: ItemsTopic("job", self._look("jobs", asked), 0.5, key="id"),
            "changed": lambda: ChangedTopic(self.ring, self.changes, since.fetches, since.changes),
        }
        topics = [makers[name]() for name in _chosen(asked.values["topics"])]

        def find() -> Any:
            return self.callers.find(asked.request, asked.reach)

        try:
            self.hub.open(
                asked.request,
                asked.caller,
                topics,
                find,
                last_id=lambda: self.ids.of(topics),
                reset=bool(shown) and told is None,
            )
        except TooManyStreamsError:
            busy = "there are too many streams of events"
            raise UnavailableProblem(busy, headers={"Retry-After": "10"}) from None

    def _look(self, path: str, asked: AskedCall) -> Look:
        handler = self.handlers[path]

        async def look(caller: Caller) -> Any:
            answer = handler(replace(asked, caller=caller, values={}, position=None))
            return await answer if hasattr(answer, "__await__") else answer

        return look


def _chosen(text: str | None) -> list[str]:
    if text is None:
        return list(TOPICS)
    names = text.split(",")
    for name in names:
        if name not in TOPICS:
            raise InvalidProblem("topics", f"some of {', '.join(TOPICS)} are needed, with commas")
    return [name for name in TOPICS if name in names]
