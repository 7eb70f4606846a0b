"""Bounds how many bytes wait unsent for a client.

The kernel buffers up to some megabytes for each connection, however slow its client is: a few
hundred slow clients fill the memory of a small host (tcp(7), tcp_wmem). So a listener's
connections hold at most ``BOUND`` bytes that are not in flight. That is enough for a link of 1
Gbit/s if the reactor writes every 4 ms. Bytes in flight are not bounded here: for a link with a
long delay the kernel's own limits decide.

========  =============================  ==============================================
state     event                          what holds afterwards
========  =============================  ==============================================
bounded   ``STEP`` bytes within ``FAST``  free: the kernel decides, and pieces are larger
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

#: How many bytes may wait unsent for a client that has not been found to be fast.
BOUND = 512 * 1024
#: A client is measured each time that it has taken this much (bytes) ...
STEP = 4 * 1024 * 1024
#: ... and is fast if that took no longer than this (seconds), which is 16 MiB/s.
FAST = 0.25
#: The value that leaves it to the system's own setting.
_UNBOUNDED = 0


def bound_unsent(connection: Any, most: int = BOUND) -> None:
    """Let no more than ``most`` bytes wait unsent on a socket.

    :param connection: a TCP socket, or a listening one, whose connections inherit the bound.
        Sockets of other kinds, and closed ones, are left as they are.
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
    :param changed: called with whether the client is fast, whenever that changes.
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
        """Count further bytes that the client was sent."""
        if self._since is None:
            self._since = self._clock.seconds()
        self._count += count
        if self._count >= STEP:
            now = self._clock.seconds()
            self._set_free(now - self._since <= FAST)
            self._count, self._since = 0, now

    def restore(self) -> None:
        """Restore the bound at the end of an answer: the next one begins with it."""
        self._set_free(False)

    def _set_free(self, free: bool) -> None:
        if free is not self._free:
            self._free = free
            bound_unsent(socket_of(self._transport), _UNBOUNDED if free else BOUND)
            self._changed(free)
