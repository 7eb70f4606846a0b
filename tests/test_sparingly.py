"""Lines of the log that come once in a while."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.sparingly import Sparingly


class SparinglyTests(SynchronousTestCase):
    """Something that happens again and again."""

    def test_turns(self) -> None:
        """It is said at once, then once in ten seconds with how often it was not."""
        clock = Clock()
        sparingly = Sparingly(clock, 10.0)
        told = []
        for _ in range(25):
            told.append(sparingly.turn())
            clock.advance(1)
        self.assertEqual(
            [each for each in told if each is not None],
            ["", " (9 more since this was said)", " (9 more since this was said)"],
        )

    def test_alone(self) -> None:
        """What happens seldom is said each time, and nothing was left out."""
        clock = Clock()
        sparingly = Sparingly(clock, 10.0)
        for _ in range(3):
            self.assertEqual(sparingly.turn(), "")
            clock.advance(10)

    def test_clock_set_back(self) -> None:
        """A clock that is set back keeps nothing quiet."""
        clock = Clock()
        clock.advance(1000)
        sparingly = Sparingly(clock, 10.0)
        sparingly.turn()
        clock.rightNow = 0.0
        self.assertEqual(sparingly.turn(), "")
