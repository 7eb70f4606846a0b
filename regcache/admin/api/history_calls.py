"""GET history and top: how much was asked for, when, of what, and by whom."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from regcache.admin.api.call_problems import UnavailableProblem, UnknownUpstreamProblem
from regcache.admin.api.callers import Caller, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.kinds import Choice, Integer, Parameter, Text
from regcache.admin.api.schemas import COUNT, RATIO, TEXT, TIME, array, nullable, record
from regcache.counts import SPANS, CountPeriod, NameKind, Span, Sums
from regcache.light_dataclass import dataclass
from regcache.times import time_text

_SERIES = array(nullable(COUNT))
_NAMES = ("served_bytes", "fetched_bytes", "requests", "hits", "failed", "disk_bytes")
MOST_TOLD, USUALLY_TOLD = 200, 10

GET_HISTORY = ApiCall(
    method="GET",
    path="history",
    role=Role.READ,
    text="How much was asked for, over time. Null is a time of which nothing is known, and what "
    "an account may not see. disk_bytes is always that of all.",
    parameters=(
        Parameter("range", Choice(tuple(SPANS)), default="24h"),
        Parameter("upstream", Text(256, 1)),
    ),
    answer=record(step_ms=COUNT, start=TIME, **dict.fromkeys(_NAMES, _SERIES)),
)
GET_TOP = ApiCall(
    method="GET",
    path="top",
    role=Role.READ,
    text="What was served most, or to whom. Of accounts each sees itself, and administrators all.",
    parameters=(
        Parameter("by", Choice((NameKind.REPOSITORY, NameKind.PRINCIPAL)), default="repository"),
        Parameter("range", Choice(tuple(SPANS)), default="7d"),
        Parameter("limit", Integer(1, MOST_TOLD), default=USUALLY_TOLD),
    ),
    answer=record(
        items=array(
            record(
                name=TEXT,
                served_bytes=COUNT,
                fetched_bytes=COUNT,
                pulls=COUNT,
                hit_ratio=nullable(RATIO),
            )
        ),
        next=nullable(TEXT),
    ),
)
#: All of them.
CALLS = (GET_HISTORY, GET_TOP)


@dataclass(frozen=True, slots=True)
class HistorySources:
    """Where the calls find what they tell. The first two fail with OSError.

    :ivar now: Unix seconds.
    :ivar upstreams: the names of those of the configuration in force.
    """

    series: Callable[[Span, str | None], Awaitable[Sequence[CountPeriod]]]
    names: Callable[[Span, str], Awaitable[Mapping[str, Sums]]]
    now: Callable[[], float]
    upstreams: Callable[[], Sequence[str]]


def history_routes(sources: HistorySources) -> list[CallRoute]:
    """The calls."""
    return [
        CallRoute(GET_HISTORY, lambda asked: _history(asked, sources)),
        CallRoute(GET_TOP, lambda asked: _top(asked, sources)),
    ]


async def _history(asked: AskedCall, sources: HistorySources) -> dict[str, Any]:
    upstream, span = asked.values["upstream"], SPANS[asked.values["range"]]
    known = [name for name in sources.upstreams() if asked.caller.sees_upstream(name)]
    if upstream is not None and upstream not in known:
        raise UnknownUpstreamProblem(upstream)
    start = span.start(sources.now())
    found = await _kept(sources.series(span, upstream)) if asked.caller.sees_all else []
    periods = {each.start: each for each in found}
    times = range(start, start + span.seconds, span.step)
    first = min(periods, default=None)
    series = {name: [_value(name, at, first, periods) for at in times] for name in _NAMES}
    return {"step_ms": span.step * 1000, "start": time_text(start), **series}


def _value(name: str, at: int, first: int | None, periods: Mapping[int, CountPeriod]) -> int | None:
    """A period without requests has none, if anything is known from before it."""
    period = periods.get(at)
    if period is None:
        return None if first is None or at < first or name == "disk_bytes" else 0
    if name == "disk_bytes":
        return period.disk
    value: int = getattr(period.sums, name.removesuffix("_bytes"))
    return value


async def _top(asked: AskedCall, sources: HistorySources) -> dict[str, Any]:
    kind, span = asked.values["by"], SPANS[asked.values["range"]]
    found = await _kept(sources.names(span, kind))
    seen = [each for each in found.items() if _is_seen(kind, each[0], asked.caller)]
    seen.sort(key=lambda each: (-each[1].served, each[0]))
    return {"items": [_item(*each) for each in seen[: asked.values["limit"]]], "next": None}


async def _kept(asking: Awaitable[Any]) -> Any:
    try:
        return await asking
    except OSError:
        raise UnavailableProblem("what was counted cannot be read") from None


def _is_seen(kind: str, name: str, caller: Caller) -> bool:
    if kind == NameKind.PRINCIPAL:
        return caller.sees_who(name)
    upstream, _, repository = name.partition("/")
    return caller.may_pull(upstream, repository)


def _item(name: str, sums: Sums) -> dict[str, Any]:
    return {
        "name": name,
        "served_bytes": sums.served,
        "fetched_bytes": sums.fetched,
        "pulls": sums.pulls,
        "hit_ratio": sums.hit_ratio,
    }
