"""Connections to upstreams: HTTP/1.1 whose headers are bounded in size and in time."""

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed
from zope.interface import implementer

from regcache.light_dataclass import dataclass
from regcache.seam.client_connection import ClientConnection
from regcache.seam.connection_pool import drop_idle, make_pool
from regcache.seam.lent_connection import LentConnection, lend
from regcache.seam.streams import set_read_size, stream_below
from regcache.upstream.failures import HeadersTooLongError
from regcache.upstream.urls import Origin

LONGEST_HEADERS = 64 * 1024
#: How much is read from a socket at a time, at first (bytes): four times as much as Twisted does.
READ_SIZE = 256 * 1024
#: ... and then by what it holds, below TLS too: a fast upstream wakes us seldom, and a slow one
#: has us allocate little.
LEAST_READ = 64 * 1024
MOST_READ = 1024 * 1024
IDLE_SECONDS = 60
#: If a request ends after so long without an answer, its connection is taken for dead (seconds).
LONG_SILENCE = 5.0


@dataclass(slots=True)
class LastHeard:
    """The time at which anything last came over the connections to an upstream URL.

    :ivar at: clock seconds.
    """

    at: float = -inf


@implementer(IHandshakeListener)
class BoundedClientProtocol(ClientConnection):
    """Twisted's client, with bounds: by itself it reads headers without end, and waits forever.

    Bytes are counted, and time is limited, only until the headers of an answer are complete.

    :ivar secured_at: when its TLS handshake was done (clock seconds).
    """

    def __init__(
        self,
        quiescent: Callable[[Any], None],
        clock: IReactorTime,
        first_byte_timeout: float,
        heard: LastHeard,
    ) -> None:
        super().__init__(quiescent)
        self._clock = clock
        self._first_byte_timeout = first_byte_timeout
        self._heard = heard
        self._awaited: Deferred[Any] | None = None
        self.secured_at = -inf
        self._header_bytes = 0
        self._too_long = False
        self._socket: Any = None
        self._stream: Any = None
        self._read_size, self._most_read = READ_SIZE, MOST_READ
        self._receiving = self._pause_due = False

    def connectionMade(self) -> None:
        """Read in large pieces, also below TLS."""
        super().connectionMade()
        self._stream = stream = stream_below(self.transport)
        set_read_size(stream, READ_SIZE)
        if stream is self.transport:
            self._socket = stream

    def handshakeCompleted(self) -> None:
        """TLS is there."""
        self.secured_at = self._clock.seconds()

    def _fit_reads(self, length: int) -> None:
        """Read twice as much after a read that was full, half as much after a small one.

        :param length: how many bytes came; below TLS the read was a little larger.
        """
        if length >= self._read_size - self._read_size // 16:
            self._read_size = min(self._most_read, self._read_size * 2)
        elif length < self._read_size // 4:
            self._read_size = max(LEAST_READ, self._read_size // 2)
        else:
            return
        set_read_size(self._stream, self._read_size)

    def read_little(self) -> None:
        """Read the rest of this answer in small pieces, since each may wait in memory for long."""
        self._most_read = self._read_size = LEAST_READ
        set_read_size(self._stream, LEAST_READ)

    def request(self, request: Any) -> "Deferred[Any]":
        """Send a request. It is cancelled after ``first_byte_timeout`` without an answer.

        :param request: is told its connection, and when it got no answer for long.
        """
        self._header_bytes = 0
        self._pause_due = False
        self._most_read = MOST_READ
        request.connection = self
        awaited: Deferred[Any] = super().request(request)
        if self._socket is not None:
            self.produce_by(self)
        self._awaited = awaited
        sent_at = request.sent_at = self._clock.seconds()
        timer = self._clock.callLater(self._first_byte_timeout, awaited.cancel)
        long = min(LONG_SILENCE, self._first_byte_timeout)

        def settle(result: Any) -> Any:
            self._awaited = None
            if timer.active():
                timer.cancel()
            if isinstance(result, Failure) and self._clock.seconds() - sent_at >= long:
                request.unanswered()
            if self._too_long:
                raise ResponseFailed([Failure(HeadersTooLongError())])
            return result

        return awaited.addBoth(settle)

    def dataReceived(self, data: bytes) -> None:
        """Hand the bytes to Twisted, unless the headers become too long."""
        self._heard.at = self._clock.seconds()
        awaited = self._awaited
        if awaited is None:
            self._fit_reads(len(data))
        self._receiving = True
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        self._receiving = False
        if self._pause_due and self.is_receiving:
            self._socket.pauseProducing()
        # At the end of an answer the next request may be sent during this call. The bytes of
        # this read do not belong to the next answer.
        if awaited is None or self._awaited is not awaited:
            return
        self._header_bytes += len(data)
        if self._header_bytes > LONGEST_HEADERS:
            self._too_long = True
            self._awaited.cancel()

    def lend(self) -> LentConnection | None:
        """Lend it to a thread, where that is possible: see :func:`~..seam.lent_connection.lend`."""
        return None if self._receiving or self._awaited is not None else lend(self)

    def took(self, count: int) -> None:
        """A thread took so many bytes of the body."""
        super().took(count)
        if count:
            self._heard.at = self._clock.seconds()

    def is_last(self, version: tuple[Any, int, int], options: Sequence[bytes], rest: bytes) -> bool:
        """Whether no answer follows (RFC 9112, 9.3), or more came than was asked for.

        Twisted only understands ``close`` in lower case, and alone (RFC 9110, 7.6.1).
        """
        words = {word.strip().lower() for line in options for word in line.split(b",")}
        if rest or b"close" in words:
            return True
        return version < (b"HTTP", 1, 1) and b"keep-alive" not in words

    # The producer of the answer's body, where there is no TLS: Twisted pauses behind every head
    # and resumes when the body is wanted, which mostly is before the call that reads returns.

    def pauseProducing(self) -> None:
        """Read no more; while a read is under way, after it."""
        self._pause_due = self._receiving
        if not self._receiving:
            self._socket.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        self._pause_due = False
        self._socket.resumeProducing()

    def stopProducing(self) -> None:
        """The rest is not needed."""
        self._socket.stopProducing()

    def loseConnection(self) -> None:
        """Close the connection when all is written."""
        self._socket.loseConnection()

    def abortConnection(self) -> None:
        """Close the connection at once."""
        self._socket.abortConnection()


class Connections:
    """The connections for one URL of one upstream.

    They are not shared with other upstreams: idle connections are found by origin only, so another
    upstream could use an address to which only this one may connect.

    :param size: how many idle connections are kept for each host. With fewer than there are
        transfers at a time, each burst would need new TLS handshakes.
    :ivar heard: when anything came over any of them.
    """

    def __init__(self, clock: IReactorTime, first_byte_timeout: float, size: int) -> None:
        self.heard = heard = LastHeard()
        self._pool = make_pool(
            clock,
            lambda quiescent: BoundedClientProtocol(quiescent, clock, first_byte_timeout, heard),
        )
        self._pool.maxPersistentPerHost = size
        self._pool.cachedConnectionTimeout = IDLE_SECONDS

    def get(self, origin: Origin, endpoint: IStreamClientEndpoint) -> "Deferred[Any]":
        """An idle connection to an origin, or else a new one.

        :param endpoint: leads there.
        """
        return self._pool.getConnection(origin, endpoint)

    def drop_idle(self, origin: Origin) -> None:
        """Close the idle connections to a host: one was found dead, so they may be as well."""
        drop_idle(self._pool, origin)

    def close(self) -> "Deferred[None]":
        """Close all that are idle; fires when they are closed."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing
