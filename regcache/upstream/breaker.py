"""The circuit breaker: when not to ask a host. Pure: time and randomness are arguments.

===========  ========================  ====================  =======================  ==============
state        admitted                  answered; succeeded   failed                   abandoned
===========  ========================  ====================  =======================  ==============
closed       everything                nothing; counts anew  may open: see Failures   nothing
open         when it has rested: one,  closed                nothing                  nothing
             the probe
half-open    nothing but the probe     closed                of the probe: open,      of the probe:
                                                             twice as long            another one
===========  ========================  ====================  =======================  ==============

The reference that failed last is never the probe: one broken thing must not keep the breaker open
for all others. It is admitted after a rest of its own, one request at a time, independently of the
probe. If it succeeds the breaker closes; if it fails the others do not wait longer.

The head of an answer closes the breaker. But only a whole answer makes the next rest short again: a
host that sends heads, but no bodies, rests longer each time.
"""

import math
from collections.abc import Callable
from enum import Enum

from regcache.light_dataclass import dataclass

FAILURES_TO_OPEN = 3
FIRST_REST = 5.0
LONGEST_REST = 60.0


class BreakerState(Enum):
    """Closed: everything is admitted. Open: nothing. Half-open: one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class FailureScope(Enum):
    """What a failure may concern: the connection, a repository, or a reference."""

    HOST = "the host: there was no connection"
    REFERENCE = "the host, or what was asked for: no answer, or none that ended"
    REPOSITORY = "the host, or the repository: it answered that it is ill"


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What a request asks for.

    :ivar reference: the path of the URL.
    """

    repository: str
    reference: str


class Failures:
    """Counts failures in a row, and whether they concern more than one thing.

    One path that always answers 500, or never answers, does not mean that the host fails. So three
    failures in a row open a breaker if one of them had no connection, or if two of them concern
    different things: repositories if the host answered, references if it did not.
    """

    def __init__(self) -> None:
        self._count = 0
        self._first: tuple[str, str | None] | None = None
        self._several = False

    def add(self, asked: AskedFor, scope: FailureScope) -> None:
        """Count a failure."""
        self._count += 1
        reference = asked.reference if scope is FailureScope.REFERENCE else None
        concerned = (asked.repository, reference)
        if self._first is None:
            self._first = concerned
        self._several |= scope is FailureScope.HOST or _differ(self._first, concerned)

    @property
    def are_enough(self) -> bool:
        """Whether they open the breaker."""
        return self._several and self._count >= FAILURES_TO_OPEN


def _differ(one: tuple[str, str | None], other: tuple[str, str | None]) -> bool:
    if one[0] != other[0]:
        return True
    return None not in (one[1], other[1]) and one[1] != other[1]


class Attempt:
    """One admitted request. It reports its result; in the end by exactly one of the methods."""

    def __init__(self, breaker: "Breaker", asked: AskedFor) -> None:
        self.asked = asked
        self._breaker = breaker
        self._counted = False

    def answered(self) -> None:
        """The head of an answer came; the body is still to come."""
        self._breaker.close()

    def succeeded(self) -> None:
        """It was answered completely, with any status."""
        self._breaker.settle(self)
        self._breaker.recover()

    def failed(self, scope: FailureScope) -> None:
        """It was not answered, or not completely, or with an error of the host."""
        self._breaker.settle(self)
        self.overdue(scope)

    def overdue(self, scope: FailureScope) -> None:
        """Count it as failed, once; it goes on, and may still succeed."""
        if not self._counted:
            self._counted = True
            self._breaker.count(self, scope)

    def abandoned(self) -> None:
        """It was given up before anything about the host was known."""
        self._breaker.settle(self)
        self._breaker.let_go(self)


class _Rest:
    """A pause, after which one attempt is admitted.

    :ivar attempt: the attempt that is under way.
    """

    def __init__(self) -> None:
        self.attempt: Attempt | None = None
        self._seconds = FIRST_REST
        self._until = 0.0

    def begin(self, now: float, seconds: float, jitter: float) -> None:
        """Admit nothing for some seconds; a random part of that is left out."""
        self.attempt, self._seconds = None, seconds
        self._until = now + seconds * (1.0 - jitter)

    def begin_longer(self, now: float, jitter: float) -> None:
        """The same, twice as long as the last time."""
        self.begin(now, min(self._seconds * 2, LONGEST_REST), jitter)

    def refusal(self, now: float) -> int | None:
        """Seconds until an attempt is admitted, at least 1; None if it is now."""
        remaining = self._until - now
        if remaining <= 0 and self.attempt is None:
            return None
        return max(1, math.ceil(remaining))

    @property
    def seconds(self) -> float:
        """The nominal length of the last rest."""
        return self._seconds


