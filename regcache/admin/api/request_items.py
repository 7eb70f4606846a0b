"""How the API tells of a request, and which parts of it a caller may see."""

from collections.abc import Callable
from typing import Any

from regcache.admin.api.callers import Caller
from regcache.admin.api.schemas import (
    CODED,
    COUNT,
    FLAG,
    TEXT,
    TIME,
    nullable,
    record,
    words,
)
from regcache.admin.requests.verdicts import is_failed, is_slow, verdict_of
from regcache.images import ImagePart
from regcache.light_dataclass import dataclass
from regcache.request_metrics import KINDS, OUTCOMES
from regcache.times import time_text
from regcache.web.records import RequestRecord

#: Which layer of an image something is, from 1.
PART = nullable(record(index=COUNT, of=COUNT))
#: An image that something belongs to.
IMAGE = nullable(record(name=TEXT, reference=TEXT, platform=nullable(TEXT)))
#: Fields of the item of a request.
FIELDS = {
    "id": TEXT,
    "time": TIME,
    "principal": nullable(TEXT),
    "address": nullable(TEXT),
    "agent": nullable(TEXT),
    "method": TEXT,
    "upstream": nullable(TEXT),
    "repository": nullable(TEXT),
    "reference": nullable(TEXT),
    "digest": nullable(TEXT),
    "part": PART,
    "kind": words(*sorted(KINDS)),
    "status": nullable(COUNT),
    "outcome": nullable(words(*sorted(OUTCOMES))),
    "slow": FLAG,
    "failed": FLAG,
    "verdict": nullable(CODED),
    "sent_bytes": COUNT,
    "first_byte_ms": nullable(COUNT),
    "duration_ms": COUNT,
    "open": FLAG,
}
ITEM = record(**FIELDS)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one caller may see of requests.

    Those of repositories that may be pulled are seen, but not who asked; one's own are seen whole.
    """

    caller: Caller

    def sees(self, row: RequestRecord) -> bool:
        """Whether anything of a request may be seen."""
        if self.caller.sees_all or self.sees_who(row):
            return True
        named = row.upstream and row.repository
        return bool(named) and self.caller.may_pull(row.upstream, row.repository)

    def sees_image(self, row: RequestRecord) -> bool:
        """Whether it may be seen what the index knows of it: who asked may have been refused."""
        return self.caller.may_pull(row.upstream, row.repository)

    def sees_who(self, row: RequestRecord) -> bool:
        """Whether it may be seen who asked."""
        return self.caller.sees_who(row.account)


def part_of(found: ImagePart | None) -> dict[str, int] | None:
    """Which layer of its image something is."""
    if found is None or found.layer is None:
        return None
    return {"index": found.layer[0], "of": found.layer[1]}


def image_of(name: str, found: ImagePart | None) -> dict[str, Any] | None:
    """The image that something belongs to.

    :param name: of the repository, its upstream included.
    """
    if found is None:
        return None
    return {"name": name, "reference": found.reference, "platform": found.platform or None}


def item_of(
    row: RequestRecord,
    sight: Sight,
    id_of: Callable[[RequestRecord], str],
    part: ImagePart | None = None,
) -> dict[str, Any]:
    """The item of a request that may be seen."""
    who = sight.sees_who(row)
    begun = row.first_byte is not None
    return {
        "id": id_of(row),
        "time": time_text(row.arrived),
        "principal": (row.account or None) if who else None,
        "address": (row.peer or None) if who else None,
        "agent": (agent_text(row) or None) if who else None,
        "method": row.method[:32],
        "upstream": row.upstream or None,
        "repository": row.repository or None,
        "reference": row.reference or None,
        "digest": digest_of(row),
        "part": part_of(part),
        "kind": row.kind if row.kind in KINDS else "other",
        "status": row.status if begun or not row.is_open else None,
        "outcome": outcome_of(row),
        "slow": is_slow(row),
        "failed": is_failed(row),
        "verdict": _verdict(row, who),
        "sent_bytes": row.body_bytes,
        "first_byte_ms": milliseconds(row.first_byte),
        "duration_ms": milliseconds(row.seconds),
        "open": row.is_open,
    }


def outcome_of(row: RequestRecord) -> str | None:
    """The outcome; None as long as it is not known."""
    if row.is_open and not row.cache_status:
        return None
    return row.outcome if row.outcome in OUTCOMES else "error"


def digest_of(row: RequestRecord) -> str | None:
    """The digest of what was answered with; None where it is not known."""
    if row.digest is not None:
        return str(row.digest)
    return row.reference if ":" in row.reference else None


def agent_text(row: RequestRecord) -> str:
    """What the client says it is. It may be any bytes."""
    return row.agent.decode("utf-8", "replace")


def milliseconds(seconds: float | None) -> int | None:
    """Whole milliseconds; None stays None."""
    return None if seconds is None else max(0, round(seconds * 1000))


def _verdict(row: RequestRecord, who: bool) -> dict[str, Any] | None:
    if outcome_of(row) is None:
        return None
    verdict = verdict_of(row)
    principal = (row.account or row.peer or None) if who else None
    params = {"upstream": row.upstream or None, "principal": principal, **verdict.params}
    return {"code": verdict.code, "params": params}
