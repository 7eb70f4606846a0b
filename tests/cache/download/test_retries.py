"""Tests for asking again."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.download.planning import SKIP
from regcache.cache.download.retries import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MOST_FIRST_TRIES,
    MOST_TRIES,
    Retries,
)
from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamResting,
    UpstreamServerError,
)

BROKEN = UpstreamServerError("up.test", "503", status=503)


def gone() -> UpstreamFailure:
    """It is not there."""
    return UpstreamNotFound("up.test", "not found", status=404)


def denied() -> UpstreamFailure:
    """It may not be had."""
    return UpstreamDenied("up.test", "no", status=403)


def ill() -> UpstreamFailure:
    """It is ill."""
    return UpstreamServerError("up.test", "503", status=503)


def page() -> UpstreamFailure:
    """It shows a page."""
    return UpstreamBadAnswer("up.test", "a size of 7 bytes instead of 8")


class RetriesCase(SynchronousTestCase):
    """Three URLs."""

    def setUp(self) -> None:
        """Nothing was tried; jitter makes pauses as short as it can."""
        self.clock = Clock()
        self.again: list[float] = []
        self.jitter = 0.0
        self.retries = Retries(
            self.clock,
            lambda: self.jitter,
            digest=Digest.of(b"blob"),
            url_count=3,
        )

    def pause(self, failure: UpstreamFailure) -> float:
        """Begin a pause; its end is noted."""
        return self.retries.pause(failure, lambda: self.again.append(self.clock.seconds()))


class RetriesTests(RetriesCase):
    """How often, and after which pause."""

    def test_tries_are_limited(self) -> None:
        """So many tries that bring nothing may follow each other, and no more."""
        allowed = [self.retries.count(0, True) for _ in range(MOST_TRIES + 1)]
        self.assertEqual(allowed, [True] * MOST_TRIES + [False])

    def test_progress_counts(self) -> None:
        """A try that brought something begins the count anew; a few bytes are nothing."""
        for _ in range(MOST_TRIES):
            self.retries.count(0, True)
        self.assertTrue(self.retries.count(SKIP, True))
        for _ in range(MOST_TRIES - 1):
            self.assertTrue(self.retries.count(SKIP + 10, True))
        self.assertFalse(self.retries.count(SKIP + 20, True))

    def test_pauses_grow(self) -> None:
        """Each pause is twice as long as the one before, up to a limit."""
        pauses = []
        for _ in range(MOST_TRIES):
            self.retries.count(0, True)
            pauses.append(self.pause(BROKEN))
            self.clock.advance(LONGEST_PAUSE)
        expected = [FIRST_PAUSE / 2 * 2**each for each in range(MOST_TRIES)]
        self.assertEqual(pauses, expected)
        self.assertEqual(len(self.again), MOST_TRIES)

    def test_jitter(self) -> None:
        """A pause is between half of it and all of it."""
        self.retries.count(0, True)
        self.jitter = 0.999
        self.assertAlmostEqual(self.pause(BROKEN), FIRST_PAUSE, places=3)

    def test_upstream_says_when(self) -> None:
        """A longer pause that the upstream asks for is kept, within the limit."""
        for retry_after, expected in ((7, 7.0), (3600, LONGEST_PAUSE)):
            for failure in (
                UpstreamRateLimited("up.test", "slowly", retry_after=retry_after),
                UpstreamResting("up.test", "resting", retry_after=retry_after),
            ):
                self.assertEqual(self.pause(failure), expected)
                self.retries.cancel()

    def test_one_pause_at_a_time(self) -> None:
        """A further failure meanwhile does not make it ask twice."""
        self.pause(BROKEN)
        self.pause(BROKEN)
        self.assertTrue(self.retries.waiting)
        self.clock.advance(LONGEST_PAUSE)
        self.assertEqual(len(self.again), 1)
        self.assertFalse(self.retries.waiting)

    def test_cancel(self) -> None:
        """After a cancel nothing is asked and no call is left. It may be done twice."""
        self.pause(BROKEN)
        self.retries.cancel()
        self.retries.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.retries.waiting)

    def test_before_the_first_answer(self) -> None:
        """Fewer tries may follow each other while nothing has come."""
        allowed = [self.retries.count(0, False) for _ in range(MOST_FIRST_TRIES + 1)]
        self.assertEqual(allowed, [True] * MOST_FIRST_TRIES + [False])


class ChoiceTests(RetriesCase):
    """Whether to ask again, and whom."""

    def refuse(
        self, failure: UpstreamFailure, url: int | None = None, given: tuple[int, ...] = (0,)
    ) -> bool:
        """A URL refuses after some gave bytes; whether to ask again."""
        failure.url_index = url
        return self.retries.refused(failure, set(given))

    def test_first_question(self) -> None:
        """What the upstream says to it is the answer."""
        for failure in (gone(), denied(), ill()):
            self.assertFalse(self.refuse(failure, 0, ()))

    def test_redirect_target(self) -> None:
        """What the storage behind a redirect says is none; another URL is asked next."""
        for failure in (gone(), ill()):
            failure.redirected = True
            self.assertTrue(self.refuse(failure, 1, ()))
            self.assertEqual(self.retries.skipped(), {1})

    def test_who_gave_bytes(self) -> None:
        """A right that is withdrawn is not asked for again; anything else is."""
        for failure, again in ((gone(), False), (denied(), False), (ill(), True), (page(), True)):
            self.assertEqual(self.refuse(failure, 0), again)
            self.assertEqual(self.refuse(failure), again)

    def test_turning_back(self) -> None:
        """Who has nothing to give is no reason to end; one that says so is left alone."""
        for failure, skipped in ((ill(), set()), (gone(), {1}), (denied(), {1}), (page(), {1})):
            self.retries.broke_off(0)
            self.assertIn(0, self.retries.skipped())
            self.assertTrue(self.refuse(failure, 1))
            self.assertEqual(self.retries.skipped(), skipped)

    def test_turning_back_from_nobody_knows_whom(self) -> None:
        """On a detour a refusal is that of another URL."""
        self.retries.broke_off(0)
        self.assertTrue(self.refuse(gone()))
        self.assertEqual(self.retries.skipped(), set())
        self.assertFalse(self.refuse(gone()))

    def test_somebody_is_left(self) -> None:
        """However many are left alone, one is asked."""
        for url in (1, 2, 0):
            self.assertTrue(self.refuse(gone(), url, (5,)))
        self.assertEqual(self.retries.skipped(), {1, 2})
        self.retries.broke_off(0)
        self.assertEqual(self.retries.skipped(), {1, 2})

    def test_one_does_not_wait_for_another(self) -> None:
        """What a URL asks for on a detour is nothing to the one that gave bytes."""
        self.retries.broke_off(0)
        self.retries.count(0, True)
        slowly = UpstreamRateLimited("up.test", "slowly", retry_after=20)
        self.assertTrue(self.refuse(slowly, 1))
        self.assertLess(self.pause(slowly), 1.0)
        self.retries.cancel()
        self.assertTrue(self.refuse(slowly, 0))
        self.assertEqual(self.pause(slowly), 20.0)
