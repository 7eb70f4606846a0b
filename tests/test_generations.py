"""Tests for what happened since somebody looked."""

import random

from twisted.trial.unittest import SynchronousTestCase

from regcache.generations import Generations


class GenerationsTests(SynchronousTestCase):
    """Numbered events."""

    def test_first(self) -> None:
        """Numbers may begin anywhere, and never go back."""
        events: Generations[str] = Generations(10, 1000)
        self.assertEqual(events.advance("a"), 1001)
        events.resume(5)
        self.assertEqual(events.current, 1001)
        events.resume(2000)
        self.assertEqual(events.advance("a"), 2001)
        self.assertTrue(events.concerns("a", 2000))

    def test_key_by_key(self) -> None:
        """Only what happened to the key, and only later, concerns it."""
        events: Generations[str] = Generations(10)
        before = events.current
        self.assertEqual(events.advance("a"), events.current)
        self.assertTrue(events.concerns("a", before))
        self.assertFalse(events.concerns("b", before))
        self.assertFalse(events.concerns("a", events.current))
        between = events.current
        events.advance("b")
        self.assertEqual([events.concerns(key, between) for key in ("a", "b")], [False, True])

    def test_bounded(self) -> None:
        """However many keys there are, few are remembered, and no event is missed."""
        events: Generations[int] = Generations(20)
        choices = random.Random(5)
        history: list[int] = []
        for _ in range(2000):
            key = choices.randrange(100)
            self.assertEqual(events.advance(key), len(history) + 1)
            history.append(key)
            since, asked = choices.randrange(len(history) + 1), choices.randrange(120)
            if asked in history[since:]:
                self.assertTrue(events.concerns(asked, since))
        self.assertLessEqual(len(events._events), 20)
        self.assertFalse(events.concerns(500, events.current - 1))
