"""Bearer tokens: kept until they expire, and fetched once for all requests that wait for one."""

from collections.abc import Callable
from dataclasses import field

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.light_dataclass import dataclass
from regcache.single_flight import Flights

MOST_TOKENS = 1000
DEFAULT_LIFE = 60.0
LONGEST_LIFE = 3600.0
_LEEWAY = 10.0


@dataclass(frozen=True, slots=True)
class TokenKey:
    """The key of a token: its identity, its realm, and what it is for.

    One table belongs to one URL of one upstream. The identity is part of the key, so that a token
    is never used for requests without these credentials.
    """

    identity: str
    realm: str
    service: str
    scope: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and its life in seconds."""

    value: str = field(repr=False)
    lifetime: float


TokenFetcher = Callable[[], "Deferred[Token]"]


class TokenTable:
    """The valid tokens, at most a thousand, and the requests for further ones."""

    def __init__(self, clock: IReactorTime, size: int = MOST_TOKENS) -> None:
        self._tokens: BoundedTable[TokenKey, str] = BoundedTable(size, clock)
        self._requests: Flights[str] = Flights(clock, most_left=0)

    def __len__(self) -> int:
        return len(self._tokens)

    def known(self, key: TokenKey) -> str | None:
        """A valid token, or None."""
        return self._tokens.get(key)

    def forget(self, key: TokenKey, value: str) -> None:
        """Drop a token that was refused, unless it has been replaced meanwhile."""
        if self._tokens.get(key) == value:
            self._tokens.drop(key)

    def fetch(self, key: TokenKey, fetcher: TokenFetcher) -> "Deferred[str]":
        """Get a new token, by one request for all callers meanwhile.

        Each caller may cancel without affecting the others; the last one cancels the request.
        """

        async def fetch() -> str:
            return self._keep(key, await fetcher())

        return self._requests.join(key, fetch)

    def _keep(self, key: TokenKey, token: Token) -> str:
        life = min(token.lifetime, LONGEST_LIFE)
        life -= min(_LEEWAY, life / 5)
        self._tokens.put(key, token.value, seconds=life)
        return token.value
