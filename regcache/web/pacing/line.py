"""A queue that is ordered by how much each claimant was given: least first."""

import heapq
import itertools
from collections import OrderedDict
from typing import Any, Generic, TypeVar, cast

#: For so long a claimant that was given something counts as one that wants more (seconds).
AWAY = 0.25
#: After so long it is a claimant's turn, with any amount given before (seconds).
PATIENCE = 0.16


class Claimant:
    """One that may stand in a line.

    :ivar served: bytes that it was given, or that it did not want while others did.
    :ivar entry: its place; None if it stands in no line.
    """

    __slots__ = ("entry", "served")

    def __init__(self) -> None:
        self.served = 0.0
        self.entry: tuple[float, int, Claimant] | None = None

    @property
    def in_line(self) -> bool:
        """Whether it stands in a line."""
        return self.entry is not None


AnyClaimant = TypeVar("AnyClaimant", bound=Claimant)


class Line(Generic[AnyClaimant]):
    """Claimants, ordered by how much they were given; of equal ones, the first that came is first.

    The line has a level: how much a claimant would have been given that had always stood in it. A
    new claimant counts as having been given about that much. So bytes that it took while no other
    wanted any do not count against it, and bytes that it did not want are not made up for. Since
    the level rises, even with many new claimants, none waits forever. (This is the virtual time of
    WF2Q+, by Bennett and Zhang.)

    What a claimant was given while there were few may be much more than what it is due when there
    are many. It must not have to wait until all others were given as much. So a claimant that has
    waited for long is first, and counts as having been given no more than any other one.
    """

    def __init__(self) -> None:
        # The numbers are unique, so claimants are never compared.
        self._entries: list[tuple[float, int, Any]] = []
        self._numbers = itertools.count()
        # Since when each has stood here, in that order, and when those away were given something.
        # These are queues: unlike in a BoundedTable, a look-up must not change the order, and
        # nothing may be dropped to make room.
        self._since: OrderedDict[AnyClaimant, float] = OrderedDict()
        self._away: OrderedDict[AnyClaimant, float] = OrderedDict()
        self._level = self._highest = 0.0

    def __len__(self) -> int:
        return len(self._since)

    @property
    def active(self) -> int:
        """How many want bytes: those in the line, and those that will probably be back soon."""
        return len(self) + len(self._away)

    def add(self, claimant: AnyClaimant, now: float, credit: float = 0) -> None:
        """Add a claimant that is not in the line.

        :param now: seconds, as everywhere here.
        :param credit: how much of what it did not use while it was away it may still get (bytes).
        """
        self._away.pop(claimant, None)
        claimant.served = max(claimant.served, self._level - credit)
        self._since[claimant] = now
        self._enter(claimant)

    def _enter(self, claimant: AnyClaimant) -> None:
        entry: tuple[float, int, Any] = (claimant.served, next(self._numbers), claimant)
        claimant.entry = entry
        heapq.heappush(self._entries, entry)
        self._drop_old()

    def _drop_old(self) -> None:
        """Drop entries that are not valid any more, if they are many."""
        if len(self._entries) > 2 * len(self._since):
            self._entries = [each for each in self._entries if each[2].entry is each]
            heapq.heapify(self._entries)

    def remove(self, claimant: AnyClaimant) -> None:
        """Remove a claimant. Idempotent."""
        self._away.pop(claimant, None)
        if claimant.entry is None:
            return
        claimant.entry = None
        del self._since[claimant]
        self._drop_old()

    def first(self, now: float) -> AnyClaimant | None:
        """The claimant whose turn it is."""
        if not self._since:
            return None
        entries = self._entries
        while entries[0][2].entry is not entries[0]:
            heapq.heappop(entries)
        least = cast(AnyClaimant, entries[0][2])
        oldest, since = next(iter(self._since.items()))
        if now - since <= PATIENCE:
            return least
        oldest.served = min(oldest.served, least.served)
        return oldest

    def serve(self, claimant: AnyClaimant, count: int, now: float) -> None:
        """Give bytes to the first claimant, and remove it from the line."""
        while self._away and next(iter(self._away.values())) < now - AWAY:
            self._away.popitem(last=False)
        self._level = max(self._level, claimant.served)
        self._count(claimant, count)
        self.remove(claimant)
        self._away[claimant] = now

    def charge(self, claimant: AnyClaimant, count: int) -> None:
        """Count bytes that a claimant took out of turn; negative for bytes that it gave back."""
        self._count(claimant, count)
        if claimant.in_line:
            self._enter(claimant)

    def _count(self, claimant: AnyClaimant, count: int) -> None:
        claimant.served += count
        self._highest = max(self._highest, claimant.served)
        share = max(0, count) / (self.active or 1)
        self._level = min(self._level + share, self._highest)
