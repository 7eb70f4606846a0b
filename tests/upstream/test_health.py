"""How an upstream is, as far as it is known without asking it."""

from regcache.errors import UpstreamFailure, UpstreamRateLimited
from regcache.upstream.build import UpstreamUrl
from tests.upstream.cases import UpstreamTestCase, manifest_server
from tests.upstream.network import response

NOW = 1_000_000.0


class HealthTests(UpstreamTestCase):
    """What is told after some questions."""

    def test_unasked(self) -> None:
        """One that was never asked says so."""
        health = self.registry().health
        (url,) = health.urls
        self.assertEqual(
            (url.url, url.asked, url.breaker), ("http://registry.test", False, "closed")
        )
        self.assertEqual((health.account, health.credentials_ok), ("", None))

    def test_well(self) -> None:
        """One that answers, with what it says of its limit."""
        self.serve(
            lambda seen: response(
                404, b"", Ratelimit_Limit="100;w=21600", Ratelimit_Remaining="76;w=21600"
            )
        )
        registry = self.registry()
        self.failure(registry.get_manifest("a/b", "latest"), UpstreamFailure)
        (url,) = registry.health.urls
        self.assertEqual((url.asked, url.failing_since, url.last_error), (True, None, None))
        self.assertEqual((url.limit, url.remaining), (100, 76))

    def test_answers(self) -> None:
        """Answers are counted, with any status."""
        self.serve(lambda seen: response(404, b""))
        registry = self.registry()
        self.assertIsNone(registry.health.answers.median)
        self.failure(registry.get_manifest("a/b", "latest"), UpstreamFailure)
        self.assertIsNotNone(registry.health.answers.hours[-1])
        self.assertFalse(registry.health.urls[0].slow)

    def test_limited(self) -> None:
        """One that wants a pause says until when."""
        self.serve(lambda seen: response(429, b"", Retry_After="60"))
        registry = self.registry()
        self.failure(registry.get_manifest("a/b", "latest"), UpstreamRateLimited)
        (url,) = registry.health.urls
        self.assertEqual(url.limited_until, NOW + 60)
        assert url.last_error is not None
        self.assertEqual(url.last_error.code, "limited")

    def test_down(self) -> None:
        """One whose breaker is open says when it is tried again; the other URL is well."""
        self.serve(manifest_server)
        self.name("gone.test")
        urls = UpstreamUrl("http://gone.test:5000/base/"), UpstreamUrl("http://registry.test")
        registry = self.registry(*urls)
        for number in range(3):
            self.outcome(registry.get_manifest("a/b", f"t{number}"))
        gone, well = registry.health.urls
        self.assertEqual((gone.url, gone.breaker), ("http://gone.test:5000/base", "open"))
        self.assertEqual((gone.next_try, gone.failing_since), (NOW + 5, NOW))
        assert gone.last_error is not None
        self.assertEqual((gone.last_error.code, gone.last_error.time), ("unreachable", NOW))
        self.assertEqual((well.breaker, well.asked, well.last_error), ("closed", True, None))

    def test_account(self) -> None:
        """The account of the first URL that has one is told, and whether it is good."""
        url = UpstreamUrl("http://registry.test", lambda: ("robot", "secret"))
        health = self.registry(UpstreamUrl("http://other.test"), url).health
        self.assertEqual((health.account, health.credentials_ok), ("robot", None))
        self.assertNotIn("secret", repr(health))
