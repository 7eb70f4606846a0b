"""Looks that are taken again and again: every row of their table."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.looks import Looks


class LooksTests(SynchronousTestCase):
    """One row after the other."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.open: list[Deferred[None]] = []
        self.looks = Looks(self.look, 10.0, clock=self.clock, what="looking")
        self.addCleanup(self.looks.stop)

    def look(self) -> "Deferred[None]":
        """One look, which ends when the test wants."""
        self.open.append(Deferred())
        return self.open[-1]

    def end(self) -> None:
        """The look that is under way ends."""
        self.open[-1].callback(None)

    def test_interval(self) -> None:
        """It is waited for the interval, from the end of the last look."""
        self.looks.start()
        self.clock.advance(9.9)
        self.assertEqual(len(self.open), 0)
        self.clock.advance(0.2)
        self.assertEqual(len(self.open), 1)
        self.clock.advance(100)
        self.assertEqual(len(self.open), 1)
        self.end()
        self.clock.advance(10)
        self.assertEqual(len(self.open), 2)

    def test_now(self) -> None:
        """The first look may be at once."""
        self.looks.start(now=True)
        self.assertEqual(len(self.open), 1)

    def test_soon(self) -> None:
        """A reason ends the waiting; another one comes the whole interval later."""
        self.looks.start()
        self.clock.advance(9)
        self.looks.soon()
        self.assertEqual(len(self.open), 1)
        self.end()
        self.clock.advance(9)
        self.assertEqual(len(self.open), 1)

    def test_soon_meanwhile(self) -> None:
        """However many reasons come during a look, one look follows it."""
        self.looks.start(now=True)
        for _ in range(5):
            self.looks.soon()
        self.assertEqual(len(self.open), 1)
        self.end()
        self.assertEqual(len(self.open), 2)
        self.end()
        self.assertEqual(len(self.open), 2)

    def test_fails(self) -> None:
        """A look that fails is logged, and others follow."""
        self.looks.start(now=True)
        self.open[-1].errback(ValueError("ill"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.clock.advance(10)
        self.assertEqual(len(self.open), 2)

    def test_stop(self) -> None:
        """Nothing follows a stop, neither a look under way nor a reason."""
        self.looks.start(now=True)
        self.looks.soon()
        self.looks.stop()
        self.looks.soon()
        self.end()
        self.assertEqual((len(self.open), self.clock.getDelayedCalls()), (1, []))

    def test_again(self) -> None:
        """It may begin again, also while the last look is under way."""
        self.looks.start(now=True)
        self.looks.stop()
        self.looks.start(now=True)
        self.assertEqual(len(self.open), 1)
        self.end()
        self.assertEqual(len(self.open), 2)
