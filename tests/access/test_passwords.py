"""Logins: checked, remembered, limited."""

from collections.abc import Callable
from typing import Any

import bcrypt
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.attempts import (
    MOST_CHECKED,
    MOST_NOTED,
    MOST_WRONG,
    PERIOD,
    Attempts,
    source,
)
from regcache.access.passwords import MOST_REMEMBERED, MOST_WAITING, REMEMBERED, Passwords
from regcache.errors import ServiceUnavailableError, TooManyRequestsError
from tests.access.accounts import HOME, hashed
from tests.support.pools import HeldPool, ImmediatePool

ALICE = hashed("secret")


def _counting(compared: list[bytes]) -> Callable[[bytes, bytes], bool]:
    """Compares, and notes with what."""
    check = bcrypt.checkpw

    def compare(password: bytes, stored: bytes) -> bool:
        compared.append(stored)
        return check(password, stored)

    return compare


class PasswordTests(SynchronousTestCase):
    """Whether a login is right."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.pool = ImmediatePool()
        self.passwords = Passwords(self.pool, self.clock)
        self.passwords.replace({"alice": [ALICE]})

    def check(self, name: str, password: str, address: str | None = HOME) -> "Deferred[bool]":
        """Check a login."""
        return Deferred.fromCoroutine(self.passwords.check(name, password.encode(), address))

    def result(self, name: str, password: str, address: str | None = HOME) -> bool:
        """The outcome of a check; a wrong login is refused."""
        right = self.successResultOf(self.check(name, password, address))
        if not right:
            fingerprint = self.passwords.fingerprint(name, password.encode())
            self.passwords.refuse(address, fingerprint)
        return right

    def test_right_and_wrong(self) -> None:
        """A login is right with the account's own password only."""
        self.assertTrue(self.result("alice", "secret"))
        self.assertFalse(self.result("alice", "Secret"))
        self.assertFalse(self.result("alice", ""))
        self.assertFalse(self.result("alice", "secret\0more"))

    def test_long(self) -> None:
        """What bcrypt does not look at is no error."""
        self.assertFalse(self.result("alice", "secret" * 50))

    def test_unknown_name(self) -> None:
        """A name without an account costs a check, too, as slow as the slowest of the file."""
        self.assertFalse(self.result("mallory", "secret"))
        self.assertEqual(len(self.pool.jobs), 1)

    def test_remembered(self) -> None:
        """For a minute a login costs no further check, right or wrong."""
        for password, right in (("secret", True), ("wrong", False)):
            self.pool.jobs.clear()
            for _ in range(3):
                self.assertEqual(self.result("alice", password), right)
            self.assertEqual(len(self.pool.jobs), 1)
        self.clock.advance(REMEMBERED + 1)
        self.assertTrue(self.result("alice", "secret"))
        self.assertEqual(len(self.pool.jobs), 2)

    def test_file_changed(self) -> None:
        """A changed file counts at once: another password, a removed account, a new one."""
        self.assertTrue(self.result("alice", "secret"))
        self.passwords.replace({"alice": [hashed("other")]})
        self.assertFalse(self.result("alice", "secret"))
        self.assertTrue(self.result("alice", "other"))
        self.passwords.replace({})
        self.assertFalse(self.result("alice", "other"))

    def test_others_changed(self) -> None:
        """Where the file has others than before, who has the same password costs no check."""
        self.assertTrue(self.result("alice", "secret"))
        self.assertFalse(self.result("alice", "wrong"))
        self.pool.jobs.clear()
        self.passwords.replace({"alice": [ALICE], "bob": [hashed("other")]})
        self.assertTrue(self.result("alice", "secret"))
        self.assertFalse(self.result("alice", "wrong"))
        self.assertEqual(len(self.pool.jobs), 0)
        self.assertTrue(self.result("bob", "other"))
        self.passwords.replace({"alice": [ALICE]})
        self.assertFalse(self.result("bob", "other"))

    def test_several(self) -> None:
        """Any password of an account is right; every other check takes as many comparisons."""
        self.passwords.replace({"alice": [ALICE, hashed("other")], "bob": [ALICE], "carol": []})
        compared: list[bytes] = []
        self.patch(bcrypt, "checkpw", _counting(compared))
        for name, password, right in (
            ("alice", "secret", True),
            ("alice", "other", True),
            ("alice", "wrong", False),
            ("bob", "other", False),
            ("carol", "secret", False),
            ("mallory", "secret", False),
        ):
            compared.clear()
            self.assertEqual(self.result(name, password), right, (name, password))
            self.assertEqual(len(compared), 2, (name, password))

    def test_nothing_kept(self) -> None:
        """Neither a password nor a hash of it alone is kept."""
        self.result("alice", "secret")
        kept: Any = vars(self.passwords)["_remembered"]
        self.assertNotIn("secret", repr(vars(kept)))

    def test_too_many_wrong(self) -> None:
        """After ten wrong logins of a minute only known ones are answered from that address."""
        self.assertTrue(self.result("alice", "secret"))
        for number in range(MOST_WRONG):
            self.assertFalse(self.result("alice", f"wrong{number}"))
        self.assertFalse(self.result("alice", "wrong0"))
        self.assertTrue(self.result("alice", "secret"))
        failure = self.failureResultOf(self.check("alice", "new"), TooManyRequestsError)
        self.assertIn("Retry-After", failure.value.headers)
        self.assertTrue(self.result("alice", "secret", "192.0.2.8"))
        self.clock.advance(PERIOD + 1)
        self.assertFalse(self.result("alice", "new"))

    def test_refused_together(self) -> None:
        """Of wrong logins that were checked together no more are refused as wrong than others."""
        for number in range(MOST_WRONG):
            self.passwords.refuse(HOME, b"%d" % number)
        self.passwords.refuse(HOME, b"0")
        self.assertRaises(TooManyRequestsError, self.passwords.refuse, HOME, b"further")
        self.passwords.refuse("192.0.2.8", b"further")

    def test_checked(self) -> None:
        """Wrong logins that are not refused, since they count as none, are not without bound."""
        for number in range(MOST_CHECKED):
            self.assertFalse(self.successResultOf(self.check("alice", f"wrong{number}")))
            self.assertFalse(self.successResultOf(self.check("alice", "wrong0")))
        self.failureResultOf(self.check("alice", "new"), TooManyRequestsError)
        self.assertTrue(self.result("alice", "secret", "192.0.2.8"))

    def test_one_mistake_often(self) -> None:
        """The same wrong login counts once, however often it is shown."""
        for _ in range(5 * MOST_WRONG):
            self.assertFalse(self.result("alice", "wrong"))
        self.assertFalse(self.result("alice", "other"))

    def test_many_remembered(self) -> None:
        """What is remembered is bounded."""
        pool = ImmediatePool()
        passwords = Passwords(pool, self.clock)
        table: Any = vars(passwords)["_remembered"]
        for number in range(MOST_REMEMBERED + 10):
            table.put(str(number).encode(), False, seconds=REMEMBERED)
        self.assertEqual(len(table), MOST_REMEMBERED)


