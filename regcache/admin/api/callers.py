"""Finds out who calls the API, and what the caller may see and do.

The first row that applies to the request decides:

==================================  ======================================================
what a request shows                the caller
==================================  ======================================================
``Authorization``                   the account, by Basic; 401 if it is wrong or not Basic
the cookie of a session             the account that logged in, while its proof stays the
                                    same; an admin, if a one-time link opened the session
a client certificate of an account  the account
nothing, on the unix socket         an admin, if root or the daemon's user; others may read
nothing, on a loopback endpoint     a caller who may read
nothing, elsewhere                  a caller with the role ``none``
==================================  ======================================================
"""

from collections.abc import Callable
from dataclasses import KW_ONLY
from enum import Enum, IntEnum

from regcache.access.credentials import Asker, Scheme, parse_authorization
from regcache.access.grants import Action
from regcache.access.principals import Decision
from regcache.access.sessions import Session, Sessions
from regcache.admin.api.call_problems import ForbiddenProblem, UnauthenticatedProblem
from regcache.admin.api.cookies import session_token
from regcache.light_dataclass import dataclass
from regcache.web.gatekeeper import Gatekeeper
from regcache.web.peer_user import peer_user
from regcache.web.request import Request


class Role(IntEnum):
    """Says what a caller may do. Each role includes the one before it."""

    NONE = 0
    READ = 1
    ADMIN = 2

    @property
    def word(self) -> str:
        """Return the role's name in the API."""
        return self.name.lower()


class Reach(Enum):
    """Says where a request came in."""

    SOCKET = "the unix socket"
    LOOPBACK = "an endpoint that only this machine reaches"
    REMOTE = "an endpoint or host that others reach"


@dataclass(frozen=True, slots=True)
class Caller:
    """Describes a caller of the API.

    :ivar via: loopback, account or link; None for the role ``none``.
    :ivar account: the account's name; "" without one.
    :ivar expires: the end of the session (Unix seconds); None without one.
    :ivar decision: limits what the caller sees; None if there is no limit.
    :ivar session: the token of the session; "" without one.
    """

    role: Role
    reach: Reach
    via: str | None = None
    _: KW_ONLY
    account: str = ""
    expires: float | None = None
    decision: Decision | None = None
    session: str = ""

    @property
    def sees_accounts(self) -> bool:
        """Return whether the caller may see what each account did; an account only sees itself.

        A caller without an account may see it at an endpoint that only this machine reaches.
        """
        return self.role is Role.ADMIN or (self.sees_all and self.decision is None)

    def sees_who(self, account: str) -> bool:
        """Return whether the caller may see what an account did: its own, or those of all.

        :param account: its name; for a client without an account "" or an address.
        """
        return self.sees_accounts or (bool(account) and account == self.account)

    def may_pull(self, upstream: str, repository: str) -> bool:
        """Return whether the caller may see anything of a repository.

        :param upstream: the configured name.
        :param repository: as the upstream knows it.
        """
        if self.sees_all or self.decision is None:
            return self.sees_all
        return self.decision.grants_on(Action.PULL, upstream, repository)

    def sees_upstream(self, name: str) -> bool:
        """Return whether the caller may see anything of an upstream."""
        if self.sees_all or self.decision is None:
            return self.sees_all
        if self.decision.upstreams is not None and name not in self.decision.upstreams:
            return False
        return any(
            Action.PULL in each.actions and (each.upstreams is None or name in each.upstreams)
            for each in self.decision.grants
        )

    def sees_whole(self, name: str) -> bool:
        """Return whether the caller may see all repositories of an upstream, so also its sums."""
        if self.sees_all or self.decision is None:
            return self.sees_all
        return self.sees_upstream(name) and any(
            Action.PULL in each.actions
            and each.repositories is None
            and (each.upstreams is None or name in each.upstreams)
            for each in self.decision.grants
        )

    @property
    def sees_all(self) -> bool:
        """Return whether the caller may see all repositories, so also sums over all of them."""
        if self.role is not Role.READ or self.decision is None:
            return self.role is not Role.NONE
        return self.decision.upstreams is None and any(
            Action.PULL in each.actions and each.upstreams is None and each.repositories is None
            for each in self.decision.grants
        )


