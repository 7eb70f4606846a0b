"""GET requests, request and clients: what clients asked lately, and what became of it."""

from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from typing import Any

from regcache.admin.api.call_problems import NotCachedProblem
from regcache.admin.api.callers import Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.kinds import Choice, Flag, Instant, Parameter, Text
from regcache.admin.api.request_details import DETAILS, details_of
from regcache.admin.api.request_items import FIELDS, ITEM, Sight, item_of
from regcache.admin.api.request_selection import Wish, clients, select
from regcache.admin.api.schemas import (
    COUNT,
    TEXT,
    TIME,
    array,
    nullable,
    page,
    record,
    words,
)
from regcache.admin.requests.bypassing import AddressCounts
from regcache.admin.requests.image_finder import ImageFinder, asked_contents
from regcache.admin.requests.ring import RequestLog
from regcache.images import ImagePart
from regcache.light_dataclass import dataclass
from regcache.parsing import Parser
from regcache.request_metrics import KINDS, OUTCOMES
from regcache.times import time_text
from regcache.web.records import RequestRecord

#: What a row stands for, where it is decided whether a thread reads the rows (bytes).
_ROW_BYTES = 64
_DAY = 86_400.0

COUNTS = record(all=COUNT, slow=COUNT, failed=COUNT, miss=COUNT, stale=COUNT)
_PAGE = page(ITEM)
GET_REQUESTS = ApiCall(
    method="GET",
    path="requests",
    role=Role.READ,
    text="What clients asked lately, the latest first. The counts are those of all filters but "
    "outcome, slow and failed.",
    parameters=(
        Parameter("q", Text(256), "A part of a name, digest, account, address or agent."),
        Parameter("upstream", Text(256, 1)),
        Parameter("principal", Text(256, 1), "An account or an address."),
        Parameter("kind", Choice(tuple(sorted(KINDS)))),
        Parameter("outcome", Choice(tuple(sorted(OUTCOMES)))),
        Parameter("slow", Flag(), "Its first byte took 2 s, or all of it 30 s."),
        Parameter("failed", Flag(), "It failed, or was denied; not the 401 that begins a login."),
        Parameter("since", Instant()),
        Parameter("until", Instant()),
    ),
    answer=record(
        **_PAGE["properties"],
        counts=COUNTS,
        kept_since=nullable(TIME),
    ),
    paged=True,
)
GET_REQUEST = ApiCall(
    method="GET",
    path="request",
    role=Role.READ,
    text="All that is known of one of them. Phases and samples are kept for the last 500 that "
    "were slow or failed.",
    parameters=(Parameter("id", Text(64, 1), "Of the request.", required=True),),
    answer=record(
        **FIELDS,
        **DETAILS,
    ),
)
GET_CLIENTS = ApiCall(
    method="GET",
    path="clients",
    role=Role.READ,
    text="Who asked lately, the latest first, and what was asked last; and for administrators what "
    "became of the requests of the address since its first trouble, and whether it passes by.",
    parameters=(Parameter("since", Instant(), "24 hours ago where it is absent."),),
    answer=record(
        items=array(
            record(
                principal=nullable(TEXT),
                address=nullable(TEXT),
                agent=nullable(TEXT),
                last_seen=TIME,
                last=record(name=nullable(TEXT), outcome=nullable(words(*sorted(OUTCOMES)))),
                counts=nullable(record(challenged=COUNT, failed=COUNT, pings=COUNT, layers=COUNT)),
                bypass=nullable(record(reason=words("challenged", "failed", "pings"), since=TIME)),
            )
        ),
        next=nullable(TEXT),
    ),
)
#: All of them.
CALLS = (GET_REQUESTS, GET_REQUEST, GET_CLIENTS)
_FILTERS = tuple(each.name for each in fields(Wish) if each.name != "_")


def request_routes(log: RequestLog, images: ImageFinder, parser: Parser) -> list[CallRoute]:
    """The calls.

    :param images: finds the images that requests belong to.
    :param parser: reads many rows beside the reactor.
    """
    calls = RequestCalls(log, images, parser)
    return [
        CallRoute(GET_REQUESTS, calls.list),
        CallRoute(GET_REQUEST, calls.one),
        CallRoute(GET_CLIENTS, calls.clients),
    ]


@dataclass(frozen=True, slots=True)
class RequestCalls:
    """Answers them."""

    log: RequestLog
    images: ImageFinder
    parser: Parser

    async def list(self, asked: AskedCall) -> dict[str, Any]:
        """A page of requests."""
        position, rows, sight = asked.position, self.log.all(), Sight(asked.caller)
        assert position is not None, "this call has pages"
        found, last, more = await self.parser.run(
            _ROW_BYTES * len(rows),
            partial(
                select,
                rows,
                sight,
                _wish(asked),
                after=None if position.after is None else int(position.after[0]),
                limit=position.limit,
            ),
        )
        parts = await self._parts(found, rows, sight)
        items = [
            item_of(row, sight, self.log.ring.id_of, part)
            for row, part in zip(found, parts, strict=True)
        ]
        return asked.page(items, None if last is None else [last]) | more

    async def _parts(
        self, found: Sequence[RequestRecord], rows: Sequence[RequestRecord], sight: Sight
    ) -> Sequence[ImagePart | None]:
        """The images of some of the rows."""
        upstreams = self.images.upstreams()
        contents = await self.parser.run(
            _ROW_BYTES * len(rows), asked_contents, found, rows, upstreams
        )
        told = zip(found, contents, strict=True)
        return await self.images.find(
            [each if sight.sees_image(row) else None for row, each in told]
        )

    async def one(self, asked: AskedCall) -> dict[str, Any]:
        """All that is known of one request."""
        sight, found = Sight(asked.caller), self.log.find(asked.values["id"])
        if found is None or not sight.sees(found):
            raise NotCachedProblem("there is no such request, or it was too long ago")
        details = self.log.ring.details
        median = details.median(found.upstream, self.log.seconds())
        (part,) = await self._parts([found], self.log.all(), sight)
        told = details_of(found, details.find(found), median, part)
        return item_of(found, sight, self.log.ring.id_of, part) | told

    async def clients(self, asked: AskedCall) -> dict[str, Any]:
        """Who asked lately."""
        since, rows = asked.values["since"], self.log.all()
        if since is None:
            since = self.log.seconds() - _DAY
        size = _ROW_BYTES * len(rows)
        found = await self.parser.run(size, clients, rows, Sight(asked.caller), since)
        known = self.log.ring.clients.known() if asked.caller.sees_accounts else {}
        now = self.log.seconds()
        items = [each | _told(known.get(each["address"]), now) for each in found]
        return {"items": items, "next": None}


def _told(counts: AddressCounts | None, now: float) -> dict[str, Any]:
    """What became of the requests of an address."""
    if counts is None:
        return {"counts": None, "bypass": None}
    found = counts.bypass(now)
    return {
        "counts": {
            name: getattr(counts, name) for name in ("challenged", "failed", "pings", "layers")
        },
        "bypass": None
        if found is None
        else {"reason": found.reason, "since": time_text(found.since)},
    }


def _wish(asked: AskedCall) -> Wish:
    chosen = {name: asked.values[name] for name in _FILTERS}
    if chosen["q"] is not None:
        chosen["q"] = chosen["q"].lower()
    return Wish(**chosen)
