"""Tests of one upstream, step by step."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from regcache.probing import ProbedUrl
from regcache.upstream.build import UpstreamUrl
from regcache.upstream.proxies import FixedProxy, Proxy
from tests.upstream.cases import ADDRESS, URL, UpstreamTestCase
from tests.upstream.network import Seen, response

BASIC = "Basic bWU6c2VjcmV0"  # me:secret
REALM = "http://registry.test/token"


def realm_server(seen: Seen) -> bytes:
    """A registry with a realm, which gives tokens to me and to nobody."""
    shown = seen.headers.get("authorization", "")
    if seen.path == "/token":
        given = shown in ("", BASIC)
        return response(200, b'{"token": "t1"}') if given else response(401)
    if shown == "Bearer t1":
        return response(200, b"{}")
    return response(401, Www_Authenticate=f'Bearer realm="{REALM}",service="registry.test"')


def basic_server(seen: Seen) -> bytes:
    """A registry that wants a password."""
    if seen.headers.get("authorization") == BASIC:
        return response(200, b"{}")
    return response(401, Www_Authenticate='Basic realm="x"')


class ProbeTests(UpstreamTestCase):
    """What is found out, and what is said where something is wrong."""

    def probe(self, *urls: UpstreamUrl, seconds: float = 0.0, **options: object) -> list[str]:
        """Test it; each step in one line."""
        told: list[Sequence[ProbedUrl]] = []
        testing = Deferred.fromCoroutine(self.registry(*urls, **options).test(told.append))
        self.network.settle()
        self.network.pass_time(seconds)
        self.successResultOf(testing)
        self.last = told[-1]
        return [
            f"{'ok' if step.ok else 'bad'} {step.name}: {step.text}"
            for url in told[-1]
            for step in url.steps
        ]

    def test_open(self) -> None:
        """One that wants nothing is asked once."""
        self.serve(lambda seen: response(200, b"{}"))
        self.assertEqual(
            self.probe(),
            [
                f"ok DNS: {ADDRESS}",
                f"ok connect: to {ADDRESS} port 80",
                "ok TLS: none: its URL is http",
                "ok token: it wants none",
                "ok /v2/: it is a registry",
            ],
        )
        self.assertEqual(self.targets(), ["GET /v2/"])
        self.assertEqual([each.problem for each in self.last], [""])

    def test_clock(self) -> None:
        """It is told how far our clock is ahead, where the upstream tells the time."""
        self.network.advance(1_000_000)
        for line, skew in (
            ({"Date": "Mon, 12 Jan 1970 13:46:30 GMT"}, 10.0),
            ({"Date": "Mon, 12 Jan 1970 13:47:40 GMT"}, -60.0),
            ({"Date": "yesterday"}, None),
            ({"Date": "Mon, 99 Jan 9999 99:99:99 GMT"}, None),
            ({}, None),
        ):
            self.serve(lambda seen, line=line: response(200, b"{}", **line))  # type: ignore[misc]
            self.probe()
            found = self.last[0].skew
            self.assertEqual(None if found is None else round(found), skew, line)

    def test_token(self) -> None:
        """With a realm, with and without an account; no scope is asked for."""
        self.serve(realm_server)
        for pair in (None, ("me", "secret")):
            self.network.requests.clear()
            url = UpstreamUrl(URL, lambda pair=pair: pair)
            self.assertEqual(self.probe(url)[3:], ["ok token: given", "ok /v2/: it is a registry"])
            realm = "GET /token?service=registry.test"
            self.assertEqual(self.targets(), ["GET /v2/", realm, "GET /v2/"])

    def test_wrong_password(self) -> None:
        """A realm that refuses: where the password is, and no secret."""
        self.serve(realm_server)
        *_, last = self.probe(UpstreamUrl(URL, lambda: ("me", "wrong")))
        keys = "upstreams.test.io.username and upstreams.test.io.password_file"
        self.assertEqual(last, f"bad token: its token realm answered 401; see {keys}")

    def test_basic(self) -> None:
        """One that wants the password itself."""
        self.serve(basic_server)
        right = self.probe(UpstreamUrl(URL, lambda: ("me", "secret")))
        self.assertEqual(
            right[3:], ["ok token: it wants the password itself", "ok /v2/: it is a registry"]
        )
        keys = "upstreams.test.io.username and upstreams.test.io.password_file"
        *_, last = self.probe(UpstreamUrl(URL, lambda: ("me", "wrong")))
        proof = "it answered 401 although it was shown a proof"
        self.assertEqual(last, f"bad /v2/: {proof}; see {keys}")
        *_, last = self.probe()
        self.assertEqual(last, f"bad token: it wants a password; see {keys}")

    def test_foreign_realm(self) -> None:
        """A realm elsewhere is not asked; the key is named."""
        self.serve(lambda _: response(401, Www_Authenticate='Bearer realm="http://evil.test/t"'))
        *_, last = self.probe(UpstreamUrl(URL, lambda: ("me", "secret")))
        self.assertIn("bad token: ", last)
        self.assertIn("upstreams.test.io.token_hosts", last)
        self.assertNotIn("evil.test", "".join(self.network.lookups))

    def test_no_name(self) -> None:
        """A name without an address."""
        found = self.probe(UpstreamUrl("http://nowhere.test"))
        keys = "upstreams.test.io.urls and dns and upstreams.test.io.proxy"
        self.assertEqual(found, [f"bad DNS: nowhere.test cannot be resolved; see {keys}"])

    def test_refused(self) -> None:
        """A closed port, and one that swallows what comes."""
        keys = "upstreams.test.io.urls and upstreams.test.io.proxy"
        self.assertEqual(self.probe()[-1], f"bad connect: connection refused; see {keys}")
        self.network.serve(ADDRESS, 80, None)
        slow = self.probe(seconds=11.0)
        self.assertEqual(slow[-1], f"bad connect: no connection within its time; see {keys}")
        self.assertEqual(round(self.last[0].steps[-1].seconds or 0), 10)

    def test_no_registry(self) -> None:
        """Another server, one that is ill, and one that says nothing."""
        for status, words in (
            (404, "it answered 404: there is no registry"),
            (503, "it answered 503"),
            (429, "it answered 429: its rate limit is used up"),
        ):
            self.serve(lambda _, status=status: response(status))
            self.assertIn(f"bad /v2/: {words}", self.probe()[-1])
        self.serve(lambda _: None)
        self.assertIn("bad token: no answer within its time", self.probe(seconds=21.0)[-1])

    def test_proxy(self) -> None:
        """A proxy resolves the name itself; its password is not told."""
        proxy = Proxy.make("198.51.100.7", 3128, "user", "hidden")
        found = self.probe(proxies=FixedProxy(proxy), seconds=1.0)
        self.assertEqual(found[0], "ok DNS: left to the proxy 198.51.100.7:3128")
        self.assertIn("bad connect", found[1])
        self.assertNotIn("hidden", str(found))

    def test_open_breaker(self) -> None:
        """It asks however often the upstream failed, and each URL by itself."""
        for _ in range(5):
            self.failureResultOf(self.begin_manifest())
        self.serve(lambda seen: response(200, b"{}"))
        found = self.probe(UpstreamUrl("http://nowhere.test"), UpstreamUrl(URL))
        self.assertEqual([found[0][:9], found[-1]], ["bad DNS: ", "ok /v2/: it is a registry"])
        self.assertEqual([bool(each.problem) for each in self.last], [True, False])

    def test_up_again(self) -> None:
        """A test that passes ends what failures began; one that fails changes nothing."""
        registry = self.registry()
        for _ in range(3):
            asking = registry.get_manifest("library/x", "latest")
            self.network.settle()
            self.failureResultOf(asking)
        answers: list[bytes | None] = []
        self.serve(lambda seen: answers[-1])
        for answer, state in ((None, "open"), (response(503), "open"), (response(200), "closed")):
            answers.append(answer)
            testing = Deferred.fromCoroutine(registry.test(lambda _: None))
            self.network.pass_time(21.0)
            self.successResultOf(testing)
            self.assertEqual(registry.health.urls[0].breaker, state, answer)
        self.assertIsNone(registry.health.urls[0].failing_since)
        self.assertEqual(self.meter.states[-1:], [True])

    def begin_manifest(self) -> "Deferred[object]":
        """Ask for a manifest in vain."""
        asking = self.registry().get_manifest("library/x", "latest")
        self.network.settle()
        return asking
