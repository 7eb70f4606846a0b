"""Who stands where in a line, what comes at a rate, and how many parties are known."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.principals import UNLIMITED, TransferLimits
from regcache.web.pacing.bucket import SAVED, Bucket
from regcache.web.pacing.fair_share import FairShare
from regcache.web.pacing.line import AWAY, PATIENCE, Claimant, Line
from regcache.web.pacing.pacing import Pacing
from regcache.web.pacing.parties import MOST_PARTIES, Parties, Party


class BucketTests(SynchronousTestCase):
    """Bytes at a rate."""

    def test_saved_up(self) -> None:
        """It begins full, and never has more than that."""
        bucket = Bucket(1000, 5.0)
        self.assertEqual(bucket.level, 1000 * SAVED)
        bucket.fill(100.0)
        bucket.give_back(10)
        self.assertEqual(bucket.level, 1000 * SAVED)

    def test_comes(self) -> None:
        """What was taken comes again, at the rate."""
        bucket = Bucket(1000, 5.0)
        bucket.take(500)
        self.assertEqual(bucket.level, -250)
        self.assertEqual(bucket.seconds_until(50), 0.3)
        bucket.fill(5.3)
        self.assertAlmostEqual(bucket.level, 50)
        self.assertEqual(bucket.seconds_until(40), 0)

    def test_clock_that_goes_back(self) -> None:
        """A clock that is set back brings nothing, and takes nothing."""
        bucket = Bucket(1000, 5.0)
        bucket.take(250)
        bucket.fill(1.0)
        self.assertEqual(bucket.level, 0)
        bucket.fill(1.1)
        self.assertAlmostEqual(bucket.level, 100)

    def test_another_rate(self) -> None:
        """What has come at the old rate stays, as far as that may be saved up at the new one."""
        bucket = Bucket(1000, 0.0)
        bucket.take(200)
        bucket.change_rate(100, 0.1)
        self.assertEqual((bucket.level, bucket.rate), (25, 100))


class LineTests(SynchronousTestCase):
    """A line of claimants."""

    def setUp(self) -> None:
        self.line: Line[Claimant] = Line()
        self.one, self.two, self.three = Claimant(), Claimant(), Claimant()

    def test_least_served_first(self) -> None:
        """The party that was given least is first; of several, the one that came first."""
        self.assertIsNone(self.line.first(0.0))
        for each in (self.one, self.two, self.three):
            self.line.add(each, 0.0)
        self.assertIs(self.line.first(0.0), self.one)
        self.line.serve(self.one, 10, 0.0)
        self.line.add(self.one, 0.0)
        self.assertIs(self.line.first(0.0), self.two)
        self.line.charge(self.two, 5)
        self.assertIs(self.line.first(0.0), self.three)
        self.line.serve(self.three, 7, 0.0)
        self.assertIs(self.line.first(0.0), self.two)

    def test_leaving(self) -> None:
        """Who leaves has no turn, wherever it stood; doing it twice changes nothing."""
        for each in (self.one, self.two, self.three):
            self.line.add(each, 0.0)
        self.line.remove(self.two)
        self.line.remove(self.two)
        self.line.remove(self.one)
        self.assertEqual((len(self.line), self.line.first(0.0)), (1, self.three))
        self.line.remove(self.three)
        self.assertEqual((len(self.line), self.line.first(0.0)), (0, None))
        self.assertFalse(self.three.in_line)

    def test_bounded(self) -> None:
        """It keeps little of those who have left, however many come and go."""
        self.line.add(self.one, 0.0)
        for _ in range(1000):
            claimant = Claimant()
            self.line.add(claimant, 0.0)
            self.line.remove(claimant)
            self.line.charge(self.one, 1)
        self.assertLess(len(self.line._entries), 10)
        for number in range(1000):
            claimant = Claimant()
            self.line.add(claimant, 0.0)
            self.line.serve(claimant, 1, number * AWAY)
        self.assertLess(self.line.active, 5)

    def test_patience(self) -> None:
        """A party that has waited for long is first, even if it was given much before."""
        self.line.add(self.one, 0.0)
        self.line.charge(self.one, 10**6)
        self.line.add(self.two, 0.1, credit=10**6)
        self.assertIs(self.line.first(PATIENCE), self.two)
        self.assertIs(self.line.first(PATIENCE + 0.01), self.one)
        self.line.serve(self.one, 1, PATIENCE + 0.01)
        self.assertIs(self.line.first(PATIENCE + 0.01), self.two)

    def test_alone(self) -> None:
        """What somebody took while nobody else wanted anything is held against nobody."""
        for _ in range(10):
            self.line.add(self.one, 0.0)
            self.line.serve(self.one, 1000, 0.0)
        self.line.add(self.one, 0.0)
        self.line.add(self.two, 0.0)
        self.assertEqual(self.one.served, self.two.served)

    def test_credit(self) -> None:
        """Who was away may make up for as much as its credit."""
        for _ in range(10):
            self.line.add(self.one, 0.0)
            self.line.serve(self.one, 1000, 0.0)
        self.line.add(self.two, 0.0, credit=300)
        self.assertEqual(self.two.served, 10_000 - 300)

    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 1000)), max_size=60))
    def test_nobody_waits_for_ever(self, comings: list[tuple[int, int]]) -> None:
        """Each party that waits is served, even if others come often and take much."""
        line: Line[Claimant] = Line()
        waiting = Claimant()
        line.add(waiting, 0.0)
        for newcomers, count in comings:
            for _ in range(newcomers):
                line.add(Claimant(), 0.0)
            first = line.first(0.0)
            assert first is not None
            if first is waiting:
                return
            line.serve(first, count, 0.0)
        for _ in range(len(line)):
            first = line.first(0.0)
            assert first is not None
            line.serve(first, 1, 0.0)
            if first is waiting:
                return
        self.fail("it waits still")


class FairShareTests(SynchronousTestCase):
    """What the timer does not show."""

    def test_clock_that_goes_back(self) -> None:
        """A party whose own rate was used up waits no longer if the clock is set back."""
        share, party = FairShare(None, 1000.0), Party("alice")
        party.limit(TransferLimits(rate=1000), 1000.0)
        self.assertTrue(share.charge(party, 10_000, 1000.0))
        member = share.join(party, True)
        self.assertFalse(share.ask(member, 1000.0))
        self.assertGreater(share.due(1000.0) or 0, 9)
        self.assertEqual(share.distribute(10.0), [])
        self.assertLess(share.due(10.0) or 1e9, 11)
        self.assertEqual(share.distribute(21.0), [member])


class PartyTableTests(SynchronousTestCase):
    """How many are known: the network says who is anonymous."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pacing = Pacing(self.clock, lambda step: step(), most_parties=50)
        self.pacing.limit(10**6)

    @property
    def parties(self) -> Parties:
        """Those that are known."""
        return self.pacing._parties

    def test_idle_ones_make_room(self) -> None:
        """Any number of addresses that come and go take bounded memory."""
        for number in range(1000):
            allowance = self.pacing.open((f"192.0.2.{number}",), UNLIMITED, is_download=True)
            assert allowance is not None
            allowance.ask(lambda: None)
            self.pacing.passes((f"198.51.100.{number}",), UNLIMITED, 100)
            allowance.end()
            self.assertLessEqual(len(self.parties), 50)

    def test_overfull(self) -> None:
        """More addresses at once than may be known share as one, and are served all the same."""
        allowances = [
            self.pacing.open((number,), UNLIMITED, is_download=True) for number in range(500)
        ]
        self.assertEqual(len(self.parties), 50)
        got = 0
        for _ in range(3000):
            for allowance in allowances:
                assert allowance is not None
                if allowance.ask(lambda: None):
                    got += allowance.left
                    allowance.spend(allowance.left)
            self.clock.advance(0.01)
        self.assertLessEqual(got, 10**6 * (30 + SAVED))
        self.assertGreater(got, 10**6 * 29)
        members = [allowance._member for allowance in allowances if allowance is not None]
        self.assertEqual(len({id(member.party) for member in members}), 51)
        self.assertTrue(all(member.given for member in members))
        for allowance in allowances:
            assert allowance is not None
            allowance.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.pacing.open("alice", UNLIMITED, is_download=True)
        self.assertEqual(len(self.parties), 50)

    def test_limits_of_their_own(self) -> None:
        """Those with limits of their own are held to them even where nobody else has room."""
        for number in range(60):
            self.pacing.open((number,), UNLIMITED, is_download=True)
        limits = TransferLimits(rate=1000)
        allowance = self.pacing.open("alice", limits, is_download=True)
        assert allowance is not None
        bucket = allowance._member.party.bucket
        assert bucket is not None
        self.assertEqual(bucket.rate, 1000)

    def test_most(self) -> None:
        """The daemon knows as many as its default limit of connections."""
        self.assertEqual(MOST_PARTIES, 4096)
