"""The tunnel through an outgoing proxy."""

from twisted.internet.defer import CancelledError

from regcache.errors import UpstreamBadAnswer, UpstreamTimedOut, UpstreamUnreachable
from regcache.upstream.build import UpstreamUrl
from regcache.upstream.proxies import EnvironmentProxies, FixedProxy, Proxy
from tests.upstream.cases import BLOB, DIGEST, MANIFEST, TokenService, UpstreamTestCase
from tests.upstream.network import Handler, Line, Seen, response
from tests.upstream.recorders import Consumer

PROXY_ADDRESS = "127.0.0.1"
PROXY = Proxy.make(PROXY_ADDRESS, 3128, "me", "s3cret")


class TunnelTests(UpstreamTestCase):
    """An upstream behind a proxy, in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.name("registry.test")  # nobody here but the proxy can resolve it
        self.hosts: dict[str, Handler] = {
            "registry.test:80": lambda _: response(200, MANIFEST),
        }
        self.serve(self.proxy, PROXY_ADDRESS, 3128)

    def proxy(self, seen: Seen) -> bytes:
        """Connect to an address that this proxy knows."""
        if seen.method != "CONNECT" or seen.target not in self.hosts:
            return response(502)
        seen.line.handler = self.hosts[seen.target]
        return response(200, Content_Length="absent")

    def behind(self, *urls: UpstreamUrl, **options: object) -> object:
        """An upstream behind the proxy."""
        return self.registry(*urls, proxies=FixedProxy(PROXY), **options)

    def reason(self, kind: type[Exception] = UpstreamUnreachable) -> str:
        """Why a manifest cannot be had."""
        return self.failure(self.behind().get_manifest("x", "latest"), kind).reason

    def test_connect(self) -> None:
        """The proxy is asked to connect, with its credentials, which go no further."""
        registry = self.behind()
        for _ in range(2):
            answer = self.outcome(registry.get_manifest("x", "latest"))
            self.assertEqual(answer.content, MANIFEST)
        self.assertEqual(
            self.targets(),
            ["CONNECT registry.test:80"] + ["GET /v2/x/manifests/latest"] * 2,
        )
        connect, *rest = self.network.requests
        self.assertEqual(connect.headers["host"], "registry.test:80")
        self.assertEqual(connect.headers["proxy-authorization"], PROXY.authorization)
        for seen in rest:
            self.assertNotIn("proxy-authorization", seen.headers)
        self.assertNotIn("registry.test", self.network.lookups)
        self.assertEqual(self.network.dialled, [(PROXY_ADDRESS, 3128)])

    def test_blob(self) -> None:
        """A body comes through whole, pauses and all."""
        self.hosts["registry.test:80"] = lambda _: response(200, BLOB)
        consumer = Consumer()
        body = self.outcome(self.behind().get_blob("x", DIGEST))
        consumer.on_chunk = lambda: (body.pause(), self.network.callLater(1, body.resume))
        body.deliver(consumer)
        self.network.pass_time(5)
        self.assertEqual((consumer.content, consumer.ended), (BLOB, 1))

    def test_bytes_behind_the_answer(self) -> None:
        """What comes in one piece with the proxy's answer belongs to the tunnel."""
        seen: list[bytes] = []

        def handle(line: Line, data: bytes) -> None:
            seen.append(data)
            if data.startswith(b"CONNECT"):
                line.send(b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\nHTTP")
            else:
                line.send(response(200, MANIFEST)[4:])

        self.network.serve_raw(PROXY_ADDRESS, 3128, handle)
        waiting = self.behind().get_manifest("x", "latest")
        self.assertEqual(self.outcome(waiting).content, MANIFEST)
        self.assertEqual(len(seen), 2)

    def test_wrong_credentials(self) -> None:
        """407, or 401 as some have it, names the key to set, and nothing secret."""
        for status in (407, 401):
            self.serve(lambda _, status=status: response(status, b"no"), PROXY_ADDRESS, 3128)
            before = len(self.network.requests)
            reason = self.reason()
            self.assertIn("upstreams.test.io.proxy", reason)
            self.assertIn(str(status), reason)
            for secret in ("s3cret", "bWU6", "me:"):
                self.assertNotIn(secret, reason)
            self.assertEqual(len(self.network.requests), before + 1)
            self.assertTrue(self.network.lines[-1].closed_by_client)

    def test_refusals(self) -> None:
        """Any refusal of the proxy is reported as one of the proxy."""
        for answer, told in (
            (response(403), "the outgoing proxy answered 403"),
            (response(502), "the outgoing proxy answered 502"),
            (response(302, Location="http://evil.test/"), "the outgoing proxy answered 302"),
            (b"SSH-2.0-x\r\n\r\n", "the outgoing proxy does not speak HTTP"),
            (b"x" * 17000, "the answer of the outgoing proxy is too long"),
        ):
            self.network.serve_raw(PROXY_ADDRESS, 3128, lambda line, _, a=answer: line.send(a))
            self.assertEqual(self.reason(), told)
            self.assertTrue(self.network.lines[-1].closed_by_client)

    def test_no_proxy_there(self) -> None:
        """A proxy that is not there, or whose name is unknown, is told from the upstream."""
        del self.network.servers[(PROXY_ADDRESS, 3128)]
        self.assertEqual(self.reason(), "no connection to the outgoing proxy")
        registry = self.registry(proxies=FixedProxy(Proxy("proxy.test", 80)))
        failure = self.failure(registry.get_manifest("x", "latest"), UpstreamUnreachable)
        self.assertEqual(failure.reason, "the name of the outgoing proxy cannot be resolved")

    def test_closed(self) -> None:
        """A proxy that hangs up instead of answering."""
        self.network.serve_raw(PROXY_ADDRESS, 3128, lambda line, _: line.close())
        self.assertEqual(self.reason(), "the outgoing proxy closed the connection")

    def test_silent_and_dripping(self) -> None:
        """A proxy that never answers, or never ends its answer, has the time to connect."""
        for dripping in (False, True):
            self.serve(lambda _: None, PROXY_ADDRESS, 3128)
            waiting = self.behind().get_manifest("x", "latest")
            for _ in range(9):
                self.network.pass_time(1)
                if dripping:
                    self.network.lines[-1].send(b"HTTP/1.1 200 x\r\nX: y"[:4])
            self.assertNoResult(waiting)
            self.network.pass_time(1.5)
            self.failure(waiting, UpstreamTimedOut)
            self.assertTrue(self.network.lines[-1].closed_by_client)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """Cancelling closes the connection to the proxy and leaves no timer."""
        self.serve(lambda _: None, PROXY_ADDRESS, 3128)
        waiting = self.behind().get_manifest("x", "latest")
        self.network.settle()
        waiting.cancel()
        self.failure(waiting, CancelledError)
        self.assertTrue(self.network.lines[-1].closed_by_client)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def lead(self, location: str) -> None:
        """Have the upstream redirect everything."""
        self.hosts["registry.test:80"] = lambda _: response(307, Location=location)

    def test_redirect_through_the_proxy(self) -> None:
        """A redirect target is reached through the proxy as well."""
        self.lead("http://cdn.test/b")
        self.hosts["cdn.test:80"] = lambda _: response(200, MANIFEST)
        self.outcome(self.behind().get_manifest("x", "latest"))
        self.assertIn("CONNECT cdn.test:80", self.targets())

    def test_forbidden_targets(self) -> None:
        """The proxy is not asked for addresses of ours, however they are written, or localhost."""
        for host in (
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "localhost",
            "localhost.",
            "LOCALHOST",
            "x.localhost",
            "ip6-localhost",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "017700000001",
            "127.0.0.1.",
        ):
            self.lead(f"http://{host}/b")
            self.assertIn("not allowed", self.reason(UpstreamBadAnswer), host)
        connects = {each for each in self.targets() if each.startswith("CONNECT")}
        self.assertEqual(connects, {"CONNECT registry.test:80"})

    def test_forbidden_realm(self) -> None:
        """A listed realm that is localhost is not asked for through the proxy."""
        service = TokenService("http://localhost/token")
        self.hosts["registry.test:80"] = service.registry
        url = UpstreamUrl("http://registry.test", lambda: ("me", "secret"), ("localhost",))
        self.failure(self.behind(url).get_manifest("x", "latest"), UpstreamBadAnswer)
        self.assertNotIn("CONNECT localhost:80", self.targets())

    def test_own_address(self) -> None:
        """The upstream itself may be in our network, and so may its neighbours."""
        self.hosts["10.0.0.5:80"] = lambda _: response(307, Location="http://10.0.0.6/b")
        self.hosts["10.0.0.6:80"] = lambda _: response(200, MANIFEST)
        registry = self.behind(UpstreamUrl("http://10.0.0.5"))
        self.outcome(registry.get_manifest("x", "latest"))

    def test_proxy_opens_nothing(self) -> None:
        """That the proxy is on loopback is no right for a redirect to go there directly."""
        self.lead("http://inside.test/b")
        self.name("inside.test", "127.0.0.1")
        self.serve(lambda _: response(200, MANIFEST), "127.0.0.1")
        rules = EnvironmentProxies({"http": PROXY}, ["inside.test"])
        registry = self.registry(proxies=rules)
        self.failure(registry.get_manifest("x", "latest"), UpstreamBadAnswer)
        self.assertNotIn((PROXY_ADDRESS, 80), self.network.dialled)

    def test_direct_and_proxied_do_not_mix(self) -> None:
        """What NO_PROXY excepts is dialled directly, the rest through the proxy."""
        self.lead("http://cdn.test/b")
        self.name("cdn.test", "203.0.113.7")
        self.serve(lambda _: response(200, MANIFEST), "203.0.113.7")
        registry = self.registry(proxies=EnvironmentProxies({"http": PROXY}, ["cdn.test"]))
        for _ in range(2):
            self.outcome(registry.get_manifest("x", "latest"))
        self.assertEqual(self.network.dialled, [(PROXY_ADDRESS, 3128), ("203.0.113.7", 80)])
        self.assertEqual(self.targets().count("CONNECT registry.test:80"), 1)

    def test_pools_are_apart(self) -> None:
        """Two upstreams at one URL, one of them behind a proxy, share no connection."""
        self.name("registry.test", "203.0.113.5")
        self.serve(lambda _: response(200, MANIFEST))
        for registry in (self.behind(), self.registry()):
            self.outcome(registry.get_manifest("x", "latest"))
        self.assertEqual(self.network.dialled, [(PROXY_ADDRESS, 3128), ("203.0.113.5", 80)])

    def test_proxy_names(self) -> None:
        """The proxy's own name is looked up where names of proxies are, not at the upstream's."""
        self.name("proxy.test", PROXY_ADDRESS)
        rules = FixedProxy(Proxy("proxy.test", 3128))
        self.outcome(self.registry(proxies=rules).get_manifest("x", "latest"))
        self.assertEqual(self.network.lookups, ["proxy.test"])
