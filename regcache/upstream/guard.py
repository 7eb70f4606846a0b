"""The breakers in the chain of agents, at the place where they see every request to a host."""

from collections.abc import Callable
from http import HTTPStatus

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from regcache.bounded import BoundedTable
from regcache.errors import (
    UpstreamFailure,
    UpstreamNotTried,
    UpstreamResting,
    UpstreamServerError,
)
from regcache.upstream.breaker import AskedFor, Attempt, Breaker, FailureScope
from regcache.upstream.exchange import Answer, BodyEnd, IExchangeAgent, UpstreamRequest
from regcache.upstream.urls import Origin

#: How many redirect targets of one URL have a breaker: upstreams choose their names.
MOST_HOSTS = 64
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def is_ill(status: int) -> bool:
    """Whether a status means that the upstream fails. 501 does not (RFC 9110, 15.6.2)."""
    return status >= 500 and status != HTTPStatus.NOT_IMPLEMENTED


def asked_for(request: UpstreamRequest) -> AskedFor:
    """What a request asks for."""
    return AskedFor(request.repository, request.url.path)


def resting(upstream: str, seconds: int) -> UpstreamResting:
    """The failure of a request that an open breaker refuses."""
    return UpstreamResting(upstream, "too many failures in a row", retry_after=seconds)


class Breakers:
    """The breaker of a URL's own origin, and one for each host that it redirects to.

    :param make: makes the breaker of an origin.
    :ivar own: the one of the URL's own origin.
    """

    def __init__(self, own: Origin, make: Callable[[Origin], Breaker]) -> None:
        self._origin = own
        self._make = make
        self._others: BoundedTable[Origin, Breaker] = BoundedTable(MOST_HOSTS)
        self.own = make(own)

    def __len__(self) -> int:
        """How many there are of redirect targets."""
        return len(self._others)

    def of(self, origin: Origin) -> Breaker:
        """The breaker of an origin."""
        if origin == self._origin:
            return self.own
        found = self._others.get(origin)
        if found is None:
            found = self._make(origin)
            self._others.put(origin, found)
        return found


@implementer(IExchangeAgent)
class GuardedAgent:
    """Does not ask hosts that failed too often. Failures count for each host separately.

    :param patience: a request that is given up after so long without an answer counts as a failure
        (seconds).
    """

    def __init__(
        self,
        upstream: str,
        inner: IExchangeAgent,
        breakers: Breakers,
        *,
        clock: IReactorTime,
        patience: float,
    ) -> None:
        self._upstream = upstream
        self._inner = inner
        self._breakers = breakers
        self._clock = clock
        self._patience = patience

    async def send(self, request: UpstreamRequest) -> Answer:
        """Send a request unless the breaker of its host is open."""
        breaker = self._breakers.of(request.url.origin)
        attempt = breaker.admit(asked_for(request))
        if isinstance(attempt, int):
            raise resting(self._upstream, attempt)
        begun = self._clock.seconds()
        try:
            answer: Answer = await self._inner.send(request)
        except UpstreamFailure as failure:
            _fail(attempt, failure)
            raise
        except BaseException:
            if self._clock.seconds() - begun >= self._patience:
                attempt.failed(FailureScope.REFERENCE)
            else:
                attempt.abandoned()
            raise
        _judge(attempt, answer, foreign=breaker is not self._breakers.own)
        return answer


def _fail(attempt: Attempt, failure: UpstreamFailure) -> None:
    if isinstance(failure, UpstreamNotTried):
        attempt.abandoned()
    elif not failure.ill:
        attempt.succeeded()
    elif not failure.reached:
        attempt.failed(FailureScope.HOST)
    else:
        answered = isinstance(failure, UpstreamServerError)
        attempt.failed(FailureScope.REPOSITORY if answered else FailureScope.REFERENCE)


def _judge(attempt: Attempt, answer: Answer, foreign: bool) -> None:
    """Count refusals of redirect targets as failures: their URLs are signed for some minutes."""
    if is_ill(answer.status) or (foreign and answer.status in _REFUSED):
        attempt.failed(FailureScope.REPOSITORY)
        return

    def ended(end: BodyEnd) -> None:
        if end is BodyEnd.WHOLE:
            attempt.succeeded()
        elif end is BodyEnd.GIVEN_UP:
            attempt.abandoned()
        else:
            attempt.failed(FailureScope.REFERENCE)

    attempt.answered()
    answer.on_finish(ended)
