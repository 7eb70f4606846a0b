"""Which stretches send together, and what each is told."""

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.web.rounds import LEAST_AT_ONCE, MOST_PER_TURN, Rounds
from regcache.web.send_threads import FileCall, SendThreads

MIB = 1024 * 1024


class FakeSending:
    """A stretch whose calls send nothing.

    :ivar at_plan: what it does when it is asked for a call.
    :ivar at_settle: what it does when its call has been made.
    :ivar at_abort: what it does when its connection is cut.
    """

    def __init__(self, name: str, events: list[str]) -> None:
        self.name = name
        self.events = events
        self.ready = True
        self.at_plan: Callable[[], object] = lambda: None
        self.at_settle: Callable[[], object] = lambda: None
        self.at_abort: Callable[[], object] = lambda: None

    def plan(self) -> FileCall | None:
        """A call with a file that cannot be sent, so that its outcome tells that it was made."""
        self.events.append(f"{self.name} planned")
        self.at_plan()
        return FileCall(-1, -1, 0, MIB) if self.ready else None

    def settle(self, call: FileCall | None) -> None:
        """Note whether it was made."""
        made = call is not None and isinstance(call.outcome, OSError)
        self.events.append(f"{self.name} {'made' if made else 'nothing'}")
        self.at_settle()

    def abort(self) -> None:
        """Note it."""
        self.events.append(f"{self.name} aborted")
        self.at_abort()


class RoundsTests(SynchronousTestCase):
    """Rounds with a thread that helps."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.threads = SendThreads(1)
        self.threads.startService()
        self.addCleanup(self.threads.stopService)
        self.rounds = Rounds(self.clock, self.threads)
        self.events: list[str] = []

    def enter(self, *names: str) -> list[FakeSending]:
        """Stretches that are under way."""
        made = [FakeSending(name, self.events) for name in names]
        for each in made:
            self.rounds.enter(each)
        return made

    def told(self) -> list[str]:
        """What has happened since the last time."""
        events, self.events[:] = list(self.events), []
        return events

    def test_alone(self) -> None:
        """One that is alone sends at once."""
        (one,) = self.enter("a")
        self.rounds.send(one)
        self.assertEqual(self.told(), ["a planned", "a made"])
        one.ready = False
        self.rounds.send(one)
        self.assertEqual(self.told(), ["a planned", "a nothing"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_threads(self) -> None:
        """Without threads everyone sends at once."""
        self.threads.stopService()
        first, _ = self.enter("a", "b")
        self.rounds.send(first)
        self.assertEqual(self.told(), ["a planned", "a made"])

    def test_together(self) -> None:
        """Several send in the next turn: all are planned, then all made, then told in order."""
        first, second, third = self.enter("a", "b", "c")
        second.ready = False
        for each in (third, first, second, third):
            self.rounds.send(each)
        self.assertEqual(self.told(), [])
        self.clock.advance(0)
        planned = ["c planned", "a planned", "b planned"]
        self.assertEqual(self.told(), [*planned, "c made", "a made", "b nothing"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """Who wants more when it is told is due once more."""
        first, _ = self.enter("a", "b")
        more = [lambda: None, lambda: self.rounds.send(first)]
        first.at_settle = lambda: more.pop()()
        self.rounds.send(first)
        self.clock.advance(0)
        self.assertEqual(self.told(), ["a planned", "a made"] * 2)

    def test_leaves(self) -> None:
        """Who leaves before the turn is not asked, nor told."""
        first, second = self.enter("a", "b")
        self.rounds.send(first)
        self.rounds.send(second)
        self.rounds.leave(first)
        self.rounds.leave(first)
        self.clock.advance(0)
        self.assertEqual(self.told(), ["b planned", "b made"])

    def test_all_leave(self) -> None:
        """When all have left the turn does nothing."""
        first, _ = self.enter("a", "b")
        self.rounds.send(first)
        self.rounds.leave(first)
        self.clock.advance(0)
        self.assertEqual(self.told(), [])

    def test_fault(self) -> None:
        """One that fails when it is told loses its connection; the others are told."""
        first, second = self.enter("a", "b")
        first.at_settle = lambda: [][0]  # type: ignore[misc]
        self.rounds.send(first)
        self.rounds.send(second)
        self.clock.advance(0)
        self.assertEqual(self.told()[2:], ["a made", "a aborted", "b made"])
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)

    def test_fault_when_asked(self) -> None:
        """One that fails when it is asked loses its connection; the others send all the same."""
        first, second = self.enter("a", "b")
        first.at_plan = lambda: [][0]  # type: ignore[misc]
        self.rounds.send(first)
        self.rounds.send(second)
        self.clock.advance(0)
        told = ["a planned", "a aborted", "b planned", "a nothing", "b made"]
        self.assertEqual(self.told(), told)
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)

    def test_cannot_be_cut(self) -> None:
        """One whose connection cannot even be cut takes nobody with it."""
        first, second = self.enter("a", "b")
        first.at_plan = first.at_abort = lambda: [][0]  # type: ignore[misc]
        self.rounds.send(first)
        self.rounds.send(second)
        self.clock.advance(0)
        self.assertEqual(self.told()[-1], "b made")
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 2)

    def test_shares(self) -> None:
        """The more stretches are under way the less each sends in one turn of the reactor."""
        shares = []
        for count in (1, 16, 1000):
            rounds = Rounds(self.clock, self.threads)
            for number in range(count):
                rounds.enter(FakeSending(str(number), self.events))
            shares.append(rounds.share(MIB))
        self.assertEqual(shares, [MIB, MOST_PER_TURN // 16, LEAST_AT_ONCE])
