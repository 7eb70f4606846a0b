"""Sweeps when it is time: for age, and of the whole cache."""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

from collections.abc import Callable
from math import inf

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.cache.eviction.sweeper import Sweeper
from regcache.facts import CronLine
from regcache.light_dataclass import dataclass
from regcache.retention import Selection
from regcache.timetables import next_time

FIRST = 600.0
"""Seconds from the start to the first sweep for age, if it is not more often. So a daemon that
is restarted each day sweeps, too."""

DAY = 86_400.0

LONGEST = 3600.0
"""Seconds after which the time is looked at again: clocks are set."""


@dataclass(frozen=True, slots=True)
class SweepRules:
    """What the operator wants.

    :ivar unused_for: seconds without a use after which content goes; None: never.
    :ivar sweep: how often, or when, it is looked for that.
    :ivar purge: when all but pins goes; None: never.
    """

    unused_for: float | None
    sweep: float | CronLine
    purge: CronLine | None


class SweepTimes(Service):
    """Begins the sweeps of the rules.

    :ivar next_sweep: Unix seconds of the next sweep for age; None if there is none.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, sweeper: Sweeper, rules: SweepRules) -> None:
        self._clock = clock
        self._sweeper = sweeper
        self._rules = rules
        self._timers: dict[str, IDelayedCall] = {}
        self.next_sweep: float | None = None

    def follow(self, rules: SweepRules) -> None:
        """Go by other rules from now on. A sweep under way goes on."""
        if rules == self._rules:
            return
        self._rules = rules
        self._cancel("sweep", "purge")
        if self.running:
            self._begin()

    def startService(self) -> None:
        """Wait for the first times."""
        super().startService()
        self._wait("forget", self._clock.seconds() + FIRST, self._forget)
        self._begin()

    def _begin(self) -> None:
        rules, now = self._rules, self._clock.seconds()
        if rules.unused_for is not None:
            first = next_time(rules.sweep, now)
            if not isinstance(rules.sweep, CronLine):
                first = min(first, now + FIRST)
            self._wait_for_sweep(first)
        if rules.purge is not None:
            self._wait("purge", next_time(rules.purge, now), self._purge)

    def stopService(self) -> None:
        """Begin no more."""
        super().stopService()
        self._cancel(*self._timers)

    def _cancel(self, *names: str) -> None:
        self.next_sweep = None
        for name in names:
            timer = self._timers.pop(name, None)
            if timer is not None and timer.active():
                timer.cancel()

    def _wait_for_sweep(self, due: float) -> None:
        self.next_sweep = due
        self._wait("sweep", due, self._sweep)

    def _wait(self, what: str, due: float, begin: Callable[[], None]) -> None:
        if not self.running:
            return
        left = due - self._clock.seconds()
        if left <= 0:
            begin()
            return
        self._timers[what] = self._clock.callLater(min(left, LONGEST), self._wait, what, due, begin)

    def _sweep(self) -> None:
        rules, now = self._rules, self._clock.seconds()
        assert rules.unused_for is not None
        selection = Selection(now, now - rules.unused_for)

        def again() -> None:
            if rules is self._rules:  # else others have begun already
                self._wait_for_sweep(next_time(rules.sweep, self._clock.seconds()))

        self._run(selection, again)

    def _purge(self) -> None:
        rules, purge = self._rules, self._rules.purge
        assert purge is not None

        def again() -> None:
            if rules is self._rules:
                self._wait("purge", next_time(purge, self._clock.seconds()), self._purge)

        self._run(Selection(self._clock.seconds(), inf), again)

    def _forget(self) -> None:
        """Once a day what has not been here for long is known no more."""
        now = self._clock.seconds()
        forgetting = self._sweeper.forget_unstored(now).addErrback(self._failed)
        forgetting.addCallback(lambda _: self._wait("forget", now + DAY, self._forget))

    def _run(self, selection: Selection, again: Callable[[], None]) -> None:
        sweeping = Deferred.fromCoroutine(self._sweeper.sweep(selection))
        sweeping.addErrback(self._failed).addCallback(lambda _: again())

    def _failed(self, failure: Failure) -> None:
        if failure.check(OSError):
            self._log.warn("sweeping failed: {why}", why=failure.getErrorMessage())
        else:
            self._log.failure("sweeping failed", failure)
