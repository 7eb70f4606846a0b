"""Listening sockets that the service manager has opened (sd_listen_fds(3)).

They stay open when the daemon ends. So clients that connect before the next one has started wait
in the kernel, and are not refused.

=========  =============================  ==================================================
state      event                          action, and next state
=========  =============================  ==================================================
unused     a listener with its address    the listener gets a duplicate: used
           opens, or one that names it
unused     all listeners are open         a warning; new connections are closed at once, or
                                          they would get no answer: refusing
refusing   a listener opens, as above     used
used       the listener is closed         it cannot be closed for good, since the service
                                          manager has it, too: unused
=========  =============================  ==================================================
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's protocols have no annotations)

import ipaddress
import re
import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger

_FAMILIES = frozenset({socket.AF_INET, socket.AF_INET6, socket.AF_UNIX})
_SO_ACCEPTCONN = getattr(socket, "SO_ACCEPTCONN", 30)  # Linux
_UNIT = re.compile(r"[\w@:.-]+\.socket\Z")

SocketAddress = tuple[str, int]
"""The normal form of an address and its port; a path and 0 for a unix socket."""


class NoSuchSocketError(Exception):
    """An endpoint names a socket that is missing or in use; the text says why."""


class PassedSocket:
    """One socket that was passed.

    :ivar name: its name in the service manager; "" if it has none.
    :ivar in_use: whether a listener has it.
    :ivar closing: the port that closes new connections while no listener has the socket.
    """

    def __init__(self, listening: socket.socket, name: str) -> None:
        self.socket = listening
        self.name = name
        self.in_use = False
        self.closing: IListeningPort | None = None

    @property
    def family(self) -> int:
        """Its address family."""
        return self.socket.family

    @property
    def address(self) -> SocketAddress:
        """Where it listens."""
        found: Any = self.socket.getsockname()
        if self.family == socket.AF_UNIX:
            return str(found), 0
        return _normal(found[0]), found[1]

    @property
    def listens(self) -> bool:
        """Whether it accepts clients. A process whose start failed has shut it down."""
        return self.socket.getsockopt(socket.SOL_SOCKET, _SO_ACCEPTCONN) == 1

    @property
    def title(self) -> str:
        """Its name in messages."""
        named = f" ({self.name})" if self.name else ""
        return f"{address_text(self.address)}{named}"


def open_passed(descriptors: Sequence[tuple[int, str]]) -> list[PassedSocket]:
    """Open the sockets of some descriptors. One that is no listening stream socket is logged.

    :param descriptors: each with its name.
    """
    log = Logger()
    found = []
    for descriptor, name in descriptors:
        try:
            passed = socket.socket(fileno=descriptor)
            if not _is_usable(passed):
                passed.detach()
                raise OSError("it is no stream socket with an address")
        except OSError as error:
            log.warn(
                "descriptor {number} ({name}) of the service manager cannot be used: {why}",
                number=descriptor,
                name=name,
                why=error.strerror or error,
            )
            continue
        passed.setblocking(False)
        found.append(PassedSocket(passed, name))
    return found


def _is_usable(passed: socket.socket) -> bool:
    if passed.type != socket.SOCK_STREAM or passed.family not in _FAMILIES:
        return False
    address: Any = passed.getsockname()
    return bool(address if passed.family == socket.AF_UNIX else address[1])


def address_text(address: SocketAddress) -> str:
    """An address, for messages."""
    host, port = address
    if host.startswith("/") or not host:
        return host or "a socket without a name"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class PassedSockets:
    """All passed sockets, and which of them are in use.

    :param given: in the order in which they were passed.
    """

    _log = Logger()

    def __init__(self, reactor: Any, given: Sequence[PassedSocket] = ()) -> None:
        self._reactor = reactor
        self._given = given
        self._asked: dict[int, SocketAddress] = {}

    def at(self, interface: str, number: int) -> PassedSocket | None:
        """Find the socket with an address; None if there is none, or it is in use.

        :param interface: an address, or "" for all of IPv4.
        """
        wanted = (_normal(interface), number)
        self._asked[number] = wanted
        return next(
            (each for each in self._given if not each.in_use and each.address == wanted), None
        )

    def at_path(self, path: str) -> PassedSocket | None:
        """Find the unix socket with a path; None if there is none, or it is in use."""
        return next(
            (each for each in self._given if not each.in_use and each.address == (path, 0)), None
        )

    def described(self, description: str) -> PassedSocket:
        """Find the socket that an endpoint such as ``systemd:domain=INET:name=http`` names.

        :raises NoSuchSocketError: if there is none, or it is in use.
        """
        domain, index, name = _arguments(description)
        if index is not None:
            found = list(self._given[int(index) : int(index) + 1])
        else:
            found = [each for each in self._given if each.name == name]
        if not found:
            have = ", ".join(each.title for each in self._given) or "none"
            raise NoSuchSocketError(f"the service manager has passed no such socket, but {have}")
        free = [each for each in found if not each.in_use]
        if not free:
            raise NoSuchSocketError(f"{found[0].title} is the socket of another listener")
        if free[0].family != getattr(socket, f"AF_{domain}", None):
            raise NoSuchSocketError(f"{free[0].title} is not of domain {domain}")
        return free[0]

    def others_at(self, number: int | str) -> str:
        """Name the sockets of the same port, for messages; "" if there are none."""
        others = [each.title for each in self._given if each.address[1] == number and number]
        return ", ".join(others)

    def take(self, passed: PassedSocket) -> socket.socket:
        """Mark a socket as used, and give a duplicate of it for a listener."""
        duplicate = passed.socket.dup()
        passed.in_use = True
        self._stop(passed)
        return duplicate

    def refuse_unused(self) -> None:
        """Close new connections of the sockets that no listener has."""
        for passed in self._given:
            if passed.in_use or passed.closing is not None or not passed.listens:
                continue
            factory = _RefusingFactory()
            passed.closing = self._reactor.adoptStreamPort(
                passed.socket.fileno(), passed.family, factory
            )
            self._log.warn(
                "the service manager has passed {title}, where no listener is: who connects there "
                "is cut off{other}{remedy}",
                title=passed.title,
                other=self._other(passed),
                remedy=_remedy(passed),
            )

    def _other(self, passed: PassedSocket) -> str:
        asked = self._asked.get(passed.address[1])
        if asked is None or not passed.address[1] or asked == passed.address:
            return ""
        return f"; the listener of that port is at {address_text(asked)}"

    def stop(self) -> None:
        """Refuse no further clients: they wait for the next process."""
        for passed in self._given:
            self._stop(passed)

    def _stop(self, passed: PassedSocket) -> None:
        closing, passed.closing = passed.closing, None
        if closing is not None:
            stop_accepting(closing, passed.family)


def stop_accepting(port: Any, family: int) -> Any:
    """Close the port of a passed socket, or of a duplicate.

    :returns: a Deferred, or None.
    """
    if family == socket.AF_UNIX:  # stopListening would remove its file
        port.stopReading()
        return None
    return port.stopListening()


def _remedy(passed: PassedSocket) -> str:
    unit = passed.name
    if not unit or not _UNIT.match(unit):
        return ""
    return f"; add a listener, or type: systemctl disable --now {unit}"


def _normal(interface: str) -> str:
    if not interface:
        return "0.0.0.0"
    address, at, scope = interface.partition("%")
    try:
        return f"{ipaddress.ip_address(address)}{at}{scope}"
    except ValueError:
        return interface


def _arguments(description: str) -> tuple[str, str | None, str | None]:
    """Domain, index and name of an endpoint whose syntax was checked."""
    values: dict[str, str | None] = {"domain": "", "index": None, "name": None}
    for place, part in zip(values.copy(), description.split(":")[1:], strict=False):
        name, is_named, value = part.partition("=")
        if is_named:
            values[name] = value
        else:
            values[place] = part
    return str(values["domain"]), values["index"], values["name"]


class _RefusingFactory(Factory):
    """Closes connections at once."""

    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> None:
        """Give no protocol: Twisted closes the connection then."""
        return None
