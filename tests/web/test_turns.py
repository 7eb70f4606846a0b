"""Clients who want more at the same moment."""

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.web.sender import Turns


class TurnByTurn:
    """A reactor as far as this matters."""

    def __init__(self) -> None:
        self.planned: list[Callable[[], object]] = []

    def callLater(self, seconds: float, step: Callable[[], object]) -> None:
        """In the next turn."""
        assert seconds == 0
        self.planned.append(step)

    def turn(self) -> None:
        """The next turn."""
        planned, self.planned = self.planned, []
        for step in planned:
            step()


class TurnsTests(SynchronousTestCase):
    """Three steps in a turn."""

    def setUp(self) -> None:
        self.reactor = TurnByTurn()
        reactor: Any = self.reactor
        self.turns = Turns(reactor, most=3)
        self.ran: list[int] = []

    def take(self, *numbers: int) -> None:
        """Somebody wants to run each of them."""
        for number in numbers:
            self.turns.take(lambda number=number: self.ran.append(number))  # type: ignore[misc]

    def test_few(self) -> None:
        """A few run at once, and need no other turn."""
        self.take(1, 2)
        self.assertEqual((self.ran, self.reactor.planned), ([1, 2], []))

    def test_many(self) -> None:
        """Many run in their order, so many in each turn, and then no turn is planned."""
        self.take(*range(8))
        seen = [len(self.ran)]
        for _ in range(3):
            self.reactor.turn()
            seen.append(len(self.ran))
        self.assertEqual((seen, self.ran), ([3, 6, 8, 8], list(range(8))))
        self.assertEqual(self.reactor.planned, [])

    def test_late(self) -> None:
        """Who comes while others wait runs after them."""
        self.take(*range(5))
        self.take(5)
        self.reactor.turn()
        self.assertEqual(self.ran, [0, 1, 2, 3, 4, 5])

    def test_again_at_once(self) -> None:
        """A step that wants another one does not keep the turn to itself."""
        count = 0

        def again() -> None:
            nonlocal count
            count += 1
            if count < 100:
                self.turns.take(again)

        self.turns.take(again)
        self.assertEqual(count, 3)
        self.reactor.turn()
        self.assertEqual(count, 6)

    def test_fault(self) -> None:
        """A step that fails takes nobody's turn away."""

        def fail() -> None:
            raise ValueError

        self.take(1, 2, 3)
        self.turns.take(fail)
        self.take(4, 5, 6, 7)
        for _ in range(4):
            self.reactor.turn()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.ran, [1, 2, 3, 4, 5, 6, 7])
