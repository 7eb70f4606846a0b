"""Tests one URL of an upstream: its name, a connection, TLS, a token, and ``/v2/``.

Each step is taken once. The connection and TLS are tested on a connection of their own. A test does
not ask the breaker, since an operator wants to know the present state. A test that passes is
reported to the breaker.
"""

from collections.abc import Callable, Coroutine, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI
from zope.interface import implementer

from regcache.challenge import Challenge, ChallengeError, parse_challenges
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamFailure,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from regcache.light_dataclass import dataclass
from regcache.probing import ProbeStep
from regcache.upstream.addresses import is_address
from regcache.upstream.agent import ConnectionSettings, EndpointFactory
from regcache.upstream.authorisation import TokenSource
from regcache.upstream.bodies import BodyReader
from regcache.upstream.deadlines import within
from regcache.upstream.dialling import hang_up
from regcache.upstream.exchange import Answer, IExchangeAgent, UpstreamRequest
from regcache.upstream.failures import failure_from
from regcache.upstream.fields import field_values
from regcache.upstream.login import Login
from regcache.upstream.token_client import RealmDeniedError
from regcache.upstream.urls import Url

#: Addresses of a name that the step shows.
_MOST_TOLD = 4
_PING = "/v2/"
_COMMON = (("Accept-Encoding", "identity"), ("User-Agent", "regcache"))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    """The result of a step.

    :ivar text: shown to the operator.
    :ivar seconds: how long its work took, if that was done in another step; None: as measured.
    """

    text: str
    result: T
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _First:
    """What the first request gave: the ``Authorization`` that was asked for, or an answer.

    :ivar seconds: the time of that answer.
    """

    header: str = ""
    answer: Answer | None = None
    seconds: float | None = None


class _ProbeFailedError(Exception):
    """A step failed. Its :class:`ProbeStep` has the reason."""


class _Steps:
    """The steps that were taken. All are reported whenever one begins or ends."""

    def __init__(
        self, now: Callable[[], float], tell: Callable[[Sequence[ProbeStep]], object]
    ) -> None:
        self._now = now
        self._tell = tell
        self._taken: list[ProbeStep] = []

    async def take(self, name: str, work: "Coroutine[Any, Any, _Done[T]]", advice: str) -> T:
        """Do the work of a step.

        :param advice: what to look at if it fails.
        :raises _ProbeFailedError: if it does.
        """
        began = self._now()
        self._put(ProbeStep(name))
        try:
            done = await work
        except UpstreamFailure as failure:
            text = failure.reason if "; " in failure.reason else f"{failure.reason}{advice}"
            self._replace(ProbeStep(name, text=text, seconds=self._now() - began, ok=False))
            raise _ProbeFailedError from None
        seconds = self._now() - began if done.seconds is None else done.seconds
        self._replace(ProbeStep(name, text=done.text, seconds=seconds, ok=True))
        return done.result

    def skip(self, name: str, text: str) -> None:
        """Record a step that does not apply as passed."""
        self._put(ProbeStep(name, text=text, seconds=0.0, ok=True))

    def _put(self, step: ProbeStep) -> None:
        self._taken.append(step)
        self._tell(tuple(self._taken))

    def _replace(self, step: ProbeStep) -> None:
        self._taken.pop()
        self._put(step)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeParts:
    """The parts of the chain of a URL that a test uses.

    :ivar agent: sends requests as they are, without authorisation.
    :ivar seconds: the time limit of an answer.
    """

    settings: ConnectionSettings
    endpoints: EndpointFactory
    agent: IExchangeAgent
    reader: BodyReader
    tokens: TokenSource
    login: Login
    seconds: float


@implementer(IHandshakeListener)
class _TestConnection(Protocol):
    """A connection over which no request is sent.

    :ivar secure: fires when TLS is up, and the certificate is valid; fails if that is lost.
    """

    def __init__(self) -> None:
        self.secure: Deferred[None] = Deferred()

    def handshakeCompleted(self) -> None:
        """TLS is up."""
        if not self.secure.called:
            self.secure.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """TLS did not come up."""
        if not self.secure.called:
            self.secure.errback(reason)


