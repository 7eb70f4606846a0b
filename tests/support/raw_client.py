"""A client that sends bytes as they are, over a real connection, and reads whole answers."""

import socket
import ssl
from dataclasses import dataclass

from tests.support.registry_client import Answer


@dataclass(frozen=True)
class Door:
    """Where a client knocks.

    :ivar context: for TLS; None for plain connections.
    """

    port: int
    context: ssl.SSLContext | None = None


class RawClient:
    """One connection, on a blocking socket."""

    def __init__(self, door: Door) -> None:
        plain = socket.create_connection(("127.0.0.1", door.port), timeout=60)
        self.socket: socket.socket = plain
        if door.context is not None:
            self.socket = door.context.wrap_socket(plain, server_hostname="127.0.0.1")
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Send bytes; that the server has closed meanwhile is no fault."""
        try:
            self.socket.sendall(data)
        except OSError:
            return

    def ask(self, *lines: str, method: str = "GET") -> Answer:
        """Send one whole head, with ``\\r\\n`` behind each line, and read the answer."""
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return self.read(method)

    def read(self, method: str = "GET") -> Answer:
        """The next answer. Raises ConnectionError where none comes."""
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.partition(": ") for line in lines]
        headers = {name.lower(): value for name, _, value in pairs}
        length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            self._receive()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Answer(int(first.split(" ")[1]), headers, body)

    def rest(self) -> bytes:
        """What else comes until the server closes the connection."""
        try:
            while True:
                self._receive()
        except ConnectionError:
            return self._buffer

    def has_answer(self) -> bool:
        """Whether anything has come that was not read yet."""
        if self._buffer:
            return True
        self.socket.setblocking(False)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            self.socket.settimeout(60)

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._buffer += data

    def close(self) -> None:
        """Cut the connection."""
        self.socket.close()
