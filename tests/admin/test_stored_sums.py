"""Sums over all that is stored."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.stored_sums import LEAST_REST, MOST_REST, RESTS, StoredSumsKeeper
from regcache.plans import StoredSums


def sums(size: int) -> StoredSums:
    """All of it is young."""
    return StoredSums(((1, size),), 0, ())


class StoredSumsTests(SynchronousTestCase):
    """Who looks does not wait."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[Deferred[StoredSums]] = []
        self.keeper = StoredSumsKeeper(self.add_up, self.clock)

    async def add_up(self, now: float) -> StoredSums:
        """Lasts until the test wants it."""
        self.assertEqual(now, self.clock.seconds())
        self.asked.append(Deferred())
        return await self.asked[-1]

    def test_start(self) -> None:
        """A start adds up, once for all who look meanwhile; who wants new ones waits."""
        self.keeper.startService()
        self.assertIsNone(self.keeper.latest)
        waiting = Deferred.fromCoroutine(self.keeper.fresh())
        self.assertEqual(len(self.asked), 1)
        self.asked[0].callback(sums(5))
        self.assertEqual(self.successResultOf(waiting), sums(5))
        self.assertEqual(self.keeper.latest, sums(5))

    def test_rests(self) -> None:
        """Old sums are told while new ones are made, which rests by what it takes."""
        self.keeper.startService()
        self.clock.advance(0.5)
        self.asked[0].callback(sums(5))
        self.clock.advance(RESTS * 0.5 - 0.1)
        self.assertEqual((self.keeper.latest, len(self.asked)), (sums(5), 1))
        self.clock.advance(0.2)
        self.assertEqual((self.keeper.latest, len(self.asked)), (sums(5), 2))
        self.clock.advance(1000)
        self.asked[1].callback(sums(6))
        self.clock.advance(MOST_REST)
        self.assertEqual((self.keeper.latest, len(self.asked)), (sums(6), 3))

    def test_failure(self) -> None:
        """What fails is tried again after a rest; only who waits is told."""
        self.keeper.startService()
        waiting = Deferred.fromCoroutine(self.keeper.fresh())
        self.asked[0].errback(OSError("busy"))
        self.failureResultOf(waiting, OSError)
        self.assertEqual((self.keeper.latest, len(self.asked)), (None, 1))
        self.clock.advance(LEAST_REST)
        self.assertEqual((self.keeper.latest, len(self.asked)), (None, 2))
        self.asked[1].callback(sums(7))
        self.assertEqual(self.keeper.latest, sums(7))
