"""All accounts, each once: those of a htpasswd file, and seats; and what proves to be one.

============================  ===================  ======================================
proof                         what it may be for   it ends
============================  ===================  ======================================
a password of either file     all                  with any password of the account
a robot key                   all                  with its line, or its last day
a certificate of a seat       all                  with its fingerprint, or when it expires
a certificate with the        all                  with any password of the account, or when
account's name                                     it expires
the host name of a seat       pulls                with its label
an address that knocked       pulls                with the secret of the link, or its time
============================  ===================  ======================================

All of them end with the account, and when its seat ends. What is made of a proof, a token or a
session, carries its mark: it is good as long as the account has that proof. The mark does not tell
when a certificate expires: what is made of one has to end with it by itself. Nor does it tell which
address knocked: a token of one has to come from such an address.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum

from twisted.internet.interfaces import IReactorTime

from regcache.access.credentials import ClientCertificate
from regcache.access.principals import TransferLimits, limits_of_seat
from regcache.light_dataclass import dataclass
from regcache.seats import RobotKey, Seat, Seats, end_of_day

#: Stands before each robot key, so that people and scanners for secrets know one.
KEY_PREFIX = b"rc_"


class ProofKind(Enum):
    """By what an account is known; each is a part of the marks of its kind."""

    PASSWORD = "password"
    KEY = "key"
    CERTIFICATE = "certificate"
    COMMON_NAME = "common name"
    HOST = "host"
    KNOCK = "knock"
    #: A token of an external server.
    EXTERNAL = "external"


_WEAK = frozenset({ProofKind.HOST, ProofKind.KNOCK})


@dataclass(frozen=True, slots=True)
class AccountProof:
    """What shows that a client is an account.

    :ivar mark: by what it is known elsewhere; no secret can be found from it.
    :ivar until: its own end (Unix seconds).
    """

    account: str
    mark: str
    kind: ProofKind
    until: float = math.inf

    @property
    def pull_only(self) -> bool:
        """Whether it is weak: others may see it, so it is good for pulls alone."""
        return self.kind in _WEAK


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
        return self._by_hashes(ProofKind.PASSWORD, name)

    def by_key(self, name: str, shown: bytes) -> AccountProof | None:
        """The proof that a robot key is; None if it is no key of that account now."""
        if not shown.startswith(KEY_PREFIX):
            return None
        digest = hashlib.sha256(shown).hexdigest()
        seat = self._present(name)
        found = [] if seat is None else [each for each in seat.keys if each.digest == digest]
        return next(iter(self._key_proofs(name, found)), None)

    def by_certificate(self, shown: ClientCertificate) -> AccountProof | None:
        """The proof that a client certificate gives, with its end; None without an account."""
        name = self._certificates.get(shown.fingerprint)
        if name is None:
            name, kind, digest = shown.account, ProofKind.COMMON_NAME, ""
        else:  # its common name does not matter, also when the seat has ended
            kind, digest = ProofKind.CERTIFICATE, shown.fingerprint
        if not self._is_present(name):
            return None
        found = _proof(kind, name, digest) if digest else self._by_hashes(kind, name)
        return replace(found, until=shown.until)

    def by_host(self, label: str) -> AccountProof | None:
        """The proof that the host name of a seat is; None if the label is of none, or ended."""
        return self._of_present(ProofKind.HOST, self._hosts.get(label), label)

    def is_any_label(self, label: str) -> bool:
        """Whether a text is the label of a seat, be it one that has ended."""
        return label in self._hosts

    def is_present_label(self, label: str) -> bool:
        """Whether a text is the label of a seat that has not ended."""
        return label in self._hosts and self._is_present(self._hosts[label])

    def by_knock(self, secret: str) -> AccountProof | None:
        """The proof that the secret of a link is; None if it is of no seat, or of an ended one."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
        return self._of_present(ProofKind.KNOCK, self._knocks.get(digest), digest)

    def by_mark(self, name: str, mark: str) -> AccountProof | None:
        """The proof of an account that has this mark; None if it has none such any more."""
        if not mark or not self._is_present(name):
            return None
        return next((each for each in self._proofs(name) if each.mark == mark), None)

    def _proofs(self, name: str) -> Iterator[AccountProof]:
        """All that an account has now. Which of its certificates is shown, and so when that ends,
        is not known here.
        """
        for kind in (ProofKind.PASSWORD, ProofKind.COMMON_NAME):
            yield self._by_hashes(kind, name)
        seat = self._seats.get(name)
        if seat is None:
            return
        yield from self._key_proofs(name, seat.keys)
        for each in seat.certificates:
            yield _proof(ProofKind.CERTIFICATE, name, each)
        if seat.host is not None:
            yield _proof(ProofKind.HOST, name, seat.host)
        if seat.knock is not None:
            yield _proof(ProofKind.KNOCK, name, seat.knock)

    def _of_present(self, kind: ProofKind, name: str | None, shown: str) -> AccountProof | None:
        if name is None or not self._is_present(name):
            return None
        return _proof(kind, name, shown)

    def _by_hashes(self, kind: ProofKind, name: str) -> AccountProof:
        """A proof that ends with any password of an account."""
        return AccountProof(name, _mark(kind, name, b"\0".join(self.hashes[name])), kind)

    def _key_proofs(self, name: str, keys: Sequence[RobotKey]) -> Iterator[AccountProof]:
        for each in keys:
            end = end_of_day(each.until)
            if end is None or end > self._clock.seconds():
                found = _proof(ProofKind.KEY, name, each.digest)
                yield replace(found, until=math.inf if end is None else end)

    def _present(self, name: str) -> Seat | None:
        """A seat that has not ended."""
        seat = self._seats.get(name)
        return None if seat is None or seat.has_ended(self._clock.seconds()) else seat

    def _is_present(self, name: str) -> bool:
        """Whether there is such an account, and its seat, if it has one, has not ended."""
        return self._present(name) is not None or (
            name in self._passwords and name not in self._seats
        )


def _proof(kind: ProofKind, name: str, shown: str) -> AccountProof:
    return AccountProof(name, _mark(kind, name, shown.encode()), kind)


def _mark(kind: ProofKind, name: str, shown: bytes) -> str:
    text = b"\0".join((kind.value.encode(), name.encode(), shown))
    return hashlib.sha256(text).hexdigest()[:32]
