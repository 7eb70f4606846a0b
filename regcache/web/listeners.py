"""Where the daemon listens: endpoint strings, plain or TLS, opened together or not at all."""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IDelayedCall,
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.seam.accepting import bound_accepts
from regcache.seam.streams import socket_of
from regcache.seam.tls_stream import TLSStreamFactory
from regcache.sparingly import Sparingly
from regcache.web.proxy_protocol import ProxiedFactory
from regcache.web.unsent import bound_unsent

BACKLOG = 1024
"""Connections that the kernel may hold until they are accepted."""
MOST_ACCEPTED = 4
"""Connections that one turn of the reactor accepts: TLS costs a millisecond for each."""

ACCEPT_PAUSE = 0.25
"""Seconds without an accept where there is no descriptor, or no memory, for a connection."""
SHORTAGE_TOLD = 10.0
"""Seconds between two lines of the log that say so."""

_log = Logger()
_PROXIED = "haproxy:"
_WITH_BACKLOG = frozenset({"tcp", "tcp6", "unix"})
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


class ListenError(Exception):
    """A listener cannot be opened; the text is one line that names it and its address."""


@dataclass(frozen=True, slots=True)
class ListenerSpec:
    """One listener.

    :ivar endpoint: a Twisted server endpoint description, or a port number, which means that
        port on IPv4 and IPv6.
    :ivar factory: usually a :class:`~regcache.web.site.Site`.
    :ivar tls: makes the TLS side of connections; None for a plain listener.
    """

    endpoint: str | int
    factory: IProtocolFactory
    tls: IOpenSSLServerConnectionCreator | None = None


class Listeners(Service):
    """Opens all listeners before privileges are given up.

    :ivar ports: what is open.
    """

    def __init__(self, reactor: Any, specs: Sequence[ListenerSpec]) -> None:
        self._reactor = reactor
        self._specs = specs
        self.ports: list[IListeningPort] = []
        self._pauses: dict[Any, IDelayedCall] = {}
        self._shortages = Sparingly(reactor, SHORTAGE_TOLD)

    @property
    def is_listening(self) -> bool:
        """Whether the listeners are open."""
        return bool(self.ports)

    def open(self) -> None:
        """Open all of them, once; if one fails none stays open.

        :raises ListenError: for the first that fails.
        """
        if self.ports:
            return
        try:
            for spec in self._specs:
                self._open_one(spec)
                tls = " (TLS)" if spec.tls is not None else ""
                _log.info("listening on {endpoint}{tls}", endpoint=spec.endpoint, tls=tls)
        except ListenError:
            self.stop_listening()
            raise

    def privilegedStartService(self) -> None:
        """Open the listeners while the process may take low ports.

        :raises ListenError: as :meth:`open`.
        """
        self.open()

    def startService(self) -> None:
        """Open the listeners, unless that has been done.

        :raises ListenError: as :meth:`open`.
        """
        super().startService()
        self.open()

    def stopService(self) -> "Deferred[Any]":
        """Take no new connections; those there are stay open."""
        super().stopService()
        return self.stop_listening()

    def stop_listening(self) -> "Deferred[Any]":
        """Close the listening sockets, and no connection. Fires when they are closed."""
        ports, self.ports = self.ports, []
        pauses, self._pauses = self._pauses, {}
        for pause in pauses.values():
            pause.cancel()
        stopped = [port.stopListening() for port in ports]
        waiting = [each for each in stopped if isinstance(each, Deferred)]
        return DeferredList(waiting, consumeErrors=True) if waiting else succeed(None)

    def _cannot_accept(self, port: Any, error: OSError) -> None:
        """Leave a port alone for a moment; who wants to connect waits in the kernel."""
        port.stopReading()
        self._pauses[port] = self._reactor.callLater(ACCEPT_PAUSE, self._accept_again, port)
        more = self._shortages.turn()
        if more is not None:
            _log.error(
                "clients wait, since no connection can be accepted: {why}{more}",
                why=error.strerror,
                more=more,
            )

    def _accept_again(self, port: Any) -> None:
        del self._pauses[port]
        port.startReading()

    def _open_one(self, spec: ListenerSpec) -> None:
        factory = spec.factory
        if spec.tls is not None:
            factory = TLSStreamFactory(spec.tls, False, factory, self._reactor)
        if isinstance(spec.endpoint, str) and spec.endpoint.startswith(_PROXIED):
            factory = ProxiedFactory(factory, self._reactor)
        if isinstance(spec.endpoint, int) or spec.endpoint.isdecimal():
            self._open_both(int(spec.endpoint), spec, factory)
            return
        try:
            endpoint = _endpoint(self._reactor, spec.endpoint)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise ListenError(f"listener {spec.endpoint}: not a usable endpoint: {error}") from None
        self._listen(endpoint, spec, factory)

    def _open_both(self, number: int, spec: ListenerSpec, factory: IProtocolFactory) -> None:
        """One socket for both families where the system allows it, else two."""
        try:
            port = self._listen(
                TCP6ServerEndpoint(self._reactor, number, BACKLOG, "::"), spec, factory
            )
        except _NoIPv6Error:
            port = None
        if port is None or not _takes_ipv4(port):
            self._listen(TCP4ServerEndpoint(self._reactor, number, BACKLOG), spec, factory)

    def _listen(
        self, endpoint: IStreamServerEndpoint, spec: ListenerSpec, factory: IProtocolFactory
    ) -> IListeningPort:
        result: list[IListeningPort | Failure] = []
        endpoint.listen(factory).addBoth(result.append)
        outcome = result[0] if result else None
        if isinstance(outcome, Failure):
            raise _explain(spec, outcome)
        if outcome is None:
            raise ListenError(f"listener {spec.endpoint}: this endpoint does not open at once")
        bound_accepts(outcome, MOST_ACCEPTED, partial(self._cannot_accept, outcome))
        bound_unsent(socket_of(outcome))
        self.ports.append(outcome)
        return outcome


