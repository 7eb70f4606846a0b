"""An HTTP server that takes what it is posted, or does what a test says."""

import json
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import Any

from tests.support.json_handler import JsonHandler
from tests.support.processes import free_port

TOKEN = "T0KEN-that-nobody-may-see"


class WebhookServer:
    """Keeps what it took.

    :ivar taken: the objects that were posted, in their order.
    :ivar answer: does something else, with the handler; None: takes what comes.
    """

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.tries = 0
        self.answer: Callable[[JsonHandler], None] | None = None
        self._released = threading.Event()
        outer = self

        class Handler(JsonHandler):
            """Keeps what is posted."""

            def do_POST(self) -> None:
                """Take it, or do what the test says."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.tries += 1
                if outer.answer is not None:
                    outer.answer(self)
                    return
                outer.taken.append({**json.loads(body), "path": self.path})
                self.send_json(200, {})

            do_GET = do_POST

        self.port = free_port()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where to post, with a token in path and query."""
        return f"http://127.0.0.1:{self.port}/{TOKEN}?token={TOKEN}"

    def hang(self, _handler: JsonHandler) -> None:
        """Answer nothing until the end."""
        self._released.wait(120)

    def cut(self, handler: JsonHandler) -> None:
        """Close the connection without an answer."""
        handler.close_connection = True

    def lead_to(self, url: str) -> Callable[[JsonHandler], None]:
        """Answer that it is elsewhere."""

        def answer(handler: JsonHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", url)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        return answer

    def flood(self, handler: JsonHandler) -> None:
        """Take it with a body that does not end."""
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        try:
            while not self._released.is_set():
                handler.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")
        except OSError:
            handler.close_connection = True

    def close(self) -> None:
        """Stop it."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
