"""When the disk is full."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.forecast import LEAST_SPAN, full_in_days, growth

DAY = 86_400.0


class ForecastTests(SynchronousTestCase):
    """By how it filled."""

    def test_growth(self) -> None:
        """What fills and is swept each night grows by what is left of it."""
        steady = [(hour * 3600.0, 1000 + hour * 3600 * 5) for hour in range(48)]
        self.assertAlmostEqual(growth(steady) or 0.0, 5.0)
        saw = [(hour * 3600.0, hour * 100 + hour % 24 * 1000) for hour in range(24 * 7)]
        self.assertTrue(2000 < (growth(saw) or 0.0) * DAY < 3000)

    def test_unknown(self) -> None:
        """Of less than some hours nothing is concluded."""
        for points in ([], [(0.0, 5)], [(0.0, 5), (LEAST_SPAN - 1, 50)]):
            self.assertIsNone(growth(points))
        self.assertIsNotNone(growth([(0.0, 5), (LEAST_SPAN, 50)]))

    def test_days(self) -> None:
        """It is full when what is left is used up; where it shrinks, or hardly grows, never."""
        rate = 100 / DAY
        for used, limit, speed, expected in (
            (500, 1000, rate, 5.0),
            (970, 1000, None, 0.0),
            (1100, 1000, rate, 0.0),
            (500, None, rate, None),
            (500, 1000, None, None),
            (500, 1000, 0.0, None),
            (500, 1000, -rate, None),
            (500, 1000, 0.1 / DAY, None),
        ):
            self.assertEqual(full_in_days(used, limit, speed), expected, (used, limit, speed))
