"""Tests for regcache.upstream.rate_limits."""

from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regcache.upstream.rate_limits import (
    LOG_INTERVAL,
    MOST_LIMITS,
    Limited,
    RateLimitHeaders,
    RateLimits,
)
from tests.upstream.recorders import Meter


class RateLimitHeadersTests(SynchronousTestCase):
    """What is told of ratelimit headers."""

    def setUp(self) -> None:
        """A log that is listened to."""
        self.clock = Clock()
        self.meter = Meter()
        self.allowance = RateLimitHeaders("docker.io", self.meter, self.clock.seconds)
        self.lines: list[str] = []
        observer = lambda event: self.lines.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def note(self, remaining: str) -> None:
        """One answer of an upstream that allows 100."""
        fields = {"ratelimit-limit": ["100;w=21600"], "ratelimit-remaining": [remaining]}
        self.allowance.note(Headers(fields))

    def test_told_once_a_minute(self) -> None:
        """The log has the first number, and a changed one a minute later."""
        for remaining in ("76;w=21600", "75;w=21600", "74;w=21600"):
            self.note(remaining)
        self.assertEqual(self.lines, ["upstream docker.io: 76 of 100 requests are left"])
        self.clock.advance(LOG_INTERVAL)
        self.note("74;w=21600")
        self.assertEqual(self.lines[1:], ["upstream docker.io: 74 of 100 requests are left"])

    def test_malformed(self) -> None:
        """What is no number is told to nobody."""
        self.note("many")
        self.assertEqual(self.lines, [])
        self.assertEqual((self.allowance.remaining, self.allowance.limit), (None, None))

    def test_known(self) -> None:
        """The latest numbers are known, told or not."""
        for remaining in ("76;w=21600", "75;w=21600"):
            self.note(remaining)
        self.assertEqual((self.allowance.remaining, self.allowance.limit), (75, 100))


class RateLimitsTests(SynchronousTestCase):
    """Retry-After that runs."""

    def setUp(self) -> None:
        """A clock that only the test turns."""
        self.clock = Clock()
        self.limits = RateLimits(self.clock)

    def test_for_whom_and_what(self) -> None:
        """It runs for the identity that got it and for what was asked for, and ends."""
        self.limits.limited("me", Limited.MANIFESTS, 10)
        self.assertEqual(self.limits.remaining("me", Limited.MANIFESTS), 10)
        self.assertIsNone(self.limits.remaining("", Limited.MANIFESTS))
        self.assertIsNone(self.limits.remaining("me", Limited.BLOBS))
        self.clock.advance(9.5)
        self.assertEqual(self.limits.remaining("me", Limited.MANIFESTS), 1)
        self.clock.advance(0.5)
        self.assertIsNone(self.limits.remaining("me", Limited.MANIFESTS))

    def test_longest_counts(self) -> None:
        """A shorter one that comes later ends nothing."""
        self.limits.limited("me", Limited.BLOBS, 60)
        self.clock.advance(10)
        self.limits.limited("me", Limited.BLOBS, 5)
        self.assertEqual(self.limits.remaining("me", Limited.BLOBS), 50)

    def test_bound(self) -> None:
        """Many identities push out the oldest."""
        for number in range(MOST_LIMITS + 1):
            self.limits.limited(str(number), Limited.TOKENS, 10)
        self.assertIsNone(self.limits.remaining("0", Limited.TOKENS))
        self.assertEqual(self.limits.remaining(str(MOST_LIMITS), Limited.TOKENS), 10)
