"""Listeners behind a proxy that says who its clients are: raw headers, and Debian's HAProxy."""

import http.client
import socket
import ssl
import struct

from tests.integration.base import PullThroughCase, certificates, upstream_config
from tests.support.front_proxies import haproxy
from tests.support.images import MIB, mixed_image
from tests.support.processes import free_port, wait_until
from tests.support.servers import Regcache

IMAGE = mixed_image("proxied", 4 * MIB)
LAYER = IMAGE.blobs[1]
LAYER_PATH = f"/v2/team/app/blobs/{LAYER.digest}"
REQUEST = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

_FORWARDING = """
listen {name}
  bind 127.0.0.1:{port}
  server daemon 127.0.0.1:{behind} {option}
"""


class ProxyProtocolTests(PullThroughCase):
    """A daemon with a plain and a TLS listener that expect the PROXY protocol."""

    def setUp(self) -> None:
        self.upstream = self.faulty_upstream()
        self.upstream.add_image("team/app", IMAGE, "1")
        self.daemon = Regcache(upstream_config(self.upstream.url), certificates().certificate)
        self.addCleanup(self.daemon.close)
        self.plain, self.tls = free_port(), free_port()
        certificate = certificates().certificate
        pair = {"chain": str(certificate.chain), "key": str(certificate.key)}
        self.daemon.config["listeners"] += [
            {"endpoint": f"haproxy:tcp:{self.plain}:interface=127.0.0.1"},
            {
                "endpoint": f"haproxy:tcp:{self.tls}:interface=127.0.0.1",
                "tls": {"certificates": [pair]},
            },
        ]
        self.daemon.start()

    def trusting(self) -> ssl.SSLContext:
        """A context that trusts the daemon."""
        return ssl.create_default_context(cafile=str(certificates().authority.file))

    def wait_for_peer(self, peer: str) -> None:
        """The access log has a request of that client."""
        wait_until(lambda: f" peer={peer} " in self.daemon.log(), f"a line of {peer}")

    def exchange(self, *pieces: bytes) -> bytes:
        """Send pieces, each in a packet of its own if it can be, and read to the end."""
        with socket.create_connection(("127.0.0.1", self.plain), timeout=30) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                connection.sendall(piece)
            received = b""
            try:
                while data := connection.recv(65536):
                    received += data
            except ConnectionResetError:
                return received
            return received

    def test_headers(self) -> None:
        """Both versions name the client; with no client in them it is who connected."""
        ports = struct.pack(">HH", 40000, 443)
        v4 = socket.inet_aton("192.0.2.8") + bytes(4) + ports
        v6 = socket.inet_pton(socket.AF_INET6, "2001:db8::8") + bytes(16) + ports
        for header, peer in (
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n", "192.0.2.7"),
            (b"PROXY TCP6 2001:db8::7 ::1 40000 443\r\n", "2001:db8::7"),
            (SIGNATURE + b"\x21\x11" + struct.pack(">H", len(v4)) + v4, "192.0.2.8"),
            (SIGNATURE + b"\x21\x21" + struct.pack(">H", len(v6)) + v6, "2001:db8::8"),
            (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
            (SIGNATURE + b"\x20\x00\x00\x00", "127.0.0.1"),
        ):
            self.assertIn(b" 200 OK", self.exchange(header + REQUEST))
            self.assertIn(b" 200 OK", self.exchange(header[:5], header[5:20], header[20:], REQUEST))
            self.wait_for_peer(peer)
        self.assertNotIn("Traceback", self.daemon.log())

    def test_malformed(self) -> None:
        """What is no header gets no answer; it is one line of the log, and no traceback."""
        headers = [
            REQUEST,
            b"\x16\x03\x01\x02\x00",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 x 443\r\n",
            b"PROXY TCP4 nonsense\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 99999 443\r\n",
            b"PROXY TCP4 " + b"1" * 200,
            SIGNATURE + b"\x21\x11\x00\x02ab",
            SIGNATURE + b"\x21\x55\x00\x0c" + bytes(12),
        ]
        for header in headers:
            self.assertEqual(self.exchange(header + REQUEST), b"", header)
        log = self.daemon.log()
        self.assertEqual(log.count("closed a connection of 127.0.0.1: "), len(headers), log)
        self.assertNotIn("Traceback", log)
        self.assertNotIn(" critical ", log)

    def test_tls(self) -> None:
        """The header comes before the handshake."""
        plain = socket.create_connection(("127.0.0.1", self.tls), timeout=30)
        plain.sendall(b"PROXY TCP4 192.0.2.9 192.0.2.1 40000 443\r\n")
        with self.trusting().wrap_socket(plain, server_hostname="localhost") as secure:
            secure.sendall(REQUEST)
            self.assertIn(b" 200 OK", secure.recv(65536))
        self.wait_for_peer("192.0.2.9")

    def test_haproxy(self) -> None:
        """Behind HAProxy, over both versions and with TLS, blobs come whole to known clients."""
        fronts = {
            (self.plain, "send-proxy"): free_port(),
            (self.plain, "send-proxy-v2"): free_port(),
            (self.tls, "send-proxy-v2"): free_port(),
        }
        text = "".join(
            _FORWARDING.format(name=f"front{port}", port=port, behind=behind, option=option)
            for (behind, option), port in fronts.items()
        )
        self.addCleanup(haproxy(text, *fronts.values()).close)
        for number, ((behind, _), port) in enumerate(fronts.items()):
            # An address of this machine that the daemon sees only if the proxy says so.
            source = (f"127.0.0.{9 - number}", 0)
            connection: http.client.HTTPConnection = http.client.HTTPConnection(
                "127.0.0.1", port, timeout=60, source_address=source
            )
            if behind == self.tls:
                connection = http.client.HTTPSConnection(
                    "127.0.0.1", port, timeout=60, source_address=source, context=self.trusting()
                )
            for path, body in (("/v2/", b"{}"), (LAYER_PATH, LAYER.data), (LAYER_PATH, LAYER.data)):
                connection.request("GET", path)
                self.assertEqual(connection.getresponse().read(), body)
            connection.close()
            self.wait_for_peer(source[0])
        self.assertNotIn("Traceback", self.daemon.log())
