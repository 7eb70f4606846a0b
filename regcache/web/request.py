"""One request of a client. It is checked, dispatched, and recorded exactly once."""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol, runtime_checkable

from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import NO_BODY_CODES, UNAUTHORIZED

from regcache.access.credentials import ClientCertificate
from regcache.errors import RegistryError, UnsupportedError
from regcache.seam.server_request import ServerRequest
from regcache.web.admission import text_key
from regcache.web.body_producer import BodyProducer
from regcache.web.error_answers import BadRequestError, BodyTooLargeError, LateAnswerError
from regcache.web.forwarded import Forwarded
from regcache.web.header_block import HeaderBlock
from regcache.web.pacing.pacing import Allowance
from regcache.web.problem_details import send_refusal
from regcache.web.records import (
    CLIENT_LEFT,
    LEFT,
    RequestFacts,
    RequestRecord,
    agent_of,
    describe_peer,
    next_serial,
    told_path,
)
from regcache.web.request_target import checked_host, origin_form
from regcache.web.site import Site

#: Larger bodies are written in pieces, as the client takes them (bytes).
LARGEST_WHOLE = 64 * 1024

_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}

PUSH_METHODS = frozenset({b"PUT", b"POST", b"PATCH"})


@runtime_checkable
class AnswerChannel(Protocol):
    """What carries the answer to a request: a connection of HTTP/1.1, or a stream of HTTP/2.

    :ivar site: the site that the request belongs to.
    """

    @property
    def site(self) -> Site:
        """The site that the request belongs to."""

    @property
    def is_full(self) -> bool:
        """Whether what is written now would have to wait."""

    @property
    def own_stream(self) -> Any:
        """The transport, if it carries only this answer now; None if it is shared."""

    @property
    def client_certificate(self) -> ClientCertificate | None:
        """The certificate that the client has shown; None without one."""

    def unsent_bytes(self) -> int | None:
        """A value that changes while the client takes something; None if that is not known."""

    def write_whole(self, request: "Request", blocks: Sequence[HeaderBlock], body: bytes) -> None:
        """Write a whole answer.

        :param blocks: header fields besides those of ``responseHeaders``.
        """

    def close_after(self, request: "Request") -> None:
        """Take no further request behind this one, which another server may read differently."""

    def abort(self) -> None:
        """Cut it, so that the client cannot take a part for the whole."""


class ConnectedRequest(ServerRequest):
    """A request, and what is known of it by the connection that it came on."""

    channel: AnswerChannel | None  # type: ignore[assignment]
    site: Site
    #: What a trusted proxy says of the client; None where there is none.
    forwarded: Forwarded | None = None

    @property
    def is_distribution(self) -> bool:
        """Whether the target is one of the distribution API."""
        return self.path.startswith(b"/v2/") or self.path == b"/v2"

    @property
    def peer_address(self) -> str | None:
        """The address of the client itself; None if it has none, as on a unix socket."""
        if self.forwarded is not None:
            return self.forwarded.address
        host = getattr(self.client, "host", None)
        return host if isinstance(host, str) else None

    @property
    def peer_name(self) -> str:
        """The client's address for logs."""
        return describe_peer(self.client) if self.forwarded is None else self.forwarded.address

    @property
    def scheme(self) -> str:
        """By which the client came: ``http`` or ``https``."""
        said = None if self.forwarded is None else self.forwarded.scheme
        return said or ("https" if self.isSecure() else "http")

    @property
    def client_certificate(self) -> ClientCertificate | None:
        """The certificate that the client has shown; None without one."""
        return None if self.channel is None else self.channel.client_certificate

    def field_lines(self, name: bytes) -> list[str]:
        """All lines of a field of the request, in the order they came.

        They are read as Latin-1, since a client may send any byte in them (RFC 9110, 5.5).
        """
        lines = self.requestHeaders.getRawHeaders(name)
        return [line.decode("latin-1") for line in lines] if lines else []

    @property
    def is_full(self) -> bool:
        """Whether what is written now would have to wait."""
        return self.channel is not None and self.channel.is_full

    @property
    def own_stream(self) -> Any:
        """The transport, if it carries only this answer now; None if it is shared."""
        return None if self.channel is None else self.channel.own_stream

    def unsent_bytes(self) -> int | None:
        """A value that changes while the client takes something; None if that is not known."""
        return None if self.channel is None else self.channel.unsent_bytes()


