"""Tests for things that many wait for."""

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regcache.gate import Gate, has_result


class GateTests(SynchronousTestCase):
    """Something that happens once."""

    def test_opens_for_all(self) -> None:
        """Each caller that waits, or comes later, is let through."""
        gate = Gate()
        early = [gate.wait() for _ in range(3)]
        gate.succeed()
        for waiter in [*early, gate.wait()]:
            self.successResultOf(waiter)
        self.assertTrue(gate.open)

    def test_fails_for_all(self) -> None:
        """Each caller that waits, or comes later, is told why not."""
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


class ResultTests(SynchronousTestCase):
    """Whether somebody has to wait."""

    def test_result(self) -> None:
        """Only what has fired with a result, and waits for nothing more, has one."""
        chained = succeed(None).addCallback(lambda _: Deferred())
        failing = fail(ValueError())
        paused = succeed(None)
        paused.pause()
        for waiting in (Deferred(), chained, failing, paused):
            self.assertFalse(has_result(waiting))
        self.failureResultOf(failing, ValueError)
        self.assertTrue(has_result(succeed(False)))
        self.assertTrue(has_result(succeed(None).addCallback(lambda _: succeed(1))))
