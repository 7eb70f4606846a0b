"""A set of byte intervals: which parts of a growing file are present."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Intervals:
    """Disjoint, sorted, half-open intervals ``[start, end)`` of non-negative integers.

    Neighbours that touch are merged, so a file that is written from front to back is one.

    :ivar total: how many integers are in the set.
    """

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.total = 0
        for start, end in pairs:
            self.add(start, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Intervals) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Intervals({list(self)!r})"

    @property
    def end(self) -> int:
        """Behind the last integer of the set; 0 if it is empty."""
        return self._ends[-1] if self._ends else 0

    def add(self, start: int, end: int) -> None:
        """Put ``[start, end)`` in. An empty interval changes nothing."""
        if start >= end:
            return
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
            self.total -= sum(self._ends[first:last]) - sum(self._starts[first:last])
        self.total += end - start
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def remove(self, start: int, end: int) -> None:
        """Take ``[start, end)`` out."""
        first, last = bisect_right(self._ends, start), bisect_left(self._starts, end)
        if start >= end or first >= last:
            return
        kept = [(self._starts[first], start), (end, self._ends[last - 1])]
        self.total -= sum(self._ends[first:last]) - sum(self._starts[first:last])
        del self._starts[first:last], self._ends[first:last]
        for piece in kept:
            self.add(*piece)

    def clear(self) -> None:
        """Take everything out."""
        self._starts.clear()
        self._ends.clear()
        self.total = 0

    def copy(self) -> "Intervals":
        """An independent copy."""
        return Intervals(self)

    def end_of(self, offset: int) -> int:
        """The end of the interval that holds ``offset``, or ``offset`` where none does."""
        index = bisect_right(self._starts, offset) - 1
        return max(offset, self._ends[index]) if index >= 0 else offset

    def next_start(self, offset: int) -> int | None:
        """Where the first interval at or behind ``offset`` begins, or None.

        An offset that lies within an interval is its own answer.
        """
        if self.end_of(offset) > offset:
            return offset
        index = bisect_left(self._starts, offset)
        return self._starts[index] if index < len(self._starts) else None

    def covers(self, start: int, end: int) -> bool:
        """Whether all of ``[start, end)`` is in the set."""
        return start >= end or self.end_of(start) >= end

    def gaps(self, start: int, end: int) -> list[tuple[int, int]]:
        """The maximal intervals of ``[start, end)`` that are not in the set."""
        if start >= end:
            return []
        index = bisect_right(self._starts, start)
        if (index == 0 or self._ends[index - 1] <= start) and (
            index == len(self._starts) or self._starts[index] >= end
        ):
            return [(start, end)]  # as a file that is written from front to back finds it
        missing = []
        position = start
        while position < end:
            position = self.end_of(position)
            following = self.next_start(position)
            stop = end if following is None else min(end, following)
            if position < stop:
                missing.append((position, stop))
            position = max(position, stop)
        return missing
