"""What trusted proxies say, and others."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regcache.access.grants import parse_address
from regcache.web.admission import Admission
from regcache.web.forwarded import MOST_ENTRIES, Forwarded, TrustedProxies
from regcache.web.respond import send_text
from tests.support.web_client import MemoryClient, RecordList, make_site

PROXY, INNER, CLIENT, INVENTED = "10.0.0.1", "10.9.9.9", "192.0.2.7", "203.0.113.66"
NETWORKS = ("10.0.0.0/8", "fd00::/64")


def said(*addresses: str, scheme: tuple[str, ...] = ()) -> Headers:
    """The header lines."""
    lines = {"X-Forwarded-For": list(addresses), "X-Forwarded-Proto": list(scheme)}
    return Headers({name: values for name, values in lines.items() if values})


class ReadingTests(SynchronousTestCase):
    """Whom the client is taken for."""

    def setUp(self) -> None:
        self.proxies = TrustedProxies(NETWORKS)

    def client(self, *lines: str, peer: str = PROXY) -> str | None:
        """The client by these lines."""
        found = self.proxies.read(peer, said(*lines))
        return None if found is None else found.address

    def test_last_untrusted(self) -> None:
        """It is the last address that is no proxy's; what is before it may be invented."""
        for lines in (
            [CLIENT],
            [f"{INVENTED}, {CLIENT}"],
            [f"{CLIENT}, {INNER}"],
            [f"{INVENTED},{CLIENT} ,\t{INNER}, {PROXY}"],
            [f"{INNER}, {INVENTED}, {CLIENT}, {INNER}"],
            [INVENTED, CLIENT, INNER],
            [f"{INVENTED}, ,{CLIENT},,", " ", ""],
            [f"{CLIENT}:4711"],
            [f"::ffff:{CLIENT}"],
            [f"[::ffff:{CLIENT}]:443, fd00::7"],
            [*[INVENTED] * 99, CLIENT],
            ["x" * 8000, f"<script>,{CLIENT}"],
        ):
            self.assertEqual(self.client(*lines), CLIENT, lines)

    def test_ipv6(self) -> None:
        """IPv6 comes with brackets and ports, or without, in any spelling."""
        for text in ("2001:DB8:0::1", "[2001:db8::1]", "[2001:db8::1]:65535"):
            self.assertEqual(self.client(f"{INVENTED}, {text}"), "2001:db8::1")
            self.assertEqual(self.client(text, peer="fd00::5"), "2001:db8::1")

    def test_garbage(self) -> None:
        """Behind what is no address the client is the proxy that said so."""
        for text in (
            "unknown",
            "_hidden",
            "300.1.2.3",
            "010.0.0.1",
            "1.2.3",
            "1.2.3.4:port",
            "1.2.3.4:1:2",
            "[1.2.3.4",
            "[2001:db8::1",
            "2001:db8::1]:5",
            "[::1]x",
            "::1::",
            "localhost",
            "127.0.0.1\x00",
            '"192.0.2.1"',
            "'; --",
            "1" * 5000,
            "\xff\xfe",
            "192.0.2.1 192.0.2.2",
            "for=192.0.2.1",
        ):
            self.assertEqual(self.client(f"{INVENTED}, {text}"), PROXY, text)
            self.assertEqual(self.client(f"{INVENTED}, {text}, {INNER}"), INNER, text)
            self.assertEqual(self.client(f"{text}, {CLIENT}"), CLIENT, text)

    def test_only_proxies(self) -> None:
        """Where all are proxies the first of them asks."""
        self.assertEqual(self.client(f"{INNER}, 10.0.0.2"), INNER)
        self.assertEqual(self.client(""), PROXY)

    def test_too_many(self) -> None:
        """A list of thousands is read to a bound, however it is cut into lines."""
        many = [f"10.{number % 200}.0.7" for number in range(5000)]
        last = many[-MOST_ENTRIES]
        self.assertEqual(self.client(", ".join([INVENTED, *many])), last)
        self.assertEqual(self.client(INVENTED, *many), last)
        near = many[: MOST_ENTRIES - 1]
        self.assertEqual(self.client(", ".join([CLIENT, *near])), CLIENT)

    def test_never_from_others(self) -> None:
        """No other peer is believed, in any form of the address."""
        headers = said(INVENTED, scheme=("https",))
        for peer in (CLIENT, "11.0.0.1", "fd00:0:0:1::1", "", "unix", "10.0.0.1.evil"):
            self.assertIsNone(self.proxies.read(peer, headers), peer)
        self.assertIsNone(self.proxies.read(None, headers))
        self.assertIsNone(TrustedProxies().read(PROXY, headers))
        for peer in (PROXY, f"::ffff:{PROXY}", "fd00::1%eth0"):
            self.assertIsNotNone(self.proxies.read(peer, headers), peer)

    def test_nothing_said(self) -> None:
        """A proxy that says nothing is itself the client."""
        self.assertIsNone(self.proxies.read(PROXY, Headers()))

    def test_scheme(self) -> None:
        """The last one that is said counts, if it is one."""
        for lines, scheme in (
            (("https",), "https"),
            (("HTTP",), "http"),
            (("http, https",), "https"),
            (("https", " http "), "http"),
            (("gopher",), None),
            (("https,",), None),
            (("https\x00",), None),
            (("x" * 10_000,), None),
        ):
            self.assertEqual(
                self.proxies.read(PROXY, said(scheme=lines)), Forwarded(PROXY, scheme), lines
            )

    @given(some.lists(some.text(some.characters(max_codepoint=255), max_size=60), max_size=8))
    def test_anything(self, lines: list[str]) -> None:
        """The client is an address, with any text in the header."""
        headers = Headers()
        headers.setRawHeaders(b"X-Forwarded-For", [line.encode("latin-1") for line in lines])
        found = self.proxies.read(PROXY, headers)
        if found is not None:
            self.assertEqual(str(parse_address(found.address)), found.address)


