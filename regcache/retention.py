"""What stored content is worth: how its uses are counted, and in which order it goes.

Uses are counted with a weight that grows with time, by a factor of two in :data:`HALF_LIFE`.
Such sums are only ever added to, and divided by the weight of this moment they are counts that
halve in that time: so nothing has to be visited for them to age, and the sums of several
writers add up.

The order is that of GDSF (Cherkasova, "Improving WWW Proxies Performance with
Greedy-Dual-Size-Frequency Caching Policy", 1998) with a small exponent of the size: a
priority is the count of uses ÷ size ^ e, above a floor. The floor is the priority of what was
evicted last, so what is used no more is passed by what is. A priority is set when content is
used, and lasts: the index finds what goes first without a walk.
"""

from math import inf
from typing import NamedTuple

from regcache.digests import Digest
from regcache.light_dataclass import dataclass

HALF_LIFE = 7 * 86_400.0
"""Seconds in which a count of uses halves."""

SIZE_EXPONENT = 0.2
"""How much large content is at a disadvantage; see ``benchmarks/eviction.py``."""

YOUNG_FOR = 600.0
"""Seconds for which what was stored goes last of all."""

SPARE, LEAST_SPARE = 0.02, 256 * 1024
"""The share by which more is evicted than is needed, and the least of it in bytes, unless that is
more than a hundredth of the limit: the index writes to the same disk."""

MOST_DOUBLINGS = 500.0
"""A weight never grows beyond 2 to the power of this; its landmark moves instead."""

Position = tuple[int, float, int]
"""Where content is in the order of eviction: whether it is needed, its priority, its number."""


class SweepNote(NamedTuple):
    """What is kept of a sweep.

    :ivar began: Unix seconds; ``seconds`` later it had ended.
    :ivar freed: bytes of disk that came free.
    """

    began: float
    seconds: float
    freed: int


FIRST: Position = (0, -inf, 0)
"""In front of all."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Content that is not pinned, and may go.

    :ivar size: in bytes.
    :ivar since: when it came (Unix seconds).
    """

    position: Position
    digest: Digest
    size: int
    since: float


@dataclass(frozen=True, slots=True)
class CandidatePage:
    """Some of what may go, in the order of eviction.

    :ivar after: the position behind which the next page begins; None where this is the last.
    """

    candidates: tuple[Candidate, ...]
    after: Position | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which contents are to go, whatever their place in the order. What is pinned never is.

    :ivar before: only what came before this, and was not used since (Unix seconds).
    :ivar unused_since: only what was last used before this; infinite: whenever that was.
    :ivar upstream: only what an upstream of this name gave; "": any.
    :ivar until: only what is not behind this position of the order; None: all.
    """

    before: float
    unused_since: float = inf
    upstream: str = ""
    until: Position | None = None

    @property
    def takes_partials(self) -> bool:
        """Whether what is left of downloads goes, too: it has no place in the order."""
        return self.until is None

    @property
    def last_use(self) -> float:
        """The latest last use of what is to go."""
        return min(self.before, self.unused_since)


@dataclass(frozen=True, slots=True)
class SelectionPage:
    """Some of what is selected, by its number.

    :ivar after: the number behind which the next page begins; None where this is the last.
    """

    candidates: tuple[Candidate, ...]
    after: int | None


def weight(at: float, landmark: float) -> float:
    """What one use counts (Unix seconds); 1 at the landmark.

    What is out of all proportion, since some clock was wrong, counts as the most or the least.
    """
    doublings = (at - landmark) / HALF_LIFE
    return float(2.0 ** max(-MOST_DOUBLINGS, min(doublings, MOST_DOUBLINGS)))


def count_now(total: float, landmark: float, now: float) -> float:
    """The count of uses that a sum of weights means at a moment."""
    return total / weight(now, landmark)


def priority(floor: float, count: float, size: int) -> float:
    """The place in the order of eviction, lowest first.

    :param count: of uses of the most used image that needs the content; at least one counts.
    :param size: in bytes.
    """
    return floor + max(count, 1.0) / float(max(size, 1) ** SIZE_EXPONENT)
