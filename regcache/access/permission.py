"""Whether a decision is enough for what is asked, and the refusal if it is not.

=====================  ========================  ==========================================
who                    may do it                 may not
=====================  ========================  ==========================================
an account             yes                       403 DENIED
an ended seat                                    403 DENIED, everywhere
anonymous              yes                       401 with the challenge of the situation
a wrong login          yes, as anonymous where   401 with the challenge of the situation
                       anonymous may pull it
... to delete          401                       401
a wrong token          401                       401 with the challenge of the situation
... where a login is   401                       401
checked (``/v2/``)
a token that is too    yes                       401 with the challenge for what is missing
narrow, or for                                   (RFC 6750, 3.1)
another upstream
=====================  ========================  ==========================================

The answer is the same whether the thing exists or not.
"""

from collections.abc import Callable

from regcache import causes
from regcache.access.challenges import Asked, Challenger
from regcache.access.grants import Action
from regcache.access.principals import Decision, Wanted
from regcache.access.scopes import repository_scope
from regcache.errors import DeniedError, RegistryError, UnauthorizedError
from regcache.light_dataclass import dataclass

_CATALOG_SCOPE = "registry:catalog:*"


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a request came in; for the challenge.

    :ivar scheme: ``http`` or ``https``.
    :ivar host: the Host with its port; "" where it is none of ours.
    :ivar upstream: the one that the request names, or would name; "" for none.
    """

    scheme: str
    host: str
    upstream: str = ""


class Permission:
    """Compares decisions with what is asked.

    :param has_accounts: whether there are accounts that can log in.
    :param used_as_anonymous: told of wrong credentials that were passed over.
    :param refused: told of those that are to be answered 401; it may raise another refusal.
    """

    def __init__(
        self,
        challenger: Challenger,
        has_accounts: bool,
        used_as_anonymous: Callable[[Decision], None],
        refused: Callable[[Decision], None],
    ) -> None:
        self._challenger = challenger
        self._has_accounts = has_accounts
        self._used_as_anonymous = used_as_anonymous
        self._refused = refused

    @property
    def basic_challenge(self) -> str:
        """For what takes no tokens."""
        return self._challenger.basic()

    def check(
        self, decision: Decision, action: Action, wanted: Wanted, situation: Situation
    ) -> None:
        """Let an action on a repository pass.

        :raises UnauthorizedError: with a challenge.
        :raises DeniedError: where an account may not.
        """
        _assert_not_ended(decision)
        counts_as_none = action is Action.PULL and not decision.bad_token
        if (decision.wrong and not counts_as_none) or not decision.permits(action, wanted):
            scope = str(repository_scope(wanted.name, action.value))
            raise self._refusal(decision, situation, scope, _needs_token(decision, action, wanted))
        if decision.wrong:
            self._used_as_anonymous(decision)

    def check_listing(self, decision: Decision, situation: Situation) -> None:
        """Let a request for the catalog pass; what it shows is filtered besides.

        :raises UnauthorizedError: with a challenge.
        :raises DeniedError: where an account may pull nothing.
        """
        _assert_not_ended(decision)
        if decision.bad_token or not decision.may_list:
            raise self._refusal(decision, situation, _CATALOG_SCOPE, decision.scopes is not None)
        if decision.wrong:
            self._used_as_anonymous(decision)

    def check_ping(self, decision: Decision, situation: Situation) -> None:
        """Let a request for ``/v2/`` pass, by which clients find out how to log in.

        :raises UnauthorizedError: with a challenge, for wrong credentials always.
        """
        _assert_not_ended(decision)
        if decision.wrong:
            raise self._unauthorized(decision, situation, "")
        if decision.is_account or decision.scopes is not None:
            return
        if self._has_accounts or not _may_pull_something(decision):
            raise self._unauthorized(decision, situation, "")

    def check_admin(self, decision: Decision) -> None:
        """Let a request of an operator pass.

        :raises UnauthorizedError: with a challenge for Basic.
        :raises DeniedError: for an account without ``admin``.
        """
        _assert_not_ended(decision)
        if decision.is_admin:
            return
        if decision.is_account:
            raise DeniedError("this account is no administrator")
        raise self._no_operator(decision)

    def check_view(self, decision: Decision, action: Action, wanted: Wanted | None) -> None:
        """Admit a client to the view of all that is cached; a token counts for its scopes.

        :param wanted: None if no repository is asked for.
        :raises UnauthorizedError: with a challenge for Basic.
        :raises DeniedError: for an account without ``admin``.
        """
        _assert_not_ended(decision)
        admin = decision.administers(wanted)
        if admin and (wanted is None or decision.in_scope(action, wanted)):
            return
        if decision.is_account and not admin:
            raise DeniedError("this account is no administrator")
        raise self._no_operator(decision)

    def no_login(self, decision: Decision, why: str) -> UnauthorizedError:
        """What asks for a login, where no token is taken.

        :param why: where nothing was shown.
        :raises RegistryError: after too many wrong logins, and where a seat has ended.
        """
        _assert_not_ended(decision)
        if decision.wrong:
            self._refused(decision)
            why = "the credentials are wrong"
        return UnauthorizedError(why, headers={"WWW-Authenticate": self.basic_challenge})

    def _no_operator(self, decision: Decision) -> UnauthorizedError:
        return self.no_login(decision, "an account with admin is needed")

    def _refusal(
        self, decision: Decision, situation: Situation, scope: str, needs_token: bool
    ) -> RegistryError:
        """:param needs_token: another token might be enough."""
        if needs_token:
            return self._unauthorized(decision, situation, scope)
        if decision.is_account:
            cause = causes.forbidden("access.rules")
            return DeniedError("this account may not do that here", cause=cause)
        return self._unauthorized(decision, situation, scope)

    def _unauthorized(
        self, decision: Decision, situation: Situation, scope: str
    ) -> UnauthorizedError:
        asked = Asked(
            situation.scheme,
            situation.host,
            situation.upstream,
            scope,
            anonymous_may_pull=_may_pull_something(decision),
        )
        why = "authentication is required"
        if decision.wrong:
            self._refused(decision)
            why = "the credentials are wrong"
        return UnauthorizedError(
            why, headers={"WWW-Authenticate": self._challenger.challenge(asked)}
        )


def _assert_not_ended(decision: Decision) -> None:
    if decision.ended:
        raise DeniedError(decision.end_message)


def _needs_token(decision: Decision, action: Action, wanted: Wanted) -> bool:
    """Whether another token of the same account may be enough.

    For an upstream that this one is not good for nothing else is looked at: it is no permission
    there, and what the rules say is not told.
    """
    if decision.scopes is None:
        return False
    if decision.upstreams is not None and wanted.upstream not in decision.upstreams:
        return True
    return decision.grants_on(action, wanted.upstream, wanted.repository)


def _may_pull_something(decision: Decision) -> bool:
    return any(Action.PULL in each.actions for each in decision.grants)
