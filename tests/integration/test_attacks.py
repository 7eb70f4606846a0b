"""Attacks that befell registries and HTTP servers, over raw sockets: what is not about accounts.

Each test is named after the attack. Nothing of what is tried here may reach the upstream.
"""

import contextlib
import socket
import ssl
from collections.abc import Iterator

from tests.integration.access_base import (
    ALICE,
    CLOSED,
    MIXED_RULES,
    OPEN,
    AccessCase,
    Restricted,
)
from tests.integration.base import catalog, certificates, shared
from tests.integration.test_private import basic_upstream
from tests.support.http2_socket import SocketHttp2
from tests.support.processes import free_port
from tests.support.raw_client import Door, RawClient
from tests.support.registry_client import basic

MANIFEST = f"/v2/{CLOSED}/manifests/1"
LOGIN = f"Authorization: {basic(*ALICE)}"
REDIRECT_PORT = free_port()
#: So many bytes of requests are not read while no answer is.
MOST_PIPELINED = 64 << 20
#: How long a head may take here (seconds).
HEAD_TIME = 1


@shared
def attacked() -> Restricted:
    """A daemon with accounts, HTTP/2, a listener that redirects, and little patience."""
    redirecting = {"endpoint": f"tcp:{REDIRECT_PORT}:interface=127.0.0.1", "redirect": "https"}
    limits = {"header_timeout": f"{HEAD_TIME}s"}
    access = {"rules": MIXED_RULES, "admins": []}
    return Restricted(access, listeners=[redirecting], limits=limits)


def trusting() -> ssl.SSLContext:
    """The settings of a client that trusts the authority."""
    return ssl.create_default_context(cafile=str(certificates().authority.file))


class AttackCase(AccessCase):
    """One daemon for all attacks."""

    def setUp(self) -> None:
        """Look at its log, and at the upstream, when the test is over."""
        super().setUp()
        self.daemon = self.watched(attacked()).daemon
        self.plain = Door(self.daemon.port)
        self.secure = Door(self.daemon.tls_port, trusting())

    def connect(self, door: Door | None = None) -> RawClient:
        """A connection, to the plain listener if nothing is said."""
        made = RawClient(door or self.plain)
        self.addCleanup(made.close)
        return made

    def both(self) -> Iterator[RawClient]:
        """A plain connection, and one over TLS."""
        return (self.connect(door) for door in (self.plain, self.secure))

    def assert_cut_off(self, client: RawClient, status: int = 400) -> bytes:
        """One answer, which closes the connection; its body."""
        answer = client.read()
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(client.rest(), b"")
        return answer.body

    def assert_alive(self) -> None:
        """The daemon still serves."""
        answer = self.connect().ask(f"GET /v2/{OPEN}/manifests/1 HTTP/1.1", "Host: localhost")
        self.assertEqual(answer.status, 200)


def request(*lines: str, target: str = MANIFEST, method: str = "GET") -> bytes:
    """A head with a login, and further lines."""
    head = [f"{method} {target} HTTP/1.1", "Host: localhost", LOGIN, *lines]
    return "\r\n".join([*head, "", ""]).encode("latin-1")


#: What hides behind a request that is read in two ways: a pull without a login.
HIDDEN = f"GET {MANIFEST} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


