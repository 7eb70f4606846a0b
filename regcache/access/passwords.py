"""Passwords: checked by bcrypt in threads of their own, and remembered for a minute.

==========================  =============================================================
what is known of a login    what happens
==========================  =============================================================
remembered as right         right, at once
remembered as wrong         wrong, at once; it is no further attempt
being checked               waits for the same check
unknown, too many attempts  refused with 429: no check
unknown, the queue is full  refused with 503: no check
unknown                     a check; the outcome is remembered if the file is still the same
==========================  =============================================================

A name that no account has is checked against hashes that nothing matches, which takes as long as
real ones: as many as any account has. What is remembered is a keyed hash of name, password and
stored hashes: the password cannot be told from it, and with other hashes it is not found any more.
So where a file changes, only those have to be checked again whose passwords have.
"""

import hmac
import os
from collections.abc import Mapping, Sequence

import bcrypt
from twisted.internet.interfaces import IReactorTime

from regcache.access.attempts import Attempts
from regcache.bounded import BoundedTable
from regcache.errors import ServiceUnavailableError, TooManyRequestsError
from regcache.htpasswd import LONGEST_PASSWORD
from regcache.interfaces import IWorkPool
from regcache.single_flight import Flights

#: For how long an outcome is remembered (seconds).
REMEMBERED = 60.0
#: Outcomes that are remembered.
MOST_REMEMBERED = 10_000
#: Checks that are under way or wait for a thread.
MOST_WAITING = 100
#: A hash that no password matches, by cost: a check takes as long as one of the file's.
_NOBODY = b"$2b$%02d$" + b"R9h/cIPz0gi.URNNX3kh2O" + b"PST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"
_DEFAULT_COST = 10


class Passwords:
    """Checks logins against the accounts, of which each has any number of passwords.

    :param threads: for bcrypt alone.
    """

    def __init__(self, threads: IWorkPool, clock: IReactorTime) -> None:
        self._threads = threads
        self._attempts = Attempts(clock)
        self._key = os.urandom(32)
        self._accounts: Mapping[str, Sequence[bytes]] = {}
        self._most = 1
        self._nobody = _NOBODY % _DEFAULT_COST
        self._remembered: BoundedTable[bytes, bool] = BoundedTable(MOST_REMEMBERED, clock)
        self._checks: Flights[bool] = Flights(clock)

    def replace(self, accounts: Mapping[str, Sequence[bytes]]) -> None:
        """Take other accounts and their hashes.

        Nothing that is remembered of one with other hashes is found again; of the rest it holds.
        """
        self._accounts = dict(accounts)
        costs = [_cost(each) for hashes in accounts.values() for each in hashes]
        self._nobody = _NOBODY % max(costs, default=_DEFAULT_COST)
        self._most = max(1, *map(len, accounts.values())) if accounts else 1

    def known(self, name: str, password: bytes) -> bool | None:
        """What is remembered of a login; None if nothing is."""
        return self._remembered.get(self.fingerprint(name, password))

    async def check(self, name: str, password: bytes, address: str | None) -> bool:
        """Whether a login is right.

        :meth:`refuse` has to be told of a wrong one that is to be answered 401.

        :raises TooManyRequestsError: after too many wrong ones from this address.
        :raises ServiceUnavailableError: while too many others wait.
        """
        fingerprint = self.fingerprint(name, password)
        known = self._remembered.get(fingerprint)
        if known is None:
            known = await self._check(name, password, address, fingerprint)
        return known

    def refuse(self, address: str | None, fingerprint: bytes) -> None:
        """Note a wrong login that is to be answered 401.

        :raises TooManyRequestsError: where too many were: then it is not answered 401.
        """
        _assert_no_wait(self._attempts.refuse(address, fingerprint))

    def look(self, address: str | None) -> None:
        """Let credentials be looked at that take no check.

        :raises TooManyRequestsError: after too many wrong ones from this address.
        """
        _assert_no_wait(self._attempts.wait(address))

    async def _check(
        self, name: str, password: bytes, address: str | None, fingerprint: bytes
    ) -> bool:
        _assert_no_wait(self._attempts.wait(address))
        if not self._checks.under_way(fingerprint) and len(self._checks) >= MOST_WAITING:
            raise ServiceUnavailableError(
                "too many logins are being checked", headers={"Retry-After": "2"}
            )
        return await self._checks.join(
            fingerprint, lambda: self._run(name, password, address, fingerprint)
        )

    async def _run(
        self, name: str, password: bytes, address: str | None, fingerprint: bytes
    ) -> bool:
        stored = self._accounts.get(name)
        hashes = [*(stored or ()), *[self._nobody] * (self._most - len(stored or ()))]
        right = bool(await self._threads.run(_matches_any, password, hashes))
        if self._accounts.get(name) != stored:
            # The file was replaced meanwhile: the account is gone, new, or has another password.
            return False
        self._remembered.put(fingerprint, right, seconds=REMEMBERED)
        if not right:
            self._attempts.checked(address, fingerprint)
        return right

    def fingerprint(self, name: str, password: bytes) -> bytes:
        """Tells logins apart: a keyed hash, which does not show the password."""
        parts = (name.encode(), password, *self._accounts.get(name, ()))
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._key, text, "sha256")


def _assert_no_wait(seconds: float) -> None:
    if seconds > 0:
        raise TooManyRequestsError(
            "too many wrong logins from this address",
            headers={"Retry-After": str(int(seconds) + 1)},
        )


def _matches_any(password: bytes, hashes: Sequence[bytes]) -> bool:
    """All are compared, whichever matches."""
    return any([_matches(password, each) for each in hashes])


def _matches(password: bytes, hashed: bytes) -> bool:
    if b"\0" in password:
        return False
    return bcrypt.checkpw(password[:LONGEST_PASSWORD], hashed)


def _cost(hashed: bytes) -> int:
    return int(hashed[4:6])
