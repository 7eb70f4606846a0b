"""Connecting to the first of several addresses that answers (RFC 8305, "Happy Eyeballs").

Twisted's HostnameEndpoint would do, but that it looks the name up itself, and notices a refused
connection only when the next address would have been due.
"""

import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    ISystemHandle,
)
from twisted.python.failure import Failure

from regcache.upstream.deadlines import cancellable
from regcache.upstream.resolver import SocketAddress

ATTEMPT_DELAY = 0.3
#: After so long without an acknowledgement of what was sent the kernel gives a connection up
#: (seconds). It waits a quarter of an hour by itself, so one that died while it was idle would take
#: a request with it. The lost request is repeated over a new connection, and has to be answered
#: within ``first_answer``, 25 s; and a link that is merely bad has four retransmissions until then,
#: even one with a round trip of a second.
USER_TIMEOUT = 15.0


def bound_silence(connection: IProtocol) -> None:
    """Have the kernel give a connection up when what was sent is not acknowledged (RFC 5482)."""
    transport: Any = getattr(connection, "transport", None)
    if ISystemHandle.providedBy(transport):
        milliseconds = int(USER_TIMEOUT * 1000)
        with suppress(OSError):  # lost already
            handle: Any = transport.getHandle()
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def hang_up(connection: IProtocol) -> None:
    """Close a connection that came too late to be wanted."""
    transport = getattr(connection, "transport", None)
    if transport is not None:
        transport.abortConnection()


class Dialler:
    """One attempt after the other: the next when one has failed, or kept us waiting.

    :param addresses: at least one.
    :param timeout: seconds for each of them.
    """

    def __init__(
        self,
        reactor: Any,
        addresses: Sequence[SocketAddress],
        factory: IProtocolFactory,
        timeout: float,
    ) -> None:
        self._reactor = reactor
        self._left = deque(addresses)
        self._factory = factory
        self._timeout = timeout
        self._pending: list[Deferred[IProtocol]] = []
        self._timer: IDelayedCall | None = None
        self._stopped = False
        self._done: Deferred[IProtocol] = Deferred(lambda _: self._stop())

    def connect(self) -> "Deferred[IProtocol]":
        """Begin. Fires with the first connection, or fails as the last attempt did."""
        self._next()
        return self._done

    def _next(self) -> None:
        self._stop_timer()
        address = self._left.popleft()
        kind = TCP6ClientEndpoint if ":" in address.host else TCP4ClientEndpoint
        endpoint = kind(self._reactor, address.host, address.port, self._timeout)
        if self._left:
            self._timer = self._reactor.callLater(ATTEMPT_DELAY, self._next)
        attempt = cancellable(endpoint.connect(self._factory), hang_up)
        self._pending.append(attempt)
        attempt.addCallbacks(
            self._connected, self._failed, callbackArgs=(attempt,), errbackArgs=(attempt,)
        )

    def _connected(self, connection: IProtocol, attempt: "Deferred[IProtocol]") -> None:
        self._pending.remove(attempt)
        self._stop()
        bound_silence(connection)
        self._done.callback(connection)

    def _failed(self, reason: Failure, attempt: "Deferred[IProtocol]") -> None:
        self._pending.remove(attempt)
        if self._stopped:
            return
        if self._left:
            self._next()
        elif not self._pending:
            self._done.errback(reason)

    def _stop(self) -> None:
        """Give up every other attempt."""
        self._stopped = True
        self._stop_timer()
        for attempt in list(self._pending):
            attempt.cancel()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
