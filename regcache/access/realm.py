"""Our own realm: credentials in, a token out (distribution's token documentation; RFC 6749).

================================  =================================================================
who asks                          what is given
================================  =================================================================
an account                        a token of that account, for what it may do of what it asks
no credentials                    an anonymous token, for what everybody may do of what is asked;
                                  401 where that is nothing anywhere
a wrong login, scopes asked       the anonymous token, where everybody may pull all that is asked:
                                  docker sends its Docker Hub login to every mirror's realm
wrong credentials otherwise       401: a login is checked here
a service that is not ours        400
================================  =================================================================

No token is longer than what was shown for it: a certificate, or a refresh token. The host name of a
seat, or an address, gets no refresh token.
"""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime

from regcache.access.grants import Action
from regcache.access.own_tokens import OwnTokens, TokenClaims, issued_at
from regcache.access.principals import Decision, Wanted
from regcache.access.scopes import CATALOG, EVERYTHING, REGISTRY, REPOSITORY, Scope
from regcache.light_dataclass import dataclass

#: What a name may mean on a host: clients do not tell a realm which upstream their ``ns`` names. So
#: a scope is given if it is for any of them; what is pulled in the end decides once more.
Locate = Callable[[str], Sequence[Wanted]]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What is asked of the realm.

    :ivar host: of the request, with its port: the token is good for this one.
    :ivar offline: a refresh token is wanted, too.
    :ivar whole: all that is asked for is in ``scopes``; nothing was passed over.
    """

    host: str
    scopes: Sequence[Scope]
    offline: bool = False
    whole: bool = True


class TokenGiver:
    """Makes the answers of the realm."""

    def __init__(self, tokens: OwnTokens, clock: IReactorTime) -> None:
        self._tokens = tokens
        self._clock = clock

    def may_have(self, decision: Decision, request: TokenRequest, locate: Locate) -> bool:
        """Whether a token is given at all; else the credentials are challenged."""
        if decision.ended:
            return False
        if decision.is_account:
            return True
        if decision.wrong:
            asked = request.scopes
            passes = bool(asked) and request.whole and not decision.bad_token
            return passes and all(self._may_pull(decision, each, locate) for each in asked)
        return any(Action.PULL in each.actions for each in decision.grants)

    def answer(self, decision: Decision, request: TokenRequest, locate: Locate) -> dict[str, Any]:
        """The token, and what belongs to it."""
        now = self._clock.seconds()
        granted = [self._granted(decision, each, locate) for each in request.scopes]
        scopes = tuple(each for each in granted if each is not None)
        claims = TokenClaims(
            decision.principal.name, decision.mark, request.host, scopes, until=decision.proof_until
        )
        token = self._tokens.issue(claims, now)
        found: dict[str, Any] = {
            "token": token,
            "access_token": token,
            "expires_in": self._tokens.life_of(claims, now),
            "issued_at": issued_at(now),
            "scope": " ".join(map(str, scopes)),
        }
        if request.offline and decision.is_account and not decision.pull_only:
            found["refresh_token"] = self._tokens.issue_refresh(claims, now)
        return found

    def _granted(self, decision: Decision, asked: Scope, locate: Locate) -> Scope | None:
        """The part of a scope that is allowed; None where nothing is."""
        if asked.kind == REGISTRY:
            whole = asked.name == CATALOG and decision.may_list
            return Scope(REGISTRY, CATALOG, frozenset({EVERYTHING})) if whole else None
        wanted = locate(asked.name)
        actions = frozenset(
            action.value
            for action in (Action.PULL, Action.DELETE)
            if (action.value in asked.actions or EVERYTHING in asked.actions)
            and any(decision.permits(action, each) for each in wanted)
        )
        return Scope(REPOSITORY, asked.name, actions) if actions else None

    def _may_pull(self, decision: Decision, asked: Scope, locate: Locate) -> bool:
        wanted = locate(asked.name) if asked.kind == REPOSITORY else ()
        return any(decision.permits(Action.PULL, each) for each in wanted)
