"""When not to ask a host: the circuit breaker. Pure: time and chance are injected.

===========  ========================  ====================  =======================  ==============
state        admitted                  answered; succeeded   failed                   abandoned
===========  ========================  ====================  =======================  ==============
closed       everything                nothing; counts anew  may open: see Failures   nothing
open         when it has rested: one,  closed                nothing                  nothing
             the probe
half-open    nothing but the probe     closed                of the probe: open,      of the probe:
                                                             twice as long            another one
===========  ========================  ====================  =======================  ==============

What failed last is no probe, or one thing that is ill would keep a host closed for everybody who
asks for something else. It is admitted when it has rested itself, one at a time, whatever the
probe does; its success closes, and its failure makes nobody else wait.

An answer closes, but only one that has come whole makes the next rest short again: a host whose
heads are well and whose bodies are not rests longer each time.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

FAILURES_TO_OPEN = 3
FIRST_REST = 5.0
LONGEST_REST = 60.0


class BreakerState(Enum):
    """Closed: everything passes. Open: nothing does. Half-open: one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class FailureScope(Enum):
    """What is ill, as far as one failure tells."""

    HOST = "the host: there was no connection"
    REFERENCE = "the host, or what was asked for: no answer, or none that ended"
    REPOSITORY = "the host, or the repository: it answered that it is ill"


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What is asked for.

    :ivar reference: the path of the URL.
    """

    repository: str
    reference: str


class Failures:
    """Failures in a row, and whether they tell of more than one thing.

    One path that always answers 500 says nothing of the host, nor does one that hangs. So three
    in a row open a breaker if there was no connection for one of them, or if two of them
    concern two things: two repositories where the host answered, two references where it
    did not.
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
        """Whether the host is not to be asked for a while."""
        return self._several and self._count >= FAILURES_TO_OPEN


def _differ(one: tuple[str, str | None], other: tuple[str, str | None]) -> bool:
    if one[0] != other[0]:
        return True
    return None not in (one[1], other[1]) and one[1] != other[1]


class Attempt:
    """One request that was admitted. It tells how it went, in the end by exactly one word."""

    def __init__(self, breaker: "Breaker", asked: AskedFor) -> None:
        self.asked = asked
        self._breaker = breaker
        self._counted = False

    def answered(self) -> None:
        """The head of an answer came; the body is still to come."""
        self._breaker.close()

    def succeeded(self) -> None:
        """It was answered, whatever the answer said, and to its end."""
        self._breaker.settle(self)
        self._breaker.recover()

    def failed(self, scope: FailureScope) -> None:
        """It was not answered, or with an error of the host's own, or not to the end."""
        self._breaker.settle(self)
        self.overdue(scope)

    def overdue(self, scope: FailureScope) -> None:
        """Count it as failed, but go on: it may succeed yet. It is counted once."""
        if not self._counted:
            self._counted = True
            self._breaker.count(self, scope)

    def abandoned(self) -> None:
        """It was given up before it said anything about the host."""
        self._breaker.settle(self)
        self._breaker.let_go(self)


class _Rest:
    """Lets one attempt pass when a rest is over.

    :ivar attempt: the one that is under way.
    """

    def __init__(self) -> None:
        self.attempt: Attempt | None = None
        self._seconds = FIRST_REST
        self._until = 0.0

    def begin(self, now: float, seconds: float, jitter: float) -> None:
        """Let nothing pass for some seconds; chance makes it less."""
        self.attempt, self._seconds = None, seconds
        self._until = now + seconds * (1.0 - jitter)

    def begin_longer(self, now: float, jitter: float) -> None:
        """The same, twice as long as the last time."""
        self.begin(now, min(self._seconds * 2, LONGEST_REST), jitter)

    def refusal(self, now: float) -> int | None:
        """Seconds until something may pass, at least 1; None if it may now."""
        remaining = self._until - now
        if remaining <= 0 and self.attempt is None:
            return None
        return max(1, math.ceil(remaining))

    @property
    def seconds(self) -> float:
        """How long the last rest was meant to be."""
        return self._seconds


class Breaker:
    """The breaker of one host, on behalf of one URL of an upstream.

    :param now: seconds that only grow.
    :param chance: a number in [0, 1), for the jitter.
    :param changed: told every new state, and the first answer.
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
        """Seconds until this may be asked for, at least 1; None if it may be now."""
        if self._state is BreakerState.CLOSED:
            return None
        return self._rest_of(asked).refusal(self._now())

    def admit(self, asked: AskedFor) -> Attempt | int:
        """An attempt that is being made from now on, or what :meth:`refusal` gives."""
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
        """Count the latest attempt for a reference as failed, if there is one; it goes on."""
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
        """The host answers to the end: what failed before counts no more."""
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
        """An attempt said nothing: where it was the only one, there may be another."""
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
