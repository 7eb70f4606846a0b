"""The breaker in the chain: right above the plain agent, so that it sees every real request."""

from collections.abc import Callable
from http import HTTPStatus

from twisted.internet.defer import CancelledError
from zope.interface import implementer

from regcache.errors import UpstreamFailure, UpstreamResting
from regcache.upstream.breaker import Breaker
from regcache.upstream.exchange import Answer, IExchangeAgent, UpstreamRequest
from regcache.upstream.urls import Origin


def resting(upstream: str, seconds: int) -> UpstreamResting:
    """The failure that stands for an open breaker."""
    return UpstreamResting(upstream, "too many failures in a row", retry_after=seconds)


def is_ill(status: int) -> bool:
    """Whether a status says that the upstream is ill; 501 says what it does not do (RFC 9110)."""
    return status >= 500 and status != HTTPStatus.NOT_IMPLEMENTED


@implementer(IExchangeAgent)
class GuardedAgent:
    """Counts what the upstream's own origin does; a redirect target's failures are its own."""

    def __init__(self, upstream: str, own: Origin, inner: IExchangeAgent, breaker: Breaker) -> None:
        self._upstream = upstream
        self._own = own
        self._inner = inner
        self._breaker = breaker

    async def send(self, request: UpstreamRequest) -> Answer:
        """Send a request unless the breaker is open."""
        if request.url.origin != self._own:
            elsewhere: Answer = await self._inner.send(request)
            return elsewhere
        seconds = self._breaker.admit()
        if seconds is not None:
            raise resting(self._upstream, seconds)
        settle: Callable[[], None] = self._breaker.abandoned
        try:
            answer: Answer = await self._inner.send(request)
            settle = self._breaker.failed if is_ill(answer.status) else self._breaker.succeeded
        except CancelledError:
            raise
        except UpstreamFailure as failure:
            settle = self._breaker.failed if failure.ill else self._breaker.succeeded
            raise
        finally:
            settle()
        return answer