class WaitingTests(SynchronousTestCase):
    """Checks that take their time."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pool = HeldPool()
        self.passwords = Passwords(self.pool, self.clock)
        self.passwords.replace({"alice": [ALICE]})

    def check(self, password: str, address: str = HOME) -> "Deferred[bool]":
        """Check a login of alice."""
        checking = self.passwords.check("alice", password.encode(), address)
        return Deferred.fromCoroutine(checking)

    def test_together(self) -> None:
        """Who shows the same login meanwhile waits for the same check."""
        checks = [self.check("secret") for _ in range(3)]
        self.assertEqual(len(self.pool.jobs), 1)
        self.pool.release()
        self.assertEqual([self.successResultOf(each) for each in checks], [True] * 3)

    def test_full(self) -> None:
        """When too many wait a further login gets 503, and one that is being checked waits."""
        checks = [
            self.check(f"wrong{number}", f"192.0.2.{number}") for number in range(MOST_WAITING)
        ]
        failure = self.failureResultOf(self.check("secret"), ServiceUnavailableError)
        self.assertIn("Retry-After", failure.value.headers)
        checks.append(self.check("wrong0"))
        self.pool.release_all()
        self.assertEqual([self.successResultOf(each) for each in checks], [False] * len(checks))
        self.assertTrue(self.pool.jobs == [])

    def test_removed_meanwhile(self) -> None:
        """An account that is removed while its password is checked is out."""
        checking = self.check("secret")
        self.passwords.replace({})
        self.pool.release()
        self.assertFalse(self.successResultOf(checking))

    def test_changed_meanwhile(self) -> None:
        """A password that is changed while it is checked is the new one."""
        checking = self.check("secret")
        self.passwords.replace({"alice": [hashed("other")]})
        self.pool.release()
        self.assertFalse(self.successResultOf(checking))

    def test_all_left(self) -> None:
        """Who tries passwords and leaves before the answer tries no more than others."""
        for number in range(MOST_CHECKED):
            checking = self.check(f"wrong{number}").addErrback(lambda _: None)
            checking.cancel()
            self.pool.release_all()
        self.failureResultOf(self.check("new"), TooManyRequestsError)

    def test_client_left(self) -> None:
        """A client that leaves ends no check that others wait for."""
        left, stays = self.check("secret"), self.check("secret")
        left.addErrback(lambda _: None)
        left.cancel()
        self.pool.release()
        self.assertTrue(self.successResultOf(stays))


class AttemptTests(SynchronousTestCase):
    """Wrong logins by address."""

    def test_sources(self) -> None:
        """A /64 of IPv6 is one address, and IPv4 in IPv6 is IPv4."""
        self.assertEqual(source("2001:db8:1:2:3::4"), source("2001:db8:1:2:ffff::1"))
        self.assertNotEqual(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"))
        self.assertEqual(source("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(source(None), "")

    def test_bounded(self) -> None:
        """No more is remembered than there is room for, however much comes from how many places."""
        clock = Clock()
        attempts = Attempts(clock)
        for number in range(MOST_NOTED // MOST_WRONG + 100):
            address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            for shown in range(2 * MOST_WRONG):
                attempts.refuse(address, b"%d" % shown)
                attempts.checked(address, b"%d" % shown)
        for row in ("_wrong", "_checked"):
            table: Any = vars(vars(attempts)[row])["_table"]
            kept = sum(len(each) for each in table.values())
            self.assertLessEqual(kept, MOST_NOTED)
            self.assertGreater(kept, MOST_NOTED // 2)

    def test_bounded_row(self) -> None:
        """Of one address no more is remembered than counts."""
        attempts = Attempts(Clock())
        for number in range(10 * MOST_CHECKED):
            attempts.refuse(HOME, b"%d" % number)
            attempts.checked(HOME, b"%d" % number)
        for row, most in (("_wrong", MOST_WRONG), ("_checked", MOST_CHECKED)):
            table: Any = vars(vars(attempts)[row])["_table"]
            self.assertEqual(len(table.get(HOME)), most)

    def test_wait(self) -> None:
        """How long is to be waited shrinks with the time."""
        clock = Clock()
        attempts = Attempts(clock)
        for number in range(MOST_WRONG):
            attempts.refuse(HOME, b"%d" % number)
        self.assertEqual(attempts.wait(HOME), PERIOD)
        clock.advance(PERIOD - 10)
        self.assertEqual(attempts.wait(HOME), 10)
        clock.advance(10)
        self.assertEqual(attempts.wait(HOME), 0)
