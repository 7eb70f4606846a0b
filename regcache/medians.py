"""Medians of durations that are counted, not kept: how many took about how long."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from functools import partial

#: Bounds of durations that histograms show (seconds).
ROUND = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1800.0)
#: All upper bounds: each is at most a quarter more than the one before (seconds).
BOUNDS = tuple(sorted({*ROUND, *(0.0002 * 1.25**n for n in range(72))}))


place_of: Callable[[float], int] = partial(bisect_left, BOUNDS)
"""Where a duration is counted; at most ``len(BOUNDS)``. A function of ours would be slower."""


def median(places: Mapping[int, int]) -> float | None:
    """Half of the durations were no longer than this (seconds); None without any.

    :param places: how many were counted where.
    """
    left = (sum(places.values()) + 1) // 2
    for place in sorted(places):
        left -= places[place]
        if left <= 0:
            return BOUNDS[min(place, len(BOUNDS) - 1)]
    return None


def added_up(parts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Several of such counts as one."""
    places: dict[int, int] = {}
    for part in parts:
        for place, count in part.items():
            places[place] = places.get(place, 0) + count
    return places
