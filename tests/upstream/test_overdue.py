"""Questions that outlast the deadline, and what is known without asking."""

from regcache.errors import UpstreamRateLimited, UpstreamResting, UpstreamServerError
from regcache.upstream.build import UpstreamUrl
from tests.upstream.cases import URL, UpstreamTestCase, manifest_server
from tests.upstream.network import response

OTHER = "203.0.113.9"


class OverdueTests(UpstreamTestCase):
    """A missed deadline counts against the URL that is being asked."""

    def test_opens_the_breaker(self) -> None:
        """Three of them open it, and the questions go on: an answer closes it again."""
        healthy = False
        self.serve(lambda seen: manifest_server(seen) if healthy else None)
        registry = self.registry()
        asking = [registry.head_manifest("x", tag) for tag in "abc"]
        self.network.settle()
        for tag in "abc":
            registry.note_overdue("x", tag)
        self.failure(registry.head_manifest("x", "d"), UpstreamResting)
        self.network.requests[0].line.send(response(200, Content_Type="a/b"))
        self.outcome(asking[0])
        healthy = True
        self.outcome(registry.head_manifest("x", "d"))

    def test_url_that_is_asked(self) -> None:
        """Where the first URL has passed the question on, the second one is the slow one."""
        self.name("other.test", OTHER)
        self.serve(lambda _: response(429, Retry_After="3600"))
        self.serve(lambda _: None, OTHER)
        registry = self.registry(UpstreamUrl(URL), UpstreamUrl("http://other.test"))
        for tag in "abc":
            registry.get_manifest("x", tag).addErrback(lambda _: None)
            self.network.settle()
            registry.note_overdue("x", tag)
        self.assertEqual([seen.host for seen in self.network.requests].count(OTHER), 3)
        self.failure(registry.head_manifest("x", "d"), UpstreamRateLimited)
        self.network.pass_time(60)

    def test_nothing_is_asked(self) -> None:
        """What was answered meanwhile counts for nothing, and nothing is remembered of it."""
        self.serve(manifest_server)
        registry = self.registry()
        self.outcome(registry.head_manifest("x", "a"))
        for _ in range(5):
            registry.note_overdue("x", "a")
        self.outcome(registry.head_manifest("x", "a"))


class UnaskedTests(UpstreamTestCase):
    """Failures that cost no request say so."""

    def test_retry_after_runs(self) -> None:
        """The first 429 was asked for; while its Retry-After runs nobody is."""
        self.serve(lambda _: response(429, Retry_After="60"))
        registry = self.registry()
        failures = [
            self.failure(registry.head_manifest("x", "a"), UpstreamRateLimited) for _ in range(2)
        ]
        self.assertEqual([failure.asked for failure in failures], [True, False])
        self.assertEqual(len(self.network.requests), 1)

    def test_resting(self) -> None:
        """Nor is it while the breaker is open."""
        self.serve(lambda _: response(503))
        registry = self.registry()
        for repository in "xyx":
            failure = self.failure(registry.head_manifest(repository, "a"), UpstreamServerError)
            self.assertTrue(failure.asked)
        self.assertFalse(self.failure(registry.head_manifest("x", "a"), UpstreamResting).asked)

    def test_what_was_met_is_told(self) -> None:
        """Of several URLs the one that was asked just now tells more than what was known."""
        self.name("other.test", OTHER)
        self.serve(lambda _: response(429, Retry_After="60"))
        self.serve(lambda _: response(503), OTHER)
        registry = self.registry(UpstreamUrl(URL), UpstreamUrl("http://other.test"))
        self.failure(registry.head_manifest("x", "a"), UpstreamRateLimited)
        self.failure(registry.head_manifest("x", "a"), UpstreamServerError)
