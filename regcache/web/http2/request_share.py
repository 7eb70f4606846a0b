"""How many requests of one HTTP/2 connection are begun in one turn of the reactor.

A hundred requests fit into a kilobyte, and TLS hands over all bytes of one read of the socket. So
one client could make all others wait for a second.

=======  ===============================  ==============================================
state    event                            what holds afterwards
=======  ===============================  ==============================================
open     bytes                            open: they are read
open     the last request of its share    spent: the socket is not read
spent    bytes                            spent: they wait
spent    the reactor's next turn          open, or spent again; the waiting bytes are read first
any      stopped                          over: nothing is read any more
=======  ===============================  ==============================================
"""

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

SHARE = 50
"""Requests in one turn. Those that came in one piece, up to 100, are begun together."""


class RequestShare:
    """Delays what a client sends when its connection has had its share.

    :param read: takes bytes.
    :param pause: called to stop reading the socket; ``resume`` to read it again.
    :param broken: called if reading fails in a later turn, where no transport notices.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        read: Callable[[bytes], object],
        pause: Callable[[], object],
        resume: Callable[[], object],
        broken: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._read = read
        self._pause = pause
        self._resume = resume
        self._broken = broken
        self._waiting: deque[bytes] = deque()
        self._begun = 0
        self._next: IDelayedCall | None = None

    def receive(self, data: bytes) -> None:
        """Read some bytes, now or in the next turn."""
        if self._next is None:
            self._read(data)
        else:
            self._waiting.append(data)

    def begin(self) -> None:
        """Count a request that is begun."""
        self._begun += 1
        if self._begun >= SHARE and self._next is None:
            self._next = self._clock.callLater(0, self._go_on)
            self._pause()

    def stop(self) -> None:
        """Read nothing any more. Idempotent."""
        self._waiting.clear()
        call, self._next = self._next, None
        if call is not None:
            call.cancel()

    def _go_on(self) -> None:
        self._next, self._begun = None, 0
        try:
            while self._waiting and self._next is None:
                self._read(self._waiting.popleft())
        except Exception:
            self.stop()
            self._broken()
            raise
        if self._next is None:
            self._resume()
