"""One request to an upstream and its answer, as the agents of a chain pass them on."""

from collections.abc import Callable
from dataclasses import KW_ONLY, field, replace
from enum import Enum

from twisted.internet.interfaces import IProtocol
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface import Interface

from regcache.light_dataclass import dataclass
from regcache.seam.abort import abort_response
from regcache.seam.lent_connection import LentConnection
from regcache.upstream.places import Place
from regcache.upstream.rate_limits import Limited
from regcache.upstream.urls import Url


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request to send. Its headers are sent to every hop, so none of them may be secret.

    :ivar repository: the scope for which challenges are remembered.
    :ivar anonymous: whether to ask without the configured credentials.
    :ivar what: the kind of content, each of which has a rate limit of its own.
    :ivar authorization: for this one hop only; secret, so it never shows in a repr.
    """

    method: bytes
    url: Url
    headers: tuple[tuple[str, str], ...] = ()
    _: KW_ONLY
    repository: str = ""
    anonymous: bool = False
    what: Limited = Limited.MANIFESTS
    authorization: str = field(default="", repr=False)

    def to(self, url: Url) -> "UpstreamRequest":
        """The same request for the next hop, without authorisation."""
        return replace(self, url=url, authorization="")

    def authorised(self, authorization: str) -> "UpstreamRequest":
        """The same request with an Authorization header."""
        return UpstreamRequest(
            self.method,
            self.url,
            self.headers,
            repository=self.repository,
            anonymous=self.anonymous,
            what=self.what,
            authorization=authorization,
        )


class BodyEnd(Enum):
    """How the body of an answer ended."""

    WHOLE = "it came whole, as far as HTTP says"
    GIVEN_UP = "nobody wanted the rest"
    BROKEN = "the connection broke off"
    TIMED_OUT = "too little came in its time"


class Answer:
    """An answer whose headers have arrived, and whose body waits.

    The caller must either :meth:`deliver` the body and call :meth:`finish` at its end, or
    :meth:`abort` it. Until then it keeps a connection, and a place among the transfers.

    :ivar url: the URL that gave it, after redirects.
    :ivar credentials: fingerprint of the credentials that were used, "" for none.
    :ivar foreign: it comes from a redirect target outside the upstream's own origin.
    :ivar place: what it holds among the exchanges, if anything.

    :param read_little: has the rest of the body read in small pieces.
    :param lend: lends the connection to a thread, where that is possible.
    """

    def __init__(
        self,
        response: IResponse,
        url: Url,
        read_little: Callable[[], None] = lambda: None,
        lend: Callable[[], LentConnection | None] = lambda: None,
    ) -> None:
        self._response = response
        self._read_little = read_little
        self._lend = lend
        self._finalizers: list[Callable[[BodyEnd], None]] = []
        self._end: BodyEnd | None = None
        self.url = url
        self.credentials = ""
        self.foreign = False
        self.place: Place | None = None
        self.status: int = response.code
        self.headers: Headers = response.headers

    @property
    def length(self) -> int | None:
        """The announced length of the body (bytes); None if it is not announced."""
        return None if self._response.length is UNKNOWN_LENGTH else int(self._response.length)

    def on_finish(self, finalizer: Callable[[BodyEnd], None]) -> None:
        """Call something, once, when the body has ended or was aborted."""
        if self._end is not None:
            finalizer(self._end)
        else:
            self._finalizers.append(finalizer)

    def read_little(self) -> None:
        """Read the rest in small pieces, since each may wait in memory for long."""
        if self._end is None:
            self._read_little()

    def lend(self) -> LentConnection | None:
        """Lend its connection to a thread. The body has to be paused, and have a length."""
        return None if self._end is not None else self._lend()

    def deliver(self, protocol: IProtocol) -> None:
        """Begin to deliver the body to a protocol, which calls :meth:`finish` at its end."""
        self._response.deliverBody(protocol)

    def finish(self, end: BodyEnd = BodyEnd.WHOLE) -> None:
        """Say how the body has ended. Idempotent: only the first call counts."""
        self._end = self._end or end
        finalizers, self._finalizers = self._finalizers, []
        for finalizer in finalizers:
            finalizer(self._end)

    def abort(self, end: BodyEnd = BodyEnd.GIVEN_UP) -> None:
        """Close the connection, unless the body is complete. Idempotent."""
        abort_response(self._response)
        self.finish(end)


class IExchangeAgent(Interface):
    """One link of the chain of agents."""

    async def send(request: UpstreamRequest) -> Answer:  # noqa: N805
        """Send a request; returns when the headers of the answer have arrived.

        A coroutine, so that a whole chain needs only one Deferred. If that is cancelled, what was
        opened is closed, and CancelledError is raised.

        :raises UpstreamFailure: and nothing else.
        """
