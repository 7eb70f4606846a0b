"""One connection of Twisted's HTTP/1.1 client, with what a subclass has to see of it.

Private: the class itself (``twisted.web._newclient``); ``_finishResponse_WAITING``, which is
called when an answer has come whole and is extended; the parser, the request and the transport
of the present answer (``_parser``, ``_currentRequest``, ``_transportProxy``), and the producer
behind that transport (``_producer``).

Why: the public agent reads heads without end and pauses the socket behind each of them, and it
keeps a connection whose peer says ``Connection: Close``. None of this can be set.

Replaced by: a client of Twisted with limits, or another client.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's client has few annotations)

from collections.abc import Callable, Sequence
from typing import Any

from twisted.web._newclient import BODY, HTTP11ClientProtocol
from twisted.web.http import _IdentityTransferDecoder


class ClientConnection(HTTP11ClientProtocol):
    """A connection that tells its subclass how far an answer has come.

    :param quiescent: called with the connection whenever it is ready for another request.
    """

    def __init__(self, quiescent: Callable[[Any], None]) -> None:
        super().__init__(quiescent)

    @property
    def is_receiving(self) -> bool:
        """Whether an answer is due, or has not come whole."""
        return self._parser is not None

    def produce_by(self, producer: Any) -> None:
        """Have the body of the present answer pause and resume another one than the transport.

        :param producer: an IPushProducer that can also lose and abort the connection. Nothing
            changes where the request was not sent.
        """
        if self._transportProxy is not None:
            self._transportProxy._producer = producer

    @property
    def is_steady(self) -> bool:
        """Whether a body is arriving that has a length, and of which nothing is in store."""
        parser = self._parser
        if parser is None or parser.state != BODY or parser._buffer:
            return False
        decoder = parser.bodyDecoder
        return isinstance(decoder, _IdentityTransferDecoder) and bool(decoder.contentLength)

    def took(self, count: int) -> None:
        """So many bytes of the body were taken past the parser. It must be steady, and longer."""
        parser: Any = self._parser
        parser.bodyDecoder.contentLength -= count

    def replace_producer(self, producer: Any) -> Any:
        """As :meth:`produce_by`; returns the former one."""
        proxy: Any = self._transportProxy
        former, proxy._producer = proxy._producer, producer
        return former

    def is_last(self, version: tuple[Any, int, int], options: Sequence[bytes], rest: bytes) -> bool:
        """Whether the connection is closed behind an answer that has come whole.

        Twisted asks for itself, too, and closes it where either wants that.

        :param version: of the answer, e.g. ``(b"HTTP", 1, 1)``.
        :param options: the lines of the field Connection.
        :param rest: what came behind the answer.
        """
        return False

    def _finishResponse_WAITING(self, rest: bytes) -> None:
        parser, request = self._parser, self._currentRequest
        if parser is not None and request is not None:
            options = parser.connHeaders.getRawHeaders(b"connection", ())
            if self.is_last(parser.response.version, options, rest):
                request.persistent = False
        super()._finishResponse_WAITING(rest)
