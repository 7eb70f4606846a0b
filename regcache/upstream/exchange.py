"""One request to an upstream and its answer, as the agents of the chain hand them on."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from twisted.internet.interfaces import IProtocol
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface import Interface

from regcache.seam.abort import abort_response
from regcache.upstream.urls import Url


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What is to be sent. Its headers are sent to every hop, so none of them is secret.

    :ivar repository: the scope under which challenges are learnt.
    :ivar anonymous: do without the configured credentials.
    :ivar authorization: for this one hop only; secret, so it never shows in a repr.
    """

    method: bytes
    url: Url
    headers: tuple[tuple[str, str], ...] = ()
    repository: str = ""
    anonymous: bool = False
    authorization: str = field(default="", repr=False)

    def to(self, url: Url) -> "UpstreamRequest":
        """The same request for the next hop, without authorisation."""
        return replace(self, url=url, authorization="")

    def authorised(self, authorization: str) -> "UpstreamRequest":
        """The same request with an Authorization header."""
        return replace(self, authorization=authorization)


class Answer:
    """An answer whose headers have arrived and whose body waits.

    Whoever gets one must either :meth:`deliver` the body and call :meth:`finish` at its end,
    or :meth:`abort`: until then it holds a connection, and a place among the transfers.

    :ivar url: the URL that gave it, after redirects.
    :ivar credentials: fingerprint of the credentials that were used, "" for none.
    :ivar foreign: it comes from a redirect target outside the upstream's own origin.
    """

    def __init__(self, response: IResponse, url: Url) -> None:
        self._response = response
        self._finalizers: list[Callable[[], None]] = []
        self._finished = False
        self.url = url
        self.credentials = ""
        self.foreign = False
        self.status: int = response.code
        self.headers: Headers = response.headers

    @property
    def length(self) -> int | None:
        """Bytes of the body as announced; None where nothing was."""
        return None if self._response.length is UNKNOWN_LENGTH else int(self._response.length)

    def on_finish(self, finalizer: Callable[[], None]) -> None:
        """Have something called once, when the body has ended or was aborted."""
        if self._finished:
            finalizer()
        else:
            self._finalizers.append(finalizer)

    def deliver(self, protocol: IProtocol) -> None:
        """Begin to deliver the body to a protocol, which calls :meth:`finish` at its end."""
        self._response.deliverBody(protocol)

    def finish(self) -> None:
        """Say that the body has ended. Idempotent."""
        self._finished = True
        finalizers, self._finalizers = self._finalizers, []
        for finalizer in finalizers:
            finalizer()

    def abort(self) -> None:
        """Close the connection unless the body has arrived whole. Idempotent."""
        abort_response(self._response)
        self.finish()


class IExchangeAgent(Interface):
    """One link of the chain of agents."""

    async def send(request: UpstreamRequest) -> Answer:  # noqa: N805
        """Send a request; returns when the headers of the answer have arrived.

        A coroutine, so that a chain of them costs one Deferred and not one per link.
        Cancelling what waits for it closes what was opened, and raises CancelledError.

        :raises UpstreamFailure: and nothing else.
        """
