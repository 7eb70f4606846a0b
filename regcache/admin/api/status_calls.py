"""GET status: whether it works, how full it is, and how much there is."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY
from typing import Any

from regcache.admin.api.callers import Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.notices import ILL, LEVELS, Notice, Troubles, notices
from regcache.admin.api.schemas import (
    COUNT,
    TEXT,
    TIME,
    array,
    nullable,
    record,
    words,
)
from regcache.admin.api.upstream_calls import state_of
from regcache.admin.requests.counting import HourCounts
from regcache.facts import IndexCounts
from regcache.light_dataclass import dataclass
from regcache.times import time_or_null, time_text
from regcache.upstream_health import UpstreamHealth

_PARAMS = {"type": "object"}

DISK = record(
    used_bytes=COUNT,
    limit_bytes=nullable(COUNT),
    pinned_bytes=nullable(COUNT),
    by_age=nullable(array(record(to_days=nullable(COUNT), bytes=COUNT))),
    evictable_bytes=nullable(COUNT),
    partial_bytes=COUNT,
    fs_free_bytes=nullable(COUNT),
    full_in_days=nullable({"type": "number", "minimum": 0}),
    next_sweep=nullable(TIME),
    relaying_since=nullable(TIME),
)
GET_STATUS = ApiCall(
    method="GET",
    path="status",
    role=Role.READ,
    text="Whether it works, how full it is, and how much there is.",
    answer=record(
        version=TEXT,
        title=TEXT,
        started=TIME,
        config_loaded=TIME,
        verdict=record(level=words(*LEVELS), code=TEXT, params=_PARAMS),
        notices=array(record(level=words(*LEVELS), code=TEXT, params=_PARAMS, link=nullable(TEXT))),
        hour=record(
            requests=nullable(COUNT), failed=nullable(COUNT), first_byte_p50_ms=nullable(COUNT)
        ),
        disk=DISK,
        counts=record(
            repositories=nullable(COUNT),
            tags=nullable(COUNT),
            blobs=nullable(COUNT),
            downloads=COUNT,
            readers=COUNT,
            upstreams_ill=COUNT,
        ),
    ),
)
#: All of them.
CALLS = (GET_STATUS,)


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """How full the disk is. What is not known is None.

    :ivar relaying_since: since when what is new is passed through (Unix seconds).
    """

    _: KW_ONLY
    used: int
    limit: int | None
    partial: int
    free: int | None
    pinned: int | None = None
    by_age: Sequence[tuple[int | None, int]] | None = None
    evictable: int | None = None
    full_in_days: float | None = None
    next_sweep: float | None = None
    relaying_since: float | None = None

    def told(self) -> dict[str, Any]:
        """As the API says it."""
        ages = self.by_age
        return {
            "used_bytes": self.used,
            "limit_bytes": self.limit,
            "pinned_bytes": self.pinned,
            "by_age": None
            if ages is None
            else [{"to_days": days, "bytes": count} for days, count in ages],
            "evictable_bytes": self.evictable,
            "partial_bytes": self.partial,
            "fs_free_bytes": self.free,
            "full_in_days": self.full_in_days,
            "next_sweep": time_or_null(self.next_sweep),
            "relaying_since": time_or_null(self.relaying_since),
        }


@dataclass(frozen=True, slots=True)
class DaemonFacts:
    """What the daemon knows of itself without asking an upstream.

    :ivar started: Unix seconds.
    :ivar config_loaded: when the configuration in force was read (Unix seconds).
    :ivar hour: what was asked for in the last one; None where that is not known.
    :ivar troubles: what is wrong with it.
    """

    _: KW_ONLY
    version: str
    title: str
    started: float
    config_loaded: float
    downloads: int
    readers: int
    disk: DiskFacts
    upstreams: Sequence[UpstreamHealth]
    troubles: Troubles
    hour: HourCounts | None = None


def status_routes(
    daemon: Callable[[], DaemonFacts],
    counts: Callable[[], Awaitable[IndexCounts]],
    seconds: Callable[[], float],
) -> list[CallRoute]:
    """The call.

    :param counts: asks the index.
    :param seconds: Unix seconds.
    """

    async def handle(asked: AskedCall) -> dict[str, Any]:
        facts, caller = daemon(), asked.caller
        known = await counts() if caller.sees_all else None
        upstreams = [each for each in facts.upstreams if caller.sees_upstream(each.name)]
        found = notices(facts.troubles, upstreams, seconds(), whole=caller.sees_all)
        return {
            "version": facts.version,
            "title": facts.title,
            "started": time_text(facts.started),
            "config_loaded": time_text(facts.config_loaded),
            "verdict": _verdict(found, len(upstreams)),
            "notices": [each.told() for each in found],
            "hour": _hour(facts.hour if caller.sees_all else None),
            "disk": facts.disk.told(),
            "counts": {
                "repositories": None if known is None else known.repositories,
                "tags": None if known is None else known.tags,
                "blobs": None if known is None else known.contents,
                "downloads": facts.downloads,
                "readers": facts.readers,
                "upstreams_ill": sum(state_of(each) in ILL for each in upstreams),
            },
        }

    return [CallRoute(GET_STATUS, handle)]


def _hour(hour: HourCounts | None) -> dict[str, int | None]:
    first = None if hour is None else hour.first_byte
    return {
        "requests": None if hour is None else hour.requests,
        "failed": None if hour is None else hour.failed,
        "first_byte_p50_ms": None if first is None else round(first * 1000),
    }


def _verdict(found: Sequence[Notice], upstreams: int) -> dict[str, Any]:
    """The worst of what there is to say; where there is nothing, that it works."""
    if not found:
        return {"level": "ok", "code": "ok", "params": {"upstreams": upstreams}}
    worst = found[0]
    return {"level": worst.level, "code": worst.code, "params": worst.params}
