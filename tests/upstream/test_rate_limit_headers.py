"""Tests for regcache.upstream.rate_limit_headers."""

from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regcache.upstream.rate_limit_headers import LOG_INTERVAL, RateLimitHeaders
from tests.upstream.recorders import Meter


class AllowanceTests(SynchronousTestCase):
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
