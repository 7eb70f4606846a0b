"""What a service manager such as systemd tells a service, and what a service tells it.

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
    """What the service manager said when it started the process.

    :ivar notify_socket: where it hears how the service is; "" where it does not want to.
    :ivar watchdog: seconds, within which it wants to hear again that the service is alive; None
        where it does not look.
    :ivar descriptors: the sockets that it has passed, by their descriptors, with their names.
    """

    notify_socket: str = ""
    watchdog: float | None = None
    descriptors: Sequence[tuple[int, str]] = ()


#: Nobody has passed anything, and nobody is told.
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
    """Understand the variables of the service manager. What is meant for others is left out.

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
    """Let no child take what was meant for this process."""
    for name in _OURS:
        environ.pop(name, None)
    for descriptor, _ in found.descriptors:
        with suppress(OSError):  # it is not open
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFD)
            fcntl.fcntl(descriptor, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)


def turn_away(environ: Mapping[str, str] | None = None) -> None:
    """Have the sockets that were passed refuse clients: this start has failed.

    Clients wait for an answer for half a minute, and for one that cannot be reached not at all. In
    Linux a listening socket that is shut down resets who waits, refuses who comes, and may listen
    again: the next process that starts has it do so.

    :param environ: with which the process was started; None: found out.
    """
    found = read_environment(first_environment() if environ is None else environ, os.getpid())
    for descriptor, _ in found.descriptors:
        # It may not be open, be no socket, or have been shut down already.
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as listening:
            if listening.family != socket.AF_UNIX:  # these would never listen again
                listening.shutdown(socket.SHUT_RDWR)


class Notifications:
    """Sends datagrams to the service manager, and never waits for it.

    What cannot be sent at once is sent before what comes next. If the service manager is gone
    nothing is kept.

    :param address: a path, or ``@`` and an abstract name; "" to tell nobody.
    """

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._socket: socket.socket | None = None

    @property
    def wanted(self) -> bool:
        """Whether somebody listens."""
        return bool(self._address)

    def send(self, *lines: str) -> None:
        """Tell it something: ``NAME=value`` in each line."""
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
