"""Takes turns: many clients who want more at the same moment do not hold the reactor together.

Two hundred slow clients that began at once come back at once, too. What each gets costs a
fraction of a millisecond; all of them in one turn of the reactor are late for everybody else.
"""

# mypy: disable-error-code="no-untyped-call"
# (callLater's type says less than it takes)

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

#: Clients that are served in one turn of the reactor.
MOST_PER_TURN = 8


class Turns:
    """Runs a bounded number of steps in each turn of the reactor, in the order they came.

    A step that finds that it is not needed any more does nothing: nobody takes it back.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, most: int = MOST_PER_TURN) -> None:
        self._clock = clock
        self._most = most
        self._taken = 0
        self._waiting: deque[Callable[[], object]] = deque()

    def take(self, step: Callable[[], object]) -> None:
        """Run it now, or in one of the next turns."""
        if self._taken >= self._most:
            self._waiting.append(step)
            return
        self._taken += 1
        self._plan()
        step()

    def _plan(self) -> None:
        """Another turn is needed when this one is full."""
        if self._taken >= self._most:
            self._clock.callLater(0, self._next_turn)

    def _next_turn(self) -> None:
        count = min(len(self._waiting), self._most)
        steps = [self._waiting.popleft() for _ in range(count)]
        self._taken = count
        self._plan()
        for step in steps:
            self._run(step)

    def _run(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception:  # noqa: BLE001 - it is logged, and concerns nobody else
            self._log.failure("a client's turn failed")
