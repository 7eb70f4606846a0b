"""What small HTTP servers of tests answer with."""

import json
from http.server import BaseHTTPRequestHandler
from typing import Any


class JsonHandler(BaseHTTPRequestHandler):
    """Answers JSON, over connections that stay open, and writes no log."""

    protocol_version = "HTTP/1.1"

    def send_json(self, status: int, value: object) -> None:
        """Send a whole answer."""
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log."""
