"""Values that say who makes a request, and what it allows; decided once per request."""

import math
from dataclasses import KW_ONLY, field
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
    """Whether the client has proved an account."""

    ACCOUNT = "account"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """The sender of a request.

    :ivar name: of the account; "" without one.
    :ivar address: of the client; None on a unix socket.
    """

    kind: PrincipalKind
    name: str
    address: str | None

    @property
    def label(self) -> str:
        """The name in logs."""
        return self.name or self.kind.value


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """The limits of all answers to one principal together.

    :ivar rate: bytes a second; None without such a limit.
    :ivar downloads: bodies of blobs at a time. Further answers send their headers and wait.
    """

    rate: int | None = None
    downloads: int | None = None


UNLIMITED = TransferLimits()


def limits_of_seat(seat: Seat | None) -> TransferLimits:
    """The limits of the account of a seat; none without a seat."""
    if seat is None or (seat.rate is None and seat.downloads is None):
        return UNLIMITED
    return TransferLimits(seat.rate, seat.downloads)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The repository that a request concerns.

    :ivar upstream: the name of the upstream that routing found.
    :ivar repository: its name at that upstream.
    :ivar name: its name in the request, which is also its name in scopes.
    """

    upstream: str
    repository: str
    name: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What one principal may do.

    :ivar grants: those of the rules.
    :ivar scopes: those of the token; None without a token. Nothing is allowed beyond them.
    :ivar upstreams: the only ones for which the token is valid; None if it does not restrict them.
    :ivar wrong: whether the credentials are wrong. The principal is the one without them:
        anonymous, or the seat of an address.
    :ivar attempt: identifies a wrong login; b"" for anything else.
    :ivar bad_token: whether the wrong credentials are a token. It is never ignored, as a wrong
        login may be.
    :ivar until: when it has to be decided again (Unix seconds).
    :ivar mark: identifies the account's proof; if the proof is withdrawn, the decision is void.
    :ivar limits: of what is sent to the principal.
    :ivar seat: that of the account, with its quotas; None if it has none.
    :ivar ended: whether the seat has ended. Then nothing is granted, and the client is told why.
    :ivar pull_only: whether the proof is weak, a host name or an address. It permits only pulls.
    :ivar proof_until: when the proof expires (Unix seconds). No token for it lasts longer.
    """

    principal: Principal
    grants: tuple[Grant, ...]
    until: float
    _: KW_ONLY
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
    #: Repositories that were found to be permitted, since a client asks for one many times.
    _pulled: set[tuple[str, str, str]] = field(
        default_factory=set, init=False, repr=False, compare=False
    )

    @property
    def is_account(self) -> bool:
        """Whether an account was proved, without wrong credentials beside it."""
        return self.principal.kind is PrincipalKind.ACCOUNT and not self.wrong

    @property
    def end_message(self) -> str:
        """The message for an account whose seat has ended; "" otherwise."""
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
        """Whether the token is valid for this; True without a token."""
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
        """Whether the rules alone grant an action; for the entries of lists."""
        if self.upstreams is not None and upstream not in self.upstreams:
            return False
        return any(each.covers(action, upstream, repository) for each in self.grants)

    @property
    def may_list(self) -> bool:
        """Whether the catalog may be read. A token needs the scope for that."""
        if self.scopes is None:
            return any(Action.PULL in each.actions for each in self.grants)
        return any(each.allows(REGISTRY, CATALOG, "*") for each in self.scopes)

    @property
    def is_admin(self) -> bool:
        """Whether it may see and change everything in the daemon. A token never may."""
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
