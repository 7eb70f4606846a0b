"""Connections to upstreams: HTTP/1.1 whose headers are bounded in size and in time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed

from regcache.seam.client_connection import ClientConnection
from regcache.seam.connection_pool import drop_idle, make_pool
from regcache.seam.streams import set_read_size, stream_below
from regcache.upstream.failures import HeadersTooLongError
from regcache.upstream.urls import Origin

LONGEST_HEADERS = 64 * 1024
#: Read from a socket at once at first (bytes): four times Twisted's.
READ_SIZE = 256 * 1024
#: ... and then by what it holds, below TLS too: a fast upstream wakes us seldom, and a slow one
#: has us allocate little.
LEAST_READ = 64 * 1024
MOST_READ = 1024 * 1024
IDLE_SECONDS = 60
#: A request that ends after so long without an answer, in whatever way, found its way blocked.
LONG_SILENCE = 5.0


@dataclass(slots=True)
class LastHeard:
    """When anything came over the connections to an upstream URL.

    :ivar at: clock seconds.
    """

    at: float = -inf


class BoundedClientProtocol(ClientConnection):
    """Twisted's client, which by itself reads headers without end and waits for ever.

    Only while the headers of an answer are awaited is anything counted or timed.
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
        self._header_bytes = 0
        self._too_long = False
        self._socket: Any = None
        self._stream: Any = None
        self._read_size, self._most_read = READ_SIZE, MOST_READ
        self._receiving = self._pause_due = False

    def connectionMade(self) -> None:
        """Read in large pieces, below TLS too."""
        super().connectionMade()
        self._stream = stream = stream_below(self.transport)
        set_read_size(stream, READ_SIZE)
        if stream is self.transport:
            self._socket = stream

    def _fit_reads(self, length: int) -> None:
        """Read twice as much after a read that was full, half as much after a small one.

        :param length: bytes that came; below TLS a read holds a little more than that.
        """
        if length >= self._read_size - self._read_size // 16:
            self._read_size = min(self._most_read, self._read_size * 2)
        elif length < self._read_size // 4:
            self._read_size = max(LEAST_READ, self._read_size // 2)
        else:
            return
        set_read_size(self._stream, self._read_size)

    def read_little(self) -> None:
        """Read the rest of this answer in small pieces: each may have to wait for long."""
        self._most_read = self._read_size = LEAST_READ
        set_read_size(self._stream, LEAST_READ)

    def request(self, request: Any) -> "Deferred[Any]":
        """Send a request; a missing answer cancels it after ``first_byte_timeout``.

        :param request: is told what carries it, and when it got no answer for long.
        """
        self._header_bytes = 0
        self._pause_due = False
        self._most_read = MOST_READ
        request.connection = self
        awaited: Deferred[Any] = super().request(request)
        if self._socket is not None:
            self.produce_by(self)
        self._awaited = awaited
        sent_at = self._clock.seconds()
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
        """Hand the bytes to Twisted, unless they are one header too many."""
        self._heard.at = self._clock.seconds()
        awaited = self._awaited
        if awaited is None:
            self._fit_reads(len(data))
        self._receiving = True
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        self._receiving = False
        if self._pause_due and self.is_receiving:
            self._socket.pauseProducing()
        # The end of one answer may send the next request from within this read, whose bytes
        # are none of that request's answer.
        if awaited is None or self._awaited is not awaited:
            return
        self._header_bytes += len(data)
        if self._header_bytes > LONGEST_HEADERS:
            self._too_long = True
            self._awaited.cancel()

    def is_last(self, version: tuple[Any, int, int], options: Sequence[bytes], rest: bytes) -> bool:
        """Whether no answer follows (RFC 9112, 9.3), or more came than was asked for.

        Twisted understands only ``close`` in small letters, and alone (RFC 9110, 7.6.1).
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
        """Nobody wants the rest."""
        self._socket.stopProducing()

    def loseConnection(self) -> None:
        """Close the connection when all is written."""
        self._socket.loseConnection()

    def abortConnection(self) -> None:
        """Close the connection at once."""
        self._socket.abortConnection()


class Connections:
    """The connections on behalf of one URL of one upstream.

    They belong to it alone: one is found again by origin only, so what is shared would lend one
    upstream's right to an address to another.

    :param size: idle connections kept per host; as many as there are transfers at once, or
        each burst pays for new TLS handshakes.
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
        """Close the idle ones: another request found its way blocked, and so may the next."""
        drop_idle(self._pool, origin)

    def close(self) -> "Deferred[None]":
        """Close all that are idle; fires when they are closed."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing
