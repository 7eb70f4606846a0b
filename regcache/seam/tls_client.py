"""TLS to upstreams whose records are decrypted many at a time.

Private: ``_flushReceiveBIO`` of the TLS transport, which is replaced; its connection of pyOpenSSL
(``_tlsConnection``) and what belongs to both (``_aborted``, ``_lostTLSConnection``,
``_tlsShutdownFinished``, ``_shutdownTLS``, ``_flushSendBIO``); pyOpenSSL's binding
(``OpenSSL.SSL._lib``, ``_ffi``) and ``_ssl`` and ``_raise_ssl_error`` of its connection.

Why: Twisted hands each record of 16 KiB through the whole stack by itself, and pyOpenSSL allocates
memory for each. For a large body that costs more than its decryption. Here all records of one read
of the socket become one chunk.

Replaced by: a TLS transport of Twisted that delivers what one read of the socket brought.
"""

# mypy: disable-error-code="no-untyped-call,no-untyped-def"
# (Twisted's TLS has no annotations)

from typing import Any

from OpenSSL import SSL
from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

#: The most that is delivered at once (bytes).
MOST = 1024 * 1024
#: What one record holds at most (RFC 8446, 5.1; bytes).
RECORD = 16 * 1024

_lib: Any = SSL._lib  # type: ignore[attr-defined]
_ffi: Any = SSL._ffi  # type: ignore[attr-defined]
#: Shared by all connections: used and read within one call, in the reactor's thread.
_buffer: Any = _ffi.new("char[]", MOST)
#: Without a traceback: that has the frame of the caller, which has the exception. In such a cycle
#: what the socket gave would be kept until the collector comes, up to 1 MiB for each read.
_NOTHING_MORE = WantReadError()


class TLSClientStream(BufferingTLSTransport):
    """Client side of one TLS connection.

    :ivar is_lent: whether a thread may be using it (:mod:`regcache.seam.lent_connection`).
    :ivar fault: why nothing can be decrypted any more, as a thread has found; None if it can.
    """

    is_lent = _delivering = _leftover = False
    fault: Exception | None = None
    _refusal: Failure | None = None

    @property
    def is_steady(self) -> bool:
        """Whether it can be lent: it is open, and is not just delivering something."""
        settled = self._handshakeDone and not self._appSendBuffer and not self._delivering
        return bool(
            settled and self.connected and not (self.disconnecting or self._lostTLSConnection)
        )

    def given_back(self) -> None:
        """No thread uses it any more. What that left is delivered when the reactor reads on."""
        self.is_lent, self._leftover = False, True
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            self.failVerification(refusal)
        else:
            self._flushSendBIO()

    def failVerification(self, reason: Failure) -> None:
        """The peer has shown another certificate; a thread that has found it goes on."""
        if self.is_lent:
            self._refusal = reason
        else:
            super().failVerification(reason)

    def resumeProducing(self) -> None:
        """Read on, and deliver first what a thread has left."""
        below: Any = self.transport
        below.resumeProducing()
        if self._leftover:
            self._leftover = False
            self._flushReceiveBIO()

    def _flushReceiveBIO(self) -> None:
        """Deliver what has come, as few times as possible, then how it ended if it has."""
        self._delivering = True
        try:
            self._deliver()
        finally:
            self._delivering = False

    def _deliver(self) -> None:
        end, self.fault = self.fault, None
        while end is None and not self._lostTLSConnection:
            length, end = self._decrypt()
            if length and not self._aborted:
                ProtocolWrapper.dataReceived(self, _ffi.buffer(_buffer, length)[:])
        if isinstance(end, ZeroReturnError):
            self._shutdownTLS()
            self._tlsShutdownFinished(None)
        elif isinstance(end, Error) and not isinstance(end, WantReadError):
            self._tlsShutdownFinished(Failure(end))
        self._flushSendBIO()

    def _decrypt(self) -> tuple[int, Exception | None]:
        """Fill the buffer; how much there is, and why there is no more."""
        connection: Any = self._tlsConnection
        ssl, read, length = connection._ssl, _lib.SSL_read, 0
        while length <= MOST - RECORD:
            count = read(ssl, _buffer + length, RECORD)
            if count <= 0:
                try:
                    connection._raise_ssl_error(ssl, count)
                except WantReadError:
                    return length, _NOTHING_MORE
                except Error as error:
                    return length, error.with_traceback(None)
            length += count
        return length, None


class Decryption:
    """Decrypts what a lent stream has received, in the thread that uses it."""

    def __init__(self, stream: TLSClientStream) -> None:
        self._stream = stream
        self._connection: Any = stream._tlsConnection
        _lib.ERR_clear_error()  # OpenSSL keeps errors by thread

    @property
    def over(self) -> bool:
        """Whether nothing can be decrypted any more: the stream has a fault then."""
        return self._stream.fault is not None

    def read_on(self, piece: memoryview, length: int) -> int:
        """Decrypt until a buffer is full, or there is no more; how many bytes there are then.

        :param length: how many there are already.
        """
        ssl, read, most = self._connection._ssl, _lib.SSL_read, len(piece)
        into = _ffi.from_buffer("char[]", piece)
        while length < most:
            count = read(ssl, into + length, most - length)
            if count <= 0:
                self._examine(count)
                return length
            length += count
        return length

    def _examine(self, count: int) -> None:
        """Note why there is no more, unless it is only that no more has come."""
        connection = self._connection
        if _lib.SSL_get_error(connection._ssl, count) == _lib.SSL_ERROR_WANT_READ:
            return
        try:
            connection._raise_ssl_error(connection._ssl, count)
        except Error as error:
            self._stream.fault = error.with_traceback(None)

    def take(self, encrypted: memoryview) -> None:
        """Take what the socket gave."""
        self._connection.bio_write(encrypted)


class TLSClientFactory(TLSMemoryBIOFactory):
    """Adds TLS to connections to upstreams."""

    protocol = TLSClientStream
    noisy = False


@implementer(IStreamClientEndpoint)
class TLSClientEndpoint:
    """Connects, and speaks TLS there.

    :param creator: makes the connection of pyOpenSSL, and checks the certificate.
    :param plain: connects to the host.
    :param clock: small writes wait for a turn of it.
    """

    def __init__(self, creator: Any, plain: IStreamClientEndpoint, clock: IReactorTime) -> None:
        self._creator = creator
        self._plain = plain
        self._clock = clock

    def connect(self, protocolFactory: IProtocolFactory) -> "Deferred[IProtocol]":
        """Connect; fires with the protocol inside TLS."""
        factory = TLSClientFactory(self._creator, True, protocolFactory, self._clock)
        connecting: Deferred[Any] = self._plain.connect(factory)
        return connecting.addCallback(lambda stream: stream.wrappedProtocol)