def _endpoint(reactor: Any, description: str) -> IStreamServerEndpoint:
    """The endpoint, with our backlog unless it names one.

    Twisted's own is 50: the 51st client that comes at once waits a second for its next SYN.
    """
    description = description.removeprefix(_PROXIED)
    kind = description.partition(":")[0]
    endpoint: IStreamServerEndpoint
    if kind in _WITH_BACKLOG and ":backlog=" not in description:
        with suppress(TypeError):  # it has one by its position
            endpoint = serverFromString(reactor, f"{description}:backlog={BACKLOG}")
            return endpoint
    endpoint = serverFromString(reactor, description)
    return endpoint


class _NoIPv6Error(ListenError):
    """The system has no IPv6."""


def _explain(spec: ListenerSpec, failure: Failure) -> ListenError:
    error = failure.value
    if isinstance(error, CannotListenError):
        number = getattr(error.socketError, "errno", None)
        where = f" ({_address(error)})"
    elif isinstance(error, OSError):
        number, where = error.errno, ""
    else:
        return ListenError(f"listener {spec.endpoint}: {error}")
    why = os.strerror(number).lower() if number is not None else str(error)
    kind = _NoIPv6Error if number in _NO_IPV6 else ListenError
    return kind(f"listener {spec.endpoint}: {why}{where}")


def _address(error: CannotListenError) -> str:
    if error.interface is None:
        return str(error.port)
    host = f"[{error.interface}]" if ":" in error.interface else error.interface or "*"
    return f"{host}:{error.port}"


def _takes_ipv4(port: IListeningPort) -> bool:
    """Whether an IPv6 socket takes IPv4 connections too (RFC 3493, 5.3)."""
    listening: socket.socket | None = socket_of(port)
    if listening is None:
        return True
    return listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 0
