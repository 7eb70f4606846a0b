"""TLS that encrypts large writes in large pieces.

Private: ``_write`` of the TLS transport, which is replaced; its connection of pyOpenSSL
(``_tlsConnection``), and what belongs to both (``_bufferedWrite``, ``_tlsShutdownFinished``,
``_lostTLSConnection``, ``_producer``). ``SEND_LIMIT`` of the transport beneath has no
documentation.

Why: Twisted encrypts 16 KiB at a time and passes each record on by itself, which is half of the
processor time of a fast download. OpenSSL makes many records of one write just as well
(SSL_write(3)) where partial writes are off (:mod:`regcache.seam.whole_tls_writes`). Its buffer
then stays as large as the largest piece: slow clients are sent small ones. And what Twisted leaves
of a connection that is gone is in cycles, which Python's collector has to find: some MiB each.

Replaced by: a TLS transport of Twisted that takes the size of its pieces.
"""

# mypy: disable-error-code="no-untyped-call,no-untyped-def"
# (Twisted's TLS has no annotations)

import re
from collections.abc import Callable
from typing import Any

from OpenSSL.SSL import Error, WantReadError
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

#: Writes up to this size, which are one record, are left to Twisted (bytes).
SMALL = 16 * 1024
#: The most that is encrypted at once (bytes).
PIECE = 512 * 1024
#: What TLS adds to 16 KiB (RFC 8446, 5.2), rounded up.
_OVERHEAD = 64
_LETTER = re.compile(rb"[A-Za-z]")
_ENCRYPTED = PIECE + PIECE // (16 * 1024) * _OVERHEAD


class TLSStream(BufferingTLSTransport):
    """Server side of one TLS connection."""

    factory: "TLSStreamFactory"
    _begun = _is_plain = False

    def makeConnection(self, transport: ITransport) -> None:
        """The connection beneath sends a whole piece at once, if the kernel takes it."""
        if hasattr(transport, "SEND_LIMIT"):
            transport.SEND_LIMIT = _ENCRYPTED
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """Take what the client sent; if that is no TLS at all, it is told so."""
        if not self._begun and data:
            self._begun = True
            plain = self.factory.plain
            if plain is not None and _LETTER.match(data):
                self._is_plain = True
                plain(self.transport, self.wrappedProtocol)
        if not self._is_plain:
            super().dataReceived(data)

    def _write(self, octets: bytes) -> None:
        if len(octets) <= SMALL:
            super()._write(octets)
            return
        view, position = memoryview(octets), 0
        while position < len(view) and not self._lostTLSConnection:
            try:
                position += self._tlsConnection.send(view[position : position + PIECE])
            except WantReadError:
                self._bufferedWrite(octets[position:])
                return
            except Error:
                self._tlsShutdownFinished(Failure())
                return
            self._flush_all()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone. Let go of the channel, which has this as its transport."""
        super().connectionLost(reason)
        self._producer = None

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        # The frames of its traceback have the failure and this connection: a cycle of some MiB.
        if reason is not None:
            reason.cleanFailure()
        super()._tlsShutdownFinished(reason)

    def _flush_all(self) -> None:
        """Pass all on that is encrypted."""
        length, below = _ENCRYPTED, self.transport
        assert below is not None
        while length == _ENCRYPTED:
            try:
                encrypted = self._tlsConnection.bio_read(_ENCRYPTED)
            except WantReadError:
                return
            length = len(encrypted)
            below.write(encrypted)


def connection_of(transport: object) -> Any:
    """The connection of pyOpenSSL behind a transport of TLS; None for any other transport.

    :param transport: that of a protocol inside TLS. ``getHandle`` gives the same, and says that
        other versions may give something else.
    """
    if not isinstance(transport, TLSMemoryBIOProtocol):
        return None
    return transport._tlsConnection


class TLSStreamFactory(TLSMemoryBIOFactory):
    """Adds TLS to connections.

    :ivar plain: called with the transport beneath and the protocol of a connection whose first byte
        is a letter, as in the head of a request: no record of TLS begins so (RFC 8446, 5.1). It
        ends the connection. None leaves that to OpenSSL.
    """

    plain: Callable[[Any, Any], object] | None = None

    protocol = TLSStream
    noisy = False
