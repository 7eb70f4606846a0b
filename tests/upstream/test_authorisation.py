"""Challenges, tokens, realms and credentials against servers in memory."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamRateLimited,
    UpstreamServerError,
)
from regcache.upstream.build import UpstreamUrl
from regcache.upstream.tokens import Token, TokenKey, TokenTable
from tests.upstream.cases import MANIFEST, URL, TokenService, UpstreamTestCase
from tests.upstream.network import Seen, response

AUTH_ADDRESS = "203.0.113.6"
ME = UpstreamUrl(URL, lambda: ("me", "secret"), ("auth.test",))
ANYBODY = UpstreamUrl(URL, token_hosts=("auth.test",))


class BearerTests(UpstreamTestCase):
    """A registry that wants tokens."""

    def setUp(self) -> None:
        super().setUp()
        self.service = TokenService()
        self.name("auth.test", AUTH_ADDRESS)
        self.serve(self.service.registry)
        self.serve(self.service.tokens, AUTH_ADDRESS)

    def token_requests(self) -> list[Seen]:
        """What arrived at the realm."""
        return [seen for seen in self.network.requests if seen.host == AUTH_ADDRESS]

    def test_anonymous(self) -> None:
        """A token is fetched without credentials, with service and scope, and is shown."""
        answer = self.outcome(self.registry(ANYBODY).get_manifest("library/x", "latest"))
        self.assertEqual(answer.content, MANIFEST)
        self.assertEqual(answer.credentials, "")
        [asked] = self.token_requests()
        self.assertEqual(
            asked.target, "/token?service=registry.test&scope=repository%3Alibrary%2Fx%3Apull"
        )
        self.assertNotIn("authorization", asked.headers)

    def test_with_credentials(self) -> None:
        """The realm gets Basic credentials, the registry only the token."""
        registry = self.registry(ME)
        answer = self.outcome(registry.get_manifest("library/x", "latest"))
        self.assertEqual(answer.credentials, registry.credentials)
        self.assertEqual(self.shown(host=AUTH_ADDRESS), ["Basic bWU6c2VjcmV0"])
        self.assertEqual(self.shown(host="203.0.113.5"), ["Bearer token-1"])
        self.assertEqual(self.meter.credentials, [True])

    def test_one_token_per_scope_per_lifetime(self) -> None:
        """What was learnt is used from the start: no further 401, no further token."""
        registry = self.registry(ANYBODY)
        for _ in range(3):
            self.outcome(registry.get_manifest("library/x", "latest"))
        self.assertEqual(self.service.given, 1)
        self.assertEqual(len(self.network.requests), 1 + 1 + 3)

    def test_renewed_before_it_expires(self) -> None:
        """A token near its end is renewed without a 401 in between."""
        registry = self.registry(ANYBODY)
        self.outcome(registry.get_manifest("library/x", "latest"))
        self.network.pass_time(295, 5)
        before = len(self.network.requests)
        self.outcome(registry.get_manifest("library/x", "latest"))
        self.assertEqual(self.service.given, 2)
        self.assertEqual(len(self.network.requests) - before, 2)

    def test_waiters_share_one_request(self) -> None:
        """Ten calls at once for one repository fetch one token."""
        registry = self.registry(ANYBODY)
        calls = [registry.get_manifest("library/x", "latest") for _ in range(10)]
        for call in calls:
            self.assertEqual(self.outcome(call).content, MANIFEST)
        self.assertEqual(self.service.given, 1)

    def test_expired_token(self) -> None:
        """A 401 for a cached token costs one renewal and one retry."""
        registry = self.registry(ANYBODY)
        self.outcome(registry.get_manifest("library/x", "latest"))
        self.service.valid.clear()
        answer = self.outcome(registry.get_manifest("library/x", "latest"))
        self.assertEqual(answer.content, MANIFEST)
        self.assertEqual(self.service.given, 2)

    def test_refused_although_renewed(self) -> None:
        """A fresh token that is refused is not fetched again and again."""
        self.serve(lambda seen: self.refuse(seen))
        failure = self.failure(self.registry(ME).get_manifest("x", "latest"), UpstreamDenied)
        self.assertTrue(failure.credentials_used)
        self.assertEqual(failure.status, 401)
        self.assertEqual(self.service.given, 1)

    def refuse(self, seen: Seen) -> bytes:
        """A registry that likes no token."""
        self.service.valid.clear()
        return self.service.registry(seen)

    def test_scope_of_the_challenge_missing(self) -> None:
        """Where a challenge names no scope, pull of the repository is asked for."""
        plain = b'Bearer realm="http://auth.test/token"'.decode()

        def handler(seen: Seen) -> bytes:
            if "authorization" in seen.headers:
                return response(200, MANIFEST)
            return response(401, WWW_Authenticate=plain)

        self.serve(handler)
        self.outcome(self.registry(ANYBODY).get_manifest("a/b", "latest"))
        [asked] = self.token_requests()
        self.assertEqual(asked.target, "/token?scope=repository%3Aa%2Fb%3Apull")

    def test_anonymous_call(self) -> None:
        """A call without credentials uses none, nor a token that they brought."""
        registry = self.registry(ME)
        self.outcome(registry.get_manifest("library/x", "latest"))
        before = len(self.network.requests)
        head = self.outcome(registry.head_manifest("library/x", "latest", anonymous=True))
        self.assertEqual(head.credentials, "")
        later = self.network.requests[before:]
        self.assertNotIn("Basic bWU6c2VjcmV0", [s.headers.get("authorization") for s in later])
        self.assertNotIn("Bearer token-1", [s.headers.get("authorization") for s in later])

    def test_artifact_keeper_3606_no_token_crosses(self) -> None:
        """Two upstreams at one host share no token, the privileged one least of all."""
        self.outcome(self.registry(ME).get_manifest("library/x", "latest"))
        self.outcome(self.registry(ANYBODY).get_manifest("library/x", "latest"))
        self.assertEqual(self.service.given, 2)
        self.assertEqual(self.shown(host="203.0.113.5"), ["Bearer token-1", "Bearer token-2"])

    def test_realm_refuses_our_credentials(self) -> None:
        """Wrong credentials are reported once, and everything goes on anonymously."""
        logged: list[str] = []

        def observe(event: dict) -> None:
            if event["log_namespace"].startswith("regcache"):
                logged.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        wrong = UpstreamUrl(URL, lambda: ("me", "wrong"), ("auth.test",))
        registry = self.registry(wrong)
        for repository in ("a", "b", "c"):
            answer = self.outcome(registry.get_manifest(repository, "latest"))
            self.assertEqual(answer.credentials, "")
        self.assertEqual(self.meter.credentials, [False])
        self.assertEqual(len(self.shown(host=AUTH_ADDRESS)), 1)
        self.assertEqual(len([line for line in logged if "refused" in line]), 1)
        self.assertNotIn("wrong", "".join(logged))

    def test_credentials_are_tried_again(self) -> None:
        """After a minute, or when they change, credentials get another chance."""
        pairs = [("me", "wrong")]
        registry = self.registry(UpstreamUrl(URL, lambda: pairs[0], ("auth.test",)))
        self.outcome(registry.get_manifest("a", "latest"))
        pairs[0] = ("me", "secret")
        answer = self.outcome(registry.get_manifest("b", "latest"))
        self.assertEqual(answer.credentials, registry.credentials)
        self.service.accounts.clear()
        self.outcome(registry.get_manifest("c", "latest"))
        self.service.accounts.add("Basic bWU6c2VjcmV0")
        self.network.pass_time(61, 1)
        answer = self.outcome(registry.get_manifest("d", "latest"))
        self.assertEqual(answer.credentials, registry.credentials)
        self.assertEqual(self.meter.credentials, [True, False, True])

    def test_realm_denies_one_repository(self) -> None:
        """403 from the realm to credentials that were accepted is about the repository."""
        registry = self.registry(ME)
        self.outcome(registry.get_manifest("a", "latest"))
        self.service.realm_status = 403
        failure = self.failure(registry.get_manifest("b", "latest"), UpstreamDenied)
        self.assertTrue(failure.credentials_used)
        self.assertEqual(failure.detail, "go away")
        self.assertEqual(self.meter.credentials, [True])

    def test_realm_denies_anonymous(self) -> None:
        """A realm that gives nothing to anybody without credentials means no access."""
        self.service.realm_status = 403
        failure = self.failure(self.registry(ANYBODY).get_manifest("x", "latest"), UpstreamDenied)
        self.assertFalse(failure.credentials_used)

    def test_realm_ill(self) -> None:
        """5xx, 429 and nonsense of a realm are what they are."""
        for status, kind in (
            (503, UpstreamServerError),
            (429, UpstreamRateLimited),
            (302, UpstreamBadAnswer),
        ):
            self.service.realm_status = status
            self.failure(self.registry(ANYBODY).get_manifest("x", "latest"), kind)

    def test_realm_rate_limit_is_remembered(self) -> None:
        """While the realm's Retry-After runs no request is spent."""
        self.service.realm_status = 429
        registry = self.registry(ANYBODY)
        self.failure(registry.get_manifest("x", "latest"), UpstreamRateLimited)
        before = len(self.network.requests)
        failure = self.failure(registry.get_manifest("x", "latest"), UpstreamRateLimited)
        self.assertEqual(failure.retry_after, 30)
        self.assertEqual(len(self.network.requests), before)

    def test_unusable_tokens(self) -> None:
        """Answers that hold no usable token are refused, whatever shape they have."""
        for body in (
            b"",
            b"[]",
            b"{}",
            b'{"token":5}',
            b'{"token":"a b"}',
            b'{"token":"a\\r\\nX: y"}',
            b'{"token":"%s"}' % (b"x" * 20000),
            b"[" * 60000,
            b'{"token":"%s"}' % (b"x" * 70000),
        ):
            self.serve(lambda _, body=body: response(200, body), AUTH_ADDRESS)
            self.failure(self.registry(ANYBODY).get_manifest("x", "latest"), UpstreamBadAnswer)

    def test_compressed_token(self) -> None:
        """A token answer is never unpacked (decompression bombs)."""
        self.serve(lambda _: response(200, b"x", Content_Encoding="gzip"), AUTH_ADDRESS)
        self.failure(self.registry(ANYBODY).get_manifest("x", "latest"), UpstreamBadAnswer)

    def test_access_token(self) -> None:
        """OAuth's name for the token is understood too."""
        self.service.valid.add("t")
        self.serve(lambda _: response(200, b'{"access_token":"t"}'), AUTH_ADDRESS)
        self.outcome(self.registry(ANYBODY).get_manifest("x", "latest"))

    def test_cancelled_call_leaves_others_alone(self) -> None:
        """Whoever stops waiting for a token takes it from nobody else."""
        self.serve(lambda seen: None, AUTH_ADDRESS)
        registry = self.registry(ANYBODY)
        first, second = (registry.get_manifest("x", "latest") for _ in range(2))
        self.network.settle()
        first.cancel()
        self.failure(first, CancelledError)
        [asked] = self.token_requests()
        asked.line.send(self.service.tokens(asked))
        self.assertEqual(self.outcome(second).content, MANIFEST)

    def test_last_cancelled_call_closes(self) -> None:
        """When nobody waits for a token any more its connection is closed."""
        self.serve(lambda seen: None, AUTH_ADDRESS)
        calls = [self.registry(ANYBODY).get_manifest("x", "latest")]
        self.network.settle()
        for call in calls:
            call.cancel()
            self.failure(call, CancelledError)
        [asked] = self.token_requests()
        self.assertTrue(asked.line.closed_by_client)


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
        self.serve(self.registry_server)

    def registry_server(self, seen: Seen) -> bytes:
        """Only for me:secret."""
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
        self.assertEqual(self.meter.credentials, [False])
        self.assertEqual(len(self.shown()), 1)

    def test_forbidden_with_good_credentials(self) -> None:
        """403 to credentials that were shown says so."""
        self.serve(
            lambda seen: response(403, b"no")
            if "authorization" in seen.headers
            else response(401, WWW_Authenticate="Basic realm=x")
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


class TokenTableTests(SynchronousTestCase):
    """The table of tokens."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.table = TokenTable(self.clock, size=5)
        self.requests: list[Deferred[Token]] = []

    def fetch(self, scope: str) -> "Deferred[str]":
        """Ask for a token of a scope."""

        def fetcher() -> "Deferred[Token]":
            self.requests.append(Deferred())
            return self.requests[-1]

        return self.table.fetch(TokenKey("", "r", "s", scope), fetcher)

    def test_bounded(self) -> None:
        """Overfilled it drops what was used longest ago."""
        for number in range(50):
            waiter = self.fetch(str(number))
            self.requests[-1].callback(Token("t", 300.0))
            self.successResultOf(waiter)
        self.assertEqual(len(self.table), 5)
        self.assertIsNone(self.table.known(TokenKey("", "r", "s", "44")))
        self.assertEqual(self.table.known(TokenKey("", "r", "s", "45")), "t")

    def test_key_has_every_part(self) -> None:
        """Another identity, realm, service or scope is another token."""
        waiter = self.fetch("x")
        self.requests[-1].callback(Token("t", 300.0))
        self.successResultOf(waiter)
        for other in (("me", "r", "s", "x"), ("", "q", "s", "x"), ("", "r", "q", "x")):
            self.assertIsNone(self.table.known(TokenKey(*other)))

    def test_life(self) -> None:
        """A token is kept for its life less some leeway, and never longer than an hour."""
        for lifetime, kept in ((300.0, 290.0), (20.0, 16.0), (1e6, 3590.0)):
            waiter = self.fetch("x")
            self.requests[-1].callback(Token("t", lifetime))
            self.successResultOf(waiter)
            self.clock.advance(kept - 0.5)
            self.assertEqual(self.table.known(TokenKey("", "r", "s", "x")), "t")
            self.clock.advance(1)
            self.assertIsNone(self.table.known(TokenKey("", "r", "s", "x")))

    def test_failure_reaches_all_and_is_not_kept(self) -> None:
        """Every waiter gets the failure; the next one asks anew."""
        waiters = [self.fetch("x"), self.fetch("x")]
        self.assertEqual(len(self.requests), 1)
        self.requests[0].errback(ValueError())
        for waiter in waiters:
            self.failureResultOf(waiter, ValueError)
        self.assertNoResult(self.fetch("x"))
        self.assertEqual(len(self.requests), 2)

    def test_cancelling(self) -> None:
        """The last waiter that leaves cancels the request; a new one is a new request."""
        first, second = self.fetch("x"), self.fetch("x")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertFalse(self.requests[0].called)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertTrue(self.requests[0].called)
        self.fetch("x")
        self.assertEqual(len(self.requests), 2)
