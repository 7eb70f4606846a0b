"""What a proof comes to: the decision for an account, an address or nobody."""

import math
from collections.abc import Callable
from dataclasses import replace

from twisted.internet.interfaces import IReactorTime

from regcache.access.accounts import AccountProof, Accounts, ProofKind
from regcache.access.grants import Action, Grant, Rules
from regcache.access.kept_decisions import MOST_DECISIONS
from regcache.access.knocks import Knock, Knocks
from regcache.access.principals import (
    LONGEST_DECISION,
    Decision,
    Principal,
    PrincipalKind,
    limits_of_seat,
)
from regcache.bounded import BoundedTable
from regcache.light_dataclass import dataclass
from regcache.seats import Seat

_PULL = frozenset({Action.PULL})


@dataclass(frozen=True, slots=True)
class Knocking:
    """How addresses come to be seats.

    :ivar seconds: for how long: ``access.knock``.
    :ivar client_address: gives the address of a peer where that is one client's own; None where
        strangers share it, or there is none. No such place is ever a seat.
    """

    knocks: Knocks
    seconds: float
    client_address: Callable[[str | None], str | None] = lambda address: address

    def find(self, address: str | None) -> Knock | None:
        """What is known of an address; None if no seat knocked there, or it is over."""
        own = self.client_address(address)
        return None if own is None else self.knocks.find(own)


class Decisions:
    """Makes decisions by the rules and the limits of seats.

    :param knocking: the addresses that are seats; None where no address may knock.
    """

    def __init__(
        self,
        rules: Rules,
        accounts: Accounts,
        clock: IReactorTime,
        knocking: Knocking | None = None,
    ) -> None:
        self.rules = rules
        self._accounts = accounts
        self._clock = clock
        self._knocking = knocking
        self._unproved: BoundedTable[tuple[str | None, str], Decision]
        self._unproved = BoundedTable(MOST_DECISIONS, clock)

    def forget(self) -> None:
        """Decide anew: accounts or addresses have changed."""
        self._unproved.clear()

    def unproved(self, address: str | None, seat_label: str = "") -> Decision:
        """The decision on a request that shows nothing: by its host, else by its address.

        :param seat_label: the label of a seat in its Host; "" without one.
        """
        known = self._unproved.get((address, seat_label))
        if known is None:
            proof = self._accounts.by_host(seat_label) if seat_label else None
            known = self._at_address(address) if proof is None else self.account(proof, address)
            seconds = known.until - self._clock.seconds()
            if seconds > 0:
                self._unproved.put((address, seat_label), known, seconds=seconds)
        return known

    def account(self, proof: AccountProof, address: str | None) -> Decision:
        """The decision for an account."""
        name, now, seat = proof.account, self._clock.seconds(), self._accounts.seat(proof.account)
        principal = Principal(PrincipalKind.ACCOUNT, name, address)
        latest = min(now + LONGEST_DECISION, proof.until)
        if seat is not None and seat.has_ended(now):
            return Decision(principal, (), latest, mark=proof.mark, seat=seat, ended=True)
        grants = self.narrowed(self.rules.granted(name, address), seat)
        if proof.pull_only:
            grants = tuple(each.narrowed(actions=_PULL) for each in grants)
        end = math.inf if seat is None or seat.end is None else seat.end
        limits = limits_of_seat(seat)
        return Decision(
            principal,
            grants,
            min(latest, end),
            mark=proof.mark,
            limits=limits,
            seat=seat,
            pull_only=proof.pull_only,
            proof_until=min(proof.until, end),
        )

    def narrowed(self, grants: tuple[Grant, ...], seat: Seat | None) -> tuple[Grant, ...]:
        """As much as the upstreams of a seat leave of what the rules grant; all to an admin."""
        named = None if seat is None else seat.upstreams
        if named is None or any(
            Action.ADMIN in each.actions and each.is_everywhere for each in grants
        ):
            return grants
        meant = self.rules.named_upstreams(named)
        return tuple(each.narrowed(upstreams=meant) for each in grants)

    def _at_address(self, address: str | None) -> Decision:
        """Who shows nothing: the seat that knocked there, else anonymous."""
        proof = self.proof_at(address)
        return self.anonymous(address) if proof is None else self.account(proof, address)

    def proof_at(self, address: str | None) -> AccountProof | None:
        """The proof that an address is where a seat's link was opened, with its end; else None."""
        knock = None if self._knocking is None else self._knocking.find(address)
        proof = None if knock is None else self._accounts.by_mark(knock.account, knock.mark)
        if knock is None or proof is None:
            return None
        return replace(proof, until=min(proof.until, knock.until))

    def proof_of(self, account: str, mark: str, address: str | None) -> AccountProof | None:
        """The proof of a token; None without one. What an address got is good at such a one."""
        proof = self._accounts.by_mark(account, mark) if account else None
        if proof is None or proof.kind is not ProofKind.KNOCK:
            return proof
        here = self.proof_at(address)
        return here if here is not None and here.mark == mark else None

    def anonymous(self, address: str | None, *, until: float = math.inf) -> Decision:
        """The decision for an anonymous client at an address."""
        principal = Principal(PrincipalKind.ANONYMOUS, "", address)
        latest = min(self._clock.seconds() + LONGEST_DECISION, until)
        return Decision(principal, self.rules.granted("", address), latest)
