"""Tests for what is asked for next."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.download.planning import (
    NEAR,
    SKIP,
    WINDOW,
    Stretch,
    main_stretch,
    met_present,
    side_stretch,
)
from regcache.intervals import Intervals

MIB = 1024 * 1024
SIZE = 100 * MIB


class MainStretchTests(SynchronousTestCase):
    """The fill that works towards completeness."""

    def test_table(self) -> None:
        """It is the first gap that nobody works on, bounded by what begins within it."""
        half, rest = Stretch(0, None), Stretch(50 * MIB, None)
        cases: list[tuple[list[tuple[int, int]], int | None, list[Stretch], Stretch | None]] = [
            ([], SIZE, [], Stretch(0, None)),
            ([(0, MIB)], SIZE, [], Stretch(MIB, None)),
            ([(50 * MIB, SIZE)], SIZE, [], Stretch(0, 50 * MIB)),
            ([(0, MIB), (2 * MIB, SIZE)], SIZE, [], Stretch(MIB, 2 * MIB)),
            ([(0, MIB)], SIZE, [Stretch(MIB, None)], None),
            ([], SIZE, [rest], Stretch(0, 50 * MIB)),
            ([(10 * MIB, 20 * MIB)], SIZE, [half], Stretch(20 * MIB, None)),
            ([(0, SIZE)], SIZE, [], None),
            ([], 0, [], None),
            ([], None, [], Stretch(0, None)),
            ([(0, MIB)], None, [], Stretch(MIB, None)),
            ([(0, MIB)], None, [half], None),
        ]
        for present, size, fills, expected in cases:
            with self.subTest(present=present, size=size, fills=fills):
                self.assertEqual(main_stretch(Intervals(present), size, fills), expected)


class SideStretchTests(SynchronousTestCase):
    """Fills for readers that wait far ahead."""

    def test_table(self) -> None:
        """It is a window from where the reader waits, unless somebody will be there soon."""
        far = 50 * MIB
        cases: list[tuple[list[tuple[int, int]], int | None, list[Stretch], Stretch | None]] = [
            ([], SIZE, [Stretch(0, None)], Stretch(far, far + WINDOW)),
            ([], SIZE, [Stretch(far - NEAR, None)], None),
            ([], SIZE, [Stretch(far - NEAR - 1, None)], Stretch(far, far + WINDOW)),
            ([], SIZE, [Stretch(far - MIB, far)], Stretch(far, far + WINDOW)),
            ([(far - 2, far - 1)], SIZE, [Stretch(far - MIB, None)], Stretch(far, far + WINDOW)),
            ([(far, far + 1)], SIZE, [], None),
            ([(far + MIB, SIZE)], SIZE, [], Stretch(far, far + MIB)),
            ([], SIZE, [Stretch(far + MIB, None)], Stretch(far, far + MIB)),
            ([], far + 1, [], Stretch(far, far + 1)),
            ([], None, [Stretch(0, None)], None),
        ]
        for present, size, fills, expected in cases:
            with self.subTest(present=present, size=size, fills=fills):
                self.assertEqual(side_stretch(Intervals(present), size, fills, far), expected)


class MetPresentTests(SynchronousTestCase):
    """Where a fill stops."""

    def test_table(self) -> None:
        """It stops before much that is present, or before a present end; it reads little."""
        cases: list[tuple[list[tuple[int, int]], int | None, bool]] = [
            ([], SIZE, False),
            ([(0, MIB)], SIZE, False),
            ([(0, MIB + SKIP)], SIZE, False),
            ([(0, MIB + SKIP + 1)], SIZE, True),
            ([(0, SIZE)], SIZE, True),
            ([(0, MIB + 1)], MIB + 1, True),
            ([(0, SIZE)], None, False),
        ]
        for present, size, expected in cases:
            with self.subTest(present=present, size=size):
                self.assertEqual(met_present(Intervals(present), MIB, size), expected)
