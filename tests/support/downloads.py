"""Downloads in threads, for tests that want several clients at once at their own speeds."""

import hashlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Mapping

from tests.support.registry_client import RegistryClient

PIECE = 1 << 18


class Download(threading.Thread):
    """One GET whose body is hashed and thrown away.

    ``pace`` is called with the number of bytes read so far, after each piece; it may wait.
    ``headers`` go with the request; after ``most`` bytes the client leaves, and that is no error.
    """

    def __init__(
        self,
        client: RegistryClient,
        target: str,
        pace: Callable[[int], object] = lambda done: None,
        receive_buffer: int | None = None,
        headers: Mapping[str, str] | None = None,
        most: int | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self.status, self.received, self.digest = 0, 0, ""
        self.headers: dict[str, str] = {}
        self.error: Exception | None = None
        self.first_byte_after = self.seconds = 0.0
        self._client, self._target, self._pace = client, target, pace
        self._receive_buffer, self._most = receive_buffer, most
        self._asked_with = dict(headers or {})
        self.start()

    def run(self) -> None:
        """Ask, and read to the end."""
        started = time.monotonic()
        connection = self._client.connect()
        try:
            connection.connect()
            if self._receive_buffer:
                connection.sock.setsockopt(
                    socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer
                )
            connection.request("GET", self._target, headers=self._asked_with)
            response = connection.getresponse()
            self.status = response.status
            self.headers = {name.lower(): value for name, value in response.getheaders()}
            self.first_byte_after = time.monotonic() - started
            self._read(response)
        except (OSError, http.client.HTTPException) as error:
            self.error = error
        finally:
            self.seconds = time.monotonic() - started
            connection.close()

    def _read(self, response: http.client.HTTPResponse) -> None:
        found, piece = hashlib.sha256(), bytearray(PIECE)
        view = memoryview(piece)
        while count := response.readinto(view[: self._wanted()]):
            found.update(view[:count])
            self.received += count
            self._pace(self.received)
        self.digest = "sha256:" + found.hexdigest()
        if response.length and self._wanted():
            self.error = http.client.IncompleteRead(b"", response.length)

    def _wanted(self) -> int:
        return PIECE if self._most is None else min(PIECE, self._most - self.received)

    def wait(self, timeout: float = 120.0) -> "Download":
        """Wait for the end; fails after ``timeout`` seconds."""
        self.join(timeout)
        if self.is_alive():
            raise AssertionError(f"after {timeout:g} s only {self.received} bytes had come")
        return self
