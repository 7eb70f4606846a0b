"""How long the reactor was held and by what, as its watchdog wrote it."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIMIT = 20.0
"""Nothing may hold the reactor longer (ms)."""

_BUSY = 0.5
"""The part of a delay from which on the reactor's thread itself is its cause."""


@dataclass(frozen=True)
class Gaps:
    """Delays in some time, in ms.

    :ivar longest: the longest delay; 0 if none was worth a line.
    :ivar busy: processor time of the reactor's thread in it: the rest is waiting.
    :ivar over: how many were over the limit.
    :ivar longest_busy: the most processor time between two calls: what no other machine helps.
    :ivar causes: for delays over the limit, ms by where the reactor was.
    """

    longest: float = 0.0
    busy: float = 0.0
    over: int = 0
    longest_busy: float = 0.0
    causes: Mapping[str, float] = field(default_factory=dict)

    def worse(self, other: "Gaps") -> "Gaps":
        """Both taken together."""
        worst = max(self, other, key=lambda gaps: gaps.longest)
        causes = Counter(self.causes)
        causes.update(other.causes)
        return Gaps(
            worst.longest,
            worst.busy,
            self.over + other.over,
            max(self.longest_busy, other.longest_busy),
            causes,
        )

    def top_causes(self, most: int = 5) -> list[tuple[str, float]]:
        """Where most of the time over the limit went."""
        return Counter(self.causes).most_common(most)


def parse_gaps(lines: Iterable[str], began: float, ended: float, limit: float = LIMIT) -> Gaps:
    """Read the watchdog's lines between two monotonic times."""
    rows: list[list[Any]] = [json.loads(line) for line in lines]
    inside = [row for row in rows if began <= row[0] <= ended]
    if not inside:
        return Gaps()
    longest = max(inside, key=lambda row: row[1])
    over = [row for row in inside if row[1] > limit]
    causes: Counter[str] = Counter()
    for row in over:
        causes.update(_causes(row))
    busy = max(row[2] for row in inside)
    return Gaps(longest[1], longest[2], len(over), busy, causes)


def _causes(row: list[Any]) -> dict[str, float]:
    """A delay, shared out to the places where the reactor was found in it."""
    _, delay, busy, collecting, *places = row
    kind = "busy" if busy >= _BUSY * delay else "waiting"
    shares: Counter[str] = Counter()
    if collecting > 1:
        shares[f"{kind}: the garbage collector"] += collecting
    for place in places or ["not seen"]:
        shares[f"{kind}: {place}"] += max(0.0, delay - collecting) / max(1, len(places))
    return dict(shares)


def read_gaps(path: Path, began: float, ended: float) -> Gaps:
    """The same from its file."""
    return parse_gaps(path.read_text().splitlines(), began, ended)