class Request(ConnectedRequest):
    """A request, as the dispatcher of a :class:`~regcache.web.site.Site` gets it.

    :ivar facts: what handlers find out about it, for the access log and the metrics.
    :ivar hostname: the Host without its port, normalised, and without the label of a seat; None
        if there was none.
    :ivar seat_label: the label of a seat in the Host; "" without one.
    :ivar body_refused: the body was too large and is not read.
    :ivar serial: its number among the requests of this process.
    :ivar first_byte_at: when the headers of the answer were written (clock seconds), or None.
    """

    # Python keeps up to 30 other attributes without a table for each request: 0.8 of 22.8 µs.
    __slots__ = ("_aborted", "_due", "_received", "_recorded", "_work", "facts", "serial", "site")
    _logger = Logger()

    def __init__(self, channel: AnswerChannel, queued: object = False) -> None:
        super().__init__(channel, queued)  # type: ignore[arg-type]
        self.site = channel.site
        self.facts = RequestFacts()
        self.hostname: str | None = None
        self.seat_label = ""
        self.body_refused = False
        self.serial = 0
        self.arrived_at = 0.0
        self.first_byte_at: float | None = None
        self._aborted = False
        self._received = False
        self._recorded = False
        self._work: Deferred[Any] | None = None
        self._due: IDelayedCall | None = None

    @property
    def gone(self) -> bool:
        """Whether the client can get nothing any more."""
        return self.is_disconnected or self._aborted

    @property
    def over(self) -> bool:
        """Whether the answer is complete, or the client has left."""
        return self.gone or bool(self.finished)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The whole request has arrived. Neither forms nor arguments are parsed here."""
        self.args = {}
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        self._received = True
        self.serial = next_serial()
        self.arrived_at = self.site.seconds()
        proxies = self.site.proxies()
        if proxies.exist:
            self.forwarded = proxies.read(self.peer_address, self.requestHeaders)
        self.site.active_requests.add(self)
        self.process()

    def process(self) -> None:
        """Hand the request to the dispatcher. A failure there becomes an answer."""
        try:
            result = self._dispatch()
        except Exception:  # noqa: BLE001 - every failure becomes an answer
            result = fail()
        if result is None:
            return  # answered, or it will be by other code
        work = self._work = maybeDeferred(lambda: result)
        seconds = self.site.limits.first_answer
        self._due = self.site.reactor.callLater(seconds, self._answer_is_due)
        work.addErrback(self._answer_failure)
        work.addErrback(self._log_failure, "an answer to a failure failed")
        work.addBoth(self._answer_is_done)

    def _dispatch(self) -> Any:
        lines = self.requestHeaders.getRawHeaders(b"Host", [])
        host = self.hostname = checked_host(lines, self.clientproto)
        if host is not None:
            self.facts.host = self.site.shown_host(host)
        if self.forwarded is not None:
            self.site.count_forwarded(self, self.forwarded.address)
        if self.uri[:1] != b"/":
            self.uri = origin_form(self.uri, lines)
            self.path = self.uri.partition(b"?")[0]
        if self.body_refused:
            raise self._body_refusal()
        return self.site.dispatch(self)

    def send_whole(self, blocks: Sequence[HeaderBlock], body: bytes) -> None:
        """Answer with a body from memory; to HEAD with the headers alone.

        That ends the request. If the body is large the request ends when the client has taken it.

        :param blocks: header fields besides those that are set; one of them is Content-Length.
        """
        if self.over:
            return
        if self.method == b"HEAD" or self.code in NO_BODY_CODES:
            body = b""
        assert self.channel is not None
        if len(body) <= LARGEST_WHOLE and _may_send_whole(self, len(body)):
            self.answered_elsewhere(len(body))
            self.channel.write_whole(self, blocks, body)
            self.finish()
            return
        for name, value in (field for block in blocks for field in block.fields):
            self.responseHeaders.addRawHeader(name, value)
        self.write(b"")
        stall = self.site.limits.stall
        allowance = open_allowance(self, is_download=False)
        BodyProducer(self, body, self.site.reactor, stall, allowance=allowance).start()

    def _body_refusal(self) -> RegistryError:
        if self.is_distribution and self.method in PUSH_METHODS:
            return UnsupportedError("pushing is not supported: this is a pull-through cache")
        return BodyTooLargeError("the request body is too large, or has no stated length")

    def _answer_failure(self, failure: Failure) -> None:
        """Answer with an error; if an answer has begun already, abort it."""
        if self.over and failure.check(CancelledError):
            return
        error = self.site.errors.error_for(failure, self.facts.kind)
        if self.over:
            return
        if isinstance(error, BadRequestError) and self.channel is not None:
            self.channel.close_after(self)
        if self.is_answering:
            self.abort(error.message)
        else:
            send_refusal(self, error)

    def _answer_is_due(self) -> None:
        """Answer that it takes too long. The work for it goes on; other requests may join it."""
        self._due = None
        work = self._work
        if work is not None and not self.over and not self.is_answering:
            send_refusal(self, LateAnswerError(self.facts.upstream))
            work.cancel()

    def _answer_is_done(self, _: Any = None) -> None:
        due, self._due = self._due, None
        if due is not None:
            due.cancel()

    def _log_failure(self, failure: Failure, message: str) -> None:
        self._logger.failure("{what}", failure=failure, what=message)

    def abort(self, reason: str) -> None:
        """Cut the connection, so that the client cannot take a part for the whole. Idempotent.

        :param reason: for the access log.
        """
        if self.gone:
            return
        if not self.facts.ended_early:
            self.facts.ended_early = reason
        self._aborted = True
        if not self.finished and self.channel is not None:
            self.channel.abort()

    def connectionLost(self, reason: Failure) -> None:
        """The client has left: cancel the work for this request, and record its end."""
        super().connectionLost(reason)
        if not self.facts.ended_early:
            self.facts.ended_early = LEFT
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
        self.record()

    def record(self) -> None:
        """Hand the record to the recorders; once, however the request ended."""
        if self._recorded or not self._received:
            return
        self._recorded = True
        self._work = None
        if self._due is not None:
            self._answer_is_done()
        self.site.request_ended(self, record_of(self, self.site.seconds()))


def open_allowance(request: Request, *, is_download: bool) -> Allowance | None:
    """What the body of an answer may send; None where nothing limits it.

    :param is_download: it is the body of a blob.
    """
    pacing = request.site.pacing
    if pacing is None:
        return None
    return pacing.open(payer_of(request), request.facts.limits, is_download=is_download)


def _may_send_whole(request: Request, count: int) -> bool:
    """Whether a small answer may be sent at once, without an allowance."""
    pacing, limits = request.site.pacing, request.facts.limits
    if pacing is None or not count or not pacing.applies(limits):
        return True
    return pacing.passes(payer_of(request), limits, count)


def payer_of(request: Request) -> Hashable:
    """Who shares what may be sent with others: an account, or an anonymous address."""
    address = request.peer_address
    return request.facts.account or (address if address is None else text_key(address),)


def asked_by(request: Request) -> str:
    """Who asks: the account, else the client's address."""
    return request.facts.account or request.peer_name


