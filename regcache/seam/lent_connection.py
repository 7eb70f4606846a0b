"""A connection to an upstream that is lent to a thread, which receives a part of a body by itself.

==========  ========================================================================
state       meaning
==========  ========================================================================
at rest     the reactor reads the connection, or it is paused
lent        a thread may receive; the reactor does not touch socket and TLS
cut         lent, but not wanted any more: the socket is shut down, so that the thread
            returns; nothing is closed before it has
given back  the reactor has it again, and the parser knows what was taken
==========  ========================================================================

====================  ===================  =================================================
event                 lent                 cut
====================  ===================  =================================================
abort, lose, stop     cut                  nothing
pause, resume         noted: it holds when it is given back
bytes                 put where they belong; dropped with the connection
end of the stream     the thread returns; the reactor finds the same end when it reads on
fault of TLS          the thread returns; it is reported when the reactor reads on
other certificate     the thread goes on; refused when it is given back
given back            the parser's count is lowered; what TLS has to answer is sent. The former
                      producer is back, paused as before; after a cut it is aborted
====================  ===================  =================================================

What TLS has decrypted or holds comes first, to the thread as to the reactor: both read from the
same memory. Behind a plain socket nothing is held, since a read is delivered whole.

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

#: How much is received, or decrypted, before it is put (bytes). Threads hand each other so much:
#: with less they spend more time waiting for the interpreter's lock than they win.
PIECE = 1024 * 1024
#: How much is read of a socket below TLS at a time (bytes).
READ = 256 * 1024
#: A thread waits so long for a socket that has nothing (seconds).
PATIENCE = 0.005
#: How many unused sets of buffers are kept: no memory has to be cleared.
SPARE = 2


class _Buffers:
    """The buffers of one loan: what was put stays in one while others are filled."""

    def __init__(self) -> None:
        self.received = memoryview(bytearray(READ))
        self._pieces = [memoryview(bytearray(PIECE)) for _ in range(PIECES_BEHIND + 1)]
        self._number = 0

    @property
    def piece(self) -> memoryview:
        """The one to be filled."""
        return self._pieces[self._number]

    def turn(self) -> None:
        """What is in it was put."""
        self._number = (self._number + 1) % len(self._pieces)


#: Threads take from it, each at one step; the last one put is taken first.
_spare: deque[_Buffers] = deque(maxlen=SPARE)


def _take_buffers() -> _Buffers:
    """Unused ones. In any thread."""
    try:
        return _spare.pop()
    except IndexError:
        return _Buffers()


class _PlainSource:
    """Receives what is not encrypted."""

    def __init__(self, receive: Callable[[memoryview], int | None]) -> None:
        self._receive = receive

    def fill(self, buffers: _Buffers, most: int) -> tuple[memoryview, bool]:
        """What is there, at most so much, and whether there is nothing more for now."""
        piece, length = buffers.piece[:most], 0
        while length < len(piece):
            count = self._receive(piece[length:])
            if not count:
                return piece[:length], True
            length += count
        return piece, False


class _TLSSource:
    """Receives and decrypts. What is held already comes first."""

    def __init__(self, receive: Callable[[memoryview], int | None], decryption: Decryption) -> None:
        self._receive = receive
        self._decryption = decryption

    def fill(self, buffers: _Buffers, most: int) -> tuple[memoryview, bool]:
        """What is there, at most so much, and whether there is nothing more for now."""
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

    :returns: None if that is not possible: the body has no length, the parser is at work or has
        something in store, the connection has something to send, or is of another kind.
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
    """Whether it is open, and has nothing to send."""
    unsent = len(transport.dataBuffer) > transport.offset or transport._tempDataBuffer
    return bool(transport.connected and not transport.disconnecting and not unsent)


@implementer(IPushProducer)
class LentConnection:
    """One loan of a connection. Made by :func:`lend`.

    :param own: a descriptor of its own: even if something closed that of the transport, its number
        could not be another file's while the thread uses it.
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
        # What was put last may be in use until all is given back: no other loan gets it before.
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
        """Receive what is there; None if that is nothing, 0 at the end."""
        try:
            count = self._socket.recv_into(buffer)
        except BlockingIOError:
            return None
        except OSError:
            count = 0
        self._ended = not count
        return count

    def _wait(self, seconds: float) -> bool:
        """Wait until there is more. Returns whether there is."""
        over = self._stream is not None and self._stream.fault is not None
        if self._ended or over or self._cut:
            return False
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return bool(poller.poll(1000 * min(seconds, PATIENCE)))

    # In the reactor's thread.

    def give_back(self) -> None:
        """All that was put is done with: the reactor has the connection again, paused as before."""
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
        """Stay paused when it is given back."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Read on when it is given back."""
        self._paused = False

    def abortConnection(self) -> None:
        """Have the thread return; the connection is closed when it has. Idempotent."""
        if not self._cut:
            self._cut = True
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    stopProducing = loseConnection = abortConnection
