"""Follows redirects. Their targets may be chosen by an attacker."""

from twisted.web.http_headers import Headers
from zope.interface import implementer

from regcache.errors import UpstreamBadAnswer, UpstreamFailure
from regcache.upstream.bodies import BodyReader
from regcache.upstream.exchange import Answer, IExchangeAgent, UpstreamRequest
from regcache.upstream.fields import field_values
from regcache.upstream.urls import InvalidUrlError, Origin, Url, join_url

MOST_HOPS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@implementer(IExchangeAgent)
class RedirectingAgent:
    """Follows at most five redirects (RFC 9110, 15.4).

    A relative target is resolved against the URL that gave it. A redirect from https to http is
    refused. The next agent in the chain decides for each hop whether it gets credentials.
    """

    def __init__(
        self, upstream: str, own: Origin, inner: IExchangeAgent, reader: BodyReader
    ) -> None:
        self._upstream = upstream
        self._own = own
        self._inner = inner
        self._reader = reader

    async def send(self, request: UpstreamRequest) -> Answer:
        """Send a request and follow its redirects. Returns the last answer."""
        credentials = ""
        for _ in range(MOST_HOPS + 1):
            try:
                answer: Answer = await self._inner.send(request)
            except UpstreamFailure as failure:
                # A target that is not even asked is known to be ill: asking again mends nothing.
                failure.redirected = failure.asked and request.url.origin != self._own
                raise
            # Storage behind a redirect needs none; who led us there did.
            credentials = answer.credentials = answer.credentials or credentials
            answer.foreign = request.url.origin != self._own
            if answer.status not in _REDIRECTS:
                return answer
            target = self._target(answer, request.url)
            await self._reader.beginning(answer, 0)
            request = request.to(target)
        raise UpstreamBadAnswer(self._upstream, "it redirects too often")

    def _target(self, answer: Answer, base: Url) -> Url:
        try:
            return redirect_target(base, answer.headers)
        except InvalidUrlError as error:
            answer.abort()
            raise UpstreamBadAnswer(
                self._upstream, f"its redirect is unusable: {error}", status=answer.status
            ) from None


def redirect_target(base: Url, headers: Headers) -> Url:
    """Where a redirect leads.

    :raises InvalidUrlError: if there is no target, or two, or one that must not be followed.
    """
    locations = field_values(headers, "location")
    if len(locations) != 1:
        raise InvalidUrlError("it needs exactly one target")
    target = join_url(base, locations[0])
    if base.origin.scheme == "https" and target.origin.scheme == "http":
        raise InvalidUrlError("it leads from https to http")
    return target
