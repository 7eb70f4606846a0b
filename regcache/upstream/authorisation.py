"""Authorisation of requests: only the upstream's own origin gets credentials, if it asks."""

from collections.abc import Collection

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from regcache.bounded import BoundedTable
from regcache.challenge import Challenge, ChallengeError, parse_challenges
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamTimedOut,
)
from regcache.light_dataclass import dataclass
from regcache.timings import TOKEN, measured
from regcache.upstream.bodies import BodyReader
from regcache.upstream.credentials import ANONYMOUS, Identity
from regcache.upstream.deadlines import within
from regcache.upstream.exchange import Answer, IExchangeAgent, UpstreamRequest
from regcache.upstream.fields import field_values
from regcache.upstream.login import Login
from regcache.upstream.rate_limits import Limited, RateLimits, still_limited
from regcache.upstream.realm import RealmRefusedError, checked_realm
from regcache.upstream.token_client import RealmDeniedError, TokenClient
from regcache.upstream.tokens import Token, TokenKey, TokenTable
from regcache.upstream.urls import Origin

MOST_LEARNT = 10_000
MOST_ATTEMPTS = 3
LONGEST_SCOPE = 1024


@dataclass(frozen=True, slots=True)
class _Proof:
    """An Authorization header. ``final``: if it is refused, there is no better one."""

    header: str = ""
    final: bool = False
    token: str = ""


_NOTHING = _Proof()


class CredentialsRefusedError(Exception):
    """The realm, or the upstream itself, refuses our credentials."""


class TokenSource:
    """The tokens of one URL of an upstream: its realm rule, its table, its client."""

    def __init__(
        self,
        upstream: str,
        own: Origin,
        *,
        token_hosts: Collection[str],
        client: TokenClient,
        table: TokenTable,
        limits: RateLimits,
        clock: IReactorTime,
        seconds: float,
    ) -> None:
        self._upstream = upstream
        self._own = own
        self._token_hosts = token_hosts
        self._client = client
        self._table = table
        self._limits = limits
        self._clock = clock
        self._seconds = seconds

    def known(self, challenge: Challenge, repository: str, identity: Identity) -> str | None:
        """A token at hand for a challenge."""
        return self._table.known(self._key(challenge, repository, identity))

    def forget(self, challenge: Challenge, repository: str, identity: Identity, value: str) -> None:
        """Drop a token that the upstream refused."""
        self._table.forget(self._key(challenge, repository, identity), value)

    def fetch(self, challenge: Challenge, repository: str, identity: Identity) -> "Deferred[str]":
        """Get a new token from the challenge's realm.

        Fails with RealmDeniedError or UpstreamFailure.
        """
        key = self._key(challenge, repository, identity)
        return self._table.fetch(key, lambda: self._bounded(key, identity))

    def _bounded(self, key: TokenKey, identity: Identity) -> "Deferred[Token]":
        def late() -> Exception:
            return UpstreamTimedOut(self._upstream, "its token realm is too slow")

        fetching = Deferred.fromCoroutine(self._fetch(key, identity))
        return within(self._clock, self._seconds, fetching, late=late, discard=lambda _: None)

    async def _fetch(self, key: TokenKey, identity: Identity) -> Token:
        try:
            realm = checked_realm(key.realm, self._own, self._token_hosts)
        except RealmRefusedError as error:
            raise UpstreamBadAnswer(
                self._upstream,
                f"{error}; if that is right, set upstreams.{self._upstream}.token_hosts",
            ) from None
        remaining = self._limits.remaining(identity.fingerprint, Limited.TOKENS)
        if remaining is not None:
            raise still_limited(self._upstream, remaining)
        try:
            return await self._client.fetch(realm, key.service, key.scope, identity)
        except UpstreamRateLimited as failure:
            self._limits.limited(identity.fingerprint, Limited.TOKENS, failure.retry_after)
            raise

    def _key(self, challenge: Challenge, repository: str, identity: Identity) -> TokenKey:
        parameters = challenge.parameters
        usual = f"repository:{repository}:pull" if repository else ""
        scope = parameters.get("scope", "")[:LONGEST_SCOPE] or usual
        service = parameters.get("service", "")[:LONGEST_SCOPE]
        return TokenKey(identity.fingerprint, parameters["realm"], service, scope)


