"""The breaker, and credentials as values."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.identity import user_of
from regcache.upstream.breaker import (
    AskedFor,
    Attempt,
    Breaker,
    BreakerState,
    Failures,
    FailureScope,
)
from regcache.upstream.credentials import (
    FileCredentials,
    fingerprint,
    identity_of,
    user_fingerprint,
)

ONE, OTHER = AskedFor("team/one", "/v2/team/one/1"), AskedFor("team/other", "/v2/team/other/1")
THIRD = AskedFor("team/third", "/v2/team/third/1")
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class BreakerCase(SynchronousTestCase):
    """A breaker whose clock only the test turns."""

    def setUp(self) -> None:
        """It is closed."""
        self.now = 0.0
        self.states: list[BreakerState] = []
        self.breaker = Breaker(lambda: self.now, lambda: 0.0, self.states.append)

    def admit(self, subject: AskedFor = ONE) -> Attempt:
        """A request that passes."""
        attempt = self.breaker.admit(subject)
        assert isinstance(attempt, Attempt), f"it is refused for {attempt} s"
        return attempt

    def break_off(self, *subjects: AskedFor, scope: FailureScope = FailureScope.REPOSITORY) -> None:
        """Let requests fail."""
        for subject in subjects:
            self.admit(subject).failed(scope)

    def open(self) -> None:
        """Let it open; what failed last is ``OTHER``."""
        self.break_off(ONE, ONE, OTHER)
        self.assertIs(self.breaker.state, OPEN)


class BreakerTests(BreakerCase):
    """The states of one host."""

    def test_opens_after_three_in_a_row(self) -> None:
        """A success in between starts the count anew."""
        self.break_off(ONE, OTHER)
        self.admit().succeeded()
        self.break_off(ONE, OTHER)
        self.assertIs(self.breaker.state, CLOSED)
        self.break_off(ONE)
        self.assertIs(self.breaker.state, OPEN)
        self.assertEqual(self.breaker.admit(ONE), 5)
        self.assertEqual(self.breaker.refusal(THIRD), 5)

    def test_single_probe(self) -> None:
        """After its rest one request passes, and no second one beside it."""
        self.open()
        self.now = 5.0
        probe = self.admit(ONE)
        self.assertIs(self.breaker.state, HALF_OPEN)
        self.assertEqual(self.breaker.admit(ONE), 1)
        self.assertEqual(self.breaker.admit(THIRD), 1)
        probe.succeeded()
        self.admit(THIRD)

    def test_what_failed_last_is_no_probe(self) -> None:
        """It may be asked for when it has rested; its failure keeps nobody else."""
        self.open()
        self.now = 5.0
        self.admit(OTHER).failed(FailureScope.REPOSITORY)
        self.assertIs(self.breaker.state, OPEN)
        self.assertEqual(self.breaker.refusal(OTHER), 10)
        self.admit(ONE).succeeded()
        self.assertIs(self.breaker.state, CLOSED)
        self.admit(OTHER)

    def test_what_failed_last_beside_the_probe(self) -> None:
        """The two do not wait for each other, but each is single."""
        self.open()
        self.now = 5.0
        self.admit(OTHER)
        self.assertEqual(self.breaker.refusal(OTHER), 1)
        self.admit(ONE)
        self.assertEqual(self.breaker.refusal(THIRD), 1)

    def test_what_failed_last_rests_longer_each_time(self) -> None:
        """Where nobody asks for anything else it is asked for less and less, but for ever."""
        self.open()
        rests = []
        for _ in range(6):
            rest = self.breaker.refusal(OTHER)
            assert rest is not None
            rests.append(rest)
            self.now += rest
            self.break_off(OTHER)
        self.assertEqual(rests, [5, 10, 20, 40, 60, 60])
        self.now += 60
        self.admit(OTHER).succeeded()
        self.assertIs(self.breaker.state, CLOSED)

    def test_what_failed_last_finds_no_connection(self) -> None:
        """That says something about the host, and is no matter of what was asked for."""
        self.open()
        self.now = 5.0
        self.break_off(OTHER, scope=FailureScope.HOST)
        self.assertEqual(self.breaker.refusal(ONE), 10)
        self.now = 15.0
        self.admit(OTHER)
        self.assertIs(self.breaker.state, HALF_OPEN)

    def test_no_connection(self) -> None:
        """Where there was none the same thing may be the probe."""
        self.break_off(ONE, ONE, ONE, scope=FailureScope.HOST)
        self.now = 5.0
        self.admit(ONE)
        self.assertIs(self.breaker.state, HALF_OPEN)

    def test_abandoned(self) -> None:
        """A probe that is given up leaves its place to the next one, and so does the other."""
        self.open()
        self.now = 5.0
        for subject in (ONE, OTHER):
            self.admit(subject).abandoned()
            self.admit(subject)

    def test_abandoned_long_ago(self) -> None:
        """What was admitted before, and is given up now, makes room for nothing."""
        early = self.admit(THIRD)
        self.open()
        self.now = 5.0
        self.admit(ONE)
        early.abandoned()
        self.assertEqual(self.breaker.refusal(THIRD), 1)

    def test_doubles_to_a_minute(self) -> None:
        """Each failed probe doubles the rest, up to sixty seconds; success resets it."""
        self.open()
        rests = []
        for subject in (ONE, OTHER) * 3:
            rest = self.breaker.refusal(subject)
            assert rest is not None
            rests.append(rest)
            self.now += rest
            self.break_off(subject)
        self.assertEqual(rests, [5, 10, 20, 40, 60, 60])
        self.now += 60
        self.admit(ONE).succeeded()
        self.open()
        self.assertEqual(self.breaker.refusal(ONE), 5)

    def test_late_failures(self) -> None:
        """Requests that were under way when it opened make it rest no longer."""
        early = [self.admit(THIRD), self.admit(THIRD)]
        self.open()
        early[0].failed(FailureScope.HOST)
        self.assertEqual(self.breaker.refusal(ONE), 5)
        self.now = 5.0
        self.admit(ONE)
        early[1].failed(FailureScope.HOST)
        self.assertIs(self.breaker.state, HALF_OPEN)

    def test_late_answer(self) -> None:
        """The answer to one of them closes it."""
        early = self.admit(THIRD)
        self.open()
        early.answered()
        self.assertIs(self.breaker.state, CLOSED)

    def test_bodies_that_break(self) -> None:
        """Heads that come well close, but what follows them counts: it rests longer each time."""
        self.open()
        for rest in (5, 10, 20):
            self.assertEqual(self.breaker.refusal(ONE), rest)
            self.now += rest
            attempt = self.admit(THIRD if rest == 10 else ONE)
            attempt.answered()
            self.assertIs(self.breaker.state, CLOSED)
            attempt.failed(FailureScope.REFERENCE)
            self.assertIs(self.breaker.state, OPEN)
            self.admit_nothing()

    def admit_nothing(self) -> None:
        """Refuse every request."""
        for subject in (ONE, OTHER, THIRD):
            self.assertIsNotNone(self.breaker.refusal(subject))

    def test_bodies_that_break_are_enough(self) -> None:
        """Three bodies in a row that break open it, though each head came well."""
        for subject in (ONE, OTHER, ONE):
            attempt = self.admit(subject)
            attempt.answered()
            attempt.failed(FailureScope.REFERENCE)
        self.assertIs(self.breaker.state, OPEN)

    def test_overdue(self) -> None:
        """What outlasts the deadline counts once, now or when it fails, and may succeed yet."""
        attempts = [self.admit(subject) for subject in (ONE, OTHER, THIRD)]
        for attempt in attempts:
            for _ in range(2):
                self.assertTrue(self.breaker.overdue(attempt.asked.reference))
        self.assertIs(self.breaker.state, OPEN)
        attempts[0].failed(FailureScope.REFERENCE)
        attempts[1].succeeded()
        self.assertIs(self.breaker.state, CLOSED)
        self.assertFalse(self.breaker.overdue(ONE.reference))

    def test_overdue_probe(self) -> None:
        """A probe that outlasts the deadline has failed, though its answer would close."""
        self.open()
        self.now = 5.0
        probe = self.admit(ONE)
        self.breaker.overdue(ONE.reference)
        self.assertIs(self.breaker.state, OPEN)
        self.assertEqual(self.breaker.refusal(OTHER), 10)
        probe.failed(FailureScope.REFERENCE)
        self.assertEqual(self.breaker.refusal(OTHER), 10)

    def test_jitter(self) -> None:
        """Chance shortens the rest by at most a fifth."""
        self.breaker = Breaker(lambda: self.now, lambda: 0.999, self.states.append)
        self.open()
        self.now = 3.9
        self.assertEqual(self.breaker.refusal(ONE), 1)
        self.now = 4.1
        self.assertIsNone(self.breaker.refusal(ONE))

    def test_tells_states(self) -> None:
        """The first answer and every change are told, once."""
        self.admit().succeeded()
        self.admit().succeeded()
        self.open()
        self.now = 5.0
        self.admit(ONE).succeeded()
        self.assertEqual(self.states, [CLOSED, OPEN, HALF_OPEN, CLOSED])


class FailuresTests(SynchronousTestCase):
    """Which failures in a row are enough."""

    def enough(self, *failures: tuple[str, str, FailureScope]) -> bool:
        """Whether these are."""
        row = Failures()
        for repository, reference, scope in failures:
            row.add(AskedFor(repository, reference), scope)
        return row.are_enough

    def test_table(self) -> None:
        """Three, if they concern two things, or if there was no connection for one."""
        answered, silent, nothing = (
            FailureScope.REPOSITORY,
            FailureScope.REFERENCE,
            FailureScope.HOST,
        )
        one, again, other = ("a", "1"), ("a", "2"), ("b", "1")
        for expected, failures in (
            (False, [(*one, answered)] * 100),
            (False, [(*one, answered), (*again, answered), (*one, answered)]),
            (False, [(*one, answered), (*other, answered)]),
            (True, [(*one, answered), (*one, answered), (*other, answered)]),
            (False, [(*one, silent)] * 100),
            (True, [(*one, silent), (*again, silent), (*one, silent)]),
            (True, [(*one, silent), (*other, silent), (*one, silent)]),
            (False, [(*one, answered), (*one, silent), (*again, answered)]),
            (True, [(*one, nothing)] * 3),
            (True, [(*one, answered), (*one, nothing), (*one, answered)]),
            (False, [(*one, nothing)] * 2),
        ):
            self.assertIs(self.enough(*failures), expected, failures)


class CredentialsTests(SynchronousTestCase):
    """Identities and their fingerprints."""

    def test_fingerprint(self) -> None:
        """It tells credentials apart, also where their concatenations agree."""
        self.assertNotEqual(fingerprint("ab", "c"), fingerprint("a", "bc"))
        self.assertEqual(len(fingerprint("ab", "c")), 33)

    def test_user(self) -> None:
        """The fingerprint of the user is the same with any password."""
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