class RequestTests(SynchronousTestCase):
    """What it means for requests."""

    def setUp(self) -> None:
        self.proxies = TrustedProxies(NETWORKS)
        self.records = RecordList()
        self.admission = Admission(100, 2, lambda address: self.proxies.trusts(address))
        self.waiting: list[Any] = []
        self.site = make_site(
            self.answer,
            Clock(),
            recorders=[self.records],
            admission=self.admission,
            proxies=lambda: self.proxies,
        )

    def answer(self, request: Any) -> Any:
        """Tell whom the request is taken for, or wait."""
        if request.path == b"/wait":
            self.waiting.append(request)
            return Deferred()
        return send_text(request, f"{request.peer_address} {request.scheme}")

    def ask(self, *lines: str, peer: str = PROXY, path: str = "/") -> MemoryClient:
        """A request of a proxy."""
        client = MemoryClient(self.site, peer=IPv4Address("TCP", peer, 1))
        self.addCleanup(client.leave)
        return client.request("GET", path, *lines)

    def test_address_and_scheme(self) -> None:
        """Handlers and the access log see the client, and the scheme by which it came."""
        lines = (f"X-Forwarded-For: {CLIENT}", "X-Forwarded-Proto: https")
        self.assertEqual(self.ask(*lines).answer().body.decode(), f"{CLIENT} https")
        self.assertEqual(self.records.last.peer, CLIENT)
        self.assertEqual(self.ask(*lines, peer=INVENTED).answer().body.decode(), f"{INVENTED} http")
        self.assertEqual(self.records.last.peer, INVENTED)

    def test_each_request(self) -> None:
        """Requests of one connection may be those of many clients."""
        client = self.ask(f"X-Forwarded-For: {CLIENT}")
        client.request("GET", "/", f"X-Forwarded-For: {INVENTED}")
        client.request("GET", "/")
        bodies = [answer.body.decode() for answer in client.answers()]
        self.assertEqual(bodies, [f"{CLIENT} http", f"{INVENTED} http", f"{PROXY} http"])

    def test_folded(self) -> None:
        """A folded line is no line (RFC 9112, 5.2)."""
        self.assertEqual(self.ask("X-Forwarded-For: 192.0.2.1,\r\n 192.0.2.7").answer().status, 400)

    def test_limit(self) -> None:
        """A client has its share of requests at once, over any number of connections."""
        mine, other = f"X-Forwarded-For: {CLIENT}", f"X-Forwarded-For: {INVENTED}"
        first, second = (self.ask(mine, path="/wait") for _ in range(2))
        third = self.ask(mine).answer()
        self.assertEqual((third.status, third.headers["retry-after"]), (503, "1"))
        self.assertEqual(self.ask(other).answer().status, 200)
        self.assertEqual([self.ask().answer().status for _ in range(5)], [200] * 5)
        direct = MemoryClient(self.site, peer=IPv4Address("TCP", CLIENT, 1)).request("GET", "/")
        self.assertEqual(direct.answer().status, 503)
        direct.leave()
        first.leave()
        self.assertEqual(self.ask(mine).answer().status, 200)
        second.leave()

    def test_forgotten(self) -> None:
        """Nothing is left of clients that are gone."""
        for number in range(20):
            self.ask(f"X-Forwarded-For: 192.0.2.{number}", path="/wait").leave()
        self.assertEqual((self.admission.total, len(self.admission._counts)), (0, 0))

    def test_changed(self) -> None:
        """Another configuration counts for the next request of a connection that is open."""
        client = self.ask(f"X-Forwarded-For: {CLIENT}")
        self.proxies = TrustedProxies()
        client.request("GET", "/", f"X-Forwarded-For: {CLIENT}")
        bodies = [answer.body.decode() for answer in client.answers()]
        self.assertEqual(bodies, [f"{CLIENT} http", f"{PROXY} http"])
