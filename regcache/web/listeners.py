"""The listeners of the daemon: plain or TLS, all opened together or none."""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, execute, succeed
from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    quoteStringArgument,
    serverFromString,
)
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

from regcache.remedies import for_address
from regcache.seam.accepting import bound_accepts
from regcache.seam.streams import socket_of
from regcache.sparingly import Sparingly
from regcache.web.binding import Bind, Binder, BoundSocket, bind_tcp, remove_left_over_socket
from regcache.web.proxy_protocol import ProxiedFactory
from regcache.web.stream_factories import ReplaceableFactory, over_tls
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
_TCP = frozenset({"tcp", "tcp6"})
_WITH_BACKLOG = _TCP | {"unix"}
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
    :ivar left_over: the path of a unix socket: what an earlier process left there is removed,
        unless somebody answers there; "" where nothing is.
    """

    endpoint: str | int
    factory: IProtocolFactory
    tls: IOpenSSLServerConnectionCreator | None = None
    left_over: str = ""

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"admin.socket {self.left_over}" if self.left_over else f"listener {self.endpoint}"


def socket_spec(path: str, factory: IProtocolFactory) -> ListenerSpec:
    """A unix socket for its owner and group, whose file may be left over from before.

    :param path: absolute.
    """
    quoted = quoteStringArgument(path)
    return ListenerSpec(f"unix:{quoted}:mode=660:lockfile=0", factory, left_over=path)


Place = BoundSocket | IStreamServerEndpoint
"""An address that is taken, or an endpoint that opens by itself."""


@dataclass(slots=True)
class _Prepared:
    """A listener that is bound, and open once it has a port."""

    spec: ListenerSpec
    door: ReplaceableFactory
    factory: IProtocolFactory
    place: Place
    port: IListeningPort | None = None


class Listeners(Service):
    """Binds the addresses of all listeners first, and opens them later.

    =======  ==========================================  =====================================
    state    event                                       what holds afterwards
    =======  ==========================================  =====================================
    closed   ``bind``: all addresses are free            bound; TCP connections are refused
    closed   ``bind``: one cannot                        closed
    bound    ``open``: all listen                        open
    bound    ``open``: one cannot                        closed
    any      ``stop_listening``                          closed; open connections stay
    =======  ==========================================  =====================================

    Unix sockets, and sockets that the service manager has opened, need no privileges: nothing is
    done with them before ``open``.

    :param bind: binds a TCP address, instead of :func:`~regcache.web.binding.bind_tcp`.
    """

    def __init__(
        self, reactor: Any, specs: Sequence[ListenerSpec], bind: Bind | None = None
    ) -> None:
        self._reactor = reactor
        self._specs = specs
        self._bind = bind or bind_tcp
        self._prepared: list[_Prepared] = []
        self._open: list[_Prepared] = []
        self._pauses: dict[Any, IDelayedCall] = {}
        self._shortages = Sparingly(reactor, SHORTAGE_TOLD)

    @property
    def ports(self) -> list[IListeningPort]:
        """The open ports."""
        return [each.port for each in self._open if each.port is not None]

    @property
    def is_listening(self) -> bool:
        """Whether the listeners are open."""
        return bool(self._open)

    def bind(self) -> None:
        """Bind all addresses, once. If one cannot be bound, none is kept.

        :raises ListenError: for the first that cannot be bound.
        """
        if self._open or self._prepared:
            return
        try:
            for spec in self._specs:
                self._prepare(spec)
        except ListenError:
            self.stop_listening()
            raise

    def open(self) -> None:
        """Open all listeners, once. If one fails, none stays open.

        :raises ListenError: for the first that fails.
        """
        self.bind()
        prepared, self._prepared = self._prepared, []
        try:
            while prepared:
                self._listen(prepared.pop(0))
        except ListenError:
            self._prepared = prepared
            self.stop_listening()
            raise

    def privilegedStartService(self) -> None:
        """Bind the addresses while the process has the privilege for low ports.

        :raises ListenError: as :meth:`bind`.
        """
        self.bind()

    def startService(self) -> None:
        """Open the listeners.

        :raises ListenError: as :meth:`open`.
        """
        super().startService()
        self.open()

    def stopService(self) -> "Deferred[Any]":
        """Accept no new connections. Those that are open stay open."""
        super().stopService()
        return self.stop_listening()

    def stop_listening(self) -> "Deferred[Any]":
        """Close the listening sockets, and no connection. Fires when they are closed."""
        prepared, self._prepared = self._prepared, []
        for each in prepared:
            if isinstance(each.place, BoundSocket):
                each.place.socket.close()
        opened, self._open = self._open, []
        pauses, self._pauses = self._pauses, {}
        for pause in pauses.values():
            pause.cancel()
        return _stopped(opened)

    def close(self, spec: ListenerSpec) -> "Deferred[Any]":
        """The same for one listener."""
        closing = [each for each in self._open if each.spec is spec]
        self._open = [each for each in self._open if each.spec is not spec]
        for each in closing:
            pause = self._pauses.pop(each.port, None)
            if pause is not None:
                pause.cancel()
        return _stopped(closing)

    def replace(self, spec: ListenerSpec, following: ListenerSpec) -> None:
        """Have new connections at the place of one listener answered as another one says.

        The place stays open meanwhile: no client is refused.

        :param following: with the same endpoint.
        """
        for each in self._open:
            if each.spec is spec:
                each.spec = following
                each.door.behind = _streams(following, self._reactor)

    def _cannot_accept(self, port: Any, error: OSError) -> None:
        """Stop accepting for a moment. New connections wait in the kernel meanwhile."""
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

    def _prepare(self, spec: ListenerSpec) -> None:
        door = ReplaceableFactory(_streams(spec, self._reactor))
        factory: IProtocolFactory = door
        if isinstance(spec.endpoint, str) and spec.endpoint.startswith(_PROXIED):
            factory = ProxiedFactory(door, self._reactor)
        if isinstance(spec.endpoint, int) or spec.endpoint.isdecimal():
            places = self._bind_both(int(spec.endpoint), spec)
        else:
            places = self._places(spec, spec.endpoint)
        self._prepared += [_Prepared(spec, door, factory, place) for place in places]

    def _places(self, spec: ListenerSpec, description: str) -> Sequence[Place]:
        description = description.removeprefix(_PROXIED)
        binder: Any = Binder(self._bind)
        on_tcp = description.partition(":")[0] in _TCP
        try:
            endpoint = _endpoint(binder if on_tcp else self._reactor, description)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise ListenError(f"{spec.title}: not a usable endpoint: {error}") from None
        if not on_tcp:
            return [endpoint]
        _at_once(spec, endpoint.listen(spec.factory))
        bound: list[BoundSocket] = binder.bound
        return bound

    def _bind_both(self, number: int, spec: ListenerSpec) -> Sequence[Place]:
        """One socket for both families where the system allows it, else two."""
        binder: Any = Binder(self._bind)
        with suppress(_NoIPv6Error):
            _at_once(spec, TCP6ServerEndpoint(binder, number, BACKLOG, "::").listen(spec.factory))
        if not any(each.takes_ipv4 for each in binder.bound):
            try:
                _at_once(spec, TCP4ServerEndpoint(binder, number, BACKLOG).listen(spec.factory))
            except ListenError:
                for each in binder.bound:
                    each.socket.close()
                raise
        bound: list[BoundSocket] = binder.bound
        return bound

    def _listen(self, prepared: _Prepared) -> None:
        spec, place = prepared.spec, prepared.place
        if spec.left_over:
            try:
                remove_left_over_socket(spec.left_over)
            except OSError as error:
                raise ListenError(f"{spec.title}: {error.strerror}") from None
        if isinstance(place, BoundSocket):
            listening = execute(place.listen, self._reactor, prepared.factory)
        else:
            listening = place.listen(prepared.factory)
        port = _at_once(spec, listening)
        bound_accepts(port, MOST_ACCEPTED, partial(self._cannot_accept, port))
        bound_unsent(socket_of(port))
        prepared.port = port
        self._open.append(prepared)
        tls = " (TLS)" if spec.tls is not None else ""
        _log.info("listening on {endpoint}{tls}", endpoint=spec.left_over or spec.endpoint, tls=tls)


def _streams(spec: ListenerSpec, reactor: Any) -> IProtocolFactory:
    return spec.factory if spec.tls is None else over_tls(spec.factory, spec.tls, reactor)


def _stopped(opened: Sequence[_Prepared]) -> "Deferred[Any]":
    """Stop listening there. Fires when the sockets are closed."""
    stopped = [each.port.stopListening() for each in opened if each.port is not None]
    waiting = [each for each in stopped if isinstance(each, Deferred)]
    return DeferredList(waiting, consumeErrors=True) if waiting else succeed(None)


def _at_once(spec: ListenerSpec, listening: "Deferred[Any]") -> Any:
    """The result of listening. :raises ListenError: if it failed, or is not there at once."""
    result: list[Any] = []
    listening.addBoth(result.append)
    if not result:
        raise ListenError(f"{spec.title}: this endpoint does not open at once")
    if isinstance(result[0], Failure):
        raise _explain(spec, result[0])
    return result[0]


def _endpoint(reactor: Any, description: str) -> IStreamServerEndpoint:
    """The endpoint, with our backlog unless it names one.

    Twisted's default is 50: of more clients at the same moment, the 51st waits a second until its
    kernel tries again.
    """
    kind = description.partition(":")[0]
    endpoint: IStreamServerEndpoint
    if kind in _WITH_BACKLOG and ":backlog=" not in description:
        with suppress(TypeError):  # it has one by its position
            endpoint = serverFromString(reactor, f"{description}:backlog={BACKLOG}")
            return endpoint
    endpoint = serverFromString(reactor, description)
    return endpoint


class _NoIPv6Error(ListenError):
    """This system has no IPv6."""


def _explain(spec: ListenerSpec, failure: Failure) -> ListenError:
    error = failure.value
    where = remedy = ""
    if isinstance(error, CannotListenError):
        number = getattr(error.socketError, "errno", None)
        port = error.port
        if isinstance(port, bytes):
            port = os.fsdecode(port)
        where = f" ({_address(error, port)})"
        remedy = for_address(number, port)
    elif isinstance(error, OSError):
        number = error.errno
    else:
        return ListenError(f"{spec.title}: {error}")
    why = os.strerror(number).lower() if number is not None else str(error)
    kind = _NoIPv6Error if number in _NO_IPV6 else ListenError
    return kind(f"{spec.title}: {why}{where}{remedy and f': {remedy}'}")


def _address(error: CannotListenError, port: int | str) -> str:
    if error.interface is None:
        return str(port)
    host = f"[{error.interface}]" if ":" in error.interface else error.interface or "*"
    return f"{host}:{port}"
