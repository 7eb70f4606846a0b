"""The listeners of the daemon: plain or TLS, all opened together or none."""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

from collections.abc import Sequence
from dataclasses import KW_ONLY
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, execute, succeed
from twisted.internet.interfaces import (
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
)
from twisted.logger import Logger

from regcache.light_dataclass import dataclass
from regcache.seam.accepting import bound_accepts
from regcache.seam.streams import socket_of
from regcache.sparingly import Sparingly
from regcache.web.binding import Bind, BoundSocket, bind_tcp, remove_left_over_socket
from regcache.web.listener_spec import ListenError, ListenerSpec, at_once
from regcache.web.passed_sockets import PassedSockets
from regcache.web.proxy_protocol import ProxiedFactory
from regcache.web.stream_factories import ReplaceableFactory, over_tls
from regcache.web.taking import PROXIED, AddressTaker, Place
from regcache.web.unsent import bound_unsent

MOST_ACCEPTED = 4
"""Connections that one turn of the reactor accepts: TLS costs a millisecond for each."""

ACCEPT_PAUSE = 0.25
"""Seconds without an accept where there is no descriptor, or no memory, for a connection."""
SHORTAGE_TOLD = 10.0
"""Seconds between two lines of the log that say so."""

_log = Logger()


@dataclass(slots=True)
class _Prepared:
    """A listener that is bound, and open once it has a port."""

    spec: ListenerSpec
    door: ReplaceableFactory
    factory: IProtocolFactory
    place: Place
    _: KW_ONLY
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

    Unix sockets need no privileges: nothing is done with them before ``open``. A socket that the
    service manager has passed listens from the beginning; it is bound for us, and open when it is
    handed to the reactor.

    :param bind: binds a TCP address, instead of :func:`~regcache.web.binding.bind_tcp`.
    :param passed: the sockets that the service manager has passed.
    """

    def __init__(
        self,
        reactor: Any,
        specs: Sequence[ListenerSpec],
        bind: Bind | None = None,
        passed: PassedSockets | None = None,
    ) -> None:
        self._reactor = reactor
        self._specs = specs
        self._taker = AddressTaker(reactor, bind or bind_tcp, passed or PassedSockets(reactor))
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
                each.place.close()
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
        if isinstance(spec.endpoint, str) and spec.endpoint.startswith(PROXIED):
            factory = ProxiedFactory(door, self._reactor)
        places = self._taker.places(spec)
        self._prepared += [_Prepared(spec, door, factory, place) for place in places]

    def _listen(self, prepared: _Prepared) -> None:
        spec, place = prepared.spec, prepared.place
        if spec.left_over and not isinstance(place, BoundSocket):
            try:
                remove_left_over_socket(spec.left_over)
            except OSError as error:
                raise ListenError(f"{spec.title}: {error.strerror}") from None
        if isinstance(place, BoundSocket):
            listening = execute(place.listen, self._reactor, prepared.factory)
        else:
            listening = place.listen(prepared.factory)
        port = at_once(spec, listening)
        bound_accepts(port, MOST_ACCEPTED, partial(self._cannot_accept, port))
        bound_unsent(socket_of(port))
        prepared.port = port
        self._open.append(prepared)
        tls = " (TLS)" if spec.tls is not None else ""
        is_passed = isinstance(place, BoundSocket) and place.passed is not None
        passed = ", a socket of the service manager" if is_passed else ""
        where = spec.left_over or spec.endpoint
        _log.info("listening on {endpoint}{tls}{passed}", endpoint=where, tls=tls, passed=passed)


def _streams(spec: ListenerSpec, reactor: Any) -> IProtocolFactory:
    return spec.factory if spec.tls is None else over_tls(spec.factory, spec.tls, reactor)


def _stopped(opened: Sequence[_Prepared]) -> "Deferred[Any]":
    """Stop listening there. Fires when the sockets are closed."""
    stopped = [_stop(each.place, each.port) for each in opened if each.port is not None]
    waiting = [each for each in stopped if isinstance(each, Deferred)]
    return DeferredList(waiting, consumeErrors=True) if waiting else succeed(None)


def _stop(place: Place, port: IListeningPort) -> Any:
    return place.stop(port) if isinstance(place, BoundSocket) else port.stopListening()
