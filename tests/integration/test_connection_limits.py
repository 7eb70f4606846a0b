"""A daemon that takes few connections."""

import socket
import ssl

from h2.errors import ErrorCodes

from tests.integration.base import PullThroughCase, certificates, upstream_config
from tests.support.http2_socket import SocketHttp2
from tests.support.processes import free_port, wait_until
from tests.support.servers import Regcache

MOST = 4
REQUEST = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: A request whose answer waits for an upstream that accepts and says nothing.
SLOW = "/v2/team/app/manifests/1"


class ConnectionLimitTests(PullThroughCase):
    """``limits.connections_per_address`` over real connections."""

    def setUp(self) -> None:
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        self.daemon = Regcache(upstream_config(url), certificates().certificate)
        self.addCleanup(self.daemon.close)
        for listener in self.daemon.config["listeners"]:
            if "tls" in listener:
                listener["http2"] = True
        self.proxied = free_port()
        self.daemon.config["listeners"].append(
            {"endpoint": f"haproxy:tcp:{self.proxied}:interface=127.0.0.1"}
        )
        self.daemon.config["limits"] = {"connections_per_address": MOST}
        self.daemon.start()

    def connect(self, port: int | None = None) -> socket.socket:
        """A connection that has said nothing."""
        connection = socket.create_connection(("127.0.0.1", port or self.daemon.port), timeout=60)
        self.addCleanup(connection.close)
        return connection

    def ask(self, connection: socket.socket, data: bytes = REQUEST) -> bytes:
        """Send a request, and the status line that comes back."""
        connection.sendall(data)
        return connection.recv(65536).partition(b"\r\n")[0]

    def test_too_many(self) -> None:
        """One connection too many gets 503 and is closed; it is taken when another has left."""
        silent = [self.connect() for _ in range(3 * MOST)]
        taken = [self.connect() for _ in range(MOST)]
        for connection in taken:
            self.assertEqual(self.ask(connection), b"HTTP/1.1 200 OK")
        self.assertEqual(self.ask(silent[0]), b"HTTP/1.1 503 Service Unavailable")
        self.assertEqual(silent[0].recv(1), b"")
        self.assertIn("status=503", self.daemon.log())
        self.assertEqual(self.ask(taken[0]), b"HTTP/1.1 200 OK")
        taken[0].close()
        wait_until(
            lambda: self.ask(self.connect()) == b"HTTP/1.1 200 OK", "the place of who has left"
        )

    def test_behind_a_proxy(self) -> None:
        """Each client that a proxy names has places of its own."""
        for number in range(MOST):
            for client in ("192.0.2.1", "192.0.2.2"):
                header = f"PROXY TCP4 {client} 192.0.2.9 {1000 + number} 80\r\n".encode()
                taken = self.ask(self.connect(self.proxied), header + REQUEST)
                self.assertEqual(taken, b"HTTP/1.1 200 OK")
        header = b"PROXY TCP4 192.0.2.1 192.0.2.9 2000 80\r\n"
        refused = self.ask(self.connect(self.proxied), header + REQUEST)
        self.assertEqual(refused, b"HTTP/1.1 503 Service Unavailable")

    def test_streams(self) -> None:
        """Streams of HTTP/2 beside each other take places as connections do."""
        context = ssl.create_default_context(cafile=str(certificates().authority.file))
        client = SocketHttp2(("127.0.0.1", self.daemon.tls_port), context)
        self.addCleanup(client.close)
        answers = client.begin([SLOW] * (MOST + 2))
        client.read_until(lambda: all(each.reset is not None for each in answers[MOST:]))
        self.assertEqual({each.reset for each in answers[MOST:]}, {ErrorCodes.REFUSED_STREAM})
        self.assertEqual({each.reset for each in answers[:MOST]}, {None})
        self.assertEqual(self.ask(self.connect()), b"HTTP/1.1 503 Service Unavailable")
        client.close()
        wait_until(
            lambda: self.ask(self.connect()) == b"HTTP/1.1 200 OK", "the places of its streams"
        )
