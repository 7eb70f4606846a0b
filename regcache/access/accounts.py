"""All accounts, each once: those of a htpasswd file, and seats; and what proves to be one.

=========================  ===================  =================================
proof                      what it may be for   it ends
=========================  ===================  =================================
a password of either file  all                  with any password of the account
a robot key                all                  with its line, or its last day
a certificate of a seat    all                  with its fingerprint
the host name of a seat    pulls                with its label
an address that knocked    pulls                with the secret of the link
=========================  ===================  =================================

All of them end with the account, and when its seat ends. What is made of a proof, a token or a
session, carries its mark: it is good as long as the account has that proof.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from regcache.access.principals import TransferLimits, limits_of_seat
from regcache.seats import RobotKey, Seat, Seats, end_of_day

#: Stands before each robot key, so that people and scanners for secrets know one.
KEY_PREFIX = b"rc_"


@dataclass(frozen=True, slots=True)
class AccountProof:
    """What shows that somebody is an account.

    :ivar mark: by what it is known elsewhere; no secret can be found from it.
    :ivar pull_only: it is weak: others may see it, so it is good for pulls alone.
    :ivar until: its own end (Unix seconds).
    """

    account: str
    mark: str
    pull_only: bool = False
    until: float = math.inf


class Accounts:
    """The accounts of both files, at one time."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._passwords: Mapping[str, bytes] = {}
        self._seats: Seats = {}
        self._index()

    def replace_passwords(self, passwords: Mapping[str, bytes]) -> None:
        """Take the accounts of another htpasswd file: names and bcrypt hashes."""
        self._passwords = dict(passwords)
        self._index()

    def replace_seats(self, seats: Seats) -> None:
        """Take the seats of another file."""
        self._seats = dict(seats)
        self._index()

    def _index(self) -> None:
        seats = self._seats.values()
        self._certificates = {each: seat.name for seat in seats for each in seat.certificates}
        self._hosts = {seat.host: seat.name for seat in seats if seat.host is not None}
        self._knocks = {seat.knock: seat.name for seat in seats if seat.knock is not None}
        names = {*self._passwords, *self._seats}
        #: The hashes of each account, of which any may match.
        self.hashes: Mapping[str, Sequence[bytes]] = {each: self._hashes(each) for each in names}

    def _hashes(self, name: str) -> tuple[bytes, ...]:
        seat = self._seats.get(name)
        found = (self._passwords.get(name), None if seat is None else seat.password)
        return tuple(each for each in found if each is not None)

    @property
    def seats(self) -> Seats:
        """All seats, ended ones too."""
        return self._seats

    def seat(self, name: str) -> Seat | None:
        """The seat of an account; None where it has none."""
        return self._seats.get(name)

    def exists(self, name: str) -> bool:
        """Whether there is such an account, be it one that has ended."""
        return name in self.hashes

    def limits(self, name: str) -> TransferLimits | None:
        """What the answers to an account may take; None if there is no such account."""
        return limits_of_seat(self.seat(name)) if self.exists(name) else None

    def by_password(self, name: str) -> AccountProof | None:
        """The proof that any right password of an account is; None without that account.

        That of a seat that has ended is one, too: it is told so.
        """
        if not self.exists(name):
            return None
        return AccountProof(name, _mark("mark", name, b"\0".join(self.hashes[name])))

    def by_key(self, name: str, shown: bytes) -> AccountProof | None:
        """The proof that a robot key is; None if it is no key of that account now."""
        if not shown.startswith(KEY_PREFIX):
            return None
        digest = hashlib.sha256(shown).hexdigest()
        seat = self._present(name)
        found = [] if seat is None else [each for each in seat.keys if each.digest == digest]
        return next(iter(self._key_proofs(name, found)), None)

    def by_certificate(self, fingerprint: str, common_name: str) -> AccountProof | None:
        """The proof that a client certificate is; None if it is nobody's.

        :param common_name: where it speaks for an account by its name; else "".
        """
        name = self._certificates.get(fingerprint)
        if name is not None:  # whatever its common name is, also when the seat has ended
            mark = _mark("certificate", name, fingerprint.encode())
            return AccountProof(name, mark) if self._is_present(name) else None
        return self.by_password(common_name) if self._is_present(common_name) else None

    def by_host(self, label: str) -> AccountProof | None:
        """The proof that the host name of a seat is; None if the label is of none, or ended."""
        name = self._hosts.get(label)
        if name is None or not self._is_present(name):
            return None
        return AccountProof(name, _mark("host", name, label.encode()), pull_only=True)

    def was_label(self, label: str) -> bool:
        """Whether a text is the label of a seat, be it one that has ended."""
        return label in self._hosts

    def is_label(self, label: str) -> bool:
        """Whether a text is the label of a seat that has not ended."""
        return label in self._hosts and self._is_present(self._hosts[label])

    def by_knock(self, secret: str) -> AccountProof | None:
        """The proof that the secret of a link is; None if it is of no seat, or of an ended one."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
        name = self._knocks.get(digest)
        if name is None or not self._is_present(name):
            return None
        return _knock_proof(name, digest)

    def by_mark(self, name: str, mark: str) -> AccountProof | None:
        """The proof of an account that has this mark; None if it has none such any more."""
        if not mark or not self._is_present(name):
            return None
        return next((each for each in self._proofs(name) if each.mark == mark), None)

    def _proofs(self, name: str) -> Iterator[AccountProof]:
        """All that an account has now."""
        password, seat = self.by_password(name), self._seats.get(name)
        if password is not None:
            yield password
        if seat is None:
            return
        yield from self._key_proofs(name, seat.keys)
        for each in seat.certificates:
            yield AccountProof(name, _mark("certificate", name, each.encode()))
        if seat.host is not None:
            yield AccountProof(name, _mark("host", name, seat.host.encode()), pull_only=True)
        if seat.knock is not None:
            yield _knock_proof(name, seat.knock)

    def _key_proofs(self, name: str, keys: Sequence[RobotKey]) -> Iterator[AccountProof]:
        for each in keys:
            end = end_of_day(each.until)
            if end is None or end > self._clock.seconds():
                mark = _mark("key", name, each.digest.encode())
                yield AccountProof(name, mark, until=math.inf if end is None else end)

    def _present(self, name: str) -> Seat | None:
        """A seat that has not ended."""
        seat = self._seats.get(name)
        return None if seat is None or seat.has_ended(self._clock.seconds()) else seat

    def _is_present(self, name: str) -> bool:
        """Whether there is such an account, and its seat, if it has one, has not ended."""
        return self._present(name) is not None or (
            name in self._passwords and name not in self._seats
        )


def _knock_proof(name: str, digest: str) -> AccountProof:
    return AccountProof(name, _mark("knock", name, digest.encode()), pull_only=True)


def _mark(kind: str, name: str, proof: bytes) -> str:
    text = b"\0".join((kind.encode(), name.encode(), proof))
    return hashlib.sha256(text).hexdigest()[:32]
