"""What befell other proxies from the upstream side, row by row, where no other file has it."""

import json

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamServerError,
    UpstreamTimedOut,
)
from regcache.upstream.build import UpstreamUrl
from tests.upstream.cases import DIGEST, MANIFEST, URL, TokenService, UpstreamTestCase
from tests.upstream.network import Seen, response

AUTH_ADDRESS = "203.0.113.6"
ME = UpstreamUrl(URL, lambda: ("me", "secret"), ("auth.test",))


class RealmAttackTests(UpstreamTestCase):
    """A registry, and a realm that means no good."""

    def setUp(self) -> None:
        super().setUp()
        self.service = TokenService("http://auth.test/token")
        self.serve(self.service.registry)
        self.serve(self.service.tokens, AUTH_ADDRESS)
        self.name("auth.test", AUTH_ADDRESS)

    def refused(self, kind: type[Exception] = UpstreamBadAnswer) -> Exception:
        """How a manifest cannot be had."""
        return self.failure(self.registry(ME).get_manifest("x", "latest"), kind)

    def test_cve_2026_33540_rebinding_realm(self) -> None:
        """The address of a realm that was checked is the one that gets the credentials."""
        lookup = self.network.lookup

        def rebinding(host: str, port: int) -> "Deferred[list[object]]":
            found = lookup(host, port)
            if host == "auth.test":
                self.name(host, "127.0.0.1")
            return found

        self.serve(lambda _: response(200, b'{"token":"t"}'), "127.0.0.1")
        self.network.lookup = rebinding
        self.outcome(self.registry(ME).get_manifest("x", "latest"))
        self.assertEqual(self.network.lookups.count("auth.test"), 1)
        self.assertNotIn(("127.0.0.1", 80), self.network.dialled)

    def test_cve_2026_33540_redirecting_realm(self) -> None:
        """A realm's redirect is not followed, not even to itself: no credentials leave it."""
        self.name("evil.test", "203.0.113.66")
        self.serve(lambda _: response(200, b'{"token":"t"}'), "203.0.113.66")
        for location in ("http://evil.test/token", "http://auth.test/other", "//evil.test/"):
            answer = response(307, b"", Location=location)
            self.serve(lambda _, answer=answer: answer, AUTH_ADDRESS)
            self.refused()
        self.assertNotIn("203.0.113.66", {host for host, _ in self.network.dialled})

    def test_cve_2017_11468_dripping_token(self) -> None:
        """A token that drips comes to an end."""
        self.serve(lambda _: response(200, b"", Content_Length="1000"), AUTH_ADDRESS)
        waiting = self.registry(ME).get_manifest("x", "latest")
        for _ in range(45):
            self.network.pass_time(1)
            for line in self.network.lines[1:]:
                line.send(b" ")
        self.failure(waiting, UpstreamTimedOut)
        self.assertTrue(self.network.lines[1].closed_by_client)

    def test_cve_2017_11468_gigantic_realm_errors(self) -> None:
        """An error page of a realm is read in part, and its connection closed."""
        for status, kind in ((403, UpstreamDenied), (500, UpstreamServerError)):
            answer = response(status, b"x" * 1_000_000)
            self.serve(lambda _, answer=answer: answer, AUTH_ADDRESS)
            url = UpstreamUrl(URL, token_hosts=("auth.test",))
            self.failure(self.registry(url).get_manifest("x", "latest"), kind)
            self.assertTrue(self.network.lines[-1].closed_by_client)

    def test_injection_by_challenge(self) -> None:
        """Service and scope of a challenge reach the realm as values, never as more."""
        hostile = (
            'Bearer realm="http://auth.test/token?a=1#f",service="s&account=root x",scope="a#b%"'
        )

        def challenging(seen: Seen) -> bytes:
            if "authorization" in seen.headers:
                return response(200, MANIFEST)
            return response(401, WWW_Authenticate=hostile)

        self.serve(challenging)
        self.outcome(self.registry(ME).get_manifest("x", "latest"))
        [token] = [seen.target for seen in self.network.requests if seen.host == AUTH_ADDRESS]
        self.assertEqual(token, "/token?a=1&service=s%26account%3Droot%20x&scope=a%23b%25")

    def test_cve_2020_15157_challenge_behind_a_redirect(self) -> None:
        """A redirect target of the registry's own that asks for a foreign realm gets nothing."""
        evil = 'Bearer realm="http://evil.test/token"'

        def registry(seen: Seen) -> bytes:
            if seen.path == "/elsewhere":
                return response(401, WWW_Authenticate=evil)
            return response(307, Location="/elsewhere")

        self.serve(registry)
        self.refused()
        self.assertEqual(self.shown(), [])


