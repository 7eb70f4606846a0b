"""The breaker, and credentials as values."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.identity import user_of
from regcache.upstream.breaker import Breaker, BreakerState
from regcache.upstream.credentials import (
    FileCredentials,
    fingerprint,
    identity_of,
    user_fingerprint,
)


class BreakerTests(SynchronousTestCase):
    """The state machine of one URL."""

    def setUp(self) -> None:
        self.now = 0.0
        self.states: list[BreakerState] = []
        self.breaker = Breaker(lambda: self.now, lambda: 0.0, self.states.append)

    def fail(self, times: int = 1) -> None:  # type: ignore[override]
        """Let requests fail."""
        for _ in range(times):
            self.assertIsNone(self.breaker.admit())
            self.breaker.failed()

    def test_opens_after_three_in_a_row(self) -> None:
        """A success in between starts the count anew."""
        self.fail(2)
        self.breaker.succeeded()
        self.fail(2)
        self.assertIs(self.breaker.state, BreakerState.CLOSED)
        self.fail()
        self.assertIs(self.breaker.state, BreakerState.OPEN)
        self.assertEqual(self.breaker.admit(), 5)

    def test_single_probe(self) -> None:
        """After its rest one request passes, and no second one beside it."""
        self.fail(3)
        self.now = 5.0
        self.assertIsNone(self.breaker.admit())
        self.assertEqual(self.breaker.admit(), 1)
        self.breaker.succeeded()
        self.assertIsNone(self.breaker.admit())

    def test_abandoned_probe(self) -> None:
        """A probe that is cancelled leaves its place to the next one."""
        self.fail(3)
        self.now = 5.0
        self.assertIsNone(self.breaker.admit())
        self.breaker.abandoned()
        self.assertIsNone(self.breaker.admit())

    def test_doubles_to_a_minute(self) -> None:
        """Each failed probe doubles the rest, up to sixty seconds; success resets it."""
        self.fail(3)
        rests = []
        for _ in range(6):
            rest = self.breaker.refusal()
            assert rest is not None
            rests.append(rest)
            self.now += rest
            self.fail()
        self.assertEqual(rests, [5, 10, 20, 40, 60, 60])
        self.now += 60
        self.assertIsNone(self.breaker.admit())
        self.breaker.succeeded()
        self.fail(3)
        self.assertEqual(self.breaker.refusal(), 5)

    def test_late_failures(self) -> None:
        """Requests that were under way when it opened make it rest no longer."""
        self.fail(3)
        self.breaker.failed()
        self.assertEqual(self.breaker.refusal(), 5)

    def test_jitter(self) -> None:
        """Chance shortens the rest by at most a fifth."""
        breaker = Breaker(lambda: self.now, lambda: 0.999, self.states.append)
        for _ in range(3):
            breaker.failed()
        self.now = 3.9
        self.assertEqual(breaker.refusal(), 1)
        self.now = 4.1
        self.assertIsNone(breaker.refusal())

    def test_tells_states(self) -> None:
        """The first answer and every change are told, once."""
        self.breaker.succeeded()
        self.breaker.succeeded()
        self.fail(3)
        self.now = 5.0
        self.breaker.admit()
        self.breaker.succeeded()
        closed, opened, half = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
        self.assertEqual(self.states, [closed, opened, half, closed])


class CredentialsTests(SynchronousTestCase):
    """Identities and their fingerprints."""

    def test_fingerprint(self) -> None:
        """It tells credentials apart, also where their concatenations agree."""
        self.assertNotEqual(fingerprint("ab", "c"), fingerprint("a", "bc"))
        self.assertEqual(len(fingerprint("ab", "c")), 33)

    def test_user(self) -> None:
        """It says whose they are, whatever the password is."""
        for password in ("c", "d"):
            self.assertEqual(user_of(fingerprint("ab", password)), user_fingerprint("ab"))
        self.assertNotEqual(user_fingerprint("ab"), user_fingerprint("a"))

    def test_no_password_in_repr(self) -> None:
        """An identity does not show what it is made of."""
        self.assertNotIn("secret", repr(identity_of("me", "secret")))

    def test_file(self) -> None:
        """A password file is read again when asked to, and an unreadable one changes nothing."""
        path = self.mktemp()
        source = FileCredentials("me", path)
        self.assertIsNone(source())
        self.assertRaises(OSError, source.load)
        for password in ("one", "two"):
            with open(path, "w") as file:
                file.write(password + "\n")
            self.assertTrue(source.load())
            self.assertFalse(source.load())
            self.assertEqual(source(), ("me", password))
