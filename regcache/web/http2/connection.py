"""One HTTP/2 connection: its time limits, and how it is closed (RFC 9113).

=========  ==========================  ===================================================
state      event                       what holds afterwards
=========  ==========================  ===================================================
new        a request                   busy
new, idle  part of a frame             head: the header time-out runs; other bytes do not
                                       extend a time-out
busy       the last stream is over     idle; or closing, if one side wants to close
idle       a request                   busy
new, head, time-out                    closing: GOAWAY was sent
idle
any        stop of the daemon          GOAWAY was sent: no further request is accepted; closing
                                       when the last stream is over
any        a flood, a broken frame     closing: GOAWAY says why; all answers are cut
closing    time-out                    the connection is cut, unless the client still takes
                                       what waits for it
any        connection lost             over: every request is told
=========  ==========================  ===================================================
"""

# mypy: disable-error-code="no-untyped-call"
# (much of Twisted has no annotations)

from typing import Any

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.seam.streams import stream_below
from regcache.web.admission import TOO_MANY_CONNECTIONS, Places
from regcache.web.client_certificate import certificate_of
from regcache.web.deadline import Deadline
from regcache.web.http1.channel import CLOSE_TIMEOUT
from regcache.web.http2.buffers import ConnectionBuffers, SiteBuffers
from regcache.web.http2.frames import FrameGuard, FrameScanner
from regcache.web.http2.h2_state import ErrorCodes, H2State, ProtocolError
from regcache.web.http2.limits import FloodError
from regcache.web.http2.output import Output
from regcache.web.http2.request_share import RequestShare
from regcache.web.http2.requests import Requests
from regcache.web.site import Site
from regcache.web.stall import LastBytes, unsent_bytes


