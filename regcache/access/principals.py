"""Who asks, and what that one may do: plain values that are decided once per request."""

import math
from dataclasses import field
from enum import Enum

from regcache.access.grants import Action, Grant
from regcache.access.scopes import CATALOG, REGISTRY, REPOSITORY, Scope
from regcache.light_dataclass import dataclass
from regcache.seats import Seat

#: A decision is good for this long at most (seconds).
LONGEST_DECISION = 60.0
#: Repositories that one decision remembers.
_MOST_PULLED = 16


class PrincipalKind(Enum):
    """What is known of who asks."""

    ACCOUNT = "account"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    :ivar name: of the account; "" for who has none.
    :ivar address: where the request comes from; None on a unix socket.
    """

    kind: PrincipalKind
    name: str
    address: str | None

    @property
    def label(self) -> str:
        """For logs."""
        return self.name or self.kind.value


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """What all answers to one principal may take together.

    :ivar rate: bytes a second; None without such a limit.
    :ivar downloads: bodies of blobs at once; further ones wait behind their heads.
    """

    rate: int | None = None
    downloads: int | None = None


UNLIMITED = TransferLimits()


def limits_of_seat(seat: Seat | None) -> TransferLimits:
    """What the answers to the account of a seat may take; no limit without a seat."""
    if seat is None or (seat.rate is None and seat.downloads is None):
        return UNLIMITED
    return TransferLimits(seat.rate, seat.downloads)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request is about.

    :ivar upstream: the name of the upstream that routing found.
    :ivar repository: as that upstream names it.
    :ivar name: as the client names it on this host, which is what scopes speak of.
    """

    upstream: str
    repository: str
    name: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What one principal may do.

    :ivar grants: by the rules.
    :ivar scopes: of the token that was shown; None without one. Nothing is allowed beyond them.
    :ivar upstreams: the only ones that the token is good for; None without such a bound.
    :ivar wrong: credentials were shown, and are wrong; the principal is who it would be without
        them: anonymous, or the seat of an address.
    :ivar attempt: tells a wrong login from others; b"" for anything else.
    :ivar bad_token: they are a token. It never counts as none, as a wrong login may.
    :ivar until: when it has to be made again (Unix seconds).
    :ivar mark: of the account's proof; if that is taken back the decision is void.
    :ivar limits: of what is sent to the principal.
    :ivar seat: of the account, where it has one: its quotas are there.
    :ivar ended: its seat has ended: nothing is granted, and it is told so.
    :ivar pull_only: the proof is weak: a host name or an address; it is good for pulls alone.
    :ivar proof_until: when what was shown ends by itself (Unix seconds): no token of it is longer.
    """

    principal: Principal
    grants: tuple[Grant, ...]
    until: float
    scopes: tuple[Scope, ...] | None = None
    upstreams: frozenset[str] | None = None
    wrong: bool = False
    mark: str = ""
    limits: TransferLimits = UNLIMITED
    seat: Seat | None = None
    ended: bool = False
    pull_only: bool = False
    proof_until: float = math.inf
    bad_token: bool = False
    attempt: bytes = field(default=b"", repr=False)
    #: Repositories of which it is known that they may be pulled: a client asks for one many times.
    _pulled: set[tuple[str, str, str]] = field(
        default_factory=set, init=False, repr=False, compare=False
    )

    @property
    def is_account(self) -> bool:
        """Whether an account was proved, and nothing wrong shown beside it."""
        return self.principal.kind is PrincipalKind.ACCOUNT and not self.wrong

    @property
    def end_message(self) -> str:
        """What the account is told if its seat has ended; "" otherwise."""
        if not self.ended or self.seat is None:
            return ""
        return f"the account {self.principal.name} has ended: {self.seat.end_text}"

    def permits(self, action: Action, wanted: Wanted) -> bool:
        """Whether an action on one repository is allowed."""
        if action is not Action.PULL:
            return self._decide(action, wanted)
        key = (wanted.upstream, wanted.repository, wanted.name)
        if key in self._pulled:
            return True
        permitted = self._decide(action, wanted)
        if permitted and len(self._pulled) < _MOST_PULLED:
            self._pulled.add(key)
        return permitted

    def _decide(self, action: Action, wanted: Wanted) -> bool:
        if not self.in_scope(action, wanted):
            return False
        return any(each.covers(action, wanted.upstream, wanted.repository) for each in self.grants)

    def in_scope(self, action: Action, wanted: Wanted) -> bool:
        """Whether the token that was shown is for this, if one was."""
        upstreams = self.upstreams
        if upstreams is not None and wanted.upstream not in upstreams:
            return False
        if self.scopes is None:
            return True
        names = {wanted.name} if upstreams is None else {wanted.name, wanted.repository}
        return any(
            scope.allows(REPOSITORY, name, action.value) for scope in self.scopes for name in names
        )

    def grants_on(self, action: Action, upstream: str, repository: str) -> bool:
        """Whether the rules alone grant an action; for what is shown in lists."""
        if self.upstreams is not None and upstream not in self.upstreams:
            return False
        return any(each.covers(action, upstream, repository) for each in self.grants)

    @property
    def may_list(self) -> bool:
        """Whether the catalog may be asked for: with a token only if it says so."""
        if self.scopes is None:
            return any(Action.PULL in each.actions for each in self.grants)
        return any(each.allows(REGISTRY, CATALOG, "*") for each in self.scopes)

    @property
    def is_admin(self) -> bool:
        """Whether everything about the daemon may be seen and changed. Never by a token."""
        return self.scopes is None and self.administers(None)

    def administers(self, wanted: Wanted | None) -> bool:
        """Whether the rules grant ``admin`` on a repository; None: on all of them.

        A rule that names upstreams or repositories gives no rights over the others, nor over the
        daemon.
        """
        if wanted is not None:
            return any(
                each.covers(Action.ADMIN, wanted.upstream, wanted.repository)
                for each in self.grants
            )
        return any(Action.ADMIN in each.actions and each.is_everywhere for each in self.grants)
