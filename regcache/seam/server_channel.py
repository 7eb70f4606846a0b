"""The server side of a connection over HTTP/1.1, with what a subclass has to see of it.

Private: what the channel has read (``_command``, ``_path``, ``_version``, ``_transferDecoder``,
``_dataBuffer``; ``_buffer`` and ``_busyReceiving`` of its line receiver), whether it may write
(``_waitingForTransport``) and what it pauses (``_networkProducer``). Three methods without
documentation are extended: ``allHeadersReceived``, ``allContentReceived`` and
``_respondToBadRequestAndDisconnect``.

Why: Twisted reads every body before the request is looked at, answers pipelined requests without
waiting for the client to take the answers, and parses some requests in another way than other
servers do.

Replaced by: a channel with these as settings and public methods, or a server of our own.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from collections.abc import Callable
from typing import Any

from twisted.web import http


class ServerChannel(http.HTTPChannel):
    """A connection whose subclass decides about heads, bodies and malformed requests."""

    # What is read

    @property
    def is_between_lines(self) -> bool:
        """Whether bytes that come now begin a line and are looked at at once."""
        return not self._buffer and not self._busyReceiving

    @property
    def has_begun_request(self) -> bool:
        """Whether any part of a request is here."""
        return bool(self.requests or self._buffer)

    def set_request_line(self, method: bytes, target: bytes, version: bytes) -> None:
        """What the first line of the present request says, where a subclass has read it."""
        self._command, self._path, self._version = method, target, version

    @property
    def request_line(self) -> tuple[bytes, bytes, bytes]:
        """Method, target and version of the present request, until it has come whole."""
        return self._command, self._path, self._version

    def drop_body(self) -> None:
        """Take the present request for one without a body. Its bytes must not be passed on."""
        self._transferDecoder = None
        self.length = 0

    @property
    def bytes_behind(self) -> int:
        """How many bytes wait behind the request that is being answered."""
        return sum(map(len, self._dataBuffer))

    # What it does with the transport

    @property
    def is_full(self) -> bool:
        """Whether the transport has enough, so that what is written now waits there."""
        return self._waitingForTransport

    def control_reading_by(self, wrap: Callable[[Any], Any]) -> None:
        """Have something else than the transport be told when to read.

        :param wrap: makes that of the transport: it has ``pauseProducing``,
            ``resumeProducing`` and ``unregisterProducer``.
        """
        self._networkProducer = wrap(self._networkProducer)

    def stop_reading(self) -> None:
        """Read nothing until the present answer is through."""
        self._networkProducer.pauseProducing()

    # For subclasses to extend

    def head_received(self) -> None:
        """The head of a request is whole; ``length`` says what is to come, None if unknown."""
        super().allHeadersReceived()

    def request_received(self) -> None:
        """A request is whole."""
        super().allContentReceived()

    def request_malformed(self) -> None:
        """What came is no request."""
        super()._respondToBadRequestAndDisconnect()

    def allHeadersReceived(self) -> None:
        """Called by Twisted."""
        self.head_received()

    def allContentReceived(self) -> None:
        """Called by Twisted."""
        self.request_received()

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.request_malformed()
