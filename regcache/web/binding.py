"""Sockets that are bound before anything can be answered there.

A socket that is bound but does not listen keeps its address from other programs, and the kernel
refuses connections to it at once. So no client waits for a daemon that cannot start, or is slow
to start.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's errors have no annotations)

import errno
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from regcache.light_dataclass import dataclass
from regcache.web.passed_sockets import PassedSocket, PassedSockets, stop_accepting

BACKLOG = 1024
"""Connections that the kernel may hold until they are accepted."""

Bind = Callable[[str, int], socket.socket]


def bind_tcp(interface: str, number: int) -> socket.socket:
    """Bind an address, as Twisted's ports do; also one with connections in TIME_WAIT.

    :param interface: an address, or "" for all of IPv4.
    :raises OSError: if it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in interface else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # a scope may follow the address
            flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            found = socket.getaddrinfo(interface, number, family, socket.SOCK_STREAM, 0, flags)
            bound.bind(found[0][4])
        else:
            bound.bind((interface, number))
    except BaseException:
        bound.close()
        raise
    return bound


def remove_left_over_socket(path: str) -> None:
    """Remove the file of a unix socket on which no process listens any more.

    :raises OSError: if one does, if it is something else, or cannot be removed.
    """
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise OSError(errno.EEXIST, f"{path} is there, and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # so many wait for an answer that one more has no place
    raise OSError(errno.EADDRINUSE, f"somebody answers at {path}: another daemon may run")


@dataclass(frozen=True, slots=True)
class BoundSocket:
    """A socket that is bound and does not listen yet, or one that the service manager has passed.

    :ivar backlog: connections that the kernel may hold until they are accepted.
    :ivar passed: what it is a duplicate of; that listens already.
    """

    socket: socket.socket
    interface: str
    number: int
    backlog: int
    _: KW_ONLY
    passed: PassedSocket | None = None

    @property
    def takes_ipv4(self) -> bool:
        """Whether IPv4 connections reach it, too (RFC 3493, 5.3)."""
        if self.socket.family != socket.AF_INET6:
            return True
        return self.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 0

    def listen(self, reactor: Any, factory: IProtocolFactory) -> IListeningPort:
        """Listen, and hand the socket to the reactor.

        :raises CannotListenError: if another process has begun to listen there.
        """
        try:
            if self.passed is None or not self.passed.listens:
                self.socket.listen(self.backlog)
        except OSError as error:
            self.socket.close()
            raise CannotListenError(self.interface, self.number, error) from error
        descriptor, family = self.socket.fileno(), self.socket.family
        port: IListeningPort = reactor.adoptStreamPort(descriptor, family, factory)
        self.socket.close()  # the reactor has a duplicate
        return port

    def close(self) -> None:
        """Give it up before it was opened."""
        self.socket.close()
        self._give_back()

    def stop(self, port: Any) -> Any:
        """Stop listening there.

        :returns: a Deferred, or None.
        """
        if self.passed is None:
            return port.stopListening()
        self._give_back()
        return stop_accepting(port, self.passed.family)

    def _give_back(self) -> None:
        if self.passed is not None:
            self.passed.in_use = False


class Binder:
    """Takes the place of the reactor for an endpoint, to take its address without listening.

    It has the part of :class:`~twisted.internet.interfaces.IReactorTCP` that endpoints call.
    All sockets of listeners come from here: passed by the service manager, or bound.

    :ivar bound: the sockets that were taken.
    """

    def __init__(self, bind: Bind, passed: PassedSockets) -> None:
        self._bind = bind
        self._passed = passed
        self.bound: list[BoundSocket] = []

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> None:
        """Take the address. :raises CannotListenError: if that is not possible."""
        passed = self._passed.at(interface, port)
        if passed is not None:
            self.take(passed)
            return
        try:
            taken = self._bind(interface, port)
        except OSError as error:
            raise CannotListenError(interface, port, error) from error
        self.bound.append(BoundSocket(taken, interface, port, backlog))

    def take(self, passed: PassedSocket) -> None:
        """Take a socket that was passed."""
        host, number = passed.address
        self.bound.append(
            BoundSocket(self._passed.take(passed), host, number, BACKLOG, passed=passed)
        )
