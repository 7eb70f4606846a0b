"""What the connections of one listener share: a dispatcher, limits, and recorders."""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.web import http

from regcache.errors import ServiceUnavailableError
from regcache.light_dataclass import dataclass
from regcache.web.admission import Admission, text_key
from regcache.web.error_answers import ErrorAnswers
from regcache.web.forwarded import TrustedProxies
from regcache.web.header_block import HeaderBlock
from regcache.web.pacing.pacing import Pacing
from regcache.web.records import Recorder, RequestRecord, refused_record
from regcache.web.refused_certificates import RefusedCertificates


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may cost.

    :ivar header_timeout: seconds from the first byte of a request to its last, and for a new
        connection to its first request.
    :ivar idle: seconds between requests.
    :ivar body: bytes of a request body; a longer one is refused unread.
    :ivar stall: seconds after which a client that takes nothing of a large answer is cut off.
    :ivar first_answer: seconds from a whole request to the head of its answer.
    """

    header_timeout: float = 30.0
    idle: float = 75.0
    _: KW_ONLY
    body: int = 65536
    stall: float = 60.0
    first_answer: float = 25.0


class Connection(Protocol):
    """What a site can do with each of its connections."""

    def close_if_idle(self) -> None:
        """Close it: now, or after its present answers."""

    def abort(self) -> None:
        """Cut it."""


class Site(http.HTTPFactory):
    """What all connections of a listener share, over HTTP/1.1 and HTTP/2.

    It does not decide about ALPN: Twisted's own factory would offer h2 whenever the library can be
    imported. :mod:`regcache.tls` decides what ALPN offers.

    :ivar name: what the log calls the listener.
    :ivar dispatch: gets every request, of any method; see :data:`regcache.web.request.Dispatch`.
    :ivar shown_host: gives a host as it may be told, without the whole label of a seat.
    :ivar active_requests: requests that have arrived whole and have not ended.
    :ivar channels: the open connections.
    :ivar refused_certificates: tells of those of clients.
    :ivar errors: finds the answers for exceptions of dispatchers.
    :ivar draining: whether connections are closed after their present answer.
    """

    noisy = False

    def __init__(
        self,
        dispatch: Callable[..., Any],
        clock: IReactorTime,
        *,
        recorders: Sequence[Recorder] = (),
        limits: ConnectionLimits | None = None,
        hsts: str | None = None,
        admission: Admission | None = None,
        proxies: Callable[[], TrustedProxies] = TrustedProxies,
        pacing: Pacing | None = None,
        name: str = "",
        shown_host: Callable[[str], str] = lambda host: host,
    ) -> None:
        """
        :param name: what the log calls the listener.
        :param admission: counts the connections, with those of other sites; None: no limit.
        :param pacing: says how fast answers may be sent; None: as fast as clients take them.
        :param hsts: value of Strict-Transport-Security; sent over TLS only.
        :param proxies: gives those that are believed now.
        """
        super().__init__(timeout=None, reactor=clock)  # type: ignore[arg-type]
        self.dispatch = dispatch
        self.name = name
        self.limits = limits or ConnectionLimits()
        self.hsts = hsts or ""
        self.active_requests: set[http.Request] = set()
        self.channels: set[Connection] = set()
        self.admission = admission
        self.proxies = proxies
        self.shown_host = shown_host
        self._forwarded: dict[http.Request, str] = {}
        self.pacing = pacing
        self.draining = False
        self.errors = ErrorAnswers(clock)
        self.refused_certificates = RefusedCertificates(clock)
        self._recorders = _methods(recorders)
        self._waiting: list[Deferred[None]] = []
        self._second = -1
        self._standard: dict[tuple[bool, bool], HeaderBlock] = {}

    def follow(self, limits: ConnectionLimits) -> None:
        """Bound what connections cost by this from now on."""
        self.limits = limits

    def startFactory(self) -> None:
        """Nothing to do: Twisted's access log, and its timer, are not used."""

    def stopFactory(self) -> None:
        """Nothing to do."""

    def log(self, request: Any) -> None:
        """Called by Twisted for each finished request."""
        request.record()

    def seconds(self) -> float:
        """The time, by the clock of this site."""
        return self.reactor.seconds()

    def standard_block(self, secure: bool, distribution: bool) -> HeaderBlock:
        """The headers of every answer.

        :param secure: over TLS.
        :param distribution: to a target of the distribution API.
        """
        second = int(self.seconds())
        if second != self._second:
            self._second = second
            self._standard = {}
        block = self._standard.get((secure, distribution))
        if block is None:
            block = self._standard[secure, distribution] = HeaderBlock(
                self._standard_fields(second, secure, distribution)
            )
        return block

    def _standard_fields(
        self, second: int, secure: bool, distribution: bool
    ) -> Iterator[tuple[str, str]]:
        yield "Server", "regcache"
        yield "Date", http.datetimeToString(second).decode("ascii")
        yield "X-Content-Type-Options", "nosniff"
        if self.hsts and secure:
            yield "Strict-Transport-Security", self.hsts
        if distribution:
            yield "Docker-Distribution-Api-Version", "registry/2.0"

    def count_forwarded(self, request: http.Request, address: str) -> None:
        """Count a request that came through a proxy for its client, until it has ended.

        :raises ServiceUnavailableError: if there are too many of that client.
        """
        own = self.proxies().client_address(address)
        if self.admission is not None and own is not None:
            key = text_key(own)
            if not self.admission.enter_request(key):
                raise ServiceUnavailableError(
                    "too many requests at once from this address", headers={"Retry-After": "1"}
                )
            self._forwarded[request] = key

    def request_ended(self, request: http.Request, record: RequestRecord) -> None:
        """Called once for each request, however it ended."""
        self.active_requests.discard(request)
        key = self._forwarded.pop(request, None)
        if key is not None and self.admission is not None:
            self.admission.leave_request(key)
        for recorder in self._recorders:
            recorder(record)
        self._tell_if_idle()

    def refused(self, peer: IAddress | None, reason: str, status: int = 400) -> None:
        """Called for something that was refused before it was a whole request."""
        record = refused_record(peer, reason, status, listener=self.name, now=self.seconds())
        for recorder in self._recorders:
            recorder(record)

    def drain(self) -> None:
        """Close idle connections now, and every other one after its present answer."""
        self.draining = True
        for channel in list(self.channels):
            channel.close_if_idle()

    def when_idle(self) -> "Deferred[None]":
        """Fires when no request is active; at once if none is. May be cancelled.

        While draining it waits for the connections to close as well, since the end of an answer
        may still have to be sent.
        """
        waiting: Deferred[None] = Deferred(self._forget)
        self._waiting.append(waiting)
        self._tell_if_idle()
        return waiting

    def channel_closed(self, channel: Connection) -> None:
        """A connection has ended."""
        self.channels.discard(channel)
        self._tell_if_idle()

    def abort_all(self) -> None:
        """Cut every connection."""
        for channel in list(self.channels):
            channel.abort()

    def _forget(self, waiting: "Deferred[None]") -> None:
        self._waiting.remove(waiting)

    def _tell_if_idle(self) -> None:
        if self._waiting and not self.active_requests and not (self.draining and self.channels):
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)


def _methods(recorders: Sequence[Recorder]) -> list[Recorder]:
    """What calls these: Python calls a method in a third of the time that an object takes."""
    return [each.__call__ for each in recorders]  # type: ignore[operator]
