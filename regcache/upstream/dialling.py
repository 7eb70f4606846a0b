"""Connects to the first of several addresses that answers (RFC 8305, "Happy Eyeballs").

Twisted's HostnameEndpoint is not used: it looks the name up itself, and after a refused connection
it waits before it tries the next address.
"""

import socket
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    ISystemHandle,
)
from twisted.python.failure import Failure

from regcache.upstream.deadlines import cancellable, within
from regcache.upstream.resolver import SocketAddress

ATTEMPT_DELAY = 0.3
#: After so long without an acknowledgement the kernel closes a connection (seconds). By default it
#: waits a quarter of an hour, so a request over a connection that died while it was idle would be
#: lost. It has to be so short that the request can be repeated over a new connection within
#: ``first_answer``, 25 s; and so long that on a bad link there are four retransmissions until then,
#: even with a round trip of a second.
USER_TIMEOUT = 15.0


def bound_silence(connection: IProtocol) -> None:
    """Let the kernel close a connection whose bytes are not acknowledged for long (RFC 5482)."""
    transport: Any = getattr(connection, "transport", None)
    if ISystemHandle.providedBy(transport):
        milliseconds = int(USER_TIMEOUT * 1000)
        with suppress(OSError):  # lost already
            handle: Any = transport.getHandle()
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def hang_up(connection: IProtocol) -> None:
    """Close a connection that came too late to be used."""
    transport = getattr(connection, "transport", None)
    if transport is not None:
        transport.abortConnection()


def connected_within(
    clock: IReactorTime, seconds: float, connecting: Coroutine[Any, Any, IProtocol]
) -> "Deferred[IProtocol]":
    """Give the connection that is being made; fail with TimeoutError after so many seconds."""
    return within(
        clock,
        seconds,
        Deferred.fromCoroutine(connecting),
        late=ConnectTimeoutError,
        discard=hang_up,
    )


class Dialler:
    """Makes one attempt after the other: the next one when one fails, or takes long.

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
        """Begin. Fires with the first connection, or fails like the last attempt."""
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
