"""When not to ask an upstream: the circuit breaker. Pure: time and chance are injected."""

import math
from collections.abc import Callable
from enum import Enum

FAILURES_TO_OPEN = 3
FIRST_REST = 5.0
LONGEST_REST = 60.0


class BreakerState(Enum):
    """Closed: everything passes. Open: nothing does. Half-open: one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """The state machine of one URL.

    ===========  ==================  ==================  ====================  ===============
    state        admit               succeeded           failed                abandoned
    ===========  ==================  ==================  ====================  ===============
    closed       yes                 counts from 0       third in a row: open  nothing
    open         no, until it rested  closed             nothing               nothing
    half-open    one, then no        closed              open, twice as long   free to probe
    ===========  ==================  ==================  ====================  ===============

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
        self._failures = 0
        self._rest = FIRST_REST
        self._until = 0.0
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """The state at this moment."""
        return self._state

    def refusal(self) -> int | None:
        """Seconds until the next probe, at least 1; None if a request may be made now."""
        if self._state is BreakerState.CLOSED:
            return None
        remaining = self._until - self._now()
        if remaining <= 0 and not self._probing:
            return None
        return max(1, math.ceil(remaining))

    def admit(self) -> int | None:
        """Like :meth:`refusal`, but None means that the request is being made.

        One of :meth:`succeeded`, :meth:`failed` and :meth:`abandoned` must follow it.
        """
        refusal = self.refusal()
        if refusal is None and self._state is not BreakerState.CLOSED:
            self._probing = True
            self._enter(BreakerState.HALF_OPEN)
        return refusal

    def succeeded(self) -> None:
        """The upstream answered, whatever it said short of 5xx."""
        self._failures = 0
        self._rest = FIRST_REST
        self._probing = False
        self._enter(BreakerState.CLOSED)

    def failed(self) -> None:
        """A connection error, a time-out or a 5xx."""
        if self._state is BreakerState.OPEN:
            return
        self._failures += 1
        if self._state is BreakerState.HALF_OPEN:
            self._rest = min(self._rest * 2, LONGEST_REST)
            self._open()
        elif self._failures >= FAILURES_TO_OPEN:
            self._open()

    def abandoned(self) -> None:
        """The request was given up before it said anything about the upstream."""
        self._probing = False

    def _open(self) -> None:
        self._probing = False
        self._until = self._now() + self._rest * (1.0 - 0.2 * self._chance())
        self._enter(BreakerState.OPEN)

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        if state is not self._told:
            self._told = state
            self._changed(state)
