"""Bounds how much waits for a client, in the kernel and here.

The kernel takes up to some megabytes for each connection, whatever its client takes: a few
hundred slow clients fill the memory of a small host (tcp(7), tcp_wmem). So a listener's
connections hold ``BOUND`` bytes at most beyond what is in flight; that is what a reactor needs
that comes back every 4 ms to a link of 1 Gbit/s. What is in flight has no bound of ours: a
long link fills as far as the kernel's own limits allow.

========  =============================  ==============================================
state     event                          what holds afterwards
========  =============================  ==============================================
bounded   ``STEP`` bytes within ``FAST``  free: as much as the kernel takes, in larger pieces
bounded   ``STEP`` bytes in more         bounded
free      ``STEP`` bytes in more         bounded
any       the answer ends                bounded
========  =============================  ==============================================
"""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from regcache.seam.streams import socket_of

#: Bytes that may wait unsent for a client that has not proved to be fast.
BOUND = 512 * 1024
#: A client is measured each time that it has taken this much (bytes) ...
STEP = 4 * 1024 * 1024
#: ... and is fast if that took no longer than this (seconds), which is 16 MiB/s.
FAST = 0.25
#: The value that leaves it to the system's own setting.
_UNBOUNDED = 0


def bound_unsent(connection: Any, most: int = BOUND) -> None:
    """Have no more than ``most`` bytes wait unsent on a socket.

    :param connection: a TCP socket, or a listening one, whose connections inherit it; any
        other is left as it is, and so is one that is closed.
    """
    if getattr(connection, "family", None) not in (socket.AF_INET, socket.AF_INET6):
        return
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, most)
    except OSError:
        return  # closed, or a kind of stream that has no such bound


class UnsentBound:
    """Takes the bound off a connection while its client is fast.

    :param transport: of the connection; its socket has the bound already.
    :param changed: called with whether the client is fast, each time that this changes.
    """

    def __init__(
        self, transport: Any, clock: IReactorTime, changed: Callable[[bool], object]
    ) -> None:
        self._changed = changed
        self._transport = transport
        self._clock = clock
        self._free = False
        self._count = 0
        self._since: float | None = None

    def passed(self, count: int) -> None:
        """The client was sent further bytes."""
        if self._since is None:
            self._since = self._clock.seconds()
        self._count += count
        if self._count >= STEP:
            now = self._clock.seconds()
            self._set_free(now - self._since <= FAST)
            self._count, self._since = 0, now

    def restore(self) -> None:
        """The answer has ended: the next one begins with the bound."""
        self._set_free(False)

    def _set_free(self, free: bool) -> None:
        if free is not self._free:
            self._free = free
            bound_unsent(socket_of(self._transport), _UNBOUNDED if free else BOUND)
            self._changed(free)
