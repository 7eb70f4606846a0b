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

A name that no account has is checked against a hash that nothing matches, which takes as long as
a real one. What is remembered is a keyed hash of name, password and stored hash: nobody can tell
the password from it, and with another stored hash it is not found any more.
"""

import hashlib
import hmac
import os
from collections.abc import Mapping

import bcrypt
from twisted.internet.interfaces import IReactorTime

from regcache.access.attempts import Attempts
from regcache.bounded import BoundedTable
from regcache.errors import ServiceUnavailableError, TooManyRequestsError
from regcache.interfaces import IWorkPool
from regcache.single_flight import Flights

#: For how long an outcome is remembered (seconds).
REMEMBERED = 60.0
#: Outcomes that are remembered.
MOST_REMEMBERED = 10_000
#: Checks that are under way or wait for a thread.
MOST_WAITING = 100
#: What bcrypt looks at of a password (bytes).
_LOOKED_AT = 72
#: A hash that no password matches, by cost: a check takes as long as one of the file's.
_NOBODY = b"$2b$%02d$" + b"R9h/cIPz0gi.URNNX3kh2O" + b"PST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"
_DEFAULT_COST = 10


class Passwords:
    """Checks logins against the accounts of a htpasswd file.

    :param threads: for bcrypt alone.
    """

    def __init__(self, threads: IWorkPool, clock: IReactorTime) -> None:
        self._threads = threads
        self._attempts = Attempts(clock)
        self._key = os.urandom(32)
        self._accounts: Mapping[str, bytes] = {}
        self._nobody = _NOBODY % _DEFAULT_COST
        self._remembered: BoundedTable[bytes, bool] = BoundedTable(MOST_REMEMBERED, clock)
        self._checks: Flights[bool] = Flights(clock)

    def replace(self, accounts: Mapping[str, bytes]) -> None:
        """Take another file's accounts; nothing is remembered of the former ones."""
        self._accounts = dict(accounts)
        costs = [_cost(each) for each in accounts.values()]
        self._nobody = _NOBODY % max(costs, default=_DEFAULT_COST)
        self._remembered.clear()

    def exists(self, name: str) -> bool:
        """Whether there is such an account."""
        return name in self._accounts

    def mark(self, name: str) -> str | None:
        """What an account's present password is known by elsewhere; None without that account.

        It changes with the password, which cannot be found from it without the hash.
        """
        stored = self._accounts.get(name)
        if stored is None:
            return None
        return hashlib.sha256(b"mark\0" + name.encode() + b"\0" + stored).hexdigest()[:32]

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
        hashed = self._nobody if stored is None else stored
        matches = await self._threads.run(_matches, password, hashed)
        right = bool(matches) and stored is not None
        if self._accounts.get(name) != stored:
            # The file was replaced meanwhile: the account is gone, new, or has another password.
            return False
        self._remembered.put(fingerprint, right, seconds=REMEMBERED)
        if not right:
            self._attempts.checked(address, fingerprint)
        return right

    def fingerprint(self, name: str, password: bytes) -> bytes:
        """Tells logins apart: a keyed hash, from which nobody learns the password."""
        parts = (name.encode(), password, self._accounts.get(name, b""))
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._key, text, "sha256")


def _assert_no_wait(seconds: float) -> None:
    if seconds > 0:
        raise TooManyRequestsError(
            "too many wrong logins from this address",
            headers={"Retry-After": str(int(seconds) + 1)},
        )


def _matches(password: bytes, hashed: bytes) -> bool:
    if b"\0" in password:
        return False
    return bcrypt.checkpw(password[:_LOOKED_AT], hashed)


def _cost(hashed: bytes) -> int:
    return int(hashed[4:6])
