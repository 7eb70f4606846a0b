"""The topics of event streams. Each finds out what has changed since its last look.

Each stream has its own topics, since callers may see different things. A topic compares the answers
of the call of its subject, so both show the same.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from regcache.admin.api.callers import Caller
from regcache.admin.api.request_items import Sight, item_of
from regcache.admin.events.changes import Changes
from regcache.admin.requests.image_finder import ImageFinder, asked_contents
from regcache.admin.requests.ring import RequestRing
from regcache.admin.requests.verdicts import is_failed
from regcache.light_dataclass import dataclass
from regcache.web.records import RequestRecord

Look = Callable[[Caller], Awaitable[Any]]
"""Makes a call for a caller; gives its answer."""

#: Items of requests in one event; there are two events a second.
MOST_ITEMS = 10
#: Rows of requests that are read for one event.
MOST_ROWS = 2000
_DONE = frozenset({"verifying"})
#: The mark of items of which nothing was told.
NONE_TOLD = "0"
_MARK_DIGITS = 16


class TopicEvent(NamedTuple):
    """One event."""

    name: str
    data: Any


class Topic(Protocol):
    """A subject of one stream.

    :ivar every: seconds between two looks.
    """

    every: float

    async def look(self, caller: Caller) -> list[TopicEvent]:
        """Give the events that are due now."""


class WholeTopic:
    """Sends the whole answer of a call whenever it has changed."""

    def __init__(self, name: str, look: Look, every: float) -> None:
        self.every = every
        self._name = name
        self._look = look
        self._last = ""

    async def look(self, caller: Caller) -> list[TopicEvent]:
        """Give the answer, if it has changed."""
        told = await self._look(caller)
        text = _text(told)
        if text == self._last:
            return []
        self._last = text
        return [TopicEvent(self._name, told)]


class ItemsTopic:
    """Sends each item of a list whenever it has changed.

    :param key: the field that identifies an item.
    """

    def __init__(self, name: str, look: Look, every: float, *, key: str) -> None:
        self.every = every
        self._name = name
        self._look = look
        self._key = key
        self._last: dict[str, str] = {}

    async def look(self, caller: Caller) -> list[TopicEvent]:
        """Give the items that are new or have changed."""
        items = (await self._look(caller))["items"]
        texts = {item[self._key]: _text(item) for item in items}
        last, self._last = self._last, texts
        keyed = [(each[self._key], each) for each in items]
        return [TopicEvent(self._name, each) for key, each in keyed if last.get(key) != texts[key]]

    @property
    def keys(self) -> list[str]:
        """Return the keys of all items, in order."""
        return sorted(self._last)


class LastingItemsTopic(ItemsTopic):
    """Does the same, and sends ``reset`` before them if an item has gone.

    :param told: the mark of the items that the client was told before it came back; None if it
        does not come back. If there are others now, ``reset`` is sent.
    """

    def __init__(
        self, name: str, look: Look, every: float, *, key: str, told: str | None = None
    ) -> None:
        super().__init__(name, look, every, key=key)
        self._told = told
        self._has_looked = False

    @property
    def mark(self) -> str:
        """Return a mark of the items that the client was told, whatever is in them."""
        if not self._has_looked:
            return self._told or NONE_TOLD
        return sha256(_text(self.keys).encode()).hexdigest()[:_MARK_DIGITS]

    async def look(self, caller: Caller) -> list[TopicEvent]:
        """Give the items that are new or have changed; ``reset`` comes first."""
        keys = self.keys
        told = await super().look(caller)
        is_first, self._has_looked = not self._has_looked, True
        if is_first:
            is_gone = self._told is not None and self._told != self.mark
        else:
            is_gone = not set(keys) <= set(self.keys)
        return [TopicEvent("reset", {}), *told] if is_gone else told


class TransferTopic:
    """Sends the changed fields of downloads, and downloads that have ended.

    :param again: the client comes back: its first event lists all downloads, even none.
    """

    every = 0.5

    def __init__(self, look: Look, ring: RequestRing, again: bool = False) -> None:
        self._look = look
        self._ring = ring
        self._is_due = again
        self._last: dict[tuple[str, str], dict[str, Any]] = {}

    async def look(self, caller: Caller) -> list[TopicEvent]:
        """Give one event with all changes."""
        items = (await self._look(caller))["items"]
        now = {(each["digest"], each["names"][0]): each for each in items}
        told = [
            _changed_fields(self._last.get(key, {}), each)
            for key, each in now.items()
            if self._last.get(key) != each
        ]
        told += [
            {"digest": key[0], "names": last["names"], "gone": self._how_gone(key[0], last)}
            for key, last in self._last.items()
            if key not in now
        ]
        is_due, self._is_due = self._is_due, False
        self._last = now
        return [TopicEvent("transfer", told)] if told or is_due else []

    def _how_gone(self, digest: str, last: Mapping[str, Any]) -> str:
        """By what was seen of it last, and by what became of the requests that waited for it."""
        size = last["size_bytes"]
        if last["state"] in _DONE or (size is not None and last["here_bytes"] >= size):
            return "done"
        if not last["readers"]:
            return "parked"
        rows = [row for row in self._ring.latest(MOST_ROWS) if row.reference == digest]
        return "failed" if rows and is_failed(rows[-1]) else "done"


def _changed_fields(last: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    kept = {"digest", "names"}
    return {
        name: value
        for name, value in now.items()
        if name in kept or name not in last or last[name] != value
    }


@dataclass(slots=True)
class RequestTopic:
    """Requests that have ended, the newest last.

    :ivar images: finds the images that they belong to.
    :ivar ended: of how many it was told.
    """

    ring: RequestRing
    images: ImageFinder
    ended: int
    every: float = 0.5

    async def look(self, caller: Caller) -> list[TopicEvent]:
        """One event with their items, and how many were left out."""
        ended = self.ring.count
        more = ended - self.ended
        if not more:
            return []
        events = await self._events(caller, more)
        self.ended = ended  # not before: a goodbye meanwhile would take them for told
        return events

    async def _events(self, caller: Caller, more: int) -> list[TopicEvent]:
        rows = self.ring.latest(MOST_ROWS)
        sight = Sight(caller)
        seen = [row for row in rows[-more:] if sight.sees(row)]
        shown = seen[-MOST_ITEMS:]
        contents = asked_contents(shown, rows, self.images.upstreams())
        parts = await self.images.find(
            [
                each if sight.sees_image(row) else None
                for row, each in zip(shown, contents, strict=True)
            ]
        )
        told: list[Any] = [
            item_of(row, sight, self.ring.id_of, part)
            for row, part in zip(shown, parts, strict=True)
        ]
        # Of very many the first are not looked at: only who sees all of them is told how many.
        unseen = max(0, more - MOST_ROWS) if caller.sees_all else 0
        if dropped := len(seen) - len(shown) + unseen:
            told.insert(0, {"dropped": dropped})
        return [TopicEvent("request", told)] if told else []


@dataclass(slots=True)
class ChangedTopic:
    """Repositories that were fetched, deleted or swept since.

    :ivar ended: how many requests had ended at the look before.
    :ivar changed: how many changes there were.
    """

    ring: RequestRing
    changes: Changes
    ended: int
    changed: int
    _: KW_ONLY
    every: float = 1.0

    async def look(self, caller: Caller) -> list[TopicEvent]:
        """One event; without a name where it may be any."""
        more = self.ring.count - self.ended
        rows = self.ring.latest(min(MOST_ROWS, more))
        found = {(row.upstream, row.repository): None for row in rows if _is_news(row)}
        changed = self.changes.since(self.changed)
        self.ended, self.changed = self.ring.count, self.changes.count
        is_any = changed is None or more > MOST_ROWS or any(not each.repository for each in changed)
        found |= {(each.upstream, each.repository): None for each in changed or ()}
        if is_any:  # names beside it would say that it was no other
            return [TopicEvent("changed", {"repositories": []})]
        names = [f"{up}/{name}" for up, name in found if name and caller.may_pull(up, name)]
        return [TopicEvent("changed", {"repositories": names})] if names else []


def _is_news(row: RequestRecord) -> bool:
    return row.outcome == "miss" and bool(row.repository) and row.method == "GET"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
