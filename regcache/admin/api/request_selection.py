"""Which requests a list shows: filters, order, counts and pages, over rows in memory.

It reads some ten thousand rows, so it runs in a thread. All of it is pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY
from typing import Any

from regcache.admin.api.request_items import Sight, agent_text, digest_of, outcome_of
from regcache.admin.requests.verdicts import is_failed, is_slow
from regcache.light_dataclass import dataclass
from regcache.times import time_or_null, time_text
from regcache.web.records import RequestRecord

#: Clients that are told, the latest first.
MOST_CLIENTS = 200


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for; None for no filter.

    :ivar q: a part of a name, reference, digest, client or address, in lower case.
    :ivar since: Unix seconds, as ``until``.
    """

    _: KW_ONLY
    q: str | None = None
    upstream: str | None = None
    principal: str | None = None
    kind: str | None = None
    outcome: str | None = None
    slow: bool | None = None
    failed: bool | None = None
    since: float | None = None
    until: float | None = None

    def is_about(self, row: RequestRecord, sight: Sight) -> bool:
        """Whether a row matches the filters, except those of its result."""
        if self.upstream is not None and row.upstream != self.upstream:
            return False
        if self.kind is not None and row.kind != self.kind:
            return False
        if self.since is not None and row.arrived < self.since:
            return False
        if self.until is not None and row.arrived > self.until:
            return False
        who = sight.sees_who(row)
        if self.principal is not None and not (who and self.principal in (row.account, row.peer)):
            return False
        return self.q is None or any(self.q in text.lower() for text in _texts(row, who))

    def fits(self, row: RequestRecord) -> bool:
        """Whether what became of a row fits, too."""
        return (
            (self.outcome is None or outcome_of(row) == self.outcome)
            and (self.slow is None or is_slow(row) == self.slow)
            and (self.failed is None or is_failed(row) == self.failed)
        )


def _texts(row: RequestRecord, who: bool) -> Iterable[str]:
    yield f"{row.upstream}/{row.repository}:{row.reference}"
    yield digest_of(row) or ""
    if who:
        yield from (row.account, row.peer, agent_text(row))


def seen_rows(rows: Iterable[RequestRecord], sight: Sight) -> list[RequestRecord]:
    """Those that may be seen, the latest first."""
    if not sight.caller.sees_all:
        known: dict[tuple[str, str, str], bool] = {}
        rows = [row for row in rows if _is_seen(row, sight, known)]
    return sorted(rows, key=lambda row: row.serial, reverse=True)


def _is_seen(row: RequestRecord, sight: Sight, known: dict[tuple[str, str, str], bool]) -> bool:
    """The same as :meth:`Sight.sees`, asked once for each repository and account."""
    key = (row.account, row.upstream, row.repository)
    found = known.get(key)
    if found is None:
        found = known[key] = sight.sees(row)
    return found


def select(
    rows: Iterable[RequestRecord],
    sight: Sight,
    wish: Wish,
    *,
    after: int | None,
    limit: int,
) -> tuple[list[RequestRecord], int | None, dict[str, Any]]:
    """A page: its rows, the number of the last one where others follow, and what else is told.

    :param after: the number of the request before the page.
    """
    seen = seen_rows(rows, sight)
    about = [row for row in seen if wish.is_about(row, sight)]
    fitting = [row for row in about if wish.fits(row)]
    following = [row for row in fitting if after is None or row.serial < after]
    page = following[:limit]
    more = {"counts": counts_of(about), "kept_since": _kept_since(seen)}
    return page, page[-1].serial if len(following) > limit else None, more


def _kept_since(seen: Sequence[RequestRecord]) -> str | None:
    return time_or_null(min((row.arrived for row in seen if not row.is_open), default=None))


def counts_of(rows: Iterable[RequestRecord]) -> dict[str, int]:
    """How many of some rows are what."""
    counts = dict.fromkeys(("all", "slow", "failed", "miss", "stale"), 0)
    for row in rows:
        counts["all"] += 1
        counts["slow"] += is_slow(row)
        counts["failed"] += is_failed(row)
        outcome = outcome_of(row)
        if outcome in ("miss", "stale"):
            counts[outcome] += 1
    return counts


def clients(rows: Iterable[RequestRecord], sight: Sight, since: float) -> list[dict[str, Any]]:
    """Who asked, the latest first; each with what was asked last.

    :param since: Unix seconds.
    """
    found: dict[tuple[str, str, str], RequestRecord] = {}
    for row in seen_rows(rows, sight):
        if row.arrived >= since and sight.sees_who(row):
            found.setdefault((row.account, row.peer, agent_text(row)), row)
            if len(found) >= MOST_CLIENTS:
                break
    return [
        {
            "principal": account or None,
            "address": address or None,
            "agent": agent or None,
            "last_seen": time_text(row.arrived),
            "last": {"name": _name(row), "outcome": outcome_of(row)},
        }
        for (account, address, agent), row in found.items()
    ]


def _name(row: RequestRecord) -> str | None:
    """What was asked for, as people write it; None where it was no repository."""
    if not row.repository:
        return None
    name = f"{row.upstream}/{row.repository}" if row.upstream else row.repository
    if not row.reference:
        return name
    return f"{name}{'@' if ':' in row.reference else ':'}{row.reference}"
