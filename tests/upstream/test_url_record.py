"""What is remembered of a URL."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamResting,
    UpstreamServerError,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from regcache.upstream.url_record import UrlRecord


class UrlRecordTests(SynchronousTestCase):
    """Answers and failures in turn."""

    def setUp(self) -> None:
        self.time = 100.0
        self.record = UrlRecord(lambda: self.time)

    def test_nothing(self) -> None:
        """At first nothing is known."""
        self.assertEqual((self.record.asked, self.record.last_error), (False, None))

    def test_failures(self) -> None:
        """It fails since the first failure; the last one is told, also after an answer."""
        for kind, code in (
            (UpstreamUnreachable, "unreachable"),
            (UpstreamTimedOut, "timeout"),
            (UpstreamServerError, "status"),
            (UpstreamBadAnswer, "bad-answer"),
        ):
            self.time += 1
            self.record.failed(kind("a", "so it is"))
            assert self.record.last_error is not None
            self.assertEqual(self.record.last_error.code, code)
        self.assertEqual((self.record.failing_since, self.record.last_error.time), (101.0, 104.0))
        self.record.answered()
        self.assertIsNone(self.record.failing_since)
        self.assertEqual(self.record.last_error.text, "so it is")

    def test_limited(self) -> None:
        """A limit that was met is a failure, one that was known is nothing new."""
        self.record.failed(UpstreamRateLimited("a", "later", retry_after=9, asked=False))
        self.assertFalse(self.record.asked)
        self.record.failed(UpstreamRateLimited("a", "later", retry_after=9))
        assert self.record.last_error is not None
        self.assertEqual(self.record.last_error.code, "limited")

    def test_refusals(self) -> None:
        """A refusal of what was asked for is an answer; a rest tells nothing."""
        self.record.failed(UpstreamUnreachable("a", "x"))
        self.record.failed(UpstreamResting("a", "x", retry_after=5))
        self.assertIsNotNone(self.record.failing_since)
        refusals: list[UpstreamFailure] = [UpstreamNotFound("a", "x"), UpstreamDenied("a", "x")]
        for failure in refusals:
            self.record.failed(UpstreamUnreachable("a", "x"))
            self.record.failed(failure)
            self.assertIsNone(self.record.failing_since)
