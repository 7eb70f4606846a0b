"""Sends requests that no client sends, and checks that none is logged as a fault of ours."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.access import Access
from regcache.access.grants import Action, Grant, Rule, Rules
from regcache.access.own_tokens import OwnTokens
from regcache.access.passwords import Passwords
from regcache.admin.api.callers import Reach
from regcache.admin.endpoint import AdminDispatch
from regcache.admin.health import HealthPages
from regcache.admin.ui_files import read_ui_files
from regcache.admin.ui_pages import UiPages
from regcache.digests import Digest
from regcache.media_types import OCI_MANIFEST
from regcache.web.redirect import RedirectDispatch
from regcache.web.site import Site
from tests.access.accounts import hashed
from tests.support.front import OTHER, Front, Setting
from tests.support.http2_client import Http2Client, make_http2_site
from tests.support.pools import ImmediatePool
from tests.support.web_client import MemoryClient, make_site
from tests.test_manifest_body import image

CONTENT = bytes(range(256)) * 20
DIGEST = str(Digest.of(CONTENT)).encode()

#: Bytes that parsers stumble over, among them digits and blanks of Latin-1 that Python takes.
_AWKWARD = [
    *(b"\xb2", b"\xa0", b"\x85", b"\xff\xfe", b"\xc2\xb2", b"\xd9\xa1", b"\xe2\x84\xaa", b"\x00"),
    *(b"%", b"%00", b"%b2", b"%ff", b"%C2%B2", b"%0a", b"..", b"//", b"\t", b" ", b"-", b"+", b"="),
    *(b",", b";", b";q=0", b"9" * 40, b"9" * 5000, b"*", b'"', b"W/", b":99999", b"?", b"&", b"#"),
    *(b"[::1", b"[fe80::1%25eth0]", b"@", b"\r", b"\n", b"-" * 300, b",0-0" * 300, b"/a" * 300),
]
_PIECE = some.sampled_from(_AWKWARD) | some.binary(max_size=4)

#: What a request is made of, each with values that are known.
_PARTS: dict[str, list[bytes]] = {
    "method": [b"GET", b"GET", b"GET", b"HEAD"],
    "name": [b"org/app", b"org/app", b"org/app", OTHER.encode() + b"/x", b"ghcr.io/x"],
    "reference": [b"1", DIGEST, DIGEST, b"list"],
    "query": [b"", b"", b"n=1", b"n=2&last=a", b"ns=" + OTHER.encode(), b"artifactType=a/b"],
    "host": [b"localhost", b"localhost", b"main.example.com", b"127.0.0.1:5000", b"[::1]:5"],
    "Range": [b"", b"bytes=0-1", b"bytes=-5,7-8", b"bytes=9999-"],
    "Accept": [b"", OCI_MANIFEST.encode(), b"*/*;q=0.1, text/html"],
    "If-None-Match": [b"", b"", b'"x"', b'"%b"' % DIGEST],
    "If-Range": [b"", b"", b'"%b"' % DIGEST],
    "Content-Length": [b"", b"", b"", b"0"],
    "Transfer-Encoding": [b"", b"", b"", b"chunked"],
    "Expect": [b"", b"", b"", b"100-continue"],
    "Authorization": [b"", b"", b"Basic eDp5", b"Basic YWxpY2U6c2VjcmV0", b"Bearer a.b.c"],
    "Cookie": [b"", b"", b"a=b; c"],
    "version": [b"HTTP/1.1"],
}
_TARGETS = [
    *[b"/v2/%b/blobs/%b"] * 3,
    *[b"/v2/%b/manifests/%b"] * 3,
    *[b"/v2/%b/referrers/%b", b"/v2/%b/tags/%b", b"/v2/%b/blobs/uploads/%b", b"http://%b/%b"],
]
#: What a realm is asked for; each may stand more than once.
_FIELDS: dict[bytes, list[bytes]] = {
    b"scope": [b"repository:org/app:pull", b"registry:catalog:*", b"repository:library/a:*"],
    b"service": [b"localhost", b"main.example.com:5000", b"evil.test"],
    b"account": [b"alice"],
    b"offline_token": [b"true", b"false"],
    b"grant_type": [b"password", b"refresh_token"],
    b"username": [b"alice"],
    b"password": [b"secret", b"wrong"],
    b"refresh_token": [b"a.b.c"],
    b"access_type": [b"offline"],
}
_ANY = settings(suppress_health_check=list(HealthCheck), deadline=None)
_IN_HEAD = ("method", "name", "reference", "query", "host", "version")


@dataclass
class AnyRequest:
    """A request of which one or two parts may be anything."""

    parts: dict[str, bytes]
    target: bytes

    def fields(self) -> list[tuple[bytes, bytes]]:
        """The fields but for the Host."""
        return [
            (name.encode(), value)
            for name, value in self.parts.items()
            if value and name not in _IN_HEAD
        ]

    def over_http1(self) -> bytes:
        """As it goes over HTTP/1.1."""
        method, version, host = (self.parts[name] for name in ("method", "version", "host"))
        lines = [b"%b %b %b" % (method, self.target, version), b"Host: " + host]
        lines += [b"%b: %b" % field for field in self.fields()]
        return b"\r\n".join([*lines, b"", b""])

    def over_http2(self) -> list[tuple[bytes, bytes]]:
        """As it goes over HTTP/2."""
        return [
            (b":method", self.parts["method"]),
            (b":scheme", b"https"),
            (b":authority", self.parts["host"]),
            (b":path", self.target),
            *((name.lower(), value) for name, value in self.fields()),
        ]


@some.composite
def requests(draw: some.DrawFn) -> AnyRequest:
    """A request in which one or two parts are not what they should be."""
    parts = {name: draw(some.sampled_from(known)) for name, known in _PARTS.items()}
    for name in draw(some.lists(some.sampled_from(sorted(parts)), max_size=2)):
        before, behind = draw(_PIECE), draw(_PIECE)
        parts[name] = draw(
            some.sampled_from([before + parts[name], parts[name] + behind, before, before + behind])
        )
    target = draw(some.sampled_from(_TARGETS)) % (parts["name"], parts["reference"])
    target = draw(some.sampled_from([target] * 5 + [b"/v2/_catalog", b"/v2/"]))
    if parts["query"]:
        target += b"?" + parts["query"]
    return AnyRequest(parts, target)


@some.composite
def realm_requests(draw: some.DrawFn) -> bytes:
    """A request to our realm, some of whose fields are not what they should be."""
    names = draw(some.lists(some.sampled_from(sorted(_FIELDS)), max_size=8))
    fields = [name + b"=" + draw(some.sampled_from(_FIELDS[name]) | _PIECE) for name in names]
    encoded = b"&".join([*fields, *draw(some.lists(_PIECE, max_size=1))])
    method = draw(some.sampled_from([b"GET", b"POST", b"POST", b"HEAD", b"PUT"]))
    shown = draw(some.sampled_from(_PARTS["Authorization"]))
    lines = [b"Host: localhost", b"Authorization: " + shown] if shown else [b"Host: localhost"]
    if method == b"POST":
        kind = some.sampled_from([b"application/x-www-form-urlencoded"] * 5 + [b"text/plain", b""])
        lines += [b"Content-Type: " + draw(kind), b"Content-Length: %d" % len(encoded)]
        return b"\r\n".join([b"POST /token HTTP/1.1", *lines, b"", encoded])
    return b"\r\n".join([method + b" /token?" + encoded + b" HTTP/1.1", *lines, b"", b""])


class HostileInputTests(SynchronousTestCase):
    """Each kind of site gets requests that may be anything."""

    def setUp(self) -> None:
        self.statuses: Counter[int] = Counter()

    def send(self, site: Site, pieces: list[bytes], wait: Callable[[], object]) -> None:
        """Ask in some pieces: the answer is no fault of ours, and the log has none."""
        client = MemoryClient(site)
        for piece in pieces:
            client.send(piece)
        wait()
        status = int(client.raw[9:12] or 0)
        client.leave()
        self.statuses[status] += 1
        assert status < 500, (status, pieces, client.raw)
        assert not self.flushLoggedErrors(), pieces

    def front(self, access: Access | None = None) -> Front:
        """The distribution API, whose cache has a blob and a manifest."""
        front = Front(self.mktemp(), Setting(access=access))
        self.addCleanup(front.stop)
        front.main.add(CONTENT)
        manifest = str(image()).replace("'", '"').encode()
        front.main.add_manifest("org/app", "1", manifest, OCI_MANIFEST)
        front.get(f"/v2/org/app/blobs/{DIGEST.decode()}")
        front.get("/v2/org/app/manifests/1")
        return front

    def test_distribution(self) -> None:
        """Clients of the distribution API."""
        front = self.front()

        @_ANY
        @given(requests(), some.integers(0, 100))
        def ask(request: AnyRequest, cut: int) -> None:
            data = request.over_http1()
            self.send(front.site, [data[:cut], data[cut:]], front.caches.run)

        ask()

    def restricted(self) -> Front:
        """The same where accounts may pull, and everybody ``library/*``."""
        clock = Clock()
        clock.advance(1_000_000)
        pull = frozenset({Action.PULL})
        rules = [
            Rule(frozenset({"anonymous"}), Grant(pull, None, ("library/*",))),
            Rule(frozenset({"*"}), Grant(pull)),
        ]
        passwords = Passwords(ImmediatePool(), clock)
        access = Access(Rules(True, [], rules), passwords, OwnTokens(b"k" * 32, 300), clock)
        access.replace_accounts({"alice": hashed("secret")})
        self.clock = clock
        return self.front(access)

    def test_accounts(self) -> None:
        """Clients of the distribution API, where accounts are asked for."""
        front = self.restricted()

        @_ANY
        @given(requests())
        def ask(request: AnyRequest) -> None:
            self.clock.advance(60)  # wrong logins are no longer counted
            self.send(front.site, [request.over_http1()], front.caches.run)

        ask()

    def test_realm(self) -> None:
        """Clients of our realm, by query and by form."""
        front = self.restricted()

        @_ANY
        @given(realm_requests())
        def ask(data: bytes) -> None:
            self.clock.advance(60)
            self.send(front.site, [data], front.caches.run)

        ask()
        self.assertTrue({200, 400} <= set(self.statuses), self.statuses)

    def test_http2(self) -> None:
        """The same over HTTP/2."""
        front = self.front()
        site = make_http2_site(front.site.dispatch, front.clock)

        @_ANY
        @given(requests())
        def ask(request: AnyRequest) -> None:
            client = Http2Client(site)
            answer = client.answers[client.begin_fields(request.over_http2())]
            client.carry()
            front.caches.run()
            client.carry()
            client.leave()
            status = answer.status if answer.headers else answer.reset or 0
            self.statuses[status] += 1
            assert answer.ended or answer.reset is not None or client.goaway, request
            assert status < 500, (request, answer)
            assert not self.flushLoggedErrors(), request

        ask()

    def test_redirect(self) -> None:
        """The redirect to https, which repeats host and target."""
        site = make_site(RedirectDispatch())

        @_ANY
        @given(requests())
        def ask(request: AnyRequest) -> None:
            self.send(site, [request.over_http1()], lambda: None)

        ask()

    def test_admin(self) -> None:
        """The endpoint of operators."""
        health = HealthPages(lambda: [])
        view = self.front().site.dispatch
        pages = AdminDispatch(
            health,
            lambda: b"metrics",
            "text/plain",
            ui=UiPages(read_ui_files(), lambda: "regcache"),
            reach=Reach.LOOPBACK,
            api=lambda _: view,
            view=view,
            local_view=view,
            is_admin_host=lambda host: host == "registry.example.com",
            gatekeeper=lambda: None,
        )
        site = make_site(pages)

        @_ANY
        @given(requests())
        def ask(request: AnyRequest) -> None:
            self.send(site, [request.over_http1()], lambda: None)

        ask()
