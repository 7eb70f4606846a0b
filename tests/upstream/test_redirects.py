"""Redirects, and the addresses that a name may lead us to."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamFailure,
    UpstreamNotFound,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from regcache.upstream.build import UpstreamUrl
from regcache.upstream.redirects import redirect_target
from regcache.upstream.urls import InvalidUrlError, parse_url
from tests.upstream.cases import BLOB, DIGEST, MANIFEST, URL, TokenService, UpstreamTestCase
from tests.upstream.network import Seen, response
from tests.upstream.recorders import Consumer

CDN_ADDRESS = "203.0.113.7"


class TargetTests(SynchronousTestCase):
    """Where a redirect may lead."""

    def test_cve_2022_21712_https_never_to_http(self) -> None:
        """A redirect from https to http is not followed."""
        base = parse_url("https://registry.test/v2/")
        for location in ("http://registry.test/", "http://cdn.test/"):
            headers = Headers({"Location": [location]})
            self.assertRaises(InvalidUrlError, redirect_target, base, headers)

    def test_unusable(self) -> None:
        """No target, two of them, user information or another scheme end it."""
        base = parse_url("https://registry.test/v2/")
        for locations in (
            [],
            ["https://a.test/", "https://b.test/"],
            ["https://me:secret@cdn.test/"],
            ["file:///etc/passwd"],
            ["gopher://cdn.test/"],
            [""],
        ):
            headers = Headers({"Location": locations}) if locations else Headers({})
            self.assertRaises(InvalidUrlError, redirect_target, base, headers)


class RedirectTests(UpstreamTestCase):
    """A registry whose blobs lie elsewhere."""

    def setUp(self) -> None:
        super().setUp()
        self.name("cdn.test", CDN_ADDRESS)

    def lead(self, location: str, status: int = 307, body: bytes = b"") -> None:
        """Have the registry redirect everything."""
        self.serve(lambda _: response(status, body, Location=location))

    def blob(self) -> bytes:
        """Pull a blob whole."""
        consumer = Consumer()
        self.outcome(self.registry().get_blob("x", DIGEST)).deliver(consumer)
        self.network.settle()
        self.assertEqual((consumer.ended, consumer.failures), (1, []))
        return consumer.content

    def test_followed(self) -> None:
        """Every kind of redirect is followed; the signed query arrives, the fragment does not."""
        self.serve(lambda _: response(200, BLOB), CDN_ADDRESS)
        for status in (301, 302, 303, 307, 308):
            self.lead("http://cdn.test/b?X-Amz-Signature=1#f", status)
            self.assertEqual(self.blob(), BLOB)
        self.assertEqual(self.network.requests[-1].target, "/b?X-Amz-Signature=1")

    def test_second_relative_redirect(self) -> None:
        """A relative target is resolved against the URL that gave it, not against the first."""
        self.lead("http://cdn.test/one/a")
        self.serve(
            lambda seen: (
                response(200, BLOB) if seen.path == "/one/two" else response(302, Location="two")
            ),
            CDN_ADDRESS,
        )
        self.assertEqual(self.blob(), BLOB)

    def redirected_by_token(self) -> Any:
        """A registry that redirects to storage elsewhere who shows a token."""
        service = TokenService()
        self.name("auth.test", "203.0.113.6")
        self.serve(service.tokens, "203.0.113.6")

        def registry(seen: Seen) -> bytes:
            if seen.headers.get("authorization", "")[7:] in service.valid:
                return response(307, Location="http://cdn.test/b")
            return service.registry(seen)

        self.serve(registry)
        self.serve(lambda _: response(200, BLOB), CDN_ADDRESS)
        return self.registry(UpstreamUrl(URL, lambda: ("me", "secret"), ("auth.test",)))

    def test_cve_2022_21712_no_authorisation_elsewhere(self) -> None:
        """Neither token nor credentials nor any own header reach another origin."""
        self.outcome(self.redirected_by_token().get_blob("x", DIGEST, 5)).abort()
        seen = self.network.requests[-1]
        self.assertEqual(seen.host, CDN_ADDRESS)
        own = {"host", "accept", "accept-encoding", "user-agent", "range"}
        self.assertEqual(set(seen.headers) - {"connection"}, own)
        self.assertEqual(seen.headers["accept-encoding"], "identity")

    def test_credentials_that_led_to_a_redirect(self) -> None:
        """What credentials led to is not anonymous, though storage behind asks for none."""
        asked = self.redirected_by_token()
        body = self.outcome(asked.get_blob("x", DIGEST))
        body.abort()
        head = self.outcome(asked.head_blob("x", DIGEST))
        self.assertTrue(asked.credentials)
        self.assertEqual((body.credentials, head.credentials), (asked.credentials,) * 2)

    def test_cve_2020_15157_challenge_of_a_redirect_target(self) -> None:
        """401 and 403 of a redirect target are a bad answer, and start no authorisation."""
        self.lead("http://cdn.test/b")
        for status in (401, 403):
            self.serve(
                lambda _, status=status: response(status, WWW_Authenticate="Basic realm=x"),
                CDN_ADDRESS,
            )
            url = UpstreamUrl(URL, lambda: ("me", "secret"))
            failure = self.failure(self.registry(url).get_blob("x", DIGEST), UpstreamBadAnswer)
            self.assertEqual(failure.status, status)
        self.assertEqual(self.shown(), [])

    def test_not_found_elsewhere(self) -> None:
        """404 of a redirect target means what it says: some registries are redirects only."""
        self.lead("http://cdn.test/b")
        self.serve(lambda _: response(404), CDN_ADDRESS)
        self.failure(self.registry().get_manifest("x", "latest"), UpstreamNotFound)

    def test_who_failed(self) -> None:
        """Whether a redirect target refused, or the registry itself, can be told."""
        self.lead("http://cdn.test/b")
        for status in (401, 403, 404, 429, 503):
            self.serve(lambda _, status=status: response(status), CDN_ADDRESS)
            self.assertEqual(self.refused(), (True, 0))
        self.lead("http://nowhere.test/b")
        self.name("nowhere.test", "203.0.113.77")
        self.assertEqual(self.refused(), (True, 0))
        for status in (403, 404, 503):
            self.serve(lambda _, status=status: response(status))
            self.assertEqual(self.refused(), (False, 0))

    def refused(self) -> tuple[bool, int | None]:
        """Who refuses a blob: whether a redirect target, and of which URL."""
        failure: Any = self.failure(self.registry().get_blob("x", DIGEST), UpstreamFailure)
        return failure.redirected, failure.url_index

    def test_loop(self) -> None:
        """After five redirects there is an end."""
        self.lead(f"{URL}/again")
        self.failure(self.registry().get_blob("x", DIGEST), UpstreamBadAnswer)
        self.assertEqual(len(self.network.requests), 6)

    def test_small_body_keeps_the_connection(self) -> None:
        """The body of a redirect is drained, so that its connection is used again."""
        self.lead("http://cdn.test/b", body=b"moved" * 100)
        self.serve(lambda _: response(200, BLOB), CDN_ADDRESS)
        registry = self.registry()
        for _ in range(2):
            self.outcome(registry.get_blob("x", DIGEST)).deliver(Consumer())
            self.network.settle()
        self.assertEqual(len(self.network.lines), 2)

    def test_large_or_dripping_body(self) -> None:
        """The body of a redirect that is too large or has no end is cut off."""
        self.serve(lambda _: response(200, BLOB), CDN_ADDRESS)
        for body in (b"x" * 100_000, b"x"):
            head = response(307, Location="http://cdn.test/b", Content_Length="1000000")
            self.serve(lambda _, head=head, body=body: head + body)
            waiting = self.registry().get_blob("x", DIGEST)
            self.network.pass_time(3)
            self.outcome(waiting).abort()
            lines = [line for line in self.network.lines if line.host != CDN_ADDRESS]
            self.assertTrue(lines[-1].closed_by_client)

    def test_forbidden_addresses(self) -> None:
        """A redirect into our own networks is not followed, by name or by number."""
        for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"):
            self.name("cdn.test", address)
            self.serve(lambda _: response(200, BLOB), address)
            for host in ("cdn.test", address):
                self.lead(f"http://{host}/b")
                self.failure(self.registry().get_blob("x", DIGEST), UpstreamBadAnswer)
        self.assertEqual({host for host, _ in self.network.dialled}, {"203.0.113.5"})

    def test_one_forbidden_address_among_others(self) -> None:
        """Of several addresses only those that are allowed are dialled."""
        self.name("cdn.test", "127.0.0.1", "::1", CDN_ADDRESS)
        self.serve(lambda _: response(200, BLOB), CDN_ADDRESS)
        self.lead("http://cdn.test/b")
        self.assertEqual(self.blob(), BLOB)
        self.assertNotIn("127.0.0.1", [host for host, _ in self.network.dialled])

    def test_same_class_as_the_upstream(self) -> None:
        """An upstream in a private network may lead to its neighbours, not to loopback."""
        self.name("registry.test", "10.0.0.5")
        self.serve(lambda _: response(307, Location="http://cdn.test/b"), "10.0.0.5")
        self.name("cdn.test", "192.168.1.1")
        self.serve(lambda _: response(200, BLOB), "192.168.1.1")
        self.assertEqual(self.blob(), BLOB)
        self.name("cdn.test", "127.0.0.1")
        self.serve(lambda _: response(200, BLOB), "127.0.0.1")
        self.failure(self.registry().get_blob("x", DIGEST), UpstreamBadAnswer)

    def test_rebinding(self) -> None:
        """The address that was checked is the one that is dialled: one look-up per connection."""
        self.serve(lambda _: response(200, BLOB), CDN_ADDRESS)
        self.serve(lambda _: response(200, b"inside"), "127.0.0.1")
        self.lead("http://cdn.test/b")
        lookup = self.network.lookup

        def rebinding(host: str, port: int) -> "Deferred[list[IPv4Address]]":
            found = lookup(host, port)
            if host == "cdn.test":
                self.name("cdn.test", "127.0.0.1")
            return found

        self.network.lookup = rebinding
        self.assertEqual(self.blob(), BLOB)
        self.assertEqual(self.network.lookups.count("cdn.test"), 1)

    def test_connections_are_not_shared_between_upstreams(self) -> None:
        """A pooled connection of an upstream in our network is nobody else's way in."""
        self.serve(lambda _: response(200, MANIFEST), "10.0.0.5")
        self.name("inside.test", "10.0.0.5")
        self.outcome(self.registry(UpstreamUrl("http://inside.test")).get_manifest("x", "latest"))
        self.lead("http://inside.test/secret")
        self.failure(self.registry().get_manifest("x", "latest"), UpstreamBadAnswer)


