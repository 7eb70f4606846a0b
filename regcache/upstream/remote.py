"""One URL of an upstream: asks it for things, and says in our words how it refused."""

from collections.abc import Callable
from math import inf
from typing import Any, TypeVar

from twisted.internet.interfaces import IReactorTime

from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamServerError,
)
from regcache.interfaces import IUpstreamMeter
from regcache.light_dataclass import dataclass
from regcache.parsing import Parser
from regcache.upstream.answer_times import AnswerTimes
from regcache.upstream.bodies import BodyReader
from regcache.upstream.breaker import AskedFor, Breaker
from regcache.upstream.connections import Connections
from regcache.upstream.exchange import Answer, UpstreamRequest
from regcache.upstream.exchange_limits import LimitedAgent
from regcache.upstream.fields import (
    error_detail,
    is_encoded,
    only_value,
    retry_after,
)
from regcache.upstream.guard import asked_for, is_ill, resting
from regcache.upstream.login import Login
from regcache.upstream.places import ExchangePlaces
from regcache.upstream.probe import Probe
from regcache.upstream.rate_limits import RateLimitHeaders, RateLimits, still_limited
from regcache.upstream.url_record import UrlRecord
from regcache.upstream.urls import Url
from regcache.upstream_health import UrlHealth

T = TypeVar("T")

