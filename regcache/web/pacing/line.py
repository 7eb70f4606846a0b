"""A line in which whoever was given least comes first."""

import heapq
import itertools
from collections import OrderedDict
from typing import Any, Generic, TypeVar, cast

#: Who was given something counts for so long (seconds) as one who wants more, until it comes back.
AWAY = 0.25


class Claimant:
    """Who may stand in a line.

    :ivar served: bytes that it was given, and those that it did not want when others did.
    :ivar entry: its place; None where it does not stand in a line.
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
    """Claimants, the one that was given least in front; of several, who came first.

    The line has a level: what somebody would have been given who had always stood in it. Whoever
    comes counts as having been given about that much. So what somebody took while nobody
    else wanted anything is held against nobody, what somebody did not want is not made up
    for, and however many come, the level rises, and nobody waits for ever. (This is how
    Bennett and Zhang's WF2Q+ keeps its virtual time.)
    """

    def __init__(self) -> None:
        # The numbers are unlike, so claimants are never compared.
        self._entries: list[tuple[float, int, Any]] = []
        self._numbers = itertools.count()
        self._gone = 0
        self._away: OrderedDict[Claimant, float] = OrderedDict()
        self._level = self._highest = 0.0

    def __len__(self) -> int:
        return len(self._entries) - self._gone

    @property
    def active(self) -> int:
        """How many want something: those in the line, and those who will be back in a moment."""
        return len(self) + len(self._away)

    def add(self, claimant: AnyClaimant, credit: float = 0) -> None:
        """Let somebody stand in the line who does not.

        :param credit: how much (bytes) of what it did not use while it was away it may get now.
        """
        self._away.pop(claimant, None)
        claimant.served = max(claimant.served, self._level - credit)
        entry: tuple[float, int, Any] = (claimant.served, next(self._numbers), claimant)
        claimant.entry = entry
        heapq.heappush(self._entries, entry)

    def remove(self, claimant: AnyClaimant) -> None:
        """Let somebody stand in it no more. Idempotent."""
        self._away.pop(claimant, None)
        if claimant.entry is None:
            return
        claimant.entry = None
        self._gone += 1
        if 2 * self._gone > len(self._entries):
            self._entries = [each for each in self._entries if each[2].entry is each]
            heapq.heapify(self._entries)
            self._gone = 0

    @property
    def first(self) -> AnyClaimant | None:
        """Whose turn it is."""
        entries = self._entries
        while entries and entries[0][2].entry is not entries[0]:
            heapq.heappop(entries)
            self._gone -= 1
        return cast(AnyClaimant, entries[0][2]) if entries else None

    def serve(self, claimant: AnyClaimant, count: int, now: float) -> None:
        """It was its turn: it is given some bytes, and goes out of the line.

        :param now: seconds.
        """
        while self._away and next(iter(self._away.values())) < now - AWAY:
            self._away.popitem(last=False)
        self._level = max(self._level, claimant.served)
        self._count(claimant, count)
        self.remove(claimant)
        self._away[claimant] = now

    def charge(self, claimant: AnyClaimant, count: int) -> None:
        """Count bytes that somebody took out of turn, or less than none for bytes given back."""
        waits = claimant.in_line
        self.remove(claimant)
        self._count(claimant, count)
        if waits:
            self.add(claimant, credit=self._level)

    def _count(self, claimant: AnyClaimant, count: int) -> None:
        claimant.served += count
        self._highest = max(self._highest, claimant.served)
        share = max(0, count) / (self.active or 1)
        self._level = min(self._level + share, self._highest)
