"""The protocol between a service manager such as systemd and a service.

Sources: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3).
"""

import fcntl
import os
import socket
from collections import deque
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress

from regcache.light_dataclass import dataclass

FIRST_DESCRIPTOR = 3
"""The first of the sockets that are passed; the others follow it."""
_MICROSECONDS = 1_000_000
_MOST_DESCRIPTORS = 1024
_MOST_WAITING = 16
_SEND_BUFFER = 256 * 1024
_OURS = (
    *("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"),
    *("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"),
)


@dataclass(frozen=True, slots=True)
class ServiceEnvironment:
    """What the service manager has passed to the process in its environment.

    :ivar notify_socket: the socket for the state of the service; "" if it wants none.
    :ivar watchdog: seconds, within which the service has to report that it is alive; None if it
        need not.
    :ivar descriptors: those of the passed sockets, each with its name.
    """

    notify_socket: str = ""
    watchdog: float | None = None
    descriptors: Sequence[tuple[int, str]] = ()


#: Without a service manager: there are no sockets, and no reports.
NO_SERVICE_MANAGER = ServiceEnvironment()


def first_environment() -> dict[str, str]:
    """The environment with which the process was started.

    Twisted takes LISTEN_FDS out of ``os.environ`` when its endpoints are imported.
    """
    try:
        with open("/proc/self/environ", "rb") as file:
            content = file.read()
    except OSError:
        return dict(os.environ)
    pairs = (each.partition(b"=") for each in content.split(b"\0") if each)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def read_environment(environ: Mapping[str, str], pid: int) -> ServiceEnvironment:
    """Parse the variables of the service manager. Those for another process are ignored.

    :param pid: of this process.
    """
    watchdog = None
    if environ.get("WATCHDOG_PID", str(pid)) == str(pid):
        watchdog = _number(environ.get("WATCHDOG_USEC", "")) / _MICROSECONDS or None
    descriptors: tuple[tuple[int, str], ...] = ()
    if environ.get("LISTEN_PID") == str(pid):
        count = min(_number(environ.get("LISTEN_FDS", "")), _MOST_DESCRIPTORS)
        names = environ.get("LISTEN_FDNAMES", "").split(":")
        names += [""] * (count - len(names))
        numbers = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + count)
        descriptors = tuple(zip(numbers, names, strict=False))
    return ServiceEnvironment(environ.get("NOTIFY_SOCKET", ""), watchdog, descriptors)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def keep_from_children(environ: MutableMapping[str, str], found: ServiceEnvironment) -> None:
    """Keep the variables and sockets from child processes."""
    for name in _OURS:
        environ.pop(name, None)
    for descriptor, _ in found.descriptors:
        with suppress(OSError):  # it is not open
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFD)
            fcntl.fcntl(descriptor, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)


def refuse_clients(environ: Mapping[str, str] | None = None) -> None:
    """Let the passed sockets refuse clients, since the start of this process has failed.

    Otherwise clients would wait for an answer for half a minute. In Linux a listening socket that
    is shut down resets the connections that wait, and refuses new ones. The next process makes it
    listen again.

    :param environ: of the process at its start; None: read it.
    """
    found = read_environment(first_environment() if environ is None else environ, os.getpid())
    for descriptor, _ in found.descriptors:
        # It may not be open, be no socket, or have been shut down already.
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as listening:
            if listening.family != socket.AF_UNIX:  # these would never listen again
                listening.shutdown(socket.SHUT_RDWR)


class Notifications:
    """Sends datagrams to the service manager, without waiting for it.

    A datagram that cannot be sent at once is sent before the next one. If the service manager has
    gone, it is dropped.

    :param address: a path, or ``@`` and an abstract name; "" to send nothing.
    """

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._socket: socket.socket | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is a socket to send to."""
        return bool(self._address)

    def send(self, *lines: str) -> None:
        """Send lines, each ``NAME=value``."""
        if self.wanted:
            self._waiting.append("\n".join(lines).encode())
            self.flush()

    def flush(self) -> None:
        """Send what could not be sent before."""
        try:
            while self._waiting:
                self._opened().sendto(self._waiting[0], self._address)
                self._waiting.popleft()
        except BlockingIOError:
            pass  # it is busy, and hears it later
        except OSError:
            self._waiting.clear()

    def _opened(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        return self._socket

    def close(self) -> None:
        """Send nothing more."""
        self._address = ""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
