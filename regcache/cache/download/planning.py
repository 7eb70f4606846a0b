"""Which part of a download to ask an upstream for next: pure decisions on intervals.

A download has one *main* fill that works towards completeness, and side fills for readers
that wait far ahead of it. "Claimed" is every byte that is present or has arrived and waits
to be written, so two fills that meet never write the same place twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from regcache.intervals import Intervals

#: A reader that waits at most this far ahead of a fill waits for it (bytes).
NEAR = 4 * 1024 * 1024
#: A side fill asks for this much at once, and goes on only while its reader waits (bytes).
WINDOW = 8 * 1024 * 1024
#: Present bytes up to this length are read through: cheaper than another request (bytes).
SKIP = 256 * 1024
#: Fills of one download at once.
MOST_FILLS = 8


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
