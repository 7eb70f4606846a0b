"""Clients that speak HTTP/2."""

import hashlib
import ssl
import subprocess

from h2.errors import ErrorCodes

from tests.integration.base import (
    PullThroughCase,
    catalog,
    certificates,
    public_upstream,
    upstream_config,
)
from tests.support.clients import Oras
from tests.support.http2_socket import SocketHttp2
from tests.support.processes import require
from tests.support.servers import Regcache

REPOSITORY = "library/mixed"


class Http2Tests(PullThroughCase):
    """One daemon with ``http2: true`` on its TLS listener."""

    def daemon(self) -> Regcache:
        """A running daemon that offers h2."""
        daemon = Regcache(upstream_config(public_upstream().url), certificates().certificate)
        self.addCleanup(daemon.close)
        (listener,) = [each for each in daemon.config["listeners"] if "tls" in each]
        listener["http2"] = True
        return daemon.start()

    def curl(self, *options: str) -> str:
        """Run curl, and what it printed."""
        require("curl")
        command = ["curl", "--silent", "--show-error", "--max-time", "60", "--http2"]
        command += ["--cacert", str(certificates().authority.file), *options]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def blobs(self) -> dict[str, bytes]:
        """The blobs of an image by digest."""
        return {each.digest: each.data for each in catalog().mixed.all_blobs().values()}

    def test_blobs(self) -> None:
        """Cold and warm blobs arrive whole, many over one connection, with HEAD and ranges."""
        daemon, folder = self.daemon(), self.workspace().path
        base = f"https://{daemon.tls_address}/v2/{REPOSITORY}"
        self.curl(f"{base}/manifests/1", "--output", str(folder / "manifest"))
        for _ in ("cold", "warm"):
            options = ["--parallel", "--write-out", "%{http_version} %{http_code}\\n"]
            for number, digest in enumerate(self.blobs()):
                options += [f"{base}/blobs/{digest}", "--output", str(folder / str(number))]
            lines = self.curl(*options).split("\n")[:-1]
            self.assertEqual(set(lines), {"2 200"})
            for number, data in enumerate(self.blobs().values()):
                self.assertEqual((folder / str(number)).read_bytes(), data)
        digest, data = max(self.blobs().items(), key=lambda item: len(item[1]))
        part = folder / "part"
        self.curl("--range", "5-104", f"{base}/blobs/{digest}", "--output", str(part))
        self.assertEqual(part.read_bytes(), data[5:105])
        head = self.curl("--head", f"{base}/blobs/{digest}")
        self.assertTrue(head.startswith("HTTP/2 200"), head)
        self.assertIn(f"content-length: {len(data)}", head)

    def test_errors(self) -> None:
        """Errors come as over HTTP/1.1, and so do refused bodies."""
        daemon = self.daemon()
        base = f"https://{daemon.tls_address}/v2"
        missing = "sha256:" + hashlib.sha256(b"missing").hexdigest()
        shown = self.curl("--include", f"{base}/{REPOSITORY}/blobs/{missing}")
        self.assertTrue(shown.startswith("HTTP/2 404"), shown)
        self.assertIn("BLOB_UNKNOWN", shown)
        large = self.workspace().path / "large"
        large.write_bytes(bytes(10_000_000))
        upload = f"{base}/{REPOSITORY}/blobs/uploads/"
        shown = self.curl("--include", "--data-binary", f"@{large}", upload)
        self.assertTrue(shown.startswith("HTTP/2 405"), shown)

    def test_http1_beside_it(self) -> None:
        """A client that wants HTTP/1.1 gets it at the same port."""
        daemon = self.daemon()
        shown = self.curl("--http1.1", "--include", f"https://{daemon.tls_address}/v2/")
        self.assertTrue(shown.startswith("HTTP/1.1 200"), shown)

    def connect(self, daemon: Regcache, **options: int) -> SocketHttp2:
        """A connection whose streams the test opens one by one."""
        context = ssl.create_default_context(cafile=str(certificates().authority.file))
        client = SocketHttp2(("127.0.0.1", daemon.tls_port), context, **options)
        self.addCleanup(client.close)
        return client

    def test_too_many_streams(self) -> None:
        """A client that opens 150 streams at once is refused 50, and has its other answers."""
        client = self.connect(self.daemon())
        answers = client.begin(["/v2/"] * 150)
        client.read_until(lambda: all(each.ended or each.reset is not None for each in answers))
        self.assertEqual({each.body for each in answers[:100]}, {b"{}"})
        self.assertEqual({each.reset for each in answers[100:]}, {ErrorCodes.REFUSED_STREAM})
        self.assertEqual(client.get("/v2/").status, 200)
        self.assertIsNone(client.goaway)

    def test_oras(self) -> None:
        """A client written in Go pulls an image."""
        client = Oras(trust=certificates().trust)
        daemon = self.daemon()
        reference = f"{daemon.tls_address}/team/multi:1"
        self.pull_twice("team/multi", lambda: client.pull(reference), True)