class HostileAnswerTests(UpstreamTestCase):
    """A registry that means no good."""

    def test_cve_2017_11468_dripping_error(self) -> None:
        """An error body that drips costs two seconds."""
        self.serve(lambda _: response(500, b"", Content_Length="1000"))
        waiting = self.registry().get_manifest("x", "latest")
        for _ in range(10):
            self.network.pass_time(0.25)
            self.network.lines[0].send(b"x")
        self.failure(waiting, UpstreamServerError)
        self.assertTrue(self.network.lines[0].closed_by_client)

    def test_compressed_lists_and_errors(self) -> None:
        """Nothing is ever unpacked: lists are refused, and errors have no detail."""
        bomb = {"Content_Encoding": "gzip"}
        self.serve(lambda _: response(200, b'{"tags":["a"]}', **bomb))
        self.failure(self.registry().list_tags("x"), UpstreamBadAnswer)
        self.failure(self.registry().get_referrers("x", DIGEST), UpstreamBadAnswer)
        self.serve(lambda _: response(403, b'{"errors":[{"message":"m"}]}', **bomb))
        failure = self.failure(self.registry().get_manifest("x", "latest"), UpstreamDenied)
        self.assertEqual(failure.detail, "")

    def test_ghsa_qq97_wrong_content_type(self) -> None:
        """What is no media type is none; one that is arrives as it stands, for others to judge."""
        for header, expected in (
            ("text/html; charset=utf-8", "text/html"),
            ("Application/VND.OCI.Image.Index.v1+JSON", "application/vnd.oci.image.index.v1+json"),
            ("application/json, text/html", ""),
            ("a/b/c", ""),
            ("<script>", ""),
            ("", ""),
        ):
            answer = response(200, MANIFEST, Content_Type=header)
            self.serve(lambda _, answer=answer: answer)
            got = self.outcome(self.registry().get_manifest("x", "latest"))
            self.assertEqual(got.media_type, expected)

    def test_twisted_12754_header_injection(self) -> None:
        """A bare CR in a header value makes no second header of ours."""
        self.serve(
            lambda _: response(
                200, MANIFEST, Content_Type="a/b\rDocker-Content-Digest: " + str(DIGEST)
            )
        )
        try:
            got = self.outcome(self.registry().get_manifest("x", "latest"))
        except UpstreamFailure:
            return
        self.assertEqual((got.media_type, got.claimed), ("", None))

    def test_injection_by_redirect(self) -> None:
        """Control characters, spaces and backslashes in a redirect are refused."""
        for location in (
            "/a b",
            "/a\tb",
            "/a\rX: y",
            "http://registry.test\\@evil.test/",
            "http://evil.test\t/",
            "http://registr\u00ff.test/",
        ):
            answer = response(307, Location=location)
            self.serve(lambda _, answer=answer: answer)
            self.failure(self.registry().get_manifest("x", "latest"), UpstreamFailure)
        self.assertEqual({host for host, _ in self.network.dialled}, {"203.0.113.5"})

    def test_cookies_are_forgotten(self) -> None:
        """Cookies of an upstream are neither kept nor sent."""
        self.serve(lambda _: response(200, MANIFEST, Set_Cookie="a=b; Path=/"))
        registry = self.registry()
        for _ in range(2):
            self.outcome(registry.get_manifest("x", "latest"))
        self.assertNotIn("cookie", self.network.requests[-1].headers)

    def test_foreign_layer_urls(self) -> None:
        """URLs in a manifest are never fetched."""
        manifest = {"layers": [{"digest": str(DIGEST), "urls": ["http://evil.test/layer"]}]}
        self.serve(lambda _: response(200, json.dumps(manifest).encode()))
        self.outcome(self.registry().get_manifest("x", "latest"))
        self.assertEqual(self.targets(), ["GET /v2/x/manifests/latest"])

    def test_cve_2022_24801_smuggled_lengths(self) -> None:
        """Lengths with a sign, a base or a list in them end the connection, not the daemon."""
        for value in ("+5", "-1", "0x5", "5, 6", "5 5", "", "9" * 30):
            self.serve(lambda _, v=value: response(200, b"hello", Content_Length=v))
            waiting = self.registry().get_manifest("x", "latest")
            self.network.settle()
            if self.network.lines[-1].transport.gone or waiting.called:
                self.failure(waiting, UpstreamFailure)
            else:
                waiting.addErrback(lambda _: None)
                self.network.pass_time(31, 1)
                self.assertTrue(self.network.lines[-1].closed_by_client, value)

    def test_nothing_secret_is_logged(self) -> None:
        """Neither credentials nor tokens nor signatures reach the log, after any events."""
        logged: list[str] = []
        observe = lambda event: logged.append(str(event))  # noqa: E731
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        signed = "http://registry.test/x?X-Amz-Signature=abc123&sig=def456"
        service = TokenService(f"{URL}/token")

        def registry(seen: Seen) -> bytes:
            if seen.path == "/token":
                return service.tokens(seen)
            if seen.headers.get("authorization", "")[7:] in service.valid:
                return response(307, Location=signed)
            return service.registry(seen)

        self.serve(registry)
        wrong = UpstreamUrl(URL, lambda: ("me", "wr0ng"))
        for url in (ME, wrong):
            upstream = self.registry(url)
            for _ in range(4):
                self.failure(upstream.get_manifest("x", "latest"), UpstreamFailure)
        self.assertTrue(logged)
        for secret in ("secret", "wr0ng", "bWU6", "token-1", "abc123", "def456"):
            self.assertFalse([line for line in logged if secret in line], secret)
