"""The part of systemd that a service sees: sockets that it is given, and who hears how it is."""

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence

from tests.support.processes import wait_until

_LISTEN = 'export LISTEN_PID=$$; exec "$@"'


class ServiceManager:
    """Holds listening sockets, gives them to each process in turn, and hears what that tells.

    :param sockets: names and addresses of 127.0.0.1.
    :param watchdog: seconds, within which a process has to tell that it is alive.
    """

    def __init__(
        self,
        sockets: Mapping[str, int] | None = None,
        *,
        watchdog: float = 0.0,
        abstract: bool = True,
    ) -> None:
        self._names = list(sockets or {})
        self._sockets = [_listening(port) for port in (sockets or {}).values()]
        self._watchdog = watchdog
        name = f"regcache-test-{os.getpid()}-{id(self)}"
        self._address = f"@{name}" if abstract else f"/tmp/{name}"
        self._hearing = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._hearing.bind(f"\0{name}" if abstract else self._address)
        self._heard: list[tuple[float, dict[str, str]]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    @property
    def command(self) -> Sequence[str]:
        """What a process is started through."""
        moves = " ".join(
            f"{3 + number}<&{one.fileno()}" for number, one in enumerate(self._sockets)
        )
        return ["bash", "-c", f"{_LISTEN} {moves}", "bash"]

    @property
    def descriptors(self) -> Sequence[int]:
        """The sockets."""
        return [one.fileno() for one in self._sockets]

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process is told."""
        found = {"NOTIFY_SOCKET": self._address}
        if self._sockets:
            found["LISTEN_FDS"] = str(len(self._sockets))
            found["LISTEN_FDNAMES"] = ":".join(self._names)
        if self._watchdog:
            found["WATCHDOG_USEC"] = str(round(self._watchdog * 1e6))
        return found

    def _hear(self) -> None:
        while not self._closed:
            text = self._hearing.recv(65536).decode()
            pairs = (line.partition("=") for line in text.splitlines())
            self._heard.append((time.monotonic(), {name: value for name, _, value in pairs}))

    @property
    def heard(self) -> list[dict[str, str]]:
        """All messages so far."""
        return [message for _, message in self._heard]

    def times(self, name: str) -> list[float]:
        """When messages with this name came, by the monotonic clock."""
        return [at for at, message in list(self._heard) if name in message]

    def wait_for(self, name: str, times: int = 1) -> dict[str, str]:
        """Wait until so many messages have this name; the last of them."""

        def found() -> list[dict[str, str]]:
            return [one for one in self.heard if name in one]

        wait_until(lambda: len(found()) >= times, f"{times} messages with {name}")
        return found()[times - 1]

    def forget(self) -> None:
        """Start anew with what is heard."""
        self._heard.clear()

    def close(self) -> None:
        """Let go of the sockets."""
        self._closed = True
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._hearing.getsockname())
        self._thread.join(10)
        if self._address.startswith("/"):
            os.unlink(self._address)
        for one in (self._hearing, *self._sockets):
            one.close()


def _listening(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    made.listen(1024)
    return made
