"""The order of eviction against a made-up trace, beside LRU."""

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.eviction import (
    SHARES,
    Image,
    LruCache,
    Outcome,
    Part,
    PriorityCache,
    Pull,
    Trace,
    footprint,
    measure,
    replay,
    shortcomings,
)

MANIFEST, LAYER = Part(0, 100), Part(1, 900)
PULL = Pull(0.0, Image(MANIFEST, (LAYER,)), (LAYER,))


class TraceTests(SynchronousTestCase):
    """What is replayed."""

    def test_same_again(self) -> None:
        """A seed makes the same trace each time, and another one another."""
        traces = [list(Trace(seed, 50)) for seed in (1, 1, 2)]
        self.assertEqual(traces[0], traces[1])
        self.assertNotEqual(traces[0], traces[2])

    def test_footprint(self) -> None:
        """What is asked for twice takes its space once."""
        self.assertEqual(footprint([PULL, PULL]), 1000)


class ReplayTests(SynchronousTestCase):
    """How it goes."""

    def test_enough_room(self) -> None:
        """Where there is room for all, only what is new is missed."""
        for kind in (LruCache, PriorityCache):
            outcome = replay([PULL, PULL], kind(10_000))
            self.assertEqual(outcome, Outcome(0.5, 0.5, 0.5))

    def test_too_large(self) -> None:
        """What is larger than a part of the cache is passed through each time."""
        for kind in (LruCache, PriorityCache):
            outcome = replay([PULL, PULL], kind(1000))
            self.assertEqual((outcome.request_misses, outcome.whole_pulls), (0.75, 0.0))

    def test_better_than_lru(self) -> None:
        """A small cache misses 10 % fewer requests than LRU, and at most 1 % more bytes."""
        measured = measure(seeds=2, pulls=5000)
        self.assertEqual(set(measured), set(SHARES))
        self.assertEqual(shortcomings(measured), [])

    def test_falls_short(self) -> None:
        """An order that is no better than LRU is told of."""
        same = Outcome(0.5, 0.5, 0.5)
        found = shortcomings({SHARES[0]: (same, same)})
        self.assertEqual(len(found), 1)
        worse = shortcomings({SHARES[0]: (same, Outcome(0.4, 0.51, 0.5))})
        self.assertEqual(len(worse), 1)
