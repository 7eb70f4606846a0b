"""Realms on the wire, and Basic credentials."""

from regcache.errors import (
    BlobUnknownError,
    ManifestUnknownError,
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamNotFound,
    UpstreamRateLimited,
)
from regcache.upstream.build import UpstreamUrl
from tests.upstream.cases import MANIFEST, URL, TokenService, UpstreamTestCase
from tests.upstream.network import Seen, response

AUTH_ADDRESS = "203.0.113.6"
ME = UpstreamUrl(URL, lambda: ("me", "secret"), ("auth.test",))


class RealmTests(UpstreamTestCase):
    """CVE-2026-33540 on the wire."""

    def test_cve_2026_33540_nothing_is_sent(self) -> None:
        """A realm elsewhere gets no request at all, and the error names the key to set."""
        self.name("evil.test", "203.0.113.66")
        for address, port in (("203.0.113.66", 80), ("203.0.113.5", 81)):
            self.serve(lambda _: response(200, b'{"token":"t"}'), address, port)
        for realm in (
            "http://evil.test/token",
            "http://203.0.113.66/token",
            "http://registry.test:81/token",
            "http://me:secret@registry.test/token",
            "http://registry.test@evil.test/token",
            "//evil.test/token",
        ):
            for url in (UpstreamUrl(URL), UpstreamUrl(URL, lambda: ("me", "secret"))):
                service = TokenService(realm)
                self.serve(service.registry)
                failure = self.failure(
                    self.registry(url).get_manifest("x", "latest"), UpstreamBadAnswer
                )
                self.assertIn("upstreams.test.io.token_hosts", failure.reason)
        self.assertEqual(self.shown(), [])
        self.assertEqual({(s.host, s.port) for s in self.network.requests}, {("203.0.113.5", 80)})

    def test_realm_on_forbidden_address(self) -> None:
        """An allowed realm whose name leads into our own network is not dialled."""
        service = TokenService()
        self.serve(service.registry)
        for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254"):
            self.name("auth.test", address)
            self.serve(service.tokens, address)
            self.failure(self.registry(ME).get_manifest("x", "latest"), UpstreamBadAnswer)
        self.assertEqual({host for host, _ in self.network.dialled}, {"203.0.113.5"})


class BasicTests(UpstreamTestCase):
    """A registry that wants Basic credentials."""

    def setUp(self) -> None:
        super().setUp()
        self.answers: list[bytes] = []
        self.serve(self.registry_server)

    def registry_server(self, seen: Seen) -> bytes:
        """Only for me:secret; or what the test says."""
        if self.answers:
            return self.answers[0]
        if seen.headers.get("authorization") == "Basic bWU6c2VjcmV0":
            return response(200, MANIFEST)
        return response(401, b'{"errors":[{"message":"log in"}]}', WWW_Authenticate="Basic realm=x")

    def test_basic(self) -> None:
        """Credentials are shown once asked for, and from the start the next time."""
        registry = self.registry(ME)
        for _ in range(2):
            answer = self.outcome(registry.get_manifest("x", "latest"))
            self.assertEqual(answer.credentials, registry.credentials)
        self.assertEqual(len(self.network.requests), 3)
        self.assertEqual(self.meter.credentials, [True])

    def test_no_credentials(self) -> None:
        """Without any, access is denied with the upstream's own words."""
        failure = self.failure(self.registry().get_manifest("x", "latest"), UpstreamDenied)
        self.assertFalse(failure.credentials_used)
        self.assertEqual(failure.detail, "log in")

    def test_wrong_credentials(self) -> None:
        """Refused ones are our fault, and what follows is anonymous."""
        registry = self.registry(UpstreamUrl(URL, lambda: ("me", "wrong")))
        for _ in range(2):
            failure = self.failure(registry.get_manifest("x", "latest"), UpstreamDenied)
            self.assertFalse(failure.credentials_used)
            told = failure.answer(ManifestUnknownError).message
            self.assertIn("look at upstreams.test.io.username and its password", told)
            self.assertNotIn("wrong", told)
        self.assertEqual(self.meter.credentials, [False])
        self.assertEqual(len(self.shown()), 1)

    def test_wrong_credentials_without_a_refusal(self) -> None:
        """A missing thing and a limit, too, are told with what may be the reason for them."""
        registry = self.registry(UpstreamUrl(URL, lambda: ("me", "wrong")))
        self.failure(registry.get_manifest("x", "latest"), UpstreamDenied)
        for status, kind in ((404, UpstreamNotFound), (429, UpstreamRateLimited)):
            self.answers = [response(status)]
            failure = self.failure(registry.get_manifest("x", f"t{status}"), kind)
            self.assertIn("upstreams.test.io.username", failure.answer(BlobUnknownError).message)

    def test_good_credentials_are_not_blamed(self) -> None:
        """Where they were accepted nothing is said of them."""
        registry = self.registry(ME)
        self.outcome(registry.get_manifest("x", "latest"))
        self.answers = [response(404)]
        failure = self.failure(registry.get_manifest("x", "t"), UpstreamNotFound)
        self.assertNotIn("username", failure.answer(ManifestUnknownError).message)

    def test_forbidden_with_good_credentials(self) -> None:
        """403 to credentials that were shown says so."""
        self.serve(
            lambda seen: (
                response(403, b"no")
                if "authorization" in seen.headers
                else response(401, WWW_Authenticate="Basic realm=x")
            )
        )
        failure = self.failure(self.registry(ME).get_manifest("x", "latest"), UpstreamDenied)
        self.assertTrue(failure.credentials_used)

    def test_malformed_challenge(self) -> None:
        """A challenge that breaks the grammar is answered with nothing."""
        self.serve(lambda _: response(401, WWW_Authenticate='Basic realm="x'))
        self.failure(self.registry(ME).get_manifest("x", "latest"), UpstreamDenied)
        self.assertEqual(self.shown(), [])

    def test_change_of_scheme(self) -> None:
        """A registry that turns from Basic to Bearer is followed, its credentials not doubted."""
        registry = self.registry(ME)
        self.outcome(registry.get_manifest("x", "latest"))
        service = TokenService()
        self.name("auth.test", AUTH_ADDRESS)
        self.serve(service.tokens, AUTH_ADDRESS)
        self.serve(service.registry)
        self.network.lines[0].handler = service.registry
        self.assertEqual(self.outcome(registry.get_manifest("x", "latest")).content, MANIFEST)
        self.assertNotIn(False, self.meter.credentials)