class SmugglingTests(AttackCase):
    """CVE-2022-24801, CVE-2020-10108, CVE-2020-10109 and twisted #12754: request smuggling."""

    def assert_refused(self, data: bytes) -> None:
        """400 and the end, over both listeners; what hides behind it is no request."""
        for client in self.both():
            client.send(data + HIDDEN)
            self.assert_cut_off(client)

    def test_two_lengths(self) -> None:
        """A body whose length can be read in two ways."""
        size = len(HIDDEN)
        for lines in (
            [f"Content-Length: {size}", "Content-Length: 0"],
            [f"Content-Length: {size}, 0"],
            [f"Content-Length: +{size}"],
            [f"Content-Length: 0x{size:x}"],
            ["Content-Length: 1_0"],
            ["Content-Length: -1"],
            ["Content-Length : 0"],
            ["Content-Length: " + "9" * 40],
        ):
            self.assert_refused(request(*lines, method="POST"))

    def test_length_and_chunks(self) -> None:
        """A body that has a length and chunks, or an encoding that others may not know."""
        for lines in (
            ["Content-Length: 5", "Transfer-Encoding: chunked"],
            ["Transfer-Encoding: chunked", "Content-Length: 5"],
            ["Transfer-Encoding: xchunked"],
            ["Transfer-Encoding: chunked, identity"],
            ["Transfer-Encoding: identity", "Content-Length: 5"],
            ["Transfer-Encoding : chunked"],
            ["Transfer-Encoding:\x0bchunked"],
        ):
            self.assert_refused(request(*lines, method="POST") + b"0\r\n\r\n")

    def test_line_ends_in_values(self) -> None:
        """A bare CR, LF or NUL, or a folded line, in the value of a field."""
        for value in ("a\rX: b", "a\nX: b", "a\x00b", "a\r\n b", "a\r\n\tb", "a\n\rb"):
            self.assert_refused(request(f"X-Any: {value}"))
        for value in ("\n", "\r", "\x00"):
            data = request().replace(LOGIN.encode(), f"{LOGIN}{value}X: y".encode())
            self.assert_refused(data)

    def test_request_lines(self) -> None:
        """A request line that others may read in another way."""
        for line in (
            *("GET  / HTTP/1.1", "GET /\tHTTP/1.1", "GET / HTTP/1.1 x", "GET / HTTP/2.0"),
            *("GET /a b HTTP/1.1", " GET / HTTP/1.1", "GET / http/1.1", "G\x00T / HTTP/1.1"),
        ):
            self.assert_refused(f"{line}\r\nHost: localhost\r\n{LOGIN}\r\n\r\n".encode())

    def test_chunked_body(self) -> None:
        """No request here has a chunked body: none is read, and nothing behind it is a request."""
        client = self.connect()
        client.send(request("Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n" + HIDDEN)
        answer = client.read()
        self.assertIn(answer.status, (400, 405, 413))
        self.assertEqual(client.rest(), b"")

    def test_body_of_a_get(self) -> None:
        """A body of a GET is passed over: what is in it is no request."""
        client = self.connect()
        client.send(request(f"Content-Length: {len(HIDDEN)}") + HIDDEN + request())
        self.assertEqual([client.read().status, client.read().status], [200, 200])
        self.assertFalse(client.has_answer())


class CredentialsStayTests(AttackCase):
    """What one request shows counts for no other one."""

    def test_keep_alive(self) -> None:
        """A request without a login behind one with it, over one connection."""
        for client in self.both():
            for _ in range(3):
                client.send(request() + HIDDEN)
                self.assertEqual([client.read().status, client.read().status], [200, 401])

    def test_streams(self) -> None:
        """Nor over HTTP/2, where fields are compressed together."""
        client = SocketHttp2(("127.0.0.1", self.daemon.tls_port), trusting())
        self.addCleanup(client.close)
        for answer in client.begin([MANIFEST] * 3):
            client.read_until(lambda: answer.ended)  # noqa: B023
            self.assertEqual(answer.status, 401)


class HeadTests(AttackCase):
    """Heads that never end."""

    def test_header_flood(self) -> None:
        """More fields than a head may have, and a head that is too large."""
        for lines in (
            [f"X-{number}: a" for number in range(200)],
            ["X: " + "a" * 40_000],
            [f"X-{number}: " + "a" * 1000 for number in range(40)],
            [LOGIN.replace("Basic ", "Bearer " + "a" * 40_000)],
        ):
            for client in self.both():
                client.send(request(*lines))
                self.assertEqual(client.read().status, 400)
        self.assert_alive()

    def test_slowloris(self) -> None:
        """A head, or a body, that does not come is 408, and the end."""
        body = request("Content-Length: 10", method="POST") + b"12345"
        for data in (request()[:-2], b"GET", body):
            for client in self.both():
                client.send(data)
                self.assert_cut_off(client, 408)

    def test_silence(self) -> None:
        """Who says nothing is cut off without an answer, in the middle of a handshake, too."""
        silent = [self.connect(), self.connect(Door(self.daemon.tls_port)), self.connect()]
        silent.append(self.connect(self.secure))
        silent[2].socket.sendall(b"\r\n")
        for client in silent:
            self.assertIn(client.rest(), (b"", b"\r\n"))
        self.assert_alive()


class HostTests(AttackCase):
    """CVE-2022-39348: the Host in an error page. RFC 9112, 3.2."""

    def test_no_host_is_repeated(self) -> None:
        """What is no host is 400 and closes, and is not repeated."""
        for host in (
            *("<script>alert(1)</script>", 'a"b', "a b", "a/b", "a@b", "a,b", "..", "[::1", "%41"),
            *("localhost:x", "localhost:1:2", "a\x7fb", "a" * 300),
        ):
            for client in self.both():
                client.send(f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
                body = self.assert_cut_off(client)
                self.assertNotIn(host.encode("latin-1"), body)

    def test_missing_and_twice(self) -> None:
        """Exactly one Host."""
        for lines in ([], ["Host: localhost", "Host: localhost"], ["Host: a", "Host: b"]):
            client = self.connect()
            client.send("\r\n".join(["GET /v2/ HTTP/1.1", *lines, "", ""]).encode())
            self.assert_cut_off(client)

    def test_absolute_form(self) -> None:
        """RFC 9112, 3.2.2: a target may name the Host; another one is 400, and the end."""
        host = f"127.0.0.1:{self.daemon.port}"
        for scheme in ("http", "HTTP", "https"):
            target = f"{scheme}://{host}{MANIFEST}"
            answer = self.connect().ask(f"GET {target} HTTP/1.1", f"Host: {host}", LOGIN)
            self.assertEqual(answer.status, 200)
        for target in (
            f"http://evil.example{MANIFEST}",
            f"http://127.0.0.1{MANIFEST}",
            f"http://{host}@evil.example{MANIFEST}",
            f"http://evil.example\\@{host}{MANIFEST}",
            f"http://{host}.evil.example{MANIFEST}",
            f"//{host}{MANIFEST}",
            f"ftp://{host}{MANIFEST}",
            *("*", "evil.example:443"),
        ):
            client = self.connect()
            client.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{LOGIN}\r\n\r\n".encode())
            if target.startswith("//"):
                self.assertIn(client.read().status, (400, 404))
                continue
            self.assertNotIn(b"evil", self.assert_cut_off(client))

    def test_realm_on_a_strange_host(self) -> None:
        """No challenge sends credentials to a host that is none of ours."""
        for host in ("evil.example", "docker.evil.example:443"):
            answer = self.connect().ask("GET /v2/ HTTP/1.1", f"Host: {host}")
            self.assertEqual(answer.status, 401)
            self.assertNotIn("evil", answer.headers["www-authenticate"])


class RedirectTests(AttackCase):
    """CVE-2024-41810: what is in the target of a redirect."""

    def redirected(self, target: str, host: str = "localhost") -> str:
        """Where a request is sent; the page has nothing of the target."""
        client = self.connect(Door(REDIRECT_PORT))
        answer = client.ask(f"GET {target} HTTP/1.1", f"Host: {host}")
        self.assertEqual(answer.status, 308)
        self.assertNotIn(b"evil", answer.body)
        self.assertNotIn(b"<", answer.body)
        return answer.headers["location"]

    def test_target(self) -> None:
        """It stays on the host, and is escaped."""
        for target in ("/evil", "//evil.example/", "/%0d%0aX:evil", "/?q=http://evil.example"):
            self.assertEqual(self.redirected(target), f"https://localhost{target}")
        for target in ('/"><script>evil</script>', "/a\\evil", "/'evil"):
            location = self.redirected(target)
            self.assertTrue(location.startswith("https://localhost/"))
            self.assertFalse(set(location) & set('<>"\\'), location)

    def test_refused(self) -> None:
        """Line ends, other hosts, no host and two of them are 400."""
        for head in (
            "GET /a\rX: evil HTTP/1.1\r\nHost: localhost",
            "GET http://evil.example/ HTTP/1.1\r\nHost: localhost",
            "GET / HTTP/1.1",
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example",
            "GET / HTTP/1.1\r\nHost: evil\r.example",
        ):
            client = self.connect(Door(REDIRECT_PORT))
            client.send(f"{head}\r\n\r\n".encode())
            self.assertNotIn(b"evil", self.assert_cut_off(client))


class PipeliningTests(AttackCase):
    """CVE-2023-46137 and CVE-2024-41671: answers out of order."""

    def test_order(self) -> None:
        """What needs a password to be checked is answered before what comes behind it."""
        wrong = basic("alice", "Xenon-of-alice-4711-and-more")
        slow = request().replace(LOGIN.encode(), f"Authorization: {wrong}".encode())
        client = self.connect()
        client.send(slow + request(target=f"/v2/{OPEN}/manifests/1", method="HEAD") + HIDDEN)
        self.assertEqual(client.read().status, 401)
        head = client.read("HEAD")
        self.assertEqual(head.headers["docker-content-digest"], catalog().images[OPEN].digest)
        self.assertEqual(client.read().status, 401)

    def test_more_than_is_read(self) -> None:
        """Who asks on and on, and reads nothing, is not read either: no queue grows for that."""
        before = self.daemon.process.resident_bytes()
        client = self.connect()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        client.socket.setblocking(False)
        sent, data = 0, request(target=f"/v2/{OPEN}/manifests/1") * 100
        with contextlib.suppress(BlockingIOError):
            while sent < MOST_PIPELINED:
                sent += client.socket.send(data)
        self.assertLess(sent, MOST_PIPELINED)
        self.assert_alive()
        self.assertLess(self.daemon.process.resident_bytes() - before, MOST_PIPELINED // 2)


class RapidResetTests(AttackCase):
    """CVE-2023-44487: HTTP/2 streams that are opened and reset."""

    def test_rapid_reset(self) -> None:
        """The connection ends before long, and others notice nothing."""
        client = SocketHttp2(("127.0.0.1", self.daemon.tls_port), trusting())
        self.addCleanup(client.close)

        def flood() -> None:
            for _ in range(2000):
                client.open_and_reset(MANIFEST)
            client.read_until(lambda: client.goaway is not None)
            raise ConnectionError

        self.assertRaises(OSError, flood)
        self.assert_alive()


class DeletionTests(AttackCase):
    """CVE-2026-41888: deletion by a way that was not thought of, while nobody may delete."""

    def test_every_form(self) -> None:
        """Nothing is deleted for any client by a request of any form."""
        image = catalog().images[OPEN]
        self.assert_alive()
        files = sorted(str(path) for path in (self.daemon.directory / "blobs").rglob("*"))
        blob = next(iter(image.all_blobs()))
        before = len(basic_upstream().requests())
        for tail in (
            *("manifests/1", "manifests/1/", f"manifests/{image.digest}", f"blobs/{blob}"),
            *(f"manifests/sha256%3A{image.digest[7:]}", "manifests/%31", "tags/list", "tags/1"),
            *(f"blobs/{blob}/", f"blobs/uploads/{blob}", "", "manifests/", "_trust/tuf/root.json"),
        ):
            for login in ((), (LOGIN,)):
                target = f"/v2/{OPEN}/{tail}"
                answer = self.connect().ask(f"DELETE {target} HTTP/1.1", "Host: localhost", *login)
                self.assertIn(answer.status, (400, 404, 405), target)
        self.override(image.digest)
        after = sorted(str(path) for path in (self.daemon.directory / "blobs").rglob("*"))
        self.assertEqual(after, files)
        self.assertEqual(basic_upstream().requests()[before:], [])

    def override(self, digest: str) -> None:
        """Methods that are said elsewhere are not heard."""
        target = f"/v2/{OPEN}/manifests/{digest}"
        for method in ("HEAD", "GET"):
            for line in ("X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE"):
                answer = self.connect().ask(
                    f"{method} {target} HTTP/1.1", "Host: localhost", line, method=method
                )
                self.assertEqual(answer.status, 200)
        for method in ("POST", "PUT", "PATCH"):
            answer = self.connect().ask(
                f"{method} {target}?_method=DELETE HTTP/1.1",
                *("Host: localhost", LOGIN, "X-HTTP-Method-Override: DELETE", "Content-Length: 0"),
            )
            self.assertEqual(answer.status, 405)


class CatalogTests(AttackCase):
    """CVE-2023-2253: how long a page shall be."""

    def test_sizes(self) -> None:
        """The answer to any ``n`` is short, and is sent."""
        for size in ("0", "-1", "1e9", "2147483648", "9223372036854775808", "9" * 400, "x", ""):
            for path in ("_catalog", f"{OPEN}/tags/list"):
                target = f"/v2/{path}?n={size}"
                answer = self.connect().ask(f"GET {target} HTTP/1.1", "Host: localhost", LOGIN)
                self.assertIn(answer.status, (200, 400), target)
                self.assertLess(len(answer.body), 65536)
        repeated = "&".join(["n=5"] * 300)
        answer = self.connect().ask(f"GET /v2/_catalog?{repeated} HTTP/1.1", "Host: localhost")
        self.assertEqual(answer.status, 400)


class PathTests(AttackCase):
    """Names that are paths elsewhere, and digests that are none."""

    def test_names(self) -> None:
        """Nothing of it leads anywhere, or upstream."""
        before = len(basic_upstream().requests())
        for name in (
            *("..", "../etc", "a/../b", "%2e%2e/a", "a%2fb", "a%00b", "a//b", "A/b", "a/", ".a"),
            *("a" * 300, "a/" * 200 + "a", "a\\b", "a;b", "é"),
        ):
            target = f"/v2/{name}/manifests/1"
            client = self.connect()
            client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{LOGIN}\r\n\r\n".encode())
            self.assertIn(client.read().status, (400, 404), name)
        self.assertEqual(basic_upstream().requests()[before:], [])

    def test_digests(self) -> None:
        """Other algorithms and other lengths."""
        for digest in (
            *("md5:" + "a" * 32, "sha1:" + "a" * 40, "sha256:" + "a" * 63, "sha256:" + "A" * 64),
            *(
                "sha256:" + "a" * 65,
                "sha256:../../etc/passwd",
                "sha256:",
                ":",
                "SHA256:" + "a" * 64,
            ),
        ):
            for kind in ("blobs", "referrers"):
                target = f"/v2/{OPEN}/{kind}/{digest}"
                answer = self.connect().ask(f"GET {target} HTTP/1.1", "Host: localhost", LOGIN)
                self.assertIn(answer.status, (400, 404), target)
