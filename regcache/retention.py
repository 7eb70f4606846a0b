"""The eviction policy: how uses of content are counted, and in which order content is evicted.

Each use adds a weight to a sum. The weight of a use doubles every :data:`HALF_LIFE`. A sum divided
by the present weight is the count of uses, which halves in that time. So counts age without a
change of any row, and the sums of several writers can be added up.

The order is that of GDSF (Cherkasova, "Improving WWW Proxies Performance with
Greedy-Dual-Size-Frequency Caching Policy", 1998) with a small exponent of the size: a
priority is the count of uses ÷ size ^ e, plus a floor. The floor is the priority of the content
that was evicted last. So content in use gets ahead of content that is used no more. A priority
is set at each use and does not change in between, so an index over it gives the order.
"""

from math import inf
from typing import NamedTuple

from regcache.digests import Digest
from regcache.light_dataclass import dataclass

HALF_LIFE = 7 * 86_400.0
"""Seconds in which a count of uses halves."""

SIZE_EXPONENT = 0.2
"""How much the size lowers a priority; see ``benchmarks/eviction.py``."""

YOUNG_FOR = 600.0
"""Seconds for which new content is evicted last of all."""

SPARE, LEAST_SPARE = 0.02, 256 * 1024
"""How much more is evicted than is needed, since the index writes to the same disk: a share, and a
minimum in bytes, which is at most a hundredth of the limit."""

MOST_DOUBLINGS = 500.0
"""A weight is at most 2 to the power of this; before that the landmark is moved."""

Position = tuple[int, float, int]
"""A position in the order of eviction: whether it is needed, its priority, its content id."""


class SweepNote(NamedTuple):
    """The record of a sweep.

    :ivar began: Unix seconds.
    :ivar seconds: how long it took.
    :ivar freed: bytes of disk.
    """

    began: float
    seconds: float
    freed: int


FIRST: Position = (0, -inf, 0)
"""The position before all contents."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Content that may be evicted: it is not pinned.

    :ivar size: in bytes.
    :ivar since: when it was stored (Unix seconds).
    """

    position: Position
    digest: Digest
    size: int
    since: float


@dataclass(frozen=True, slots=True)
class CandidatePage:
    """A page of candidates, in the order of eviction.

    :ivar after: the position after which the next page begins; None for the last page.
    """

    candidates: tuple[Candidate, ...]
    after: Position | None


@dataclass(frozen=True, slots=True)
class Selection:
    """A condition for the contents to evict. Pinned content never fulfils it.

    :ivar before: content was stored before this, and not used since (Unix seconds).
    :ivar unused_since: its last use was before this; infinite: at any time.
    :ivar upstream: an upstream of this name gave it; "": any.
    :ivar until: it is at or before this position of the order; None: at any.
    """

    before: float
    unused_since: float = inf
    upstream: str = ""
    until: Position | None = None

    @property
    def takes_partials(self) -> bool:
        """Whether partial files are removed, too. They have no position in the order."""
        return self.until is None

    @property
    def last_use(self) -> float:
        """Content used after this is not selected (Unix seconds)."""
        return min(self.before, self.unused_since)


@dataclass(frozen=True, slots=True)
class SelectionPage:
    """A page of selected contents, by content id.

    :ivar after: the id after which the next page begins; None for the last page.
    """

    candidates: tuple[Candidate, ...]
    after: int | None


def weight(at: float, landmark: float) -> float:
    """The weight of a use; 1 at the landmark.

    It is bounded, since a wrong clock may give any time.

    :param at: the time of the use (Unix seconds).
    """
    doublings = (at - landmark) / HALF_LIFE
    return float(2.0 ** max(-MOST_DOUBLINGS, min(doublings, MOST_DOUBLINGS)))


def count_now(total: float, landmark: float, now: float) -> float:
    """Convert a sum of weights to the count of uses at a time."""
    return total / weight(now, landmark)


def priority(floor: float, count: float, size: int) -> float:
    """The priority of content. The lowest is evicted first.

    :param count: the uses of the most used image that needs the content; at least one counts.
    :param size: in bytes.
    """
    return floor + max(count, 1.0) / float(max(size, 1) ** SIZE_EXPONENT)
