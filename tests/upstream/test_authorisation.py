"""A registry that wants tokens."""

from twisted.internet.defer import CancelledError
from twisted.logger import globalLogPublisher

from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamRateLimited,
    UpstreamServerError,
)
from regcache.upstream.build import UpstreamUrl
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
        self.assertEqual(self.meter.credentials, [False, True, False, True])

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

    def test_realm_rate_limit_is_for_tokens(self) -> None:
        """A client with a token goes on when the realm refuses others a token."""
        registry = self.registry(ANYBODY)
        self.outcome(registry.get_manifest("x", "latest"))
        self.service.realm_status = 429
        self.failure(registry.get_manifest("y", "latest"), UpstreamRateLimited)
        self.outcome(registry.get_manifest("x", "latest"))

    def test_realm_that_moved(self) -> None:
        """A learnt realm that leads nowhere is forgotten, so the upstream may name another."""
        registry = self.registry(UpstreamUrl(URL, token_hosts=("auth.test", "new.test")))
        self.outcome(registry.get_manifest("x", "latest"))
        self.service.realm = "http://new.test/token"
        self.name("new.test", AUTH_ADDRESS)
        self.serve(lambda _: response(404), AUTH_ADDRESS)
        self.network.lines[1].handler = self.network.servers[(AUTH_ADDRESS, 80)]
        self.network.pass_time(300, 5)
        self.failure(registry.get_manifest("x", "latest"), UpstreamBadAnswer)
        self.serve(self.service.tokens, AUTH_ADDRESS)
        self.outcome(registry.get_manifest("x", "latest"))

    def test_unusable_tokens(self) -> None:
        """Answers of any form that hold no usable token are refused."""
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
        """A caller that stops waiting for a token takes it from no other caller."""
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
