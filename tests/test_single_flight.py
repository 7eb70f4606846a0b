"""Work that is shared by all who ask for it meanwhile."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.errors import UpstreamUnreachable
from regcache.single_flight import Flights, OverdueError
from regcache.timings import DNS, FetchTimings, begin_timings, measured


class FlightsTestCase(SynchronousTestCase):
    """Flights whose work ends when the test wants it."""

    def setUp(self) -> None:
        """No work yet."""
        self.clock = Clock()
        self.flights: Flights[str] = Flights(self.clock, most_left=3)
        self.works: list[Deferred[str]] = []
        self.missed = 0

    async def work(self) -> str:
        """Work that lasts."""
        self.works.append(Deferred())
        return await self.works[-1]

    def join(self, key: str = "key") -> "Deferred[str]":
        """Wait for it."""
        return self.flights.join(key, self.work)

    def join_within(self, limit: float, by: float | None = None) -> "Deferred[str]":
        """Wait for it, but not for ever."""

        def missed() -> None:
            self.missed += 1

        return self.flights.join_within("key", self.work, limit, by=by, missed=missed)


class SharingTests(FlightsTestCase):
    """Who asks shares."""

    def test_one_at_a_time(self) -> None:
        """All who ask meanwhile share one piece of work; who comes later begins another."""
        waiters = [self.join() for _ in range(3)]
        self.assertTrue(self.flights.under_way("key"))
        self.works[0].callback("done")
        self.assertEqual([self.successResultOf(each) for each in waiters], ["done"] * 3)
        self.assertFalse(self.flights.under_way("key"))
        self.join()
        self.assertEqual(len(self.works), 2)

    def test_keys_apart(self) -> None:
        """Other keys are other work."""
        self.join("a")
        self.join("b")
        self.assertEqual(len(self.works), 2)

    def test_done_at_once(self) -> None:
        """Work that needs no time leaves nothing behind."""

        async def quick() -> str:
            return "now"

        self.assertEqual(self.successResultOf(self.flights.join("key", quick)), "now")
        limited = self.flights.join_within("key", quick, 1.0)
        self.assertEqual(self.successResultOf(limited), "now")
        self.assertEqual((len(self.flights), self.clock.getDelayedCalls()), (0, []))

    def test_failure(self) -> None:
        """A failure reaches everybody who waits, and is not kept."""
        waiters = [self.join(), self.join()]
        self.works[0].errback(UpstreamUnreachable("up.test", "gone"))
        for waiter in waiters:
            self.failureResultOf(waiter, UpstreamUnreachable)
        self.assertEqual(len(self.flights), 0)

    def test_timings(self) -> None:
        """What the work took is told to all who waited for it, and to nobody else."""

        async def work() -> str:
            with measured(DNS, "a.test"):
                return await self.work()

        async def wait(key: str) -> FetchTimings:
            timings = begin_timings(self.clock.seconds)
            await self.flights.join(key, work)
            return timings

        waiting = [Deferred.fromCoroutine(wait(key)) for key in ("a", "a", "b")]
        self.clock.advance(2)
        self.works[0].callback("done")
        self.clock.advance(1)
        self.works[1].callback("done")
        phases = [self.successResultOf(each).phases for each in waiting]
        self.assertEqual([[each.duration for each in one] for one in phases], [[2.0], [2.0], [3.0]])

    def test_leaving(self) -> None:
        """Who leaves disturbs neither the work nor the others."""
        first, second = self.join(), self.join()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.works[0].callback("done")
        self.assertEqual(self.successResultOf(second), "done")

    def test_all_leave(self) -> None:
        """The work goes on when nobody waits any more, and may be joined again."""
        first = self.join()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        again = self.join()
        self.works[0].callback("done")
        self.assertEqual((self.successResultOf(again), len(self.works)), ("done", 1))

    def test_unheard_failure(self) -> None:
        """What the upstream does wrong while nobody waits is no news; our own faults are."""
        for failure, logged in ((UpstreamUnreachable("up.test", "gone"), 0), (ValueError(), 1)):
            waiter = self.join()
            waiter.cancel()
            self.failureResultOf(waiter, CancelledError)
            self.works.pop().errback(failure)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), logged)

    def test_work_that_was_left_is_bounded(self) -> None:
        """Of the work that clients began and left only the latest goes on."""
        for number in range(50):
            waiter = self.join(f"key {number}")
            waiter.cancel()
            self.failureResultOf(waiter, CancelledError)
        self.assertEqual(len(self.flights), 3)
        self.assertEqual([work.called for work in self.works], [True] * 47 + [False] * 3)

    def test_what_is_waited_for_is_not_left(self) -> None:
        """Work that somebody waits for again is not given up for other work that was left."""
        self.join("kept").addErrback(lambda _: None).cancel()
        kept = self.join("kept")
        for number in range(10):
            self.join(f"key {number}").addErrback(lambda _: None).cancel()
        self.works[0].callback("done")
        self.assertEqual(self.successResultOf(kept), "done")

    def test_cancelled_work_is_not_joined(self) -> None:
        """Who asks for work that is being cancelled begins it anew, and both end by themselves."""
        stubborn: Deferred[str] = Deferred(lambda _: None)
        flights: Flights[str] = Flights(self.clock, most_left=0)

        async def cling() -> str:
            try:
                return await stubborn
            except CancelledError:
                return await self.work()

        first = flights.join("key", cling)
        first.addErrback(lambda _: None).cancel()
        self.assertFalse(flights.under_way("key"))
        second = flights.join("key", self.work)
        self.assertEqual(len(self.works), 2)
        self.works[0].callback("of the first")
        self.assertNoResult(second)
        self.assertTrue(flights.under_way("key"))
        self.works[1].callback("of the second")
        self.assertEqual(self.successResultOf(second), "of the second")
        self.assertEqual(len(flights), 0)

    def test_last_waiter_cancels(self) -> None:
        """Where nothing goes on by itself the last waiter that leaves cancels the work."""
        flights: Flights[str] = Flights(self.clock, most_left=0)
        first, second = flights.join("key", self.work), flights.join("key", self.work)
        first.addErrback(lambda _: None).cancel()
        self.assertFalse(self.works[0].called)
        second.addErrback(lambda _: None).cancel()
        self.assertTrue(self.works[0].called)
        self.assertEqual(len(flights), 0)


class WithinTests(FlightsTestCase):
    """Waiting with an end."""

    def tearDown(self) -> None:
        """No timer is left once the work has ended."""
        for work in self.works:
            if not work.called:
                work.callback("late")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_in_time(self) -> None:
        """Who waits within a limit gets what comes within it."""
        waiter = self.join_within(2.0)
        self.clock.advance(1.9)
        self.works[0].callback("done")
        self.assertEqual((self.successResultOf(waiter), self.missed), ("done", 0))

    def test_overdue(self) -> None:
        """At the limit all stop waiting, which counts once, and the work goes on."""
        waiters = [self.join_within(2.0) for _ in range(3)]
        patient = self.join()
        self.clock.advance(2.0)
        for waiter in waiters:
            self.failureResultOf(waiter, OverdueError)
        self.assertEqual(self.missed, 1)
        self.works[0].callback("done")
        self.assertEqual(self.successResultOf(patient), "done")

    def test_limit_from_the_beginning(self) -> None:
        """The limit counts from the beginning of the work, not from when one joined."""
        first = self.join_within(2.0)
        self.clock.advance(1.5)
        second = self.join_within(2.0)
        self.clock.advance(0.5)
        self.failureResultOf(first, OverdueError)
        self.failureResultOf(second, OverdueError)

    def test_joining_overdue_work(self) -> None:
        """Who joins work that is overdue does not wait at all."""
        patient = self.join()
        self.clock.advance(10.0)
        self.failureResultOf(self.join_within(2.0), OverdueError)
        self.clock.advance(0)
        self.assertEqual(self.missed, 1)
        self.assertNoResult(patient)

    def test_earlier_end(self) -> None:
        """One waiter's own end may come earlier; that is no missed limit."""
        waiter = self.join_within(2.0, by=self.clock.seconds() + 0.5)
        other = self.join_within(2.0)
        self.clock.advance(0.5)
        self.failureResultOf(waiter, OverdueError)
        self.assertEqual(self.missed, 0)
        self.works[0].callback("done")
        self.assertEqual(self.successResultOf(other), "done")

    def test_limit_counts_without_waiters(self) -> None:
        """That the work took too long is noted even if the client left before."""
        waiter = self.join_within(2.0)
        waiter.cancel()
        self.failureResultOf(waiter, CancelledError)
        self.clock.advance(2.0)
        self.assertEqual(self.missed, 1)

    def test_leaving(self) -> None:
        """Who leaves is cancelled, not overdue."""
        waiter = self.join_within(2.0)
        waiter.cancel()
        self.failureResultOf(waiter, CancelledError)
        self.assertEqual(self.missed, 0)

    def test_clock_set_back(self) -> None:
        """A clock that was set back makes nobody wait longer than the limit."""
        patient = self.join()
        self.clock.rightNow -= 1000.0
        waiter = self.join_within(2.0)
        self.clock.advance(2.0)
        self.failureResultOf(waiter, OverdueError)
        self.assertNoResult(patient)
