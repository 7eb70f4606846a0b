"""Bearer tokens of an external server (distribution's token documentation, docker_auth).

Only keys of our own file count: what a token's header brings (``jwk``, ``x5c``, ``jku``) is never
looked at, and each key is used with its one algorithm alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jwt

from regcache.access.challenges import ExternalRealm
from regcache.access.own_tokens import LONGEST_TOKEN, BadTokenError
from regcache.access.scopes import Scope, parse_scopes
from regcache.htpasswd import is_account_name
from regcache.light_dataclass import dataclass
from regcache.token_keys import VerificationKey

#: By how much the server's clock may differ (seconds).
LEEWAY = 60
#: The longest name of an account (characters), as in our own files.
LONGEST_NAME = 255
#: Entries of a token's access list that are looked at.
MOST_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class ExternalClaims:
    """What an external token says.

    :ivar upstreams: it is good for these only; None for all, where all have one service.
    :ivar until: its end (Unix seconds).
    """

    account: str
    upstreams: frozenset[str] | None
    scopes: tuple[Scope, ...]
    until: float


class ExternalTokens:
    """Reads tokens of one server.

    :param upstreams: their names; each has a service, which is the audience of its tokens.
    :param keys: replaced when the file changes.
    """

    def __init__(
        self,
        realm: ExternalRealm,
        issuer: str,
        upstreams: Iterable[str],
        keys: Sequence[VerificationKey],
    ) -> None:
        self._issuer = issuer
        self._services = {realm.service_of(name): name for name in upstreams}
        self._shared = realm.service if "{upstream}" not in realm.service else None
        self.keys = keys

    def read(self, token: str) -> ExternalClaims:
        """The claims of a token.

        :raises BadTokenError: if it was not signed by the server, or is not good here and now.
        """
        if len(token) > LONGEST_TOKEN:
            raise BadTokenError("it is too long")
        try:
            header = jwt.get_unverified_header(token)
            candidates = self._candidates(header.get("alg"), header.get("kid"))
            payload = self._verified(token, candidates)
            return self._claims(payload)
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadTokenError(type(error).__name__) from None

    def _candidates(self, algorithm: object, identifier: object) -> Sequence[VerificationKey]:
        """The keys that a token may be signed with: that which it names, if we know it."""
        fitting = [each for each in self.keys if each.algorithm == algorithm]
        named = [each for each in fitting if identifier in each.identifiers]
        known = any(identifier in each.identifiers for each in self.keys)
        return named if identifier is not None and known else fitting

    def _verified(self, token: str, candidates: Sequence[VerificationKey]) -> Mapping[str, Any]:
        for key in candidates:
            try:
                found: Mapping[str, Any] = jwt.decode(
                    token,
                    key.public,
                    algorithms=[key.algorithm],
                    audience=[self._shared] if self._shared else list(self._services),
                    issuer=self._issuer,
                    leeway=LEEWAY,
                    options={"require": ["exp", "aud", "iss"]},
                )
            except jwt.InvalidSignatureError:
                continue
            return found
        raise jwt.InvalidSignatureError

    def _claims(self, payload: Mapping[str, Any]) -> ExternalClaims:
        audience = payload["aud"]
        services = [audience] if isinstance(audience, str) else list(audience)
        upstreams = frozenset(self._services[each] for each in services if each in self._services)
        return ExternalClaims(
            _account(payload.get("sub")),
            None if self._shared else upstreams,
            tuple(_scopes(payload.get("access") or [])),
            float(payload["exp"]),
        )


def _account(subject: object) -> str:
    """The account; "" for a token without one.

    :raises ValueError: for what no account of ours may be called: rules, logs and files have it.
    """
    if subject is None or subject == "":
        return ""
    if not isinstance(subject, str) or len(subject) > LONGEST_NAME or not is_account_name(subject):
        raise ValueError("the subject cannot be the name of an account")
    return subject


def _scopes(access: Sequence[Mapping[str, Any]]) -> Sequence[Scope]:
    found: list[Scope] = []
    for each in access[:MOST_ENTRIES]:
        found.extend(parse_scopes([f"{each['type']}:{each['name']}:{','.join(each['actions'])}"]))
    return found
