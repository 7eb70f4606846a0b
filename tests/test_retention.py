"""What content is worth."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.retention import HALF_LIFE, MOST_DOUBLINGS, count_now, priority, weight


class CountTests(SynchronousTestCase):
    """Counts that halve."""

    def test_halves(self) -> None:
        """A use counts half after a half-life, and a quarter after two."""
        total = weight(1000.0, 0.0)
        for ages, count in ((0, 1.0), (1, 0.5), (2, 0.25)):
            self.assertAlmostEqual(count_now(total, 0.0, 1000.0 + ages * HALF_LIFE), count)

    def test_adds_up(self) -> None:
        """Sums of uses at several times are the sum of what each counts now."""
        now = 3 * HALF_LIFE
        total = weight(0.0, 0.0) + weight(2 * HALF_LIFE, 0.0) + weight(now, 0.0)
        self.assertAlmostEqual(count_now(total, 0.0, now), 0.125 + 0.5 + 1.0)

    def test_absurd_clock(self) -> None:
        """A clock that is wrong by ages makes nothing infinite, and nothing zero."""
        self.assertEqual(weight(1e300, 0.0), 2.0**MOST_DOUBLINGS)
        self.assertEqual(weight(-1e300, 0.0), 2.0**-MOST_DOUBLINGS)


class PriorityTests(SynchronousTestCase):
    """The order of eviction."""

    def test_order(self) -> None:
        """More uses, less size and a later use count for content; nothing counts as unused."""
        base = priority(1.0, 2.0, 1000)
        self.assertGreater(priority(1.0, 3.0, 1000), base)
        self.assertGreater(priority(1.0, 2.0, 999), base)
        self.assertGreater(priority(1.5, 2.0, 1000), base)
        self.assertEqual(priority(0.0, 0.0, 1000), priority(0.0, 1.0, 1000))

    def test_empty(self) -> None:
        """Empty content has a priority, too."""
        self.assertEqual(priority(0.0, 1.0, 0), 1.0)
