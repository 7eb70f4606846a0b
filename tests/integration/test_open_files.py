"""A daemon that may open few files."""

import re
import socket
import ssl
import time
from pathlib import Path

from tests.integration.base import PullThroughCase, certificates, upstream_config
from tests.support.http2_socket import SocketHttp2
from tests.support.images import MIB, mixed_image
from tests.support.processes import require, wait_until
from tests.support.servers import Regcache

IMAGE = mixed_image("open-files", MIB)
LAYER = IMAGE.blobs[1]
MANIFEST_PATH = f"/v2/team/app/manifests/{IMAGE.digest}"
LAYER_PATH = f"/v2/team/app/blobs/{LAYER.digest}"
#: Those that the daemon needs for itself are about 20.
FEW = 60


class OpenFilesTests(PullThroughCase):
    """Clients that want more than there is."""

    def daemon(self, limit: str, *, http2: bool = False, warm: bool = True) -> Regcache:
        """A daemon with limits, soft:hard, that has the layer in its cache if it is warm."""
        require("prlimit")
        upstream = self.faulty_upstream()
        upstream.add_image("team/app", IMAGE, "1")
        daemon = Regcache(upstream_config(upstream.url), certificates().certificate)
        self.addCleanup(daemon.close)
        daemon.open_files = limit
        daemon.config["limits"] = {"connections_per_address": 1000}
        for listener in daemon.config["listeners"]:
            if "tls" in listener:
                listener["http2"] = http2
        daemon.start()
        if warm:
            self.assertEqual(daemon.client().get(LAYER_PATH).body, LAYER.data)
        return daemon

    def connect(self, daemon: Regcache) -> socket.socket:
        """A connection over which nothing is asked yet."""
        connection = socket.create_connection(("127.0.0.1", daemon.port), timeout=60)
        self.addCleanup(connection.close)
        return connection

    def ask(self, connection: socket.socket, path: str) -> bytes:
        """Ask, and the beginning of the answer."""
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return connection.recv(65536)

    def crowd(self, daemon: Regcache) -> list[socket.socket]:
        """More connections than the daemon may have."""
        crowd = [self.connect(daemon) for _ in range(2 * FEW)]
        wait_until(lambda: "clients wait" in daemon.log(), "it can accept no more")
        # What was open for a moment only is taken by those who wait, a few times a second.
        wait_until(lambda: all(self.is_full(daemon) for _ in range(4)), "it stays full")
        return crowd

    def is_full(self, daemon: Regcache) -> bool:
        """Whether it has all the files open that it may have, some time from now."""
        time.sleep(0.2)
        return len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir())) == FEW

    def assert_said_sparingly(self, log: str, text: str, began: float) -> None:
        """The log has a line, at most once in ten seconds since it began."""
        seconds = time.monotonic() - began
        self.assertTrue(1 <= log.count(text) <= 1 + seconds / 10, log)

    def test_soft_limit(self) -> None:
        """It takes as many as the hard limit lets it, though the soft one is far lower."""
        daemon = self.daemon("64:5000")
        limits = Path(f"/proc/{daemon.process.pid}/limits").read_text()
        found = re.search(r"Max open files +(\d+) +(\d+)", limits)
        assert found is not None
        self.assertEqual(found.groups(), ("5000", "5000"))

    def test_no_descriptor_for_a_file(self) -> None:
        """Whose file cannot be opened gets 503, and the log a line now and then."""
        daemon = self.daemon(f"{FEW}:{FEW}")
        connection = self.connect(daemon)
        self.assertIn(b" 200 OK", self.ask(connection, "/v2/"))
        self.crowd(daemon)
        began = time.monotonic()
        for _ in range(20):
            answer = self.ask(connection, LAYER_PATH)
            self.assertIn(b" 503 Service Unavailable\r\n", answer)
            self.assertIn(b"\r\nRetry-After: 1\r\n", answer)
            self.assertIn(b"UNAVAILABLE", answer)
        log = daemon.log()
        self.assertNotIn("Traceback", log)
        self.assertNotIn(" critical ", log)
        self.assert_said_sparingly(log, "a request was refused: Too many open files", began)

    def test_no_descriptor_for_an_upstream(self) -> None:
        """Where no connection to the upstream can be begun the upstream is not blamed for it."""
        daemon = self.daemon(f"{FEW}:{FEW}", warm=False)
        connection = self.connect(daemon)
        self.assertIn(b" 200 OK", self.ask(connection, "/v2/"))
        crowd = self.crowd(daemon)
        for _ in range(5):
            answer = self.ask(connection, MANIFEST_PATH)
            self.assertIn(b" 503 Service Unavailable\r\n", answer)
            self.assertIn(b"too many files are open here", answer)
        self.assertNotIn("Traceback", daemon.log())
        for each in crowd:
            each.close()
        wait_until(
            lambda: b" 200 OK" in self.ask(connection, MANIFEST_PATH), "the first connection"
        )
        self.assertNotIn("circuit open", daemon.log())

    def test_no_descriptor_for_a_connection(self) -> None:
        """Who cannot be accepted waits, at no cost, and is served when others have left."""
        daemon = self.daemon(f"{FEW}:{FEW}")
        began = time.monotonic()
        crowd = self.crowd(daemon)
        before = daemon.process.cpu_seconds()
        time.sleep(1)
        self.assertLess(daemon.process.cpu_seconds() - before, 0.5)
        self.assert_said_sparingly(daemon.log(), "clients wait", began)
        for connection in crowd[:-1]:
            connection.close()
        self.assertIn(b" 200 OK", self.ask(crowd[-1], "/v2/"))

    def test_few_descriptors_for_many_streams(self) -> None:
        """Three hundred streams of one blob, none of which takes it, share a descriptor.

        While it is fetched it has one more: what is complete gets a new name.
        """
        context = ssl.create_default_context(cafile=str(certificates().authority.file))
        for warm, most in ((True, 1), (False, 2)):
            daemon = self.daemon("200:200", http2=True, warm=warm)
            for _ in range(3):
                client = SocketHttp2(("127.0.0.1", daemon.tls_port), context, window=1024)
                self.addCleanup(client.close)
                answers = client.begin([LAYER_PATH] * 100)
                client.read_until(lambda answers=answers: all(each.headers for each in answers))
                self.assertEqual({each.status for each in answers}, {200})
            # Some are open for a moment only: a few may look for the same content at once.
            wait_until(
                lambda daemon=daemon, most=most: 1 <= daemon.cache_files() <= most, "a descriptor"
            )