def record_of(request: Request, now: float, *, is_open: bool = False) -> RequestRecord:
    """What is known of a request at a time (clock seconds); ``is_open``: it goes on."""
    facts, begun, method = request.facts, request.first_byte_at, request.method
    status = CLIENT_LEFT if begun is None else int(request.code)
    # In the order of the fields: by their names it would take three times as long.
    return RequestRecord._make(
        (
            _METHODS.get(method) or method.decode("ascii", "replace"),
            facts.reference,
            facts.cache_status,
            max(0.0, now - request.arrived_at),  # the clock may have been set back
            None if begun is None else max(0.0, begun - request.arrived_at),
            0 if method == b"HEAD" else request.body_bytes_sent,
            facts.kind,
            request.peer_name,
            facts.account,
            facts.upstream,
            facts.repository,
            facts.outcome or ("none" if status < 400 else "error"),
            status,
            facts.ended_early,
            request.is_distribution,
            status != UNAUTHORIZED or bool(request.field_lines(b"authorization")),
            facts.is_pull and not facts.ended_early,
            facts.timings,
            facts.flow,
            request.arrived_at,
            facts.error,
            facts.host,
            told_path(request.path),
            request.site.name,
            facts.principal,
            request.serial,
            agent_of(request.requestHeaders),
            facts.digest,
            facts.cause,
            is_open,
            None,
        )
    )


Dispatch = Callable[[Request], Any]
"""What a site does with a request: answers it, now or later.

It may return a Deferred or coroutine, which is cancelled when the client leaves. Its result
does not matter; its failure becomes the answer. It does not end the request by itself.
"""
