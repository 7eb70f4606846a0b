"""Debian's Chromium, without a window, and pages of another origin that tell how it went."""

import json
import os
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.processes import Server, Workspace, find_program, require
from tests.support.without_netlink import undisturbed

#: How long a page may take (seconds); it tells when it is ready.
PATIENCE = 120
#: How it is started: without a window, and asking nobody on its own.
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP *.test 127.0.0.1",  # hosts that are no loopback to a browser
)
_PAGE = b"<!doctype html><meta charset=utf-8><title>page</title><script src=/script.js></script>"
_FRAME = """
const main = async () => { %s };
const report = value => fetch("/report", {method: "POST", body: JSON.stringify(value)});
main().then(report, error => report({error: String(error)}));
"""


class Page:
    """A page on an origin of its own, whose script posts one JSON value when it is ready.

    :ivar script: JavaScript; the value is what it returns. Set before a browser looks.
    """

    def __init__(self) -> None:
        self.script = ""
        self._reports: queue.Queue[Any] = queue.Queue()
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/script.js":
                    self._send("text/javascript", (_FRAME % page.script).encode())
                else:
                    self._send("text/html", _PAGE)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                page._reports.put(json.loads(self.rfile.read(length)))
                self._send("text/plain", b"")

            def _send(self, media_type: str, content: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def origin(self) -> str:
        """As browsers send it."""
        return f"http://localhost:{self._server.server_port}"

    def reported(self) -> Any:
        """What the script told, as soon as it does."""
        return self._reports.get(timeout=PATIENCE)

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


class Chromium:
    """A browser that looks at one page."""

    def __init__(self, url: str) -> None:
        require("chromium")
        self._workspace = Workspace()
        profile: Path = self._workspace.path / "profile"
        program = find_program("chromium") or "chromium"
        options = [f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        self._server = Server(
            undisturbed([program, *OPTIONS, *options, url]),
            self._workspace.path / "log",
            environment={"HOME": str(self._workspace.path), "PATH": os.environ["PATH"]},
        )

    def close(self) -> None:
        """End it."""
        self._server.kill()
        self._workspace.remove()
