"""A network name space behind a real link, with a small registry in it; needs root."""

import os
import subprocess
import sys

from tests.support.processes import (
    CHECKOUT,
    Server,
    Workspace,
    require,
    require_root,
    run,
    wait_until,
)
from tests.support.registry_client import RegistryClient

PORT = 5000
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"

#: Answers every manifest with one, after half a second under ``slow/``.
_REGISTRY = """
import http.server, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep(0.5 if "/slow/" in self.path else 0)
        self.send_response(200)
        self.send_header("Content-Type", sys.argv[2])
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY if self.command == "GET" else b"")

    do_HEAD = do_GET

    def log_message(self, *about):
        pass

from tests.support.link import BODY
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
"""
BODY = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":'
    b'{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"sha256:%s"},"layers":[]}'
    % (b"0" * 64)
)


class Link:
    """A link to a registry of its own that can be cut, and whose far end forgets connections.

    :ivar url: of the registry.
    """

    def __init__(self) -> None:
        require_root("a network name space")
        require("ip", "iptables", "ss")
        name = f"rc{os.getpid() % 100000}"
        self._space, self._near, far = name, f"{name}a", f"{name}b"
        network = f"10.231.{os.getpid() % 250}"
        self._far_address = f"{network}.2"
        self._workspace = Workspace()
        self._server: Server | None = None
        run(["ip", "netns", "add", self._space])
        run(["ip", "link", "add", self._near, "type", "veth", "peer", "name", far])
        run(["ip", "link", "set", far, "netns", self._space])
        run(["ip", "addr", "add", f"{network}.1/30", "dev", self._near])
        run(["ip", "link", "set", self._near, "up"])
        self._inside("ip", "addr", "add", f"{self._far_address}/30", "dev", far)
        self._inside("ip", "link", "set", far, "up")
        self._serve()

    @property
    def url(self) -> str:
        """The URL of the registry."""
        return f"http://{self._far_address}:{PORT}"

    def _serve(self) -> None:
        script = self._workspace.file("registry.py", _REGISTRY)
        command = [sys.executable, str(script), str(PORT), MANIFEST_TYPE]
        self._server = Server(
            ["ip", "netns", "exec", self._space, *command],
            self._workspace.path / "log",
            environment={"PYTHONPATH": str(CHECKOUT)},
        )
        self._server.wait_ready(self._answers)

    def _answers(self) -> bool:
        try:
            return RegistryClient(self.url, timeout=1).get("/v2/").status == 200
        except OSError:
            return False

    def _inside(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return run(["ip", "netns", "exec", self._space, *command])

    def connections(self) -> list[str]:
        """The ports of the near ends of the connections to the registry."""
        told = self._inside("ss", "-Htn", "state", "established", f"sport = :{PORT}").stdout
        return [line.split()[-1].rpartition(":")[2] for line in told.splitlines()]

    def forget(self) -> None:
        """Lose all packets of the open connections, as a gateway that restarted."""
        for port in self.connections():
            self._inside("iptables", "-A", "INPUT", "-p", "tcp", "--sport", port, "-j", "DROP")

    def cut(self) -> None:
        """Nothing passes any more."""
        run(["ip", "link", "set", self._near, "down"])

    def mend(self) -> None:
        """All passes again that is not forgotten."""
        run(["ip", "link", "set", self._near, "up"])
        wait_until(self._answers, "the link is back")

    def close(self) -> None:
        """Remove it."""
        if self._server is not None:
            self._server.kill()
        run(["ip", "link", "del", self._near], check=False)
        run(["ip", "netns", "del", self._space], check=False)
        self._workspace.remove()