class Probe:
    """Tests one URL.

    :param base: as configured.
    :ivar url: as messages show it.
    """

    def __init__(self, upstream: str, base: Url, parts: ProbeParts) -> None:
        self._upstream = upstream
        self._origin = base.origin
        self.url = f"{base.origin.scheme}://{base.origin.authority}{base.path}".rstrip("/")
        self._parts = parts
        self._clock = parts.settings.reactor
        self._skew: float | None = None

    async def run(self, tell: Callable[[Sequence[ProbeStep]], object]) -> float | None:
        """Take the steps, up to the first that fails.

        :param tell: called with all steps when one begins or ends.
        :returns: by how many seconds our clock is ahead of the upstream's; None if it sends none.
        """
        self._skew = None
        steps = _Steps(self._clock.seconds, tell)
        try:
            await steps.take("DNS", self._resolve(), self._advice("urls", "dns", "proxy"))
            await self._connect(steps)
            await self._ask(steps)
        except _ProbeFailedError:
            pass  # the steps have the reason
        return self._skew

    def _advice(self, *keys: str) -> str:
        named = [key if key == "dns" else f"upstreams.{self._upstream}.{key}" for key in keys]
        return f"; see {' and '.join(named)}"

    async def _resolve(self) -> "_Done[None]":
        settings, origin = self._parts.settings, self._origin
        proxy = settings.proxies.proxy_for(origin)
        if proxy is not None:
            return _Done(f"left to the proxy {proxy.host}:{proxy.port}", None)
        if is_address(origin.host):
            return _Done("it is an address", None)
        found = await self._within(
            settings.connect_timeout, settings.names.lookup(origin.host, origin.port)
        )
        hosts = [each.host for each in found]
        if not hosts:
            raise UpstreamUnreachable(self._upstream, f"{origin.host} cannot be resolved")
        more = f" and {len(hosts) - _MOST_TOLD} more" if len(hosts) > _MOST_TOLD else ""
        return _Done(f"{', '.join(hosts[:_MOST_TOLD])}{more}", None)

    async def _connect(self, steps: "_Steps") -> None:
        connection = await steps.take("connect", self._dial(), self._advice("urls", "proxy"))
        try:
            if self._origin.scheme == "https":
                await steps.take("TLS", self._secure(connection), self._advice("ca_file"))
            else:
                connection.secure.callback(None)
                steps.skip("TLS", "none: its URL is http")
        finally:
            hang_up(connection)

    async def _dial(self) -> "_Done[_TestConnection]":
        scheme, host = self._origin.scheme.encode("ascii"), self._origin.host.encode("ascii")
        netloc = self._origin.netloc.encode("ascii")
        uri = URI(scheme, netloc, host, self._origin.port, b"/", b"", b"", b"")
        endpoint = self._parts.endpoints.endpointForURI(uri)
        factory = Factory.forProtocol(_TestConnection)
        factory.noisy = False
        connecting: Any = endpoint.connect(factory)
        connection: _TestConnection = await self._translated(connecting)
        transport = connection.transport
        peer: Any = None if transport is None else transport.getPeer()
        where = f"to {getattr(peer, 'host', '?')} port {getattr(peer, 'port', '?')}"
        return _Done(where, connection)

    async def _secure(self, connection: _TestConnection) -> "_Done[None]":
        await self._within(self._parts.settings.connect_timeout, connection.secure)
        return _Done("its certificate is right", None)

    async def _ask(self, steps: "_Steps") -> None:
        first = await steps.take("token", self._first(), self._advice("urls"))
        await steps.take(_PING, self._ping(first), self._advice("urls"))

    async def _first(self) -> "_Done[_First]":
        """Send the first request without authorisation; get a token if it is asked for."""
        began = self._clock.seconds()
        answer = await self._get("")
        if answer.status != 401:
            first = _First(answer=answer, seconds=self._clock.seconds() - began)
            return _Done("it wants none", first, 0.0)
        header = await self._prove(await self._challenge(answer))
        basic = header.startswith("Basic")
        return _Done("it wants the password itself" if basic else "given", _First(header))

    async def _ping(self, first: "_First") -> "_Done[None]":
        answer = first.answer or await self._get(first.header)
        await self._judge(answer, first.header)
        return _Done("it is a registry", None, first.seconds)

    async def _get(self, header: str) -> Answer:
        url = Url(self._origin, _PING)
        request = UpstreamRequest(b"GET", url, _COMMON).authorised(header)
        sending = Deferred.fromCoroutine(self._parts.agent.send(request))
        answer = await within(
            self._clock,
            self._parts.seconds,
            sending,
            late=self._late,
            discard=lambda answer: answer.abort(),
        )
        self._skew = self._skew_of(answer)
        return answer

    def _skew_of(self, answer: Answer) -> float | None:
        """By how many seconds we are ahead of the ``Date`` of an answer (RFC 9110, 6.6.1)."""
        for line in field_values(answer.headers, "date"):
            try:
                return float(self._clock.seconds()) - parsedate_to_datetime(line).timestamp()
            except (ValueError, OverflowError):
                continue
        return None

    async def _judge(self, answer: Answer, header: str) -> None:
        """Check that a registry answered. :raises UpstreamFailure: if not."""
        status = answer.status
        await self._parts.reader.beginning(answer, 0)
        if status == 200:
            return
        words = f"it answered {status}"
        if status in (401, 403) and header:
            words += f" although it was shown a proof{self._advice('username', 'password_file')}"
        elif status == 404:
            words += ": there is no registry"
        elif status == 429:
            words += ": its rate limit is used up; wait, or log in there"
        raise UpstreamBadAnswer(self._upstream, words, status=status)

    async def _challenge(self, answer: Answer) -> Challenge:
        """The challenge to answer. :raises UpstreamFailure: if we cannot answer any."""
        lines = field_values(answer.headers, "www-authenticate")
        await self._parts.reader.beginning(answer, 0)
        try:
            challenges = parse_challenges(lines)
        except ChallengeError:
            challenges = []
        found = {each.scheme: each for each in reversed(challenges)}
        if "bearer" in found and found["bearer"].parameters.get("realm"):
            return found["bearer"]
        if "basic" not in found:
            raise UpstreamBadAnswer(self._upstream, "it answered 401, but not what proof it wants")
        if self._parts.login.identity(False).is_anonymous:
            why = f"it wants a password{self._advice('username', 'password_file')}"
            raise UpstreamBadAnswer(self._upstream, why)
        return found["basic"]

    async def _prove(self, challenge: Challenge) -> str:
        login = self._parts.login
        identity = login.configured
        if challenge.scheme == "basic":
            return identity.basic()
        try:
            token = await self._parts.tokens.fetch(challenge, "", identity)
        except RealmDeniedError as denied:
            why = f"its token realm answered {denied.status}"
            raise UpstreamBadAnswer(
                self._upstream, f"{why}{self._advice('username', 'password_file')}"
            ) from None
        login.accepted(identity)
        return f"Bearer {token}"

    def _late(self) -> Exception:
        return UpstreamTimedOut(self._upstream, "no answer within its time")

    async def _within(self, seconds: float, waiting: "Deferred[T]") -> T:
        limited = within(self._clock, seconds, waiting, late=self._late, discard=lambda _: None)
        return await self._translated(limited)

    async def _translated(self, waiting: "Deferred[T]") -> T:
        """Turn what Twisted raises into a failure. :raises UpstreamFailure:"""
        try:
            return await waiting
        except Exception as raised:  # noqa: BLE001 - as in the chain
            raise failure_from(self._upstream, raised) from None