@implementer(IPushProducer)
class Http2Connection(Protocol):
    """Server side of one connection. Made by :class:`~regcache.web.http2.negotiation.Negotiation`.

    :param buffers: of all connections of the site.
    :ivar buffers: the buffered bytes of this connection.
    """

    peer: IAddress
    host: IAddress
    places: Places

    def __init__(self, site: Site, buffers: SiteBuffers) -> None:
        self.site = site
        self.buffers = ConnectionBuffers(buffers)
        self._h2 = H2State()
        guard = FrameGuard(site.reactor, self._peer_leaves)
        self._scanner = FrameScanner(guard, self._opened)
        self.output = Output(self._h2, guard.sent)
        self.requests = Requests(self, self._h2)
        self._share = RequestShare(
            site.reactor,
            read=self._read,
            pause=lambda: self.output.stop_reading("turn"),
            resume=lambda: self.output.go_on_reading("turn"),
            broken=self.abort,
        )
        self._deadline = Deadline(site.reactor, self._too_late)
        self._phase = "new"
        self._last_bytes: LastBytes | None = None
        self._idle_until = 0.0
        self._leaving = self._registered = False

    def connectionMade(self) -> None:
        """A client has agreed on HTTP/2. The header time-out runs until its first request."""
        transport: Any = self.transport
        self.peer, self.host = transport.getPeer(), transport.getHost()
        self.client_certificate = certificate_of(transport)
        self.places = Places(self.site.admission, self.peer)
        self.site.channels.add(self)
        self._expect("new", self.site.limits.header_timeout)
        self.output.connect(transport)
        self._registered = True
        transport.registerProducer(self, True)
        self._h2.initiate_connection()
        self.output.flush()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The connection has ended. So do its streams and its timer, and its places are free."""
        self._phase = "over"
        self._share.stop()
        self.output.close()
        self.requests.lose(reason)
        self._deadline.stop()
        self.site.channel_closed(self)
        self.places.hold(0)

    # Reading

    def dataReceived(self, data: bytes) -> None:
        """Take bytes that have arrived. They extend no time-out."""
        self._share.receive(data)

    def _read(self, data: bytes) -> None:
        if self._phase in ("closing", "over"):
            return
        if self._phase == "new" and not self.places.hold(1):
            self._fail(ErrorCodes.ENHANCE_YOUR_CALM, TOO_MANY_CONNECTIONS, 503)
            return
        self.output.cork()
        try:
            frames = self._scanner.feed(data)
            if frames:
                received = self._h2.receive_data(frames)
                self._h2.bound_table()
                self.requests.handle(received)
        except FloodError as flood:
            self._fail(flood.code, flood.reason)
        except ProtocolError:
            self._fail(ErrorCodes.PROTOCOL_ERROR, "a malformed HTTP/2 frame")
        finally:
            self.output.uncork()
        self._look_around()

    def _look_around(self) -> None:
        """Close the connection, or set its time limit, by what was read."""
        if self._leaving and not self.requests.streams:
            self._close()
        elif self._phase in ("new", "idle") and not self._scanner.is_between:
            self._expect("head", self.site.limits.header_timeout)
        elif self._phase == "head" and self._scanner.is_between:
            # It was no request, so it does not extend the time for one.
            self._expect("idle", max(0.0, self._idle_until - self.site.seconds()))

    def busy(self) -> None:
        """A request has arrived. No time-out of the connection runs while it is being answered."""
        self._phase = "busy"
        self._deadline.clear()
        self._share.begin()

    def report(self, reason: str, status: int = 400) -> None:
        """Record something that was refused before it was a whole request."""
        self.site.refused(self.peer, reason, status)

    # Answering

    def stream_over(self, stream_id: int) -> None:
        """A stream has ended."""
        self.requests.stream_over(stream_id)
        if self._phase == "busy" and not self.requests.streams:
            self._expect("idle", self.site.limits.idle)
            if self._leaving:
                self._close()

    def pauseProducing(self) -> None:
        """The transport is full."""
        self.output.pause()

    def resumeProducing(self) -> None:
        """The transport is empty."""
        self.output.resume()

    def stopProducing(self) -> None:
        """The transport is gone. :meth:`connectionLost` follows."""
        self.output.close()

    # Closing

    def close_if_idle(self) -> None:
        """Accept no further request, and close the connection after the present answers."""
        if self._phase in ("closing", "over"):
            return
        self._leaving = True
        self.requests.refuse_further()
        self.output.write(self._h2.goodbye())
        if not self.requests.streams:
            self._close()

    def abort(self) -> None:
        """Cut the connection: the peer sees a reset, or at least no clean end."""
        if self._phase == "over":
            return
        self._phase = "closing"
        transport: Any = self.transport
        self._unregister()
        transport.abortConnection()

    def _opened(self, stream_id: int, increment: int) -> bool:
        """The client has opened a window, of one stream or of the connection."""
        taken = self._h2.open_window(stream_id, increment)
        if taken:
            self.requests.takes_more(stream_id)
        return taken

    def _peer_leaves(self) -> None:
        self._leaving = True

    def _fail(self, code: int, reason: str, status: int = 400) -> None:
        """Tell the client why, and end all requests and the connection."""
        self._phase = "closing"
        self.report(reason, status)
        self.requests.lose(Failure(ConnectionAborted()), reason)
        self._h2.fail(code)
        self._close()

    def _close(self) -> None:
        """Close when all that was written has been sent; cut if that takes too long.

        At a stop the peer's end of TLS (RFC 8446, 6.1) is not awaited: it might never come.
        """
        transport: Any = self.transport
        self.output.push()
        self._last_bytes = LastBytes(lambda: unsent_bytes(transport))
        self._expect("closing", CLOSE_TIMEOUT)
        self._unregister()
        transport.loseConnection()
        if self.site.draining:
            stream_below(transport).loseConnection()

    def _unregister(self) -> None:
        """Unregister the producer: TLS closes no connection that has one."""
        if self._registered:
            self._registered = False
            transport: Any = self.transport
            transport.unregisterProducer()

    def _expect(self, phase: str, seconds: float) -> None:
        """Enter a phase, with its time limit."""
        if phase in ("new", "idle"):
            self._idle_until = self.site.seconds() + seconds
        self._phase = phase
        self._deadline.set(seconds)

    def _too_late(self) -> None:
        if self._phase != "closing":
            self.output.write(self._h2.goodbye())
            self._close()
        elif self._last_bytes is not None and self._last_bytes.are_taken():
            self._expect("closing", CLOSE_TIMEOUT)
        else:
            self.abort()
