"""What counts against which host, and what a breaker lets through."""

from twisted.internet.defer import CancelledError

from regcache.errors import (
    ManifestUnknownError,
    UpstreamBadAnswer,
    UpstreamNotTried,
    UpstreamResting,
    UpstreamServerError,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from regcache.upstream.breaker import Breaker
from regcache.upstream.build import Timeouts, UpstreamUrl
from regcache.upstream.guard import MOST_HOSTS, Breakers
from regcache.upstream.registry import Registry
from regcache.upstream.urls import Origin
from tests.upstream.cases import (
    DIGEST,
    URL,
    UpstreamTestCase,
    manifest_server,
)
from tests.upstream.network import response
from tests.upstream.recorders import Consumer

CDN_ADDRESS = "203.0.113.77"


class GuardTests(UpstreamTestCase):
    """One upstream, and where it leads."""

    def test_breaker(self) -> None:
        """Three failures in a row: no further request until a probe, which closes it again."""
        self.serve(lambda _: response(503))
        registry = self.registry()
        self.fail_for(registry, "xyx")
        failure = self.failure(registry.get_manifest("x", "latest"), UpstreamResting)
        self.assertEqual(failure.retry_after, 5)
        self.assertEqual(len(self.network.requests), 3)
        self.assertEqual(self.meter.states, [False])
        self.network.lines[0].handler = manifest_server
        self.network.pass_time(5.25)
        self.outcome(registry.get_manifest("x", "latest"))
        self.assertIs(self.meter.states[-1], True)

    def test_no_descriptor(self) -> None:
        """Where no connection can be begun here, that tells nothing of the upstream."""
        self.serve(manifest_server)
        registry = self.registry()
        self.network.exhausted = True
        for _ in range(5):
            failure = self.failure(registry.get_manifest("x", "latest"), UpstreamNotTried)
            self.assertEqual(failure.retry_after, 1)
        error = failure.answer(ManifestUnknownError)
        self.assertEqual((error.status, error.headers), (503, {"Retry-After": "1"}))
        self.network.exhausted = False
        self.outcome(registry.get_manifest("x", "latest"))

    def fail_for(self, registry: Registry, repositories: str) -> None:
        """Have manifests answered with 5xx."""
        for repository in repositories:
            self.failure(registry.get_manifest(repository, "latest"), UpstreamServerError)

    def test_one_path_that_is_ill(self) -> None:
        """It closes the upstream for nobody, not even when it is the probe."""
        ill = {"x"}
        self.serve(lambda seen: response(500) if seen.path[4] in ill else manifest_server(seen))
        registry = self.registry()
        self.fail_for(registry, "x" * 10)
        self.outcome(registry.get_manifest("y", "latest"))
        ill.add("y")
        self.fail_for(registry, "yyx")
        self.failure(registry.get_manifest("z", "latest"), UpstreamResting)
        self.network.pass_time(5.25)
        self.fail_for(registry, "x")
        self.outcome(registry.get_manifest("z", "latest"))
        self.assertEqual(self.meter.states[::3], [True, True])

    def test_probe_is_single(self) -> None:
        """While a probe is under way nobody else asks."""
        registry = self.registry()
        for _ in range(3):
            self.failure(registry.get_manifest("x", "latest"), UpstreamUnreachable)
        self.network.pass_time(5.25)
        self.serve(lambda _: None)
        probe = registry.get_manifest("x", "latest")
        self.network.settle()
        self.failure(registry.get_manifest("x", "latest"), UpstreamResting)
        probe.cancel()
        self.failure(probe, CancelledError)

    def test_given_up_after_a_long_silence(self) -> None:
        """Who gives up without an answer after first_byte_timeout tells of the upstream."""
        self.serve(lambda _: None)
        registry = self.registry(timeouts=Timeouts(first_byte=5))
        for seconds in (4, 4, 4, 5, 5, 5):
            asking = registry.get_manifest("x", f"after-{seconds}-{self.network.seconds()}")
            self.network.pass_time(seconds, seconds)
            asking.cancel()
            self.failureResultOf(asking)
        self.failure(registry.get_manifest("x", "latest"), UpstreamResting)

    def test_bodies(self) -> None:
        """Bodies that stall count, those of blobs as those of manifests."""
        self.serve(lambda _: response(200, b"", Content_Length="9"))
        registry = self.registry()
        self.outcome(registry.get_blob("x", DIGEST)).deliver(Consumer())
        self.outcome(registry.get_blob("y", DIGEST)).deliver(Consumer())
        manifest = registry.get_manifest("x", "latest")
        self.network.pass_time(29.5)
        self.assertEqual(self.meter.states, [True])
        self.network.pass_time(1)
        self.failure(manifest, UpstreamTimedOut)
        self.failure(registry.get_manifest("x", "latest"), UpstreamResting)
        self.assertEqual(self.meter.states, [True, False])

    def test_bodies_that_nobody_takes(self) -> None:
        """Bodies that we do not want, or do not take, say nothing of the upstream."""
        self.serve(lambda _: response(200, b"", Content_Length="9"))
        registry = self.registry()
        undelivered = [self.outcome(registry.get_blob(name, DIGEST)) for name in "xyz"]
        for name in "xyz":
            self.outcome(registry.get_blob(name, DIGEST)).abort()
        self.network.pass_time(31)
        self.assertEqual(len(undelivered), 3)
        self.assertEqual(self.meter.states, [True])

    def redirect(self, target: str = "http://cdn.test/") -> Registry:
        """A registry that leads to storage elsewhere."""
        self.serve(lambda _: response(307, Location=target))
        self.name("cdn.test", CDN_ADDRESS)
        return self.registry()

    def test_dead_redirect_target(self) -> None:
        """A storage that fails behind a redirect rests by itself: the upstream is well."""
        registry = self.redirect()
        for _ in range(3):
            failure = self.failure(registry.get_blob("x", DIGEST), UpstreamUnreachable)
            self.assertTrue(failure.redirected)
        dialled = len(self.network.dialled)
        for _ in range(2):
            failure = self.failure(registry.get_blob("x", DIGEST), UpstreamResting)
            self.assertFalse(failure.redirected)
        self.assertEqual(len(self.network.dialled), dialled)
        self.assertEqual(self.meter.states, [True])
        self.serve(lambda _: response(200, b"abc"), CDN_ADDRESS)
        self.network.pass_time(5.25)
        self.outcome(registry.get_blob("x", DIGEST)).abort()

    def test_redirect_target_that_refuses(self) -> None:
        """What was signed for us and is refused is a failure of that host."""
        registry = self.redirect()
        self.serve(lambda _: response(403), CDN_ADDRESS)
        for repository in "xyx":
            self.failure(registry.get_blob(repository, DIGEST), UpstreamBadAnswer)
        self.failure(registry.get_blob("x", DIGEST), UpstreamResting)
        self.assertEqual(self.meter.states, [True])

    def test_bodies_of_a_redirect_target(self) -> None:
        """Bodies that stall there count against that host alone."""
        registry = self.redirect()
        self.serve(lambda _: response(200, b"", Content_Length="9"), CDN_ADDRESS)
        for repository in "xyx":
            self.outcome(registry.get_blob(repository, DIGEST)).deliver(Consumer())
        self.network.pass_time(31)
        self.failure(registry.get_blob("x", DIGEST), UpstreamResting)
        self.assertEqual(self.meter.states, [True])

    def test_many_redirect_targets(self) -> None:
        """An upstream may name as many as it likes: only so many breakers are kept."""
        made: list[Origin] = []

        def make(origin: Origin) -> Breaker:
            made.append(origin)
            return Breaker(self.network.seconds, lambda: 0.0, lambda _: None)

        own, *others = (Origin("https", f"{n}.test", 443) for n in range(10 * MOST_HOSTS + 1))
        breakers = Breakers(own, make)
        for other in others:
            breakers.of(other)
        self.assertEqual((len(breakers), len(made)), (MOST_HOSTS, len(others) + 1))
        self.assertIs(breakers.of(own), breakers.own)
        self.assertIs(breakers.of(others[-1]), breakers.of(others[-1]))

    def test_ill_realm_opens_the_breaker(self) -> None:
        """A token realm that fails is part of the upstream."""
        challenge = 'Bearer realm="http://auth.test/token"'
        self.serve(lambda _: response(401, WWW_Authenticate=challenge))
        registry = self.registry(UpstreamUrl(URL, token_hosts=("auth.test",)))
        for _ in range(3):
            self.failure(registry.get_manifest("x", "latest"), UpstreamUnreachable)
        self.failure(registry.get_manifest("x", "latest"), UpstreamResting)
