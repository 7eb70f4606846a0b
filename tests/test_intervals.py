"""Tests for regcache.intervals."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regcache.intervals import Intervals

PAIRS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda p: (p[0], p[0] + p[1]))
)


def members(pairs: list[tuple[int, int]]) -> set[int]:
    """The model: a plain set of integers."""
    return {number for start, end in pairs for number in range(start, end)}


class IntervalsTests(SynchronousTestCase):
    """Tests for :class:`Intervals`."""

    def test_touching_neighbours_merge(self) -> None:
        """Intervals that touch become one."""
        self.assertEqual(list(Intervals([(0, 5), (10, 12), (5, 10)])), [(0, 12)])

    def test_copy_is_independent(self) -> None:
        """A copy does not follow its original."""
        original = Intervals([(0, 5)])
        twin = original.copy()
        original.clear()
        self.assertEqual(list(twin), [(0, 5)])
        self.assertEqual(list(original), [])

    @given(PAIRS)
    def test_same_as_a_plain_set(self, pairs: list[tuple[int, int]]) -> None:
        """Any sequence of additions holds the same numbers as a plain set, in normal form."""
        intervals = Intervals(pairs)
        self.assertEqual(members(list(intervals)), members(pairs))
        self.assertEqual(intervals.total, len(members(pairs)))
        self.assertEqual(intervals.end, max(members(pairs), default=-1) + 1)
        flat = [edge for pair in intervals for edge in pair]
        self.assertEqual(flat, sorted(set(flat)))

    @given(PAIRS, PAIRS)
    def test_removal(self, pairs: list[tuple[int, int]], removed: list[tuple[int, int]]) -> None:
        """What is taken out is not there any more, and nothing else changes."""
        intervals = Intervals(pairs)
        for start, end in removed:
            intervals.remove(start, end)
        expected = members(pairs) - members(removed)
        self.assertEqual(members(list(intervals)), expected)
        self.assertEqual(intervals.total, len(expected))
        flat = [edge for pair in intervals for edge in pair]
        self.assertEqual(flat, sorted(set(flat)))

    @given(PAIRS, st.integers(0, 70), st.integers(0, 70))
    def test_questions(self, pairs: list[tuple[int, int]], start: int, end: int) -> None:
        """Covers, gaps, end_of and next_start agree with the plain set."""
        intervals, model = Intervals(pairs), members(pairs)
        wanted = set(range(start, end))
        self.assertEqual(intervals.covers(start, end), wanted <= model)
        self.assertEqual(members(intervals.gaps(start, end)), wanted - model)
        expected = start
        while expected in model:
            expected += 1
        self.assertEqual(intervals.end_of(start), expected)
        behind = [number for number in model if number >= start]
        self.assertEqual(intervals.next_start(start), min(behind) if behind else None)