@implementer(IExchangeAgent)
class AuthorisingAgent:
    """Answers the challenges of the upstream's own origin. Those of other origins are not read.

    The challenge of a repository is remembered, so that the next request is authorised at once.
    """

    _log = Logger()

    def __init__(
        self,
        upstream: str,
        own: Origin,
        inner: IExchangeAgent,
        *,
        reader: BodyReader,
        tokens: TokenSource,
        login: Login,
    ) -> None:
        self._upstream = upstream
        self._own = own
        self._inner = inner
        self._reader = reader
        self._tokens = tokens
        self._login = login
        self._learnt: BoundedTable[tuple[str, str], Challenge] = BoundedTable(MOST_LEARNT)

    async def send(self, request: UpstreamRequest) -> Answer:
        """Send a request with the authorisation that its origin may see."""
        if request.url.origin != self._own:
            elsewhere: Answer = await self._inner.send(request)
            return elsewhere
        identity = self._login.identity(request.anonymous)
        try:
            return await self._negotiate(request, identity)
        except CredentialsRefusedError:
            self._login.refused(identity)
            return await self._negotiate(request, ANONYMOUS)

    async def _negotiate(self, request: UpstreamRequest, identity: Identity) -> Answer:
        key = (identity.fingerprint, request.repository)
        challenge = self._learnt.get(key)
        for left in reversed(range(MOST_ATTEMPTS)):
            proof = await self._prove_or_unlearn(key, challenge, identity)
            answer = await self._try(request, proof, identity)
            asked = self._usable(answer, identity) if answer.status == 401 else None
            if asked is None or not left or (proof.final and asked.asks_as(challenge)):
                break
            if proof.token and challenge is not None:
                self._tokens.forget(challenge, request.repository, identity, proof.token)
            challenge = asked
            self._learnt.put(key, asked)
            await self._reader.beginning(answer, 0)
        return self._judged(answer, challenge, identity)

    async def _try(self, request: UpstreamRequest, proof: _Proof, identity: Identity) -> Answer:
        answer: Answer = await self._inner.send(request.authorised(proof.header))
        if proof.header:
            answer.credentials = identity.fingerprint
        return answer

    def _judged(self, answer: Answer, challenge: Challenge | None, identity: Identity) -> Answer:
        basic = challenge is not None and challenge.scheme == "basic"
        if basic and answer.credentials:
            if answer.status == 401:
                answer.abort()
                raise CredentialsRefusedError
            if answer.status < 500:
                self._login.accepted(identity)
        return answer

    async def _prove_or_unlearn(
        self, key: tuple[str, str], challenge: Challenge | None, identity: Identity
    ) -> _Proof:
        """Prove by what was remembered. If that fails forget it, since it may have changed."""
        try:
            return await self._prove(challenge, key[1], identity)
        except UpstreamRateLimited:
            raise
        except (UpstreamFailure, CredentialsRefusedError):
            self._learnt.drop(key)
            raise

    async def _prove(
        self, challenge: Challenge | None, repository: str, identity: Identity
    ) -> _Proof:
        if challenge is None:
            return _NOTHING
        if challenge.scheme == "basic":
            return _Proof(identity.basic(), final=True)
        token = self._tokens.known(challenge, repository, identity)
        if token is not None:
            return _Proof(f"Bearer {token}", token=token)
        with measured(TOKEN, self._own.host):
            token = await self._fetch(challenge, repository, identity)
        return _Proof(f"Bearer {token}", final=True, token=token)

    async def _fetch(self, challenge: Challenge, repository: str, identity: Identity) -> str:
        try:
            token = await self._tokens.fetch(challenge, repository, identity)
        except RealmDeniedError as denied:
            if not identity.is_anonymous and not self._login.is_mere_denial(
                identity, denied.status
            ):
                raise CredentialsRefusedError from None
            raise UpstreamDenied(
                self._upstream,
                "its token realm gives no access",
                status=denied.status,
                credentials_used=not identity.is_anonymous,
                detail=denied.detail,
            ) from None
        self._login.accepted(identity)
        return token

    def _usable(self, answer: Answer, identity: Identity) -> Challenge | None:
        """The challenge to answer: Bearer before Basic, which needs credentials."""
        try:
            challenges = parse_challenges(field_values(answer.headers, "www-authenticate"))
        except ChallengeError:
            return None
        for challenge in challenges:
            if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
                return challenge
        if identity.is_anonymous:
            return None
        return next((c for c in challenges if c.scheme == "basic"), None)
