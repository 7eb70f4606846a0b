"""GET storage and advice: how the disk is used, and what a larger one would save."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY
from typing import Any

from regcache.admin.api.callers import Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.schemas import ANY, COUNT, TEXT, TIME, array, nullable, record
from regcache.admin.api.status_calls import DISK, DiskFacts
from regcache.light_dataclass import dataclass
from regcache.plans import Savings, UpstreamSums
from regcache.times import time_or_null

GHOST_DAYS = 7
"""Days that advice looks back."""

_NUMBER = {"type": "number", "minimum": 0}
GET_STORAGE = ApiCall(
    method="GET",
    path="storage",
    role=Role.READ,
    text="How the disk is used, by whom, and by which rules something leaves it.",
    answer=record(
        disk=DISK,
        by_upstream=array(
            record(
                name=TEXT,
                stored_bytes=COUNT,
                repositories=COUNT,
                evictable_bytes=COUNT,
                pinned_bytes=COUNT,
            )
        ),
        rules=array(record(key=TEXT, value=ANY, effective=nullable(COUNT))),
        last_sweep=nullable(record(time=TIME, freed_bytes=COUNT, duration_ms=COUNT)),
        last_verify=nullable(record(time=TIME, blobs=COUNT, damaged=array(TEXT))),
    ),
)
GET_ADVICE = ApiCall(
    method="GET",
    path="advice",
    role=Role.READ,
    text="What a larger disk would save, by what came back lately that had been evicted.",
    answer=record(
        ghost_bytes=array(
            record(more_bytes=COUNT, saved_misses_per_day=_NUMBER, saved_bytes_per_day=_NUMBER)
        ),
        full_in_days=nullable(_NUMBER),
    ),
)
#: All of them.
CALLS = (GET_STORAGE, GET_ADVICE)


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """A rule of the configuration.

    :ivar value: as it is written.
    :ivar effective: what it comes to: bytes or seconds; None where that says nothing.
    """

    key: str
    value: Any
    effective: int | None = None


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """How the disk is used.

    :ivar swept: the last sweep: Unix seconds, bytes, seconds.
    :ivar verified: the last verification: Unix seconds, contents, digests that were damaged.
    """

    _: KW_ONLY
    disk: DiskFacts
    upstreams: Sequence[UpstreamSums]
    rules: Sequence[RuleFacts]
    swept: tuple[float, int, float] | None
    verified: tuple[float, int, Sequence[str]] | None


def storage_routes(
    storage: Callable[[], Awaitable[StorageFacts]],
    savings: Callable[[], Awaitable[Sequence[Savings]]],
    full_in_days: Callable[[], float | None],
) -> list[CallRoute]:
    """The calls.

    :param savings: of the last :data:`GHOST_DAYS` days.
    :param full_in_days: None where it is not known, or does not get fuller.
    """

    async def handle_storage(asked: AskedCall) -> dict[str, Any]:
        facts, caller = await storage(), asked.caller
        return {
            "disk": facts.disk.told(),
            "by_upstream": [
                _upstream(each) for each in facts.upstreams if caller.sees_whole(each.name)
            ],
            "rules": [
                {"key": each.key, "value": each.value, "effective": each.effective}
                for each in facts.rules
            ],
            "last_sweep": _swept(facts.swept),
            "last_verify": _verified(facts.verified, whole=caller.sees_all),
        }

    async def handle_advice(_asked: AskedCall) -> dict[str, Any]:
        return {
            "ghost_bytes": [
                {
                    "more_bytes": each.more_bytes,
                    "saved_misses_per_day": each.misses / GHOST_DAYS,
                    "saved_bytes_per_day": each.bytes / GHOST_DAYS,
                }
                for each in await savings()
            ],
            "full_in_days": full_in_days(),
        }

    return [CallRoute(GET_STORAGE, handle_storage), CallRoute(GET_ADVICE, handle_advice)]


def _upstream(sums: UpstreamSums) -> dict[str, Any]:
    return {
        "name": sums.name,
        "stored_bytes": sums.stored,
        "repositories": sums.repositories,
        "evictable_bytes": sums.stored - sums.pinned,
        "pinned_bytes": sums.pinned,
    }


def _swept(swept: tuple[float, int, float] | None) -> dict[str, Any] | None:
    if swept is None:
        return None
    began, freed, seconds = swept
    return {
        "time": time_or_null(began),
        "freed_bytes": freed,
        "duration_ms": int(seconds * 1000),
    }


def _verified(
    verified: tuple[float, int, Sequence[str]] | None, *, whole: bool
) -> dict[str, Any] | None:
    """:param whole: digests of every repository may be seen."""
    if verified is None:
        return None
    ended, contents, damaged = verified
    told = list(damaged) if whole else []
    return {"time": time_or_null(ended), "blobs": contents, "damaged": told}
