"""Tests for asking again."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.download.planning import SKIP
from regcache.cache.download.retries import FIRST_PAUSE, LONGEST_PAUSE, MOST_TRIES, Retries
from regcache.errors import (
    UpstreamDenied,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamResting,
    UpstreamServerError,
)

BROKEN = UpstreamServerError("up.test", "503", status=503)


class RetriesTests(SynchronousTestCase):
    """How often, and after which pause."""

    def setUp(self) -> None:
        """Nothing was tried; jitter makes pauses as short as it can."""
        self.clock = Clock()
        self.again: list[float] = []
        self.jitter = 0.0
        self.retries = Retries(
            self.clock, lambda: self.jitter, lambda: self.again.append(self.clock.seconds()), 0
        )

    def test_tries_are_limited(self) -> None:
        """So many tries that bring nothing may follow each other, and no more."""
        allowed = [self.retries.count(0) for _ in range(MOST_TRIES + 1)]
        self.assertEqual(allowed, [True] * MOST_TRIES + [False])

    def test_progress_counts(self) -> None:
        """A try that brought something begins the count anew; a few bytes are nothing."""
        for _ in range(MOST_TRIES):
            self.retries.count(0)
        self.assertTrue(self.retries.count(SKIP))
        for _ in range(MOST_TRIES - 1):
            self.assertTrue(self.retries.count(SKIP + 10))
        self.assertFalse(self.retries.count(SKIP + 20))

    def test_pauses_grow(self) -> None:
        """Each pause is twice as long as the one before, up to a limit."""
        pauses = []
        for _ in range(MOST_TRIES):
            self.retries.count(0)
            pauses.append(self.retries.pause(BROKEN))
            self.clock.advance(LONGEST_PAUSE)
        expected = [FIRST_PAUSE / 2 * 2**each for each in range(MOST_TRIES)]
        self.assertEqual(pauses, expected)
        self.assertEqual(len(self.again), MOST_TRIES)

    def test_jitter(self) -> None:
        """A pause is between half of it and all of it."""
        self.retries.count(0)
        self.jitter = 0.999
        self.assertAlmostEqual(self.retries.pause(BROKEN), FIRST_PAUSE, places=3)

    def test_upstream_says_when(self) -> None:
        """A longer pause that the upstream asks for is kept, within the limit."""
        for retry_after, expected in ((7, 7.0), (3600, LONGEST_PAUSE)):
            for failure in (
                UpstreamRateLimited("up.test", "slowly", retry_after=retry_after),
                UpstreamResting("up.test", "resting", retry_after=retry_after),
            ):
                self.assertEqual(self.retries.pause(failure), expected)
                self.retries.cancel()

    def test_one_pause_at_a_time(self) -> None:
        """A further failure meanwhile does not make it ask twice."""
        self.retries.pause(BROKEN)
        self.retries.pause(BROKEN)
        self.assertTrue(self.retries.waiting)
        self.clock.advance(LONGEST_PAUSE)
        self.assertEqual(len(self.again), 1)
        self.assertFalse(self.retries.waiting)

    def test_cancel(self) -> None:
        """After a cancel nothing is asked and no call is left. It may be done twice."""
        self.retries.pause(BROKEN)
        self.retries.cancel()
        self.retries.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.retries.waiting)

    def test_final(self) -> None:
        """A right that is withdrawn is not asked for again; anything else is."""
        self.assertTrue(self.retries.is_final(UpstreamDenied("up.test", "no", status=403)))
        self.assertTrue(self.retries.is_final(UpstreamNotFound("up.test", "no", status=404)))
        self.assertFalse(self.retries.is_final(BROKEN))
