"""Tests for regcache.cache.download.readers: many readers are woken in turns."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.download.reader import Reader
from regcache.cache.download.readers import PAUSE, WOKEN_AT_ONCE, Readers


class WakingTests(SynchronousTestCase):
    """Whose turn it is."""

    def setUp(self) -> None:
        """More readers than are woken at once; each notes when it is."""
        self.clock = Clock()
        self.waking = Readers(self.clock, lambda: None)
        self.readers = [self.waking.join() for _ in range(2 * WOKEN_AT_ONCE + 1)]
        self.woken: list[int] = []
        for number, reader in enumerate(self.readers):
            self.note(number, reader)

    def note(self, number: int, reader: Reader) -> None:
        """Have a reader note that it was woken."""
        watched: Any = reader
        watched.step = lambda: self.woken.append(number)

    def test_in_turns(self) -> None:
        """One turn of the reactor wakes a few, further turns the others, each once."""
        self.waking.wake()
        self.assertEqual(self.woken, list(range(WOKEN_AT_ONCE)))
        self.clock.advance(0)
        self.assertEqual(self.woken, list(range(len(self.readers))))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_more_came(self) -> None:
        """Who waits for a turn is not overtaken when more is there, and nobody is left out."""
        self.waking.wake()
        self.waking.wake()
        for _ in range(4):
            self.clock.advance(0)
        everybody = list(range(len(self.readers)))
        self.assertEqual(self.woken, everybody + everybody[:WOKEN_AT_ONCE])

    def test_often(self) -> None:
        """Many are woken no more often than is worth its while."""
        self.waking.wake()
        self.clock.advance(0)
        for _ in range(10):
            self.waking.wake()
            self.clock.advance(PAUSE / 10)
        self.assertEqual(len(self.woken), 2 * len(self.readers))
        self.clock.advance(PAUSE)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_at_the_end(self) -> None:
        """The end is told at once, and so is anything to a few."""
        self.waking.wake()
        self.clock.advance(0)
        self.waking.verified = True
        self.waking.wake()
        self.assertEqual(len(self.woken), len(self.readers) + WOKEN_AT_ONCE)
        self.clock.advance(0)
        self.waking.verified = False
        for reader in self.readers[WOKEN_AT_ONCE:]:
            reader.leave()
        self.woken.clear()
        self.waking.wake()
        self.waking.wake()
        self.assertEqual(len(self.woken), 2 * WOKEN_AT_ONCE)

    def test_fault_of_one(self) -> None:
        """A fault in the answer of one leaves nobody else asleep."""
        watched: Any = self.readers[0]
        watched.step = {}.popitem
        self.assertRaises(KeyError, self.waking.wake)
        for _ in range(3):
            self.clock.advance(0)
        self.assertEqual(self.woken, list(range(1, len(self.readers))))

    def test_leaving(self) -> None:
        """Who has left is not woken, and nothing is left to do when all have."""
        self.waking.wake()
        for reader in self.readers[WOKEN_AT_ONCE:]:
            reader.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.woken), WOKEN_AT_ONCE)
