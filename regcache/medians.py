"""Medians of durations that are counted, not kept: how many took about how long."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping

#: Upper bounds of durations: each a quarter more than the one before (seconds).
BOUNDS = tuple(0.0002 * 1.25**n for n in range(60))


def place_of(seconds: float) -> int:
    """Where a duration is counted; at most ``len(BOUNDS)``."""
    return bisect_left(BOUNDS, seconds)


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
