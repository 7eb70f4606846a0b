"""How fast a URL answers."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.upstream.answer_times import (
    LATEST_SECONDS,
    LEAST_LATEST,
    MOST_LATEST,
    SLOW,
    AnswerTimes,
    answer_facts,
)
from regcache.upstream.urls import Origin
from regcache.upstream_health import ANSWER_HOURS, AnswerFacts

OWN, OTHER = Origin("https", "registry.test", 443), Origin("https", "cdn.test", 443)
HOUR = 3600.0


class AnswerTimesTests(SynchronousTestCase):
    """One URL."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000 * HOUR)
        self.times = AnswerTimes(OWN, self.clock.seconds)

    def answer(self, seconds: float, count: int = 1, origin: Origin = OWN) -> None:
        """Some answers that took so long."""
        for _ in range(count):
            self.times.answered(origin, self.clock.seconds() - seconds)

    def facts(self) -> AnswerFacts:
        """What is told."""
        return answer_facts([self.times], self.clock.seconds())

    def test_hours(self) -> None:
        """Each hour has its median; the last is that of now, and what is older is forgotten."""
        self.answer(0.1, 3)
        self.clock.advance(HOUR)
        self.answer(0.4, 2)
        facts = self.facts()
        self.assertEqual((len(facts.hours), facts.hours[:-2]), (24, (None,) * 22))
        before, now = facts.hours[-2:]
        assert before is not None
        assert now is not None
        self.assertTrue(0.1 <= before <= 0.125, before)
        self.assertTrue(0.4 <= now <= 0.5, now)
        self.assertEqual(facts.median, before)
        self.clock.advance(ANSWER_HOURS * HOUR)
        self.assertEqual(self.facts(), AnswerFacts())

    def test_bounded(self) -> None:
        """A year of answers takes no more memory than a day of them."""
        for _ in range(400):
            self.answer(0.1)
            self.clock.advance(HOUR)
        self.assertLessEqual(len(self.times._hours), ANSWER_HOURS)

    def test_own(self) -> None:
        """What others answer, to whom it redirects, says nothing of it."""
        self.answer(3.0, 10, OTHER)
        self.assertEqual((self.facts(), self.times.is_slow), (AnswerFacts(), False))

    def test_slow(self) -> None:
        """It is slow while half of its latest answers are, and these are not long ago."""
        self.answer(SLOW, LEAST_LATEST - 1)
        self.assertFalse(self.times.is_slow)
        self.answer(SLOW)
        self.assertTrue(self.times.is_slow)
        self.clock.advance(LATEST_SECONDS + 1)
        self.assertFalse(self.times.is_slow)
        self.answer(SLOW, LEAST_LATEST)
        self.answer(0.1, MOST_LATEST - LEAST_LATEST)
        self.assertFalse(self.times.is_slow)

    def test_clock_set_back(self) -> None:
        """What was counted in hours that are to come is dropped; nothing fails."""
        self.answer(0.1)
        self.clock.rightNow -= 5 * HOUR
        self.answer(-1.0)
        self.assertIsNotNone(self.facts().hours[-1])
