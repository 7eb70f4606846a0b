"""Limits the number of exchanges with one URL at a time, and the time until an answer."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from regcache.errors import UpstreamTimedOut
from regcache.timings import QUEUE, measured
from regcache.upstream.deadlines import within
from regcache.upstream.exchange import Answer, IExchangeAgent, UpstreamRequest
from regcache.upstream.places import CrowdedError, ExchangePlaces, Place


@implementer(IExchangeAgent)
class LimitedAgent:
    """Keeps a place from before the request until the body has ended or was aborted.

    Waiting for a place does not count as waiting for the upstream, as long as anything comes from
    that: then others are getting their bodies. But if nothing came, and a request with a place got
    no answer, it counts: who waited for half of that time or longer fails, too, and others only
    get the rest of it.

    :param seconds: how long an answer may take once its request has a place, redirects and
        tokens included.
    :param heard_at: when anything came from the upstream last (clock seconds).
    """

    def __init__(
        self,
        upstream: str,
        inner: IExchangeAgent,
        places: ExchangePlaces,
        *,
        clock: IReactorTime,
        seconds: float,
        heard_at: Callable[[], float],
    ) -> None:
        self._upstream = upstream
        self._inner = inner
        self._clock = clock
        self._seconds = seconds
        self._heard_at = heard_at
        self.places = places

    async def send(self, request: UpstreamRequest) -> Answer:
        """Wait for a place, then send."""
        since = self._clock.seconds()
        seconds = self._seconds
        if not self.places.take():
            with measured(QUEUE, request.url.origin.host):
                seconds = await self._wait(since)
        place = Place(self.places)
        try:
            answer = await self._ask(request, seconds)
        except UpstreamTimedOut:
            self._timed_out(place, since)
            raise
        except BaseException:
            place.give_back()
            raise
        answer.place = place
        answer.on_finish(lambda _: place.give_back())
        return answer

    def _ask(self, request: UpstreamRequest, seconds: float) -> "Deferred[Answer]":
        sent: Deferred[Answer] = Deferred.fromCoroutine(self._inner.send(request))
        return within(self._clock, seconds, sent, late=self._late, discard=Answer.abort)

    async def _wait(self, since: float) -> float:
        """Wait for a place. Returns how long the answer may take then (seconds)."""
        try:
            in_vain = await self.places.acquire(since)
        except CrowdedError:
            raise self._unasked("too many requests wait for it") from None
        if not in_vain:
            return self._seconds
        return min(self._seconds, since + in_vain - self._clock.seconds())

    def _timed_out(self, place: Place, since: float) -> None:
        if self._heard_at() > since:
            place.give_back()
            return
        in_vain = self._clock.seconds() - since
        reason = lambda: self._unasked("no answer within its time")  # noqa: E731
        self.places.dismiss(since + in_vain / 2, reason)
        place.give_back(in_vain)

    def _late(self) -> UpstreamTimedOut:
        return UpstreamTimedOut(self._upstream, "no answer within its time")

    def _unasked(self, reason: str) -> UpstreamTimedOut:
        failure = UpstreamTimedOut(self._upstream, reason)
        failure.asked = False
        return failure
