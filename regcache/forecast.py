"""When the disk is full, by how it filled lately. Pure."""

from collections.abc import Sequence

#: What is known of less time says nothing (seconds).
LEAST_SPAN = 6 * 3600.0
#: Days beyond which nothing is said.
MOST_DAYS = 3650.0
#: A share of the limit that counts as all of it: evictions free 2 % more than they have to.
FULL = 0.97
_DAY = 86_400.0


def growth(points: Sequence[tuple[float, int]]) -> float | None:
    """Bytes a second by which something grew, by least squares; None where too little is known.

    :param points: times (seconds) and bytes.
    """
    if len(points) < 2 or points[-1][0] - points[0][0] < LEAST_SPAN:
        return None
    middle = sum(at for at, _ in points) / len(points)
    mean = sum(size for _, size in points) / len(points)
    spread = sum((at - middle) ** 2 for at, _ in points)
    return sum((at - middle) * (size - mean) for at, size in points) / spread


def full_in_days(used: int, limit: int | None, rate: float | None) -> float | None:
    """Days until something is full; None where it is not known, or does not get fuller.

    :param used: bytes, and ``limit`` likewise; None where there is none.
    :param rate: bytes a second; None where that is not known.
    """
    if limit is None:
        return None
    if used >= FULL * limit:
        return 0.0
    if rate is None or rate <= 0:
        return None
    days = (limit - used) / rate / _DAY
    return round(days, 1) if days <= MOST_DAYS else None