_ERROR_BYTES = 1024
_NO_HEAD_SECONDS = 3600.0
_ANYTHING = AskedFor("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The agents of one URL, and what its requests have in common.

    :ivar control: for everything but blob bodies.
    :ivar transfers: for blob bodies on their way to the disk, with places of their own.
    :ivar relays: for blob bodies at the pace of one client, with places of their own, too.
    :ivar probe: tests the URL, beside these.
    :ivar times: how fast it answers.
    """

    control: LimitedAgent
    transfers: LimitedAgent
    relays: LimitedAgent
    reader: BodyReader
    breaker: Breaker
    limits: RateLimits
    login: Login
    connections: Connections
    parser: Parser
    probe: Probe
    times: AnswerTimes


class Remote:
    """One URL of an upstream.

    :param index: its place among the upstream's URLs.
    :param base: the URL as configured; its path goes before the repository.
    :param unix_now: Unix seconds.
    :ivar record: how it answered.
    :param namespace: added to every request as ``?ns=``; "" for not.
    """

    def __init__(
        self,
        upstream: str,
        *,
        index: int,
        base: Url,
        namespace: str,
        chain: Chain,
        clock: IReactorTime,
        meter: IUpstreamMeter,
        unix_now: Callable[[], float],
    ) -> None:
        self.upstream = upstream
        self.index = index
        self.base = base
        self.chain = chain
        self._namespace = namespace
        self._meter = meter
        self._clock = clock
        self._no_head_until = -inf
        self._allowance = RateLimitHeaders(upstream, meter, clock.seconds)
        self._unix_now = unix_now
        self.record = UrlRecord(unix_now)

    @property
    def health(self) -> UrlHealth:
        """How it is, as far as is known without asking."""
        now, chain, base = self._unix_now(), self.chain, self.base
        rest = chain.breaker.refusal(_ANYTHING)
        limited = chain.limits.longest(chain.login.identity(False).fingerprint)
        return UrlHealth(
            f"{base.origin.scheme}://{base.origin.authority}{base.path}".rstrip("/"),
            asked=self.record.asked,
            breaker=chain.breaker.state.value,
            next_try=None if rest is None else now + rest,
            limited_until=None if limited is None else now + limited,
            limit=self._allowance.limit,
            remaining=self._allowance.remaining,
            failing_since=self.record.failing_since,
            last_error=self.record.last_error,
            slow=chain.times.is_slow,
        )

    @property
    def takes_head(self) -> bool:
        """Whether HEAD of a manifest is worth a try: it was not refused within the hour."""
        return self._clock.seconds() >= self._no_head_until

    def note_no_head(self) -> None:
        """HEAD was refused as such: GET is asked instead, for an hour."""
        self._no_head_until = self._clock.seconds() + _NO_HEAD_SECONDS

    def note_answer(self) -> None:
        """It answered to a question beside all others: it is up."""
        self.record.answered()
        self.chain.breaker.close()

    def note_overdue(self, repository: str, reference: str) -> None:
        """A question about a manifest has outlasted the deadline, if it is this URL's at all."""
        path = self.url(repository, f"manifests/{reference}").path
        if self.chain.breaker.overdue(path):
            self.chain.connections.drop_idle(self.base.origin)

    @property
    def relay_places(self) -> ExchangePlaces:
        """The places of bodies that go at the pace of one client."""
        return self.chain.relays.places

    def url(self, repository: str, rest: str, query: str = "") -> Url:
        """``/v2/[path of the base/]<repository>/<rest>``."""
        prefix = self.base.path.strip("/")
        path = "/".join(filter(None, ("/v2", prefix, repository, rest)))
        url = Url(self.base.origin, path, query)
        return url.with_query(f"ns={self._namespace}") if self._namespace else url

    async def ask(self, request: UpstreamRequest) -> Answer:
        """Send a control request; its answer has status 200, and is not compressed.

        :raises UpstreamFailure: for everything else.
        """
        try:
            answer = await self._send(self.chain.control, request)
            return await self._accepted(request, answer, (200,))
        except (UpstreamDenied, UpstreamNotFound, UpstreamRateLimited) as failure:
            self._hint(failure)
            raise

    async def transfer(self, request: UpstreamRequest, relayed: bool) -> Answer:
        """Send a request for a blob's body; its answer has status 200 or 206.

        :param relayed: the body goes at the pace of one client.
        :raises UpstreamFailure: for everything else.
        """
        agent = self.chain.relays if relayed else self.chain.transfers
        try:
            answer = await self._send(agent, request)
            return await self._accepted(request, answer, (200, 206))
        except (UpstreamDenied, UpstreamNotFound, UpstreamRateLimited) as failure:
            self._hint(failure)
            raise

    async def read(self, answer: Answer, limit: int) -> bytes:
        """Read a body of at most ``limit`` bytes. :raises UpstreamFailure: if it cannot be."""
        return await self.chain.reader.read(answer, limit)

    async def parse(self, size: int, parse: Callable[..., T], *arguments: Any) -> T:
        """Call ``parse(upstream, *arguments)``, in a thread if ``size`` bytes take long."""
        return await self.chain.parser.run(size, parse, self.upstream, *arguments)

    def bad_answer(self, answer: Answer, reason: str) -> UpstreamBadAnswer:
        """Close the connection of an answer; gives the failure to raise."""
        answer.abort()
        return UpstreamBadAnswer(self.upstream, reason, status=answer.status)

    def _hint(self, failure: UpstreamDenied | UpstreamNotFound | UpstreamRateLimited) -> None:
        """Add to a refusal that our credentials may be why."""
        if self.chain.login.ok is False:
            failure.hint = (
                "it was asked without credentials, since it refuses those that are "
                f"configured: look at upstreams.{self.upstream}.username and its password"
            )

    async def _send(self, agent: LimitedAgent, request: UpstreamRequest) -> Answer:
        seconds = self.chain.breaker.refusal(asked_for(request))
        if seconds is not None:
            raise resting(self.upstream, seconds)
        remaining = self.chain.limits.remaining(self._identity(request), request.what)
        if remaining is not None:
            raise still_limited(self.upstream, remaining)
        return await agent.send(request)

    def _identity(self, request: UpstreamRequest) -> str:
        return self.chain.login.identity(request.anonymous).fingerprint

    async def _accepted(
        self, request: UpstreamRequest, answer: Answer, statuses: tuple[int, ...]
    ) -> Answer:
        if not answer.foreign:
            self._allowance.note(answer.headers)
        if answer.status not in statuses:
            failure = await self._refusal(request, answer)
            failure.redirected = answer.foreign
            raise failure
        if is_encoded(answer.headers):
            raise self.bad_answer(answer, "its content is compressed")
        return answer

    async def _refusal(self, request: UpstreamRequest, answer: Answer) -> UpstreamFailure:
        body = await self.chain.reader.beginning(answer, _ERROR_BYTES)
        status = answer.status
        if answer.foreign and status in (401, 403):
            return UpstreamBadAnswer(
                self.upstream, f"a redirect target answered {status}", status=status
            )
        if status in (401, 403):
            return UpstreamDenied(
                self.upstream,
                "it gives no access",
                status=status,
                credentials_used=bool(answer.credentials),
                detail="" if is_encoded(answer.headers) else error_detail(body),
            )
        if status == 404:
            return UpstreamNotFound(self.upstream, "it does not have this", status=status)
        if status == 429:
            return self._rate_limited(request, answer)
        if is_ill(status):
            return UpstreamServerError(self.upstream, f"it answered {status}", status=status)
        return UpstreamBadAnswer(self.upstream, f"it answered {status}", status=status)

    def _rate_limited(self, request: UpstreamRequest, answer: Answer) -> UpstreamRateLimited:
        seconds = retry_after(only_value(answer.headers, "retry-after"), self._unix_now())
        if not answer.foreign:
            self.chain.limits.limited(self._identity(request), request.what, seconds)
        return UpstreamRateLimited(
            self.upstream, "it limits the rate of requests", retry_after=seconds
        )
