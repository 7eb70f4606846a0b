"""Bearer tokens that we sign ourselves (distribution's token documentation, RFC 7519).

A token says which account logged in, for which host, and which scopes it is limited to. What the
account may do is looked up when the token is used: it is a proof, not a permission.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import jwt

from regcache.access.scopes import Scope, parse_scopes
from regcache.light_dataclass import dataclass

#: The longest token that is looked at (bytes).
LONGEST_TOKEN = 16 * 1024
#: Clients take a token for good for at least so long (distribution's token documentation; seconds).
SHORTEST_LIFE = 60
#: For how long a refresh token is good, unless its proof ends before (seconds).
REFRESH_LIFE = 90 * 86400
#: By how much the clocks of daemons with the same key may differ (seconds).
_LEEWAY = 5
_ISSUER = "regcache"
_ALGORITHM = "HS256"
_ACCESS, _REFRESH = "access", "refresh"


class BadTokenError(Exception):
    """A token is not ours, has expired, or is for another host; the text never has the token."""


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a token says.

    :ivar account: "" for a token of an anonymous client.
    :ivar mark: of the account's proof when the token was made.
    :ivar host: that it is good for, with the port.
    :ivar until: of a token that is to be made, the end of its proof; of one that was read, its own
        end (Unix seconds).
    """

    account: str
    mark: str
    host: str
    scopes: tuple[Scope, ...]
    _: KW_ONLY
    until: float = math.inf


class OwnTokens:
    """Signs tokens, and reads them again.

    :param key: 32 bytes or more. Daemons that share it accept each other's tokens.
    :param life: seconds that an access token is good for.
    """

    def __init__(self, key: bytes, life: float) -> None:
        self._key = key
        self.life = max(SHORTEST_LIFE, int(life))

    def issue(self, claims: TokenClaims, now: float) -> str:
        """An access token. It ends with its proof at the latest.

        :param now: Unix seconds.
        """
        return self._sign(_ACCESS, claims, now, self.life)

    def life_of(self, claims: TokenClaims, now: float) -> int:
        """For how long an access token of these claims is good (seconds)."""
        return max(0, _end(claims, now, self.life) - int(now))

    def issue_refresh(self, claims: TokenClaims, now: float) -> str:
        """A token that gets access tokens instead of a password. Its scopes mean nothing."""
        return self._sign(_REFRESH, claims, now, REFRESH_LIFE)

    def read(self, token: str, host: str) -> TokenClaims:
        """The claims of an access token for this host.

        :raises BadTokenError: if it is none, or of another host.
        """
        return self._read(token, _ACCESS, host)

    def read_refresh(self, token: str, host: str) -> TokenClaims:
        """The claims of a refresh token for this host.

        :raises BadTokenError: if it is none, or of another host.
        """
        return self._read(token, _REFRESH, host)

    def _sign(self, use: str, claims: TokenClaims, now: float, life: float) -> str:
        payload = {
            "iss": _ISSUER,
            "aud": claims.host,
            "sub": claims.account,
            "use": use,
            "mark": claims.mark,
            "iat": int(now),
            "nbf": int(now) - _LEEWAY,
            "exp": _end(claims, now, life),
            "access": [_entry(scope) for scope in claims.scopes],
        }
        return jwt.encode(payload, self._key, algorithm=_ALGORITHM)

    def _read(self, token: str, use: str, host: str) -> TokenClaims:
        if len(token) > LONGEST_TOKEN:
            raise BadTokenError("it is too long")
        try:
            payload = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=host,
                issuer=_ISSUER,
                leeway=_LEEWAY,
                options={"require": ["exp", "iat", "aud", "iss", "sub"]},
            )
            return _claims(payload, use, host)
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
            raise BadTokenError(type(error).__name__) from None


def is_own(token: str) -> bool:
    """Whether a token claims to be one of ours: then the keys of no other server are tried."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError):
        return False
    return bool(header.get("alg") == _ALGORITHM)


def issued_at(now: float) -> str:
    """A time as token answers have it (RFC 3339)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


def _end(claims: TokenClaims, now: float, life: float) -> int:
    """The end of a token: that of its proof comes first, also for who takes a token longer."""
    latest = int(now) + int(life)
    return min(latest, math.floor(claims.until) - _LEEWAY) if claims.until < math.inf else latest


def _entry(scope: Scope) -> dict[str, Any]:
    return {"type": scope.kind, "name": scope.name, "actions": sorted(scope.actions)}


def _claims(payload: dict[str, Any], use: str, host: str) -> TokenClaims:
    if payload["use"] != use:
        raise ValueError("a token for another use")
    return TokenClaims(
        str(payload["sub"]),
        str(payload["mark"]),
        host,
        tuple(_scopes(payload["access"])),
        until=float(payload["exp"]),
    )


def _scopes(access: list[dict[str, Any]]) -> Sequence[Scope]:
    texts = [f"{each['type']}:{each['name']}:{','.join(each['actions'])}" for each in access]
    return parse_scopes(texts)
