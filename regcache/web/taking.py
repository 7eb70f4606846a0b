"""Takes the addresses of listeners: the one place where their sockets come from."""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's endpoints have no annotations)

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
)
from twisted.internet.interfaces import IStreamServerEndpoint

from regcache.web.binding import BACKLOG, Bind, Binder, BoundSocket
from regcache.web.listener_spec import ListenError, ListenerSpec, NoIPv6Error, at_once
from regcache.web.passed_sockets import NoSuchSocketError, PassedSockets

PROXIED = "haproxy:"
"""Begins the endpoint of a listener behind a proxy that says who its clients are."""
_BY_NAME = "systemd:"
_TCP = frozenset({"tcp", "tcp6"})
_WITH_BACKLOG = _TCP | {"unix"}

Place = BoundSocket | IStreamServerEndpoint
"""An address that is taken, or an endpoint that opens by itself."""


class AddressTaker:
    """Takes them from the service manager where it has passed them, else from the system.

    :param bind: binds a TCP address.
    """

    def __init__(self, reactor: Any, bind: Bind, passed: PassedSockets) -> None:
        self._reactor = reactor
        self._bind = bind
        self._passed = passed

    def places(self, spec: ListenerSpec) -> Sequence[Place]:
        """Take what a listener wants: two addresses at most.

        :raises ListenError: if one cannot be had; nothing is kept then.
        """
        if isinstance(spec.endpoint, int) or spec.endpoint.isdecimal():
            return self._bind_both(int(spec.endpoint), spec)
        return self._places(spec, spec.endpoint)

    def _places(self, spec: ListenerSpec, description: str) -> Sequence[Place]:
        description = description.removeprefix(PROXIED)
        binder: Any = Binder(self._bind, self._passed)
        if self._take_passed(spec, description, binder):
            return list(binder.bound)
        on_tcp = description.partition(":")[0] in _TCP
        try:
            endpoint = _endpoint(binder if on_tcp else self._reactor, description)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise ListenError(f"{spec.title}: not a usable endpoint: {error}") from None
        if not on_tcp:
            return [endpoint]
        self._taken(spec, endpoint)
        bound: list[BoundSocket] = binder.bound
        return bound

    def _take_passed(self, spec: ListenerSpec, description: str, binder: Binder) -> bool:
        """Take the socket that the endpoint names, if it does so, or the passed one at its path.

        :raises ListenError: if it names one that cannot be had.
        """
        passed = self._passed.at_path(spec.left_over) if spec.left_over else None
        if description.startswith(_BY_NAME):
            try:
                passed = self._passed.described(description)
            except NoSuchSocketError as error:
                raise ListenError(f"{spec.title}: {error}") from None
        if passed is not None:
            binder.take(passed)
        return passed is not None

    def _taken(self, spec: ListenerSpec, endpoint: IStreamServerEndpoint) -> None:
        """Take the address of a TCP endpoint.

        :raises ListenError: if it cannot be had.
        """
        try:
            at_once(spec, endpoint.listen(spec.factory))
        except NoIPv6Error:
            raise
        except ListenError as error:
            others = self._passed.others_at(error.port)
            if not others:
                raise
            why = f"{error}; the service manager has passed {others}: another address of that port"
            raise ListenError(why) from None

    def _bind_both(self, number: int, spec: ListenerSpec) -> Sequence[Place]:
        """One socket for both families where the system allows it, else two."""
        binder: Any = Binder(self._bind, self._passed)
        with suppress(NoIPv6Error):
            self._taken(spec, TCP6ServerEndpoint(binder, number, BACKLOG, "::"))
        if not any(each.takes_ipv4 for each in binder.bound):
            try:
                self._taken(spec, TCP4ServerEndpoint(binder, number, BACKLOG))
            except ListenError:
                for each in binder.bound:
                    each.close()
                raise
        bound: list[BoundSocket] = binder.bound
        return bound


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
