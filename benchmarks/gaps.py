"""How long the reactor was held, as its watchdog wrote it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Gaps:
    """Delays in some time, in ms.

    :ivar longest: the longest delay; 0 if none was worth a line.
    :ivar busy: processor time of the reactor's thread in it: the rest is waiting.
    :ivar over: how many were over the limit of 20 ms.
    """

    longest: float
    busy: float
    over: int

    def worse(self, other: "Gaps") -> "Gaps":
        """Both taken together."""
        worst = max(self, other, key=lambda gaps: gaps.longest)
        return Gaps(worst.longest, worst.busy, self.over + other.over)


def parse_gaps(lines: Iterable[str], began: float, ended: float, limit: float = 20.0) -> Gaps:
    """Read the watchdog's lines between two monotonic times."""
    rows = [[float(word) for word in line.split()] for line in lines]
    inside = [row for row in rows if began <= row[0] <= ended]
    longest = max(inside, key=lambda row: row[1], default=[0.0, 0.0, 0.0, 0.0])
    return Gaps(longest[1], longest[2], sum(row[1] > limit for row in inside))


def read_gaps(path: Path, began: float, ended: float) -> Gaps:
    """The same from its file."""
    return parse_gaps(path.read_text().splitlines(), began, ended)
