"""GET events: what changes, as it changes (server-sent events)."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, replace
from typing import Any

from regcache.admin.api.call_problems import InvalidProblem, UnavailableProblem
from regcache.admin.api.callers import Caller, Callers, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute, Handler
from regcache.admin.api.kinds import Parameter, Text
from regcache.admin.events.changes import Changes
from regcache.admin.events.hub import EventHub, TooManyStreamsError
from regcache.admin.events.topics import (
    ChangedTopic,
    ItemsTopic,
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


class EventIds:
    """What clients show when they come back: how far they were told.

    It has the requests that had ended, and the changes that there were, in this process.
    """

    def __init__(self, ring: RequestRing, changes: Changes) -> None:
        self._ring, self._changes = ring, changes

    def last(self) -> str:
        """That of now."""
        return f"{self._ring.node}-{self._ring.count}-{self._changes.count}"

    def read(self, text: str) -> tuple[int, int] | None:
        """How far a client was told; None where the rest cannot be told any more."""
        node, _, rest = text.partition("-")
        ended, _, changed = rest.partition("-")
        if node != self._ring.node or not (_is_number(ended) and _is_number(changed)):
            return None
        found = int(ended), int(changed)
        if not 0 <= self._ring.count - found[0] <= len(self._ring):
            return None
        return None if self._changes.since(found[1]) is None else found


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
        ended, changed = told or (self.ring.count, self.changes.count)
        makers: dict[str, Callable[[], Topic]] = {
            "status": lambda: WholeTopic("status", self._look("status", asked), 2.0),
            "transfer": lambda: TransferTopic(self._look("transfers", asked), self.ring),
            "request": lambda: RequestTopic(self.ring, self.images, ended),
            "upstream": lambda: ItemsTopic(
                "upstream", self._look("upstreams", asked), 2.0, key="name"
            ),
            "job": lambda: ItemsTopic("job", self._look("jobs", asked), 0.5, key="id"),
            "changed": lambda: ChangedTopic(self.ring, self.changes, ended, changed),
        }
        topics = [makers[name]() for name in _chosen(asked.values["topics"])]

        def find() -> Any:
            return self.callers.find(asked.request, asked.reach)

        try:
            self.hub.open(
                asked.request, asked.caller, topics, find, reset=bool(shown) and told is None
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
