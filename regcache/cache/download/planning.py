"""Which part of a download to ask an upstream for next: decisions on intervals.

A download has one *main* fill that works towards completeness, and side fills for readers
that wait far ahead of it. "Claimed" is every byte that is present or has arrived and waits
to be written, so two fills that meet never write the same place twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from regcache.interfaces import IPartialFile
from regcache.intervals import Intervals

#: A reader that waits at most this far ahead of a fill waits for it (bytes).
NEAR = 4 * 1024 * 1024
#: A side fill asks for this much at once, and goes on only while its reader waits (bytes).
WINDOW = 8 * 1024 * 1024
#: Present bytes up to this length are read through: cheaper than another request (bytes).
SKIP = 256 * 1024
#: Fills of one download at once.
MOST_FILLS = 8
#: Fills that broke beside another one, after which no more side fills are tried.
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
    """What to ask for on behalf of a reader that waits at an offset.

    None where the bytes are on their way, where a fill will soon be there, or while the size
    is not known.
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

    Without a known size nobody could say what to ask for instead, so it reads on.
    """
    if size is None:
        return False
    met = claimed.end_of(position)
    return met > position and (met == size or met - position > SKIP)


class RunningFill(Protocol):
    """A fill that was begun and is not over.

    :ivar position: the offset of what it brings next.
    :ivar end: where it is to end; None: where the content does.
    :ivar stopped: it was told to end early.
    """

    position: int
    end: int | None
    stopped: bool

    @property
    def stretch(self) -> Stretch:
        """What it will still bring."""


F = TypeVar("F", bound=RunningFill)


class FillPlan(Generic[F]):
    """The fills of one download, and what is to be asked for besides.

    :param claimed: every byte that is present, or has arrived and waits to be written.
    :ivar fills: those that run.
    :ivar main: the one that works towards completeness.
    :ivar ranges_ignored: the upstream answers from the start, whatever it is asked for.
    :ivar no_remainder: nothing follows what is here, it says, though nobody knows the size:
        only a whole answer can say where the end is.
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
        """What to ask for next, whoever waits."""
        # Where Range is ignored a fill brings everything, and another one nothing more.
        if self.main is not None or (self.ranges_ignored and self.fills):
            return None
        if not self.fills and not self._claimed:
            return None if self._file.size == 0 else Stretch(0, None)
        if self.no_remainder and self._file.size is None:
            return None if self.fills else Stretch(0, None)
        return main_stretch(self._claimed, self._file.size, self._stretches())

    def beside(self, waiting: int) -> Stretch | None:
        """What to ask for besides, on behalf of a reader that waits at an offset."""
        if self.main is not None and self.main.position == waiting:
            return None  # whatever has arrived was written, and sent
        if self.ranges_ignored or self.side_failures >= MOST_SIDE_FAILURES:
            return None
        return side_stretch(self._claimed, self._file.size, self._stretches(), waiting)

    def met_present(self, position: int) -> bool:
        """Whether a fill has met bytes that it need not bring, and should stop."""
        if self.ranges_ignored:
            return False
        return met_present(self._claimed, position, self._file.size)

    def is_needless(self, fill: F) -> bool:
        """Range was ignored: one answer from the start is enough for everybody."""
        self.ranges_ignored = True
        return len(self.fills) > 1

    def fell_short(self, fill: F) -> bool:
        """Whether a fill that has ended cleanly brought less than it was asked for.

        Where nobody knew the size, its end says it.
        """
        if fill.stopped:
            return False
        wanted = self._file.size if fill.end is None else fill.end
        if wanted is None and self._claimed.end_of(0) <= fill.position:
            self._file.set_size(fill.position)
        return fill.position < (wanted or self._claimed.end_of(0))

    def _stretches(self) -> list[Stretch]:
        return [fill.stretch for fill in self.fills]
