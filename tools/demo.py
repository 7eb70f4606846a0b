"""A look at regcache without a network: a small upstream, the daemon in front of it, two pulls.

Run by ``make demo``. The daemon stays up until Ctrl-C; with ``DEMO_ONCE=1`` in the environment
and no terminal as its input the demo ends after the pulls.
"""

import gzip
import hashlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CHECKOUT = Path(__file__).resolve().parent.parent
MIB = 1 << 20
REPOSITORY, TAG = "demo/app", "1.0"
UPSTREAM_RATE = 60e6  # bytes per second: the upstream is as far away as a real one
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


class Row(NamedTuple):
    """What one request showed."""

    outcome: str
    what: str
    size: int
    seconds: float


def sha256(data: bytes) -> str:
    """The digest of ``data`` as registries write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(size: int) -> tuple[bytes, str]:
    """A gzip layer with one file of random bytes, and its diff_id."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("opt/demo.bin")
        entry.size = size
        tar.addfile(entry, io.BytesIO(os.urandom(size)))
    return gzip.compress(archive.getvalue(), compresslevel=1), sha256(archive.getvalue())


def make_image() -> tuple[bytes, dict[str, bytes]]:
    """A manifest, and the blobs that it mentions by digest."""
    layers = [layer(size) for size in (24 * MIB, 8 * MIB, 2 * MIB)]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
        }
    ).encode()
    kind = "application/vnd.oci.image."
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(kind + "config.v1+json", config),
        "layers": [descriptor(kind + "layer.v1.tar+gzip", data) for data, _ in layers],
    }
    blobs = {sha256(data): data for data in (config, *(data for data, _ in layers))}
    return json.dumps(manifest).encode(), blobs


def descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    """What a manifest says of a blob."""
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}


class Upstream:
    """A registry in a few lines, which counts what it is asked for."""

    def __init__(self, manifest: bytes, blobs: dict[str, bytes]) -> None:
        base = f"/v2/{REPOSITORY}"
        self.held = {f"{base}/blobs/{digest}": data for digest, data in blobs.items()}
        for reference in (TAG, sha256(manifest)):
            self.held[f"{base}/manifests/{reference}"] = manifest
        self.held["/v2/"] = b"{}"
        self.gets = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._head()

            def do_GET(self) -> None:
                upstream.gets += 1
                data = self._head()
                for place in range(0, len(data), MIB):
                    self.wfile.write(data[place : place + MIB])
                    time.sleep(len(data[place : place + MIB]) / UPSTREAM_RATE)

            def _head(self) -> bytes:
                data = upstream.held.get(self.path)
                self.send_response(404 if data is None else 200)
                is_manifest = "/manifests/" in self.path
                kind = MANIFEST_TYPE if is_manifest else "application/octet-stream"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data or b"")))
                if data is not None:
                    self.send_header("Docker-Content-Digest", sha256(data))
                self.end_headers()
                return data or b""

            def log_message(self, format: str, *args: Any) -> None:
                """Write no log: the table is what there is to see."""

        return Handler


class Daemon:
    """regcache in front of the upstream, run as its users run it."""

    def __init__(self, upstream: str, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        config = {
            "listeners": [{"endpoint": f"tcp:{self.port}:interface=127.0.0.1"}],
            "admin": {"endpoint": None},
            "storage": {"directory": str(folder / "cache"), "max_size": "1GiB", "min_free": "1MiB"},
            "upstreams": {"demo.example": {"urls": [upstream]}},
            "default_upstream": "demo.example",
        }
        (folder / "cache").mkdir()
        (folder / "regcache.yml").write_text(yaml.safe_dump(config))
        self.log = folder / "log"
        twistd = os.environ.get("REGCACHE_TWISTD") or str(Path(sys.executable).parent / "twistd")
        command = [twistd, "-n", "--pidfile=", "regcache", "-c", str(folder / "regcache.yml")]
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            )
        self._wait_ready()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                ask(self.port, "/v2/")
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        sys.exit(f"the daemon does not answer\n{self.log.read_text()}")

    def stop(self) -> int:
        """End it as systemd would; its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(40)


def ask(port: int, target: str) -> tuple[bytes, str, float]:
    """One GET: the body, what Cache-Status says, and how long it took in seconds."""
    started = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", target, headers={"Accept": MANIFEST_TYPE})
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise SystemExit(f"{target}: {response.status} {body.decode(errors='replace')}")
        return body, response.headers.get("Cache-Status", ""), time.monotonic() - started
    finally:
        connection.close()


def outcome(cache_status: str) -> str:
    """``HIT`` or ``MISS``, from a Cache-Status header (RFC 9211)."""
    parameters = [part.strip() for part in cache_status.split(";")]
    return "HIT" if "hit" in parameters else "MISS"


def pull(port: int) -> list[Row]:
    """Pull the image as a client would, and check every digest."""
    body, status, seconds = ask(port, f"/v2/{REPOSITORY}/manifests/{TAG}")
    rows = [Row(outcome(status), f"manifest {TAG}", len(body), seconds)]
    manifest = json.loads(body)
    for wanted in (manifest["config"], *manifest["layers"]):
        digest = wanted["digest"]
        body, status, seconds = ask(port, f"/v2/{REPOSITORY}/blobs/{digest}")
        if sha256(body) != digest:
            raise SystemExit(f"wrong bytes for {digest}")
        rows.append(Row(outcome(status), f"blob {digest[:19]}…", len(body), seconds))
    return rows


def show(title: str, rows: list[Row]) -> None:
    """Print one pull as a table."""
    print(f"\n{title}")
    total = Row("", "in all", sum(row.size for row in rows), sum(row.seconds for row in rows))
    for row in (*rows, total):
        print(f"  {row.outcome:4}  {row.what:26} {row.size:>12,} bytes {row.seconds * 1e3:9.1f} ms")


def stay(daemon: Daemon, upstream: Upstream) -> None:
    """Leave the daemon up for whoever wants to try it."""
    if os.environ.get("DEMO_ONCE") == "1" and not sys.stdin.isatty():
        return
    place = f"127.0.0.1:{daemon.port}"
    print(f"\nThe daemon is still at http://{place}. In another terminal, for instance:")
    print(f"  curl -i http://{place}/v2/{REPOSITORY}/manifests/{TAG}")
    print(f"  skopeo inspect --tls-verify=false docker://{place}/{REPOSITORY}:{TAG}")
    print("Ctrl-C ends it.", flush=True)
    while True:
        time.sleep(3600)


def main() -> int:
    """Start both, pull twice, and show what came from where."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    upstream = Upstream(*make_image())
    with tempfile.TemporaryDirectory(prefix="regcache-demo-") as folder:
        daemon = Daemon(upstream.url, Path(folder))
        print(f"upstream {upstream.url}, regcache in front of it at http://127.0.0.1:{daemon.port}")
        status = 1
        try:
            show("first pull", pull(daemon.port))
            first = upstream.gets
            show("second pull", pull(daemon.port))
            print(f"\nGET requests to the upstream: {first}, then {upstream.gets - first}")
            stay(daemon, upstream)
        except KeyboardInterrupt:
            print()
        finally:
            status = daemon.stop()
    return status


if __name__ == "__main__":
    sys.exit(main())