class ConnectingTests(UpstreamTestCase):
    """Dialling."""

    def test_next_address(self) -> None:
        """An address that does not answer is passed over for the next."""
        self.name("registry.test", "203.0.113.8", "203.0.113.5")
        self.network.serve("203.0.113.8", 80, None)
        self.serve(lambda _: response(200, MANIFEST))
        waiting = self.registry().get_manifest("x", "latest")
        self.network.pass_time(1)
        self.assertEqual(self.outcome(waiting).content, MANIFEST)

    def test_address_family(self) -> None:
        """Only addresses of the configured family are dialled."""
        self.name("registry.test", "2001:db8::1", "203.0.113.5")
        for family, dialled in (("ipv4", "203.0.113.5"), ("ipv6", "2001:db8::1")):
            self.network.dialled.clear()
            self.failure(
                self.registry(address_family=family).get_manifest("x", "latest"),
                UpstreamUnreachable,
            )
            self.assertEqual(self.network.dialled, [(dialled, 80)])

    def test_unresolvable(self) -> None:
        """A name without address is an upstream that cannot be reached."""
        self.name("registry.test")
        failure = self.failure(self.registry().get_manifest("x", "latest"), UpstreamUnreachable)
        self.assertEqual(failure.reason, "its name cannot be resolved")

    def test_resolver_without_end(self) -> None:
        """A name server that never answers is waited for as long as for a connection."""
        self.network.lookup = lambda host, port: Deferred()
        waiting = self.registry().get_manifest("x", "latest")
        self.network.pass_time(9.5)
        self.assertNoResult(waiting)
        self.network.pass_time(1)
        self.failure(waiting, UpstreamTimedOut)

    def test_refused(self) -> None:
        """Nobody listens."""
        self.assertEqual(
            self.failure(self.registry().get_manifest("x", "latest"), UpstreamUnreachable).reason,
            "connection refused",
        )

    def test_unroutable(self) -> None:
        """Connecting ends after connect_timeout."""
        self.network.serve("203.0.113.5", 80, None)
        waiting = self.registry().get_manifest("x", "latest")
        self.network.pass_time(9.5)
        self.assertNoResult(waiting)
        self.network.pass_time(1)
        self.failure(waiting, UpstreamTimedOut)

    def test_cancelled_while_connecting(self) -> None:
        """Cancelling passes through as such, and leaves no timer behind."""
        self.network.serve("203.0.113.5", 80, None)
        waiting = self.registry().get_manifest("x", "latest")
        self.network.settle()
        waiting.cancel()
        self.failure(waiting, CancelledError)
        self.network.pass_time(11)
        self.assertEqual(self.network.getDelayedCalls(), [])
