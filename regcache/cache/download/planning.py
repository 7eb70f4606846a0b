"""Decides which part of a download to ask an upstream for next, by intervals.

A download has one *main* fill that works towards completeness, and side fills for readers
that wait far ahead of it. "Claimed" is every byte that is present or has arrived and waits
to be written, so two fills that meet never write the same place twice.
"""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from regcache.interfaces import IPartialFile
from regcache.intervals import Intervals
from regcache.light_dataclass import dataclass

#: A reader that is at most this far ahead of a fill waits for that fill (bytes).
NEAR = 4 * 1024 * 1024
#: How much a side fill asks for at a time (bytes). There is another one if its reader still waits.
WINDOW = 8 * 1024 * 1024
#: Present bytes up to this length are fetched again, which is cheaper than another request (bytes).
SKIP = 256 * 1024
#: How many fills of one download there may be at a time.
MOST_FILLS = 8
#: After so many side fills that broke off, no more are tried.
MOST_SIDE_FAILURES = 4


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a blob to ask for; ``end`` None means up to the end of the blob."""

    start: int
    end: int | None


def main_stretch(claimed: Intervals, size: int | None, fills: Sequence[Stretch]) -> Stretch | None:
    """The first gap that no fill works on; None when there is none."""
    if size is None:
        return None if fills else Stretch(claimed.end_of(0), None)
    for start, end in claimed.gaps(0, size):
        if not any(fill.start == start for fill in fills):
            # A fill that was planned inside this gap bounds it.
            stop = min([end, *(fill.start for fill in fills if start < fill.start < end)])
            return Stretch(start, None if stop == size else stop)
    return None


def side_stretch(
    claimed: Intervals, size: int | None, fills: Sequence[Stretch], waiting: int
) -> Stretch | None:
    """What to ask for, for a reader that waits at an offset.

    None if the bytes are being written, if a fill will be there soon, or if the size is not known.
    """
    if size is None or claimed.end_of(waiting) > waiting:
        return None
    if any(_reaches(fill, waiting, claimed) for fill in fills):
        return None
    following = claimed.next_start(waiting)
    ahead = [fill.start for fill in fills if fill.start > waiting]
    stop = min([size, waiting + WINDOW, *ahead, *([] if following is None else [following])])
    return Stretch(waiting, stop)


def _reaches(fill: Stretch, offset: int, claimed: Intervals) -> bool:
    """Whether a fill comes to an offset soon, without being stopped before."""
    if not fill.start <= offset <= fill.start + NEAR:
        return False
    if fill.end is not None and fill.end <= offset:
        return False
    met = claimed.next_start(fill.start)
    return met is None or met > offset


def met_present(claimed: Intervals, position: int, size: int | None) -> bool:
    """Whether a fill at ``position`` has met bytes that it need not bring, and should stop.

    If the size is not known it goes on, since it is not known what to ask for instead.
    """
    if size is None:
        return False
    met = claimed.end_of(position)
    return met > position and (met == size or met - position > SKIP)


class RunningFill(Protocol):
    """A fill that was begun and is not over.

    :ivar position: the offset of the next byte that it brings.
    :ivar end: where it has to end; None: at the end of the content.
    :ivar stopped: whether it was told to end early.
    """

    position: int
    end: int | None
    stopped: bool

    @property
    def stretch(self) -> Stretch:
        """The part that it will still bring."""


F = TypeVar("F", bound=RunningFill)


class FillPlan(Generic[F]):
    """The fills of one download, and what to ask for besides.

    :param claimed: every byte that is present, or has arrived and waits to be written.
    :ivar fills: those that are running.
    :ivar main: the one that works towards completeness.
    :ivar ranges_ignored: whether the upstream ignores ranges and always answers from the start.
    :ivar no_remainder: whether the upstream says that nothing follows the present bytes, although
        their size is not known. Then only a whole answer can show where the end is.
    :ivar side_failures: how many fills broke beside another one.
    """

    def __init__(self, file: IPartialFile, claimed: Intervals) -> None:
        self.fills: list[F] = []
        self.main: F | None = None
        self.ranges_ignored = False
        self.no_remainder = False
        self.side_failures = 0
        self._file = file
        self._claimed = claimed

    def add(self, fill: F, main: bool) -> None:
        """A fill begins."""
        self.fills.append(fill)
        if main:
            self.main = fill

    def remove(self, fill: F) -> None:
        """It is over. Idempotent."""
        if fill in self.fills:
            self.fills.remove(fill)
        if self.main is fill:
            self.main = None

    def next_main(self) -> Stretch | None:
        """What to ask for next, for any reader."""
        # If ranges are ignored a fill brings everything, so that no other one is needed.
        if self.main is not None or (self.ranges_ignored and self.fills):
            return None
        if not self.fills and not self._claimed:
            return None if self._file.size == 0 else Stretch(0, None)
        if self.no_remainder and self._file.size is None:
            return None if self.fills else Stretch(0, None)
        return main_stretch(self._claimed, self._file.size, self._stretches())

    def beside(self, waiting: int) -> Stretch | None:
        """What to ask for besides, for a reader that waits at an offset."""
        if self.main is not None and self.main.position == waiting:
            return None  # all bytes that have arrived were written and sent
        if self.ranges_ignored or self.side_failures >= MOST_SIDE_FAILURES:
            return None
        return side_stretch(self._claimed, self._file.size, self._stretches(), waiting)

    def met_present(self, position: int) -> bool:
        """Whether a fill has met bytes that it need not bring, and should stop."""
        if self.ranges_ignored:
            return False
        return met_present(self._claimed, position, self._file.size)

    def next_fill(self, position: int) -> int | None:
        """Where the first fill behind ``position`` is; None if there is none."""
        starts = [each.start for each in self._stretches() if each.start > position]
        return min(starts, default=None)

    def is_needless(self, fill: F) -> bool:
        """Note that ranges are ignored. Returns whether another fill brings everything anyway."""
        self.ranges_ignored = True
        return len(self.fills) > 1

    def fell_short(self, fill: F) -> bool:
        """Whether a fill that has ended cleanly brought less than it was asked for.

        If the size was not known, the end of the answer is the size.
        """
        if fill.stopped:
            return False
        wanted = self._file.size if fill.end is None else fill.end
        if wanted is None and self._claimed.end_of(0) <= fill.position:
            self._file.set_size(fill.position)
        return fill.position < (wanted or self._claimed.end_of(0))

    def _stretches(self) -> list[Stretch]:
        return [fill.stretch for fill in self.fills]
