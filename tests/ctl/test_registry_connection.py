"""Tests that a connection of prove ends in time, and says what was wrong."""

import contextlib
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl.proof import BypassError
from regcache.ctl.registry_connection import (
    MOST_KEPT_BYTES,
    NoTLSError,
    RegistryAnswer,
    RegistryConnection,
)

#: Nothing waits for so long unless something is wrong (seconds).
PLENTY = 60.0


class Line(socket.socket):
    """One end of the pair, which takes the options of TCP, too."""

    def setsockopt(self, *_: object) -> None:
        """It has none of them."""


class ConnectionTests(SynchronousTestCase):
    """Over a pair of sockets: no port is opened."""

    def ask(
        self,
        serve: Callable[[socket.socket], object],
        seconds: float = PLENTY,
        *,
        scheme: str = "http",
        hashed: bool = False,
        again: int = 0,
    ) -> RegistryAnswer:
        """An answer of a server that runs in a thread."""
        one, its = socket.socketpair()
        ours = Line(fileno=one.detach())
        self.addCleanup(its.close)
        self.addCleanup(ours.close)
        context = ssl.create_default_context()
        url = urlsplit(f"{scheme}://cache.test")
        connection = RegistryConnection(url, context, time.monotonic() + seconds)
        connection._connection._create_connection = lambda *_: ours  # type: ignore[attr-defined]

        def run() -> None:
            with contextlib.suppress(OSError):
                its.recv(65536)
                serve(its)

        thread = threading.Thread(target=run)
        thread.start()
        self.hasher = hashlib.sha256()
        try:
            for _ in range(again):
                connection.ask("GET", "/v2/", {})
            return connection.ask("GET", "/v2/", {}, self.hasher if hashed else None)
        finally:
            ours.close()
            thread.join(PLENTY)

    def refused(self, serve: Callable[[socket.socket], object], seconds: float = PLENTY) -> str:
        """Why there is no answer."""
        return str(self.assertRaises(BypassError, self.ask, serve, seconds))

    def test_answer(self) -> None:
        """Status, headers in lower case, and the body, or its hash."""
        whole = b"HTTP/1.1 200 OK\r\nCache-Status: regcache; hit\r\nContent-Length: 5\r\n\r\nhello"
        answer = self.ask(lambda line: line.sendall(whole))
        found = (answer.status, answer.headers["cache-status"], answer.body, answer.size)
        self.assertEqual(found, (200, "regcache; hit", b"hello", 5))
        answer = self.ask(lambda line: line.sendall(whole), hashed=True)
        self.assertEqual((answer.body, answer.size), (b"", 5))
        self.assertEqual(self.hasher.hexdigest(), hashlib.sha256(b"hello").hexdigest())

    def test_several(self) -> None:
        """A connection is used again after an answer with any kind of body."""
        answers = [
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nhello",
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ]

        def serve(line: socket.socket) -> None:
            for number, each in enumerate(answers):
                if number:
                    line.recv(65536)
                line.sendall(each)

        self.assertEqual(self.ask(serve, again=3).body, b"hello")

    def test_dripping(self) -> None:
        """Neither a head nor a body that drips is waited for any longer than was said."""

        def drip(line: socket.socket) -> None:
            while True:
                line.sendall(b"x")
                time.sleep(0.01)

        def drip_body(line: socket.socket) -> None:
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            drip(line)

        for serve in (drip, drip_body):
            self.assertIn("does not answer in time", self.refused(serve, 0.3))

    def test_broken(self) -> None:
        """What is cut short, is too much, or is no HTTP."""
        for content, why in (
            (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "does not answer"),
            (b"", "does not answer"),
            (b"nonsense\r\n\r\n", "does not answer"),
            (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(MOST_KEPT_BYTES + 1), "more than"),
        ):

            def serve(line: socket.socket, content: bytes = content) -> None:
                line.sendall(content)
                line.shutdown(socket.SHUT_RDWR)

            self.assertIn(why, self.refused(serve))

    def test_nothing_that_can_be_asked(self) -> None:
        """What another answer named, and no request can hold, is told without it."""
        for target, headers in (("/\u20ac", {}), ("/a b", {}), ("/", {"A": "secret\r\nB: c"})):
            url = urlsplit("http://cache.test")
            connection = RegistryConnection(
                url, ssl.create_default_context(), time.monotonic() + PLENTY
            )
            connection._connection._create_connection = (  # type: ignore[attr-defined]
                lambda *_: Line(fileno=socket.socketpair()[0].detach())
            )
            error = self.assertRaises(BypassError, connection.ask, "GET", target, headers)
            self.assertNotIn("secret", str(error))

    def test_no_tls(self) -> None:
        """A server without TLS is told from one that does not answer."""
        plain = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
        serve = lambda line: line.sendall(plain)  # noqa: E731
        self.assertRaises(NoTLSError, self.ask, serve, scheme="https")
