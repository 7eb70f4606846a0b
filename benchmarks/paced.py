"""An upstream behind a link: every answer late, all bodies together at one rate.

Run as a program: ``python -m benchmarks.paced ROOT PORT BYTES_PER_SECOND DELAY LOG``. It demands
a Bearer token as public registries do, serves the files below ROOT, and writes one line per
answer: method, path, status, bytes of the body. A rate of 0 is as fast as it can.
"""

import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.content import MANIFEST_TYPE
from benchmarks.tokens import CHALLENGE, TOKEN_ANSWER

_PIECE = 64 * 1024


class Link:
    """Lets bytes through at a rate, shared by all who send. Nothing is saved up while idle."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self, size: int) -> None:
        """Return when ``size`` bytes have passed."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            # A sender that wakes up a little late catches up; a longer pause is no credit.
            self._free_at = max(self._free_at, now - 0.002) + size / self._rate
            ahead = self._free_at - now
        if ahead > 0:
            time.sleep(ahead)


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for files, tokens, and the challenge."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    root: Path
    link: Link
    delay: float
    log: int

    def do_GET(self) -> None:
        """Answer with a body."""
        time.sleep(self.delay)
        if self.path.startswith("/token"):
            self._small(200, TOKEN_ANSWER)
        elif "Authorization" not in self.headers:
            self._small(401, b"{}", challenge=True)
        elif self.path == "/v2/":
            self._small(200, b"{}")
        else:
            self._file()

    do_HEAD = do_GET

    def _small(self, status: int, body: bytes, challenge: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if challenge:
            self.send_header(
                "WWW-Authenticate", CHALLENGE.format(scheme="http", host=self.headers["Host"])
            )
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
        self._note(status, len(body))

    def _file(self) -> None:
        path = self.root / self.path.lstrip("/")
        if ".." in self.path or not path.is_file():
            self._small(404, b"{}")
            return
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self.send_response(200)
            manifest = "/manifests/" in self.path
            kind = MANIFEST_TYPE if manifest else "application/octet-stream"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            sent = self._body(file.fileno(), size) if self.command == "GET" else 0
        self._note(200, sent)

    def _body(self, file: int, size: int) -> int:
        sent = 0
        try:
            while sent < size:
                self.link.wait(min(_PIECE, size - sent))
                sent += os.sendfile(self.connection.fileno(), file, sent, min(_PIECE, size - sent))
        except OSError:
            self.close_connection = True
        return sent

    def _note(self, status: int, size: int) -> None:
        os.write(self.log, f"{self.command} {self.path} {status} {size}\n".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the log has a form of its own."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def server_bind(self) -> None:
        """Without the look-up of this machine's name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)


def main(arguments: list[str]) -> None:
    """Serve until the end."""
    root, port, rate, delay, log = arguments
    Handler.root = Path(root)
    Handler.link = Link(float(rate))
    Handler.delay = float(delay)
    Handler.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    _Server(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
