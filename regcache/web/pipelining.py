"""Requests that come before the answer to the one ahead has been taken.

Twisted answers what has arrived as fast as it can, and bounds what arrives only as long as
the client takes its answers: one packet of small requests for large manifests could fill the
memory. Here a request waits until the client has taken the answer before it.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from typing import Any

from twisted.web import http

from regcache.web.http1.reading import StrictChannel

MOST_WAITING = 16384
"""Bytes that may wait behind a request that is being answered."""


class ReadSwitch:
    """Lets a transport read or not. Saying so again costs nothing, which it does in Twisted."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._paused = False

    def pauseProducing(self) -> None:
        """Read nothing for now."""
        if not self._paused:
            self._paused = True
            self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            self._transport.resumeProducing()

    def unregisterProducer(self) -> None:
        """Who writes is told no more about how full the transport is."""
        self._transport.unregisterProducer()


class PipelinedChannel(StrictChannel):
    """A connection that answers no faster than its client takes answers.

    :ivar held: the request whose answer is written, and that the client has yet to take.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held: http.Request | None = None

    def connectionMade(self) -> None:
        """A client has connected."""
        super().connectionMade()
        self.control_reading_by(ReadSwitch)

    def rawDataReceived(self, data: bytes) -> None:
        """A body, or what comes behind a request that is being answered."""
        super().rawDataReceived(data)
        if self.is_full and self.bytes_behind > MOST_WAITING:
            self.stop_reading()

    def requestDone(self, request: http.Request) -> None:
        """An answer has been written. Where the transport is full its request is held."""
        if self.is_full and self.persistent:
            self.held = request
        else:
            super().requestDone(request)

    def resumeProducing(self) -> None:
        """The transport has room again."""
        super().resumeProducing()
        held, self.held = self.held, None
        if held is not None:
            self.requestDone(held)
