"""How fast counts grow."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.rates import RecentRates


class RecentRatesTests(SynchronousTestCase):
    """Counts that are looked at now and then."""

    def setUp(self) -> None:
        self.rates = RecentRates()

    def test_first(self) -> None:
        """At first nothing is known."""
        self.assertIsNone(self.rates.rate("a", 1000, 5.0))
        self.assertIsNone(self.rates.rate("a", 1000, 5.1))

    def test_growing(self) -> None:
        """Afterwards it is what it grew in the last ten seconds."""
        self.rates.rate("a", 0, 0.0)
        self.assertEqual(self.rates.rate("a", 100, 1.0), 100)
        self.assertEqual(self.rates.rate("a", 300, 2.0), 150)
        for second in range(3, 30):
            self.rates.rate("a", 300, float(second))
        self.assertEqual(self.rates.rate("a", 300, 30.0), 0)

    def test_often(self) -> None:
        """Who looks every moment gets the same as who looks seldom."""
        for moment in range(100):
            rate = self.rates.rate("a", moment * 10, moment / 10)
        self.assertEqual(rate, 100)

    def test_shrinking(self) -> None:
        """A count that begins anew has no negative rate."""
        self.rates.rate("a", 100, 0.0)
        self.assertEqual(self.rates.rate("a", 0, 1.0), 0)

    def test_bound(self) -> None:
        """What is over is forgotten."""
        for number in range(100):
            self.rates.rate(number, 1, 0.0)
        self.rates.keep_only([1, 2, 3])
        self.assertEqual(len(self.rates), 3)