class Callers:
    """Finds out who calls the API.

    :param gatekeeper: gives the gatekeeper, which knows the accounts; None if there are none.
    :param own_user: gives the user id of the daemon.
    """

    def __init__(
        self,
        gatekeeper: Callable[[], Gatekeeper | None],
        sessions: Sessions,
        own_user: Callable[[], int],
    ) -> None:
        self._gatekeeper = gatekeeper
        self.sessions = sessions
        self._own_user = own_user

    async def find(self, request: Request, reach: Reach) -> Caller:
        """Find out who sent a request.

        :raises UnauthenticatedProblem: if the credentials are wrong.
        :raises RegistryError: if too many logins are being tried.
        """
        shown = request.field_lines(b"authorization")
        if shown:
            return await self._by_password(request, reach)
        found = self._by_session(request, reach) or await self._by_certificate(request, reach)
        return found or self._by_place(request, reach)

    async def log_in(self, asker: Asker) -> Decision:
        """Return the decision for an account and a password.

        :param asker: shows them as Basic.
        :raises UnauthenticatedProblem: if they are wrong.
        :raises ForbiddenProblem: if the seat has ended.
        :raises RegistryError: if too many logins are being tried.
        """
        gatekeeper = self._gatekeeper()
        if gatekeeper is None:
            raise UnauthenticatedProblem("there are no accounts: access.htpasswd is not set")
        decision = await gatekeeper.access.decide(asker)
        gatekeeper.access.refuse(decision)
        if decision.ended:
            raise ForbiddenProblem(decision.end_message)
        if not decision.is_account:
            raise UnauthenticatedProblem("the account or the password is wrong")
        return decision

    def asker(self, request: Request, authorization: str | None) -> Asker:
        """Make the asker of a request, with this value instead of its own ``Authorization``."""
        host = request.field_lines(b"host")
        return Asker(authorization, request.peer_address, host[0].lower() if host else "")

    def of_session(
        self, session: Session, token: str, reach: Reach, address: str | None
    ) -> Caller | None:
        """Return the caller of a session; None if its account is gone, or has another proof."""
        if not session.account:
            return Caller(Role.ADMIN, reach, "link", expires=session.until, session=token)
        gatekeeper = self._gatekeeper()
        if gatekeeper is None:
            return None
        decision = gatekeeper.access.decide_by_mark(session.account, session.mark, address)
        if decision is None:
            return None
        return _of_account(decision, reach, session.until, token)

    async def _by_password(self, request: Request, reach: Reach) -> Caller:
        lines = request.field_lines(b"authorization")
        credentials = parse_authorization(lines[0] if len(lines) == 1 else "")
        if credentials.scheme is not Scheme.BASIC:
            raise UnauthenticatedProblem("the API takes Basic, or the cookie of a session")
        return _of_account(await self.log_in(self.asker(request, lines[0])), reach)

    def _by_session(self, request: Request, reach: Reach) -> Caller | None:
        token = session_token(request)
        session = self.sessions.find(token) if token else None
        if session is None:
            return None
        caller = self.of_session(session, token, reach, request.peer_address)
        if caller is None:
            self.sessions.end(token)
        return caller

    async def _by_certificate(self, request: Request, reach: Reach) -> Caller | None:
        gatekeeper = self._gatekeeper()
        asker = None if gatekeeper is None else gatekeeper.asker(request)
        if gatekeeper is None or asker is None or asker.certificate is None:
            return None
        decision = await gatekeeper.access.decide(asker)
        if not decision.is_account or decision.pull_only:
            return None
        return _of_account(decision, reach)

    def _by_place(self, request: Request, reach: Reach) -> Caller:
        if reach is Reach.SOCKET:
            trusted = peer_user(request) in (0, self._own_user())
            return Caller(Role.ADMIN if trusted else Role.READ, reach, "loopback")
        if reach is Reach.LOOPBACK:
            return Caller(Role.READ, reach, "loopback")
        return Caller(Role.NONE, reach)


def _of_account(
    decision: Decision, reach: Reach, expires: float | None = None, session: str = ""
) -> Caller:
    role = Role.ADMIN if decision.is_admin else Role.READ
    name = decision.principal.name
    return Caller(
        role, reach, "account", account=name, expires=expires, decision=decision, session=session
    )
