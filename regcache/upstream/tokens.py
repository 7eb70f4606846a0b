"""Bearer tokens: kept for their life, and fetched once however many wait for one."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

MOST_TOKENS = 1000
DEFAULT_LIFE = 60.0
LONGEST_LIFE = 3600.0
_LEEWAY = 10.0


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What a token is good for: whose it is, who gave it, and for what.

    One table belongs to one URL of one upstream; the identity is part of the key as well, so
    that a privileged token is never used for somebody without these credentials.
    """

    identity: str
    realm: str
    service: str
    scope: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token and the seconds that it lives."""

    value: str = field(repr=False)
    lifetime: float


TokenFetcher = Callable[[], "Deferred[Token]"]


class TokenTable:
    """Tokens that are still good, at most a thousand, and the requests for further ones."""

    def __init__(self, clock: IReactorTime, size: int = MOST_TOKENS) -> None:
        self._clock = clock
        self._size = size
        self._tokens: OrderedDict[TokenKey, tuple[str, float]] = OrderedDict()
        self._flights: dict[TokenKey, _Flight] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def known(self, key: TokenKey) -> str | None:
        """A token that is still good, or None."""
        kept = self._tokens.get(key)
        if kept is None:
            return None
        value, until = kept
        if until <= self._clock.seconds():
            del self._tokens[key]
            return None
        self._tokens.move_to_end(key)
        return value

    def forget(self, key: TokenKey, value: str) -> None:
        """Drop a token that was refused, unless it has been replaced meanwhile."""
        if self._tokens.get(key, ("", 0.0))[0] == value:
            del self._tokens[key]

    def fetch(self, key: TokenKey, fetcher: TokenFetcher) -> "Deferred[str]":
        """Get a new token; whoever asks while one is being fetched shares the request.

        A waiter that is cancelled leaves the others alone; the last one cancels the request.
        """
        flight = self._flights.get(key)
        if flight is not None:
            return flight.join()
        flight = self._flights[key] = _Flight(lambda landed: self._remove(key, landed))
        waiter = flight.join()
        flight.begin(fetcher().addCallback(lambda token: self._keep(key, token)))
        return waiter

    def _remove(self, key: TokenKey, flight: "_Flight") -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    def _keep(self, key: TokenKey, token: Token) -> str:
        life = min(token.lifetime, LONGEST_LIFE)
        life -= min(_LEEWAY, life / 5)
        self._tokens[key] = (token.value, self._clock.seconds() + life)
        self._tokens.move_to_end(key)
        while len(self._tokens) > self._size:
            self._tokens.popitem(last=False)
        return token.value


class _Flight:
    """One request for a token, and who waits for it."""

    def __init__(self, landed: "Callable[[_Flight], None]") -> None:
        self._landed = landed
        self._waiters: list[Deferred[str]] = []
        self._request: Deferred[str] | None = None

    def join(self) -> "Deferred[str]":
        waiter: Deferred[str] = Deferred(self._leave)
        self._waiters.append(waiter)
        return waiter

    def begin(self, request: "Deferred[str]") -> None:
        self._request = request
        request.addCallbacks(self._arrived, self._failed)

    def _arrived(self, value: str) -> None:
        for waiter in self._land():
            waiter.callback(value)

    def _failed(self, reason: Failure) -> None:
        for waiter in self._land():
            waiter.errback(reason)

    def _leave(self, waiter: "Deferred[str]") -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if not self._waiters and self._request is not None:
            self._landed(self)
            self._request.cancel()

    def _land(self) -> "list[Deferred[str]]":
        self._landed(self)
        waiters, self._waiters = self._waiters, []
        return waiters