class Breaker:
    """The breaker of one host, for one URL of an upstream.

    :param now: gives monotonic seconds.
    :param chance: gives a number in [0, 1), for the jitter.
    :param changed: called with every new state, and at the first answer.
    """

    def __init__(
        self,
        now: Callable[[], float],
        chance: Callable[[], float],
        changed: Callable[[BreakerState], None],
    ) -> None:
        self._now = now
        self._chance = chance
        self._changed = changed
        self._state = BreakerState.CLOSED
        self._told: BreakerState | None = None
        self._failures = Failures()
        self._recovered = True
        self._probes = _Rest()
        self._failed_last: AskedFor | None = None
        self._again = _Rest()
        self._under_way: dict[Attempt, None] = {}

    @property
    def state(self) -> BreakerState:
        """The state at this moment."""
        return self._state

    def refusal(self, asked: AskedFor) -> int | None:
        """Seconds until a request for this is admitted, at least 1; None if it is now."""
        if self._state is BreakerState.CLOSED:
            return None
        return self._rest_of(asked).refusal(self._now())

    def admit(self, asked: AskedFor) -> Attempt | int:
        """A new attempt, or what :meth:`refusal` gives."""
        refusal = self.refusal(asked)
        if refusal is not None:
            return refusal
        attempt = Attempt(self, asked)
        self._under_way[attempt] = None
        if self._state is not BreakerState.CLOSED:
            rest = self._rest_of(asked)
            rest.attempt = attempt
            if rest is self._probes:
                self._enter(BreakerState.HALF_OPEN)
        return attempt

    def overdue(self, reference: str) -> bool:
        """Count the latest attempt for a reference as failed, if there is one. It goes on."""
        for attempt in reversed(self._under_way):
            if attempt.asked.reference == reference:
                attempt.overdue(FailureScope.REFERENCE)
                return True
        return False

    # What attempts tell.

    def settle(self, attempt: Attempt) -> None:
        """An attempt is over."""
        self._under_way.pop(attempt, None)

    def close(self) -> None:
        """The host answers."""
        self._probes.attempt = self._again.attempt = None
        self._enter(BreakerState.CLOSED)

    def recover(self) -> None:
        """The host has answered completely: earlier failures do not count any more."""
        self._failures = Failures()
        self._recovered = True
        self._failed_last = None
        self.close()

    def count(self, attempt: Attempt, scope: FailureScope) -> None:
        """An attempt failed."""
        if attempt is self._probes.attempt:
            self._open(attempt.asked, scope)
        elif attempt is self._again.attempt:
            if scope is FailureScope.HOST:
                self._open(attempt.asked, scope)
            else:
                self._again.begin_longer(self._now(), self._jitter())
        elif self._state is BreakerState.CLOSED:
            self._failures.add(attempt.asked, scope)
            if self._failures.are_enough:
                self._open(attempt.asked, scope)

    def let_go(self, attempt: Attempt) -> None:
        """An attempt was abandoned. If it was the probe, another one is admitted."""
        for rest in (self._probes, self._again):
            if rest.attempt is attempt:
                rest.attempt = None

    def _rest_of(self, asked: AskedFor) -> _Rest:
        return self._again if asked == self._failed_last else self._probes

    def _open(self, asked: AskedFor, scope: FailureScope) -> None:
        now, jitter = self._now(), self._jitter()
        if self._recovered:
            self._probes.begin(now, FIRST_REST, jitter)
        else:
            self._probes.begin_longer(now, jitter)
        self._recovered = False
        self._failed_last = None if scope is FailureScope.HOST else asked
        self._again.begin(now, self._probes.seconds, jitter)
        self._enter(BreakerState.OPEN)

    def _jitter(self) -> float:
        return 0.2 * self._chance()

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        if state is not self._told:
            self._told = state
            self._changed(state)
