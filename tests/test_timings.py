"""What took how long until an upstream answered."""

import gc
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.timings import (
    BROKEN,
    CONNECT,
    DNS,
    MOST_EVENTS,
    MOST_PHASES,
    MOST_SHARED,
    PARKED,
    RESUMED,
    TOKEN,
    FetchTimings,
    begin_timings,
    current_timings,
    join_timings,
    measured,
    present_timings,
    shared_timings,
)


class TimingsTests(SynchronousTestCase):
    """One record."""

    def setUp(self) -> None:
        self.clock = Clock()

    def test_phases(self) -> None:
        """What is done within a coroutine is measured, across its waits, and nowhere else."""
        waits: list[Deferred[None]] = [Deferred(), Deferred()]

        async def connect() -> None:
            with measured(DNS, "a.test"):
                await waits[0]
            with measured(CONNECT, "a.test"):
                await waits[1]

        async def answer() -> FetchTimings:
            timings = begin_timings(self.clock.seconds)
            await Deferred.fromCoroutine(connect())
            return timings

        done = Deferred.fromCoroutine(answer())
        self.assertIsNone(current_timings())
        self.clock.advance(2)
        waits[0].callback(None)
        self.clock.advance(3)
        waits[1].callback(None)
        phases = self.successResultOf(done).phases
        self.assertEqual(
            [tuple(each) for each in phases],
            [
                (DNS, 0.0, 2.0, "a.test"),
                (CONNECT, 2.0, 3.0, "a.test"),
            ],
        )

    def test_collected(self) -> None:
        """A coroutine that nobody waits for any more is collected without a word."""
        for kind in ("phase", "record"):
            timings = FetchTimings(self.clock.seconds)

            async def connect(kind: str, timings: FetchTimings) -> None:
                if kind == "phase":
                    begin_timings(self.clock.seconds)
                    with measured(DNS, "a.test"):
                        await Deferred()
                else:
                    with timings.active():
                        await Deferred()

            said: list[object] = []
            with mock.patch("sys.unraisablehook", said.append):
                Deferred.fromCoroutine(connect(kind, timings))
                gc.collect()
            self.assertEqual(said, [], kind)
            self.assertIsNone(current_timings())

    def test_failure(self) -> None:
        """What fails took its time, too."""
        timings = FetchTimings(self.clock.seconds)
        with self.assertRaises(OSError), timings.active(), measured(DNS, "a.test"):
            self.clock.advance(1)
            raise OSError
        self.assertEqual(timings.phases[0].duration, 1.0)

    def test_nesting(self) -> None:
        """Within a phase there are no others: a token is fetched over connections, too."""
        timings = FetchTimings(self.clock.seconds)
        with timings.active(), measured(TOKEN, "a.test"), measured(CONNECT, "b.test"):
            self.clock.advance(1)
        self.assertEqual([each.name for each in timings.phases], [TOKEN])

    def test_nobody(self) -> None:
        """Without a record nothing is measured; what needs one gets its own."""
        with measured(DNS, "a.test"):
            pass
        self.assertIsNone(current_timings())
        self.assertEqual(present_timings().phases, [])
        timings = FetchTimings(self.clock.seconds)
        with timings.active():
            self.assertIs(present_timings(), timings)

    def test_overfilled(self) -> None:
        """An upstream that redirects and breaks off without end fills no memory."""
        timings = FetchTimings(self.clock.seconds)
        for _ in range(1000):
            timings.add(DNS, 0.0, 1.0, "a.test")
            timings.broke_off(5, "x" * 10_000)
        self.assertEqual((len(timings.phases), len(timings.events)), (MOST_PHASES, MOST_EVENTS))
        self.assertLess(len(timings.events[0].text), 1000)

    def test_events(self) -> None:
        """A body that begins after another broke off resumes it."""
        timings = FetchTimings(self.clock.seconds)
        timings.goes_on(0)
        timings.broke_off(7, "reset")
        self.clock.advance(1)
        timings.goes_on(7)
        timings.goes_on(9)
        found = [(each.kind, each.at, each.offset) for each in timings.events]
        self.assertEqual(found, [(BROKEN, 0.0, 7), (RESUMED, 1.0, 7)])

    def test_parked(self) -> None:
        """A download that is parked says so, and what begins after it resumes it."""
        timings = FetchTimings(self.clock.seconds)
        timings.parked(7)
        self.clock.advance(1)
        timings.goes_on(7)
        timings.goes_on(9)
        found = [(each.kind, each.at, each.offset) for each in timings.events]
        self.assertEqual(found, [(PARKED, 0.0, 7), (RESUMED, 1.0, 7)])

    def test_shared(self) -> None:
        """Phases of work that others wait for, too, count for each, in the order of their ends."""
        work, mine = FetchTimings(self.clock.seconds), FetchTimings(self.clock.seconds)
        mine.add(DNS, 0.0, 1.0, "a.test")
        with mine.active():
            join_timings(work)
        work.add(CONNECT, 0.0, 0.5, "a.test")
        work.add(TOKEN, 1.0, 2.0, "a.test")
        self.assertEqual([each.name for each in mine.phases], [CONNECT, DNS, TOKEN])
        self.assertEqual([each.name for each in work.phases], [CONNECT, TOKEN])
        join_timings(mine)
        for _ in range(1000):
            mine.share(work)
        self.assertEqual(len(mine.phases), 3 + 2 * (MOST_SHARED - 1))

    def test_asked_by(self) -> None:
        """Shared work is known by who began it."""
        with FetchTimings(self.clock.seconds, "alice").active():
            self.assertEqual(shared_timings(self.clock.seconds).asked_by, "alice")
        self.assertEqual(shared_timings(self.clock.seconds).asked_by, "")

    def test_clock(self) -> None:
        """A clock that is set back makes no phase negative."""
        timings = FetchTimings(self.clock.seconds)
        timings.add(DNS, 5.0, 1.0, "")
        self.assertEqual(timings.phases[0].duration, 0.0)
