"""Tests for things that many wait for."""

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regcache.gate import Gate


class GateTests(SynchronousTestCase):
    """Something that happens once."""

    def test_opens_for_all(self) -> None:
        """Whoever waits, or comes later, is let through."""
        gate = Gate()
        early = [gate.wait() for _ in range(3)]
        gate.succeed()
        for waiter in [*early, gate.wait()]:
            self.successResultOf(waiter)
        self.assertTrue(gate.open)

    def test_fails_for_all(self) -> None:
        """Whoever waits, or comes later, is told why not."""
        gate = Gate()
        early = gate.wait()
        gate.fail(Failure(OSError("no")))
        for waiter in (early, gate.wait()):
            self.failureResultOf(waiter, OSError)
        self.assertFalse(gate.open)

    def test_first_outcome_counts(self) -> None:
        """What happened stays so."""
        gate = Gate()
        gate.succeed()
        gate.fail(Failure(OSError("no")))
        self.successResultOf(gate.wait())
        other = Gate()
        other.fail(Failure(OSError("no")))
        other.succeed()
        self.failureResultOf(other.wait(), OSError)

    def test_a_waiter_may_cancel(self) -> None:
        """A waiter that cancels is forgotten, and the others are not disturbed."""
        gate = Gate()
        first, second = gate.wait(), gate.wait()
        first.addErrback(lambda _: None)
        first.cancel()
        gate.succeed()
        self.successResultOf(second)

    def test_results_are_independent(self) -> None:
        """What one waiter makes of its result is nobody else's."""
        gate = Gate()
        first, second = gate.wait(), gate.wait()
        first.addCallback(lambda _: 1 / 0)
        gate.succeed()
        self.failureResultOf(first, ZeroDivisionError)
        self.assertIsNone(self.successResultOf(second))

    def test_a_waiter_may_wait_again(self) -> None:
        """Who is let through and waits again at once is let through again."""
        gate = Gate()
        again = gate.wait().addCallback(lambda _: gate.wait())
        gate.succeed()
        self.successResultOf(again)
