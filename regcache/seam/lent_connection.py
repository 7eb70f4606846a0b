"""Lends a connection to an upstream to a thread, which receives a part of a body by itself.

==========  ========================================================================
state       meaning
==========  ========================================================================
at rest     the reactor reads the connection, or it is paused
lent        a thread may receive; the reactor does not touch socket and TLS
cut         lent, but no longer needed: the socket is shut down, so that the thread
            returns; the descriptors are closed after that
given back  the reactor has it again, and the parser knows how many bytes were taken
==========  ========================================================================

====================  ===================  =================================================
event                 lent                 cut
====================  ===================  =================================================
abort, lose, stop     cut                  nothing
pause, resume         noted, and applied when it is given back
bytes                 given to ``put``; dropped with the connection
end of the stream     the thread returns; the reactor finds the end when it reads again
fault of TLS          the thread returns; it is reported when the reactor reads again
other certificate     the thread goes on; refused when it is given back
given back            the parser's count is lowered; what TLS has to answer is sent. The former
                      producer is back, paused as before; after a cut it is aborted
====================  ===================  =================================================

Bytes that TLS has buffered, decrypted or not, are delivered first: the thread and the reactor read
from the same memory. Without TLS nothing is buffered, since each read is delivered whole.

Private: the parser of Twisted's HTTP client, its decoder of a body (``_parser``, ``bodyDecoder``,
``_IdentityTransferDecoder.contentLength``) and its line buffer (``_buffer``); the producer behind
an answer (``_transportProxy._producer``); the socket of a TCP transport, and what it has not sent
(``dataBuffer``, ``_tempDataBuffer``). What is private to TLS is in :mod:`regcache.seam.tls_client`.

Why: behind a fast upstream most of the time goes into handing each piece through the reactor and
back to threads. A thread that receives, decrypts, hashes and writes needs no piece handed over.

Replaced by: a transport that can be detached from its reactor, and attached again.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's client has few annotations)

import select
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.interfaces import IPushProducer
from twisted.internet.tcp import Connection
from zope.interface import implementer

from regcache.interfaces import PIECES_BEHIND
from regcache.seam.client_connection import ClientConnection
from regcache.seam.tls_client import Decryption, TLSClientStream

Put = Callable[[memoryview], None]
"""Takes received bytes. They stay until ``PIECES_BEHIND`` pieces more were put; those of the last
pieces until the connection is given back."""

#: How much is received, or decrypted, before it is put (bytes). With smaller pieces, threads would
#: wait longer for the interpreter's lock than they save.
PIECE = 1024 * 1024
#: How much is read from a socket below TLS at a time (bytes).
READ = 256 * 1024
#: How long a thread waits for a socket without data (seconds).
PATIENCE = 0.005
#: How many unused sets of buffers are kept, since new memory would have to be cleared.
SPARE = 2


class _Buffers:
    """The buffers of one loan: the last pieces stay valid while others are filled."""

    def __init__(self) -> None:
        self.received = memoryview(bytearray(READ))
        self._pieces = [memoryview(bytearray(PIECE)) for _ in range(PIECES_BEHIND + 1)]
        self._number = 0

    @property
    def piece(self) -> memoryview:
        """The buffer to fill."""
        return self._pieces[self._number]

    def turn(self) -> None:
        """Go to the next buffer: the content of this one was put."""
        self._number = (self._number + 1) % len(self._pieces)


#: Threads take from it, each at one step; the last one put is taken first.
_spare: deque[_Buffers] = deque(maxlen=SPARE)


def _take_buffers() -> _Buffers:
    """Take unused buffers. In any thread."""
    try:
        return _spare.pop()
    except IndexError:
        return _Buffers()


class _PlainSource:
    """Receives from a connection without TLS."""

    def __init__(self, receive: Callable[[memoryview], int | None]) -> None:
        self._receive = receive

    def fill(self, buffers: _Buffers, most: int) -> tuple[memoryview, bool]:
        """Receive at most so many bytes. Gives them, and whether no more are there for now."""
        piece, length = buffers.piece[:most], 0
        while length < len(piece):
            count = self._receive(piece[length:])
            if not count:
                return piece[:length], True
            length += count
        return piece, False


class _TLSSource:
    """Receives and decrypts; first the bytes that TLS holds already."""

    def __init__(self, receive: Callable[[memoryview], int | None], decryption: Decryption) -> None:
        self._receive = receive
        self._decryption = decryption

    def fill(self, buffers: _Buffers, most: int) -> tuple[memoryview, bool]:
        """Receive at most so many bytes. Gives them, and whether no more are there for now."""
        decryption, length, piece = self._decryption, 0, buffers.piece[:most]
        while True:
            length = decryption.read_on(piece, length)
            if length == len(piece):
                return piece, False
            count = None if decryption.over else self._receive(buffers.received)
            if not count:
                return piece[:length], True
            decryption.take(buffers.received[:count])


def lend(connection: ClientConnection) -> "LentConnection | None":
    """Lend the connection of an answer whose body is steady, and paused.

    :returns: None if that is not possible: the body has no length, the parser is running or holds
        bytes, the connection has bytes to send, or is of another kind.
    """
    stream = connection.transport
    transport = stream.transport if isinstance(stream, TLSClientStream) else stream
    if not isinstance(transport, Connection) or not _is_idle(transport):
        return None
    if not connection.is_steady or (stream is not transport and not stream.is_steady):
        return None
    try:
        own = transport.socket.dup()
    except OSError:
        return None
    transport.stopReading()
    return LentConnection(connection, own)


def _is_idle(transport: Connection) -> bool:
    """Whether the connection is open, and has nothing to send."""
    unsent = len(transport.dataBuffer) > transport.offset or transport._tempDataBuffer
    return bool(transport.connected and not transport.disconnecting and not unsent)


@implementer(IPushProducer)
class LentConnection:
    """One loan of a connection. Made by :func:`lend`.

    :param own: a duplicate of the socket. If the transport closed its own, the number of the
        descriptor might become another file's while the thread uses it.
    :ivar taken: how many bytes of the body the thread has taken.
    """

    def __init__(self, connection: ClientConnection, own: socket.socket) -> None:
        self._connection = connection
        stream = connection.transport
        self._stream = stream if isinstance(stream, TLSClientStream) else None
        self._socket = own
        self._ended = self._cut = False
        self._paused = True
        self._buffers: _Buffers | None = None
        self.taken = 0
        self._former = connection.replace_producer(self)
        if self._stream is not None:
            self._stream.is_lent = True

    # In the thread.

    def receive(self, put: Put, most: int, seconds: float) -> None:
        """Receive and put at most ``most`` bytes. Blocks, for about ``seconds`` at most.

        Ends early if the connection has ended, or has nothing for ``PATIENCE``.

        :raises OSError: as ``put`` does.
        """
        deadline = time.monotonic() + seconds
        # The last pieces may be in use until the loan ends: until then these buffers stay ours.
        buffers = self._buffers = self._buffers or _take_buffers()
        source = self._source()
        while self.taken < most and not self._cut:
            piece, dry = source.fill(buffers, most - self.taken)
            if piece:
                buffers.turn()
                put(piece)
                self.taken += len(piece)
            left = deadline - time.monotonic()
            if left <= 0 or (dry and not self._wait(left)):
                return

    def _source(self) -> _PlainSource | _TLSSource:
        if self._stream is None:
            return _PlainSource(self._receive)
        return _TLSSource(self._receive, Decryption(self._stream))

    def _receive(self, buffer: memoryview) -> int | None:
        """Receive the bytes that are there; None if there are none, 0 at the end."""
        try:
            count = self._socket.recv_into(buffer)
        except BlockingIOError:
            return None
        except OSError:
            count = 0
        self._ended = not count
        return count

    def _wait(self, seconds: float) -> bool:
        """Wait for more bytes. Returns whether there are any."""
        over = self._stream is not None and self._stream.fault is not None
        if self._ended or over or self._cut:
            return False
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return bool(poller.poll(1000 * min(seconds, PATIENCE)))

    # In the reactor's thread.

    def give_back(self) -> None:
        """Give the connection back to the reactor, paused as before. No piece is in use now."""
        self._socket.close()
        buffers, self._buffers = self._buffers, None
        if buffers is not None:
            _spare.append(buffers)
        self._connection.took(self.taken)
        self._connection.replace_producer(self._former)
        if self._stream is not None:
            self._stream.given_back()
        if self._cut:
            self._former.abortConnection()
        elif not self._paused:
            self._former.resumeProducing()

    def pauseProducing(self) -> None:
        """Stay paused when the connection is given back."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Read on when the connection is given back."""
        self._paused = False

    def abortConnection(self) -> None:
        """Make the thread return; then the connection is closed. Idempotent."""
        if not self._cut:
            self._cut = True
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    stopProducing = loseConnection = abortConnection
