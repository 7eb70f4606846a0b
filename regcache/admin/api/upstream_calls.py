"""GET upstreams: how each upstream is, without asking it."""

from collections.abc import Callable, Sequence
from typing import Any

from regcache.admin.api.callers import Caller, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.request_items import milliseconds
from regcache.admin.api.schemas import (
    COUNT,
    FLAG,
    RATIO,
    TEXT,
    TIME,
    array,
    nullable,
    record,
    words,
)
from regcache.counts import Sums
from regcache.light_dataclass import dataclass
from regcache.plans import UpstreamSums
from regcache.times import time_or_null, time_text
from regcache.upstream_health import UpstreamHealth, UrlError, UrlHealth

#: From well to ill; an upstream is as well as its best URL.
STATES = ("ok", "slow", "limited", "down", "unasked")
_BEST_FIRST = ("ok", "slow", "unasked", "limited", "down")

_STATE = words(*STATES)
_URL = record(
    url=TEXT,
    state=_STATE,
    breaker=words("closed", "open", "half-open"),
    next_try=nullable(TIME),
    last_error=nullable(record(time=TIME, code=TEXT, text=TEXT)),
)
_RATE_LIMIT = record(limit=nullable(COUNT), remaining=COUNT, resets=nullable(TIME))
UPSTREAM = record(
    name=TEXT,
    aliases=array(TEXT),
    hosts=array(TEXT),
    state=_STATE,
    since=nullable(TIME),
    answer_p50_ms=nullable(COUNT),
    answer_series_ms=nullable(array(nullable(COUNT), minItems=24, maxItems=24)),
    account=nullable(TEXT),
    credentials_ok=nullable(FLAG),
    ratelimit=nullable(_RATE_LIMIT),
    hit_ratio_7d=nullable(RATIO),
    served_bytes_7d=nullable(COUNT),
    fetched_bytes_7d=nullable(COUNT),
    stored_bytes=nullable(COUNT),
    repositories=nullable(COUNT),
    downloads=COUNT,
    max_downloads=COUNT,
    urls=array(_URL),
)
GET_UPSTREAMS = ApiCall(
    method="GET",
    path="upstreams",
    role=Role.READ,
    text="How each upstream is; none is asked for it.",
    answer=record(items=array(UPSTREAM), next=nullable(TEXT)),
)
#: All of them.
CALLS = (GET_UPSTREAMS,)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamFacts:
    """What is configured of an upstream, and how it is.

    :ivar downloads: from it, now.
    :ivar week: what was asked of it in the last seven days; None where that is not known.
    :ivar stored: what is stored of it; None where that is not known.
    """

    health: UpstreamHealth
    aliases: Sequence[str]
    hosts: Sequence[str]
    downloads: int
    max_downloads: int
    week: Sums | None = None
    stored: UpstreamSums | None = None


def upstream_routes(upstreams: Callable[[], Sequence[UpstreamFacts]]) -> list[CallRoute]:
    """The call.

    :param upstreams: gives all of them, in the order of the configuration.
    """

    def handle(asked: AskedCall) -> dict[str, Any]:
        seen = [each for each in upstreams() if asked.caller.sees_upstream(each.health.name)]
        return {"items": [_item(each, asked.caller) for each in seen], "next": None}

    return [CallRoute(GET_UPSTREAMS, handle)]


def state_of(health: UpstreamHealth) -> str:
    """How an upstream is, in one word."""
    states = {_url_state(each) for each in health.urls}
    return next((state for state in _BEST_FIRST if state in states), "unasked")


def failing_since(health: UpstreamHealth) -> float | None:
    """Since when no URL of an upstream has answered (Unix seconds); None where one does."""
    since = [each.failing_since for each in health.urls]
    found = [each for each in since if each is not None]
    return max(found) if len(found) == len(since) else None


def _url_state(url: UrlHealth) -> str:
    if url.breaker != "closed":
        return "down"
    if url.limited_until is not None:
        return "limited"
    if url.slow:
        return "slow"
    return "ok" if url.asked else "unasked"


def _item(facts: UpstreamFacts, caller: Caller) -> dict[str, Any]:
    health = facts.health
    week = facts.week if caller.sees_all else None
    stored = facts.stored if caller.sees_whole(health.name) else None
    return {
        "name": health.name,
        "aliases": list(facts.aliases),
        "hosts": list(facts.hosts),
        "state": state_of(health),
        "since": time_or_null(failing_since(health)),
        "answer_p50_ms": milliseconds(health.answers.median),
        "answer_series_ms": [milliseconds(each) for each in health.answers.hours],
        "account": (health.account or None) if caller.sees_all else None,
        "credentials_ok": health.credentials_ok,
        "ratelimit": _rate_limit(health.urls),
        "hit_ratio_7d": None if week is None else week.hit_ratio,
        "served_bytes_7d": None if week is None else week.served,
        "fetched_bytes_7d": None if week is None else week.fetched,
        "stored_bytes": None if stored is None else stored.stored,
        "repositories": None if stored is None else stored.repositories,
        "downloads": facts.downloads,
        "max_downloads": facts.max_downloads,
        "urls": [_url(each) for each in health.urls],
    }


def _rate_limit(urls: Sequence[UrlHealth]) -> dict[str, Any] | None:
    """That of the first URL that said one."""
    for each in urls:
        if each.remaining is not None:
            return {
                "limit": each.limit,
                "remaining": each.remaining,
                "resets": time_or_null(each.limited_until),
            }
    return None


def _url(url: UrlHealth) -> dict[str, Any]:
    return {
        "url": url.url,
        "state": _url_state(url),
        "breaker": url.breaker,
        "next_try": time_or_null(url.next_try or url.limited_until),
        "last_error": None if url.last_error is None else _error(url.last_error),
    }


def _error(error: UrlError) -> dict[str, str]:
    return {"time": time_text(error.time), "code": error.code, "text": error.text}
