"""What transfers may send, by a clock that the test turns: exact figures, and what always holds."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.principals import UNLIMITED, TransferLimits
from regcache.web.pacing.bucket import SAVED
from regcache.web.pacing.fair_share import PERIOD
from regcache.web.pacing.pacing import TICK, Pacing
from tests.support.paced_transfers import STEP, Transfer, pass_time, total

MIB = 1024 * 1024
#: Nobody waits for longer (seconds).
LONGEST_GAP = 0.25


class PacingCase(SynchronousTestCase):
    """A pacing by a clock, and its transfers."""

    rate: int | None = 10 * MIB

    def setUp(self) -> None:
        self.begin(self.rate)

    def begin(self, rate: int | None, most_parties: int = 100) -> None:
        """Begin anew."""
        self.clock = Clock()
        self.pacing = Pacing(self.clock, lambda step: step(), most_parties)
        self.pacing.limit(rate)

    def transfer(
        self,
        payer: str,
        *,
        limits: TransferLimits = UNLIMITED,
        **client: Any,
    ) -> Transfer:
        """A transfer that begins now."""
        return Transfer(self.pacing, self.clock, payer, limits=limits, **client)

    def several(self, payer: str, count: int) -> list[Transfer]:
        """So many of them."""
        return [self.transfer(payer) for _ in range(count)]

    def assert_saved_up(self, transfer: Transfer) -> None:
        """One that has just begun was sent what was saved up, but for less than a piece."""
        rate = self.rate or 0
        self.assertLessEqual(transfer.total, rate * SAVED)
        self.assertGreater(transfer.total, rate * (SAVED - PERIOD))

    def assert_near(self, value: float, wanted: float, part: float) -> None:
        """A value is what is wanted, give or take a part of it."""
        self.assertLessEqual(abs(value - wanted), part * wanted, f"{value} is not {wanted}")


class RateTests(PacingCase):
    """One rate for all."""

    def test_accuracy(self) -> None:
        """Over ten seconds one transfer has its rate within 5 %, and stalls for no 250 ms."""
        for rate in (1024, 50_000, MIB, 10 * MIB, 1024 * MIB):
            self.begin(rate)
            one = self.transfer("alice")
            pass_time(self.clock, 10)
            self.assert_near(one.total, 10 * rate, 0.05)
            self.assertLess(one.longest_gap(), LONGEST_GAP)

    def test_first_bytes_at_once(self) -> None:
        """What is saved up is sent at once, and what that is has a bound."""
        one = self.transfer("alice")
        self.assert_saved_up(one)
        pass_time(self.clock, 5)
        one.leave()
        pass_time(self.clock, 100)
        self.assert_saved_up(self.transfer("alice"))

    def test_first_bytes_beside_others(self) -> None:
        """Who begins while others take all there is begins within a moment, too."""
        self.several("alice", 10)
        pass_time(self.clock, 3)
        for payer in ("bob", "alice"):
            one = self.transfer(payer)
            pass_time(self.clock, LONGEST_GAP)
            self.assertGreater(one.total, 0)

    def test_rate_is_changed(self) -> None:
        """A rate that changes, goes or comes holds at once for what was limited before."""
        one = self.transfer("alice")
        pass_time(self.clock, 1)
        self.pacing.limit(2 * MIB)
        pass_time(self.clock, 1)
        now = self.clock.seconds()
        pass_time(self.clock, 10)
        self.assert_near(one.since(now), 20 * MIB, 0.05)
        one.leave()
        one = self.transfer("alice", size=2**40)
        self.pacing.limit(None)
        self.assertIsNone(self.pacing.open("bob", UNLIMITED, is_download=True))

    def test_nothing_is_limited(self) -> None:
        """Without a limit there is no allowance, and small answers pass."""
        self.begin(None)
        self.assertIsNone(self.pacing.open("alice", UNLIMITED, is_download=True))
        self.assertTrue(self.pacing.passes("alice", UNLIMITED, 10**9))
        self.assertFalse(self.pacing.applies(UNLIMITED))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_small_answers(self) -> None:
        """Small answers pass without a turn as long as nobody owes anything, and are counted."""
        passed = 0
        for _ in range(100):
            while self.pacing.passes("alice", UNLIMITED, 50_000):
                passed += 50_000
            pass_time(self.clock, 0.1)
        self.assertLessEqual(passed, 10 * MIB * (10 + SAVED) + 50_000)
        self.assert_near(passed, 100 * MIB, 0.05)

    def test_small_answers_beside_transfers(self) -> None:
        """They pass soon where transfers take all there is, which pay for them."""
        one = self.transfer("alice")
        pass_time(self.clock, 1)
        now, passed = self.clock.seconds(), 0
        for _ in range(100):
            passed += 10_000 * self.pacing.passes("bob", UNLIMITED, 10_000)
            pass_time(self.clock, 0.1)
        self.assertGreater(passed, 900_000)
        self.assert_near(one.since(now) + passed, 100 * MIB, 0.02)


class ShareTests(PacingCase):
    """Who gets how much."""

    def test_accounts_first(self) -> None:
        """Two accounts with one and ten transfers have half each, and so has each of the ten."""
        for rate in (MIB, 10 * MIB, 100 * MIB):
            self.begin(rate)
            one, ten = self.several("alice", 1), self.several("bob", 10)
            pass_time(self.clock, 10)
            self.assert_near(total(one), 5 * rate, 0.1)
            self.assert_near(total(ten), 5 * rate, 0.1)
            for each in ten:
                self.assert_near(each.since(1), 4.5 * rate / 10, 0.1)
                self.assertLess(each.longest_gap(1), LONGEST_GAP)

    def test_unused_shares(self) -> None:
        """What slow clients do not take, others get."""
        slow = [self.transfer(f"slow-{number}", speed=100_000) for number in range(5)]
        fast = self.transfer("alice")
        pass_time(self.clock, 10)
        for each in slow:
            self.assertGreaterEqual(each.total, 10 * 100_000)
            self.assertLessEqual(each.total, 10 * 100_000 + 10 * MIB * PERIOD)
        self.assert_near(fast.total, 100 * MIB - total(slow), 0.05)

    def test_own_rate(self) -> None:
        """An account with a rate of its own has that; what it may not use, others get."""
        own = [self.transfer("alice", limits=TransferLimits(rate=MIB)) for _ in range(3)]
        other = self.transfer("bob")
        pass_time(self.clock, 10)
        self.assert_near(total(own), 10 * MIB, 0.05)
        self.assert_near(other.total, 90 * MIB, 0.05)

    def test_only_own_rates(self) -> None:
        """Rates of accounts hold without one for all, and nobody else is limited."""
        self.begin(None)
        alice = [self.transfer("alice", limits=TransferLimits(rate=MIB)) for _ in range(2)]
        bob = self.transfer("bob", limits=TransferLimits(rate=3 * MIB))
        pass_time(self.clock, 10)
        self.assert_near(total(alice), 10 * MIB, 0.05)
        self.assert_near(bob.total, 30 * MIB, 0.05)
        self.assertIsNone(self.pacing.open("carol", UNLIMITED, is_download=True))

    def test_own_rate_is_lifted(self) -> None:
        """Another rate holds at once for who waits for what is due by the former one."""
        self.begin(None)
        alice = self.transfer("alice", limits=TransferLimits(rate=10), size=9 * MIB)
        pass_time(self.clock, 1)
        self.assertLess(alice.total, 100)
        self.pacing.follow("alice", TransferLimits(rate=MIB))
        before = alice.total
        pass_time(self.clock, 2)
        self.assert_near(alice.total - before, 2 * MIB, 0.15)
        self.pacing.follow("alice", TransferLimits(rate=10))
        pass_time(self.clock, 5)
        before = alice.total
        pass_time(self.clock, 5)
        self.assertLess(alice.total - before, 100)
        self.pacing.follow("alice", UNLIMITED)
        pass_time(self.clock, TICK + STEP)
        self.assertEqual(alice.total, 9 * MIB)

    def test_own_rate_is_changed(self) -> None:
        """A rate of an account that changes holds with its next request, for all it sends."""
        one = self.transfer("alice", limits=TransferLimits(rate=MIB))
        pass_time(self.clock, 2)
        other = self.transfer("alice", limits=TransferLimits(rate=4 * MIB))
        now = self.clock.seconds()
        pass_time(self.clock, 10)
        self.assert_near(one.since(now) + other.total, 40 * MIB, 0.05)

    def test_many(self) -> None:
        """Two hundred that share have equal parts, and none stalls for long."""
        self.begin(self.rate, most_parties=1000)
        many = [self.transfer(f"{number}") for number in range(200)]
        pass_time(self.clock, 4)
        now = self.clock.seconds()
        pass_time(self.clock, 4)
        for each in many:
            self.assert_near(each.since(now), 4 * 10 * MIB / 200, 0.15)
            self.assertLess(each.longest_gap(now), LONGEST_GAP + TICK)

    def test_crowd(self) -> None:
        """Where a few share what there is and a crowd comes, none of the few stalls for long."""
        self.begin(100 * MIB, most_parties=1000)
        few = [self.transfer(f"few-{number}", delay=0.03) for number in range(3)]
        few += [self.transfer("few-0", delay=0.03) for _ in range(3)]
        pass_time(self.clock, 1)
        crowd = [self.transfer(f"{number}", delay=0.03) for number in range(60)]
        crowd += [self.transfer("few-0", delay=0.03) for _ in range(60)]
        now = self.clock.seconds()
        pass_time(self.clock, 5)
        for each in few + crowd:
            self.assertLess(each.longest_gap(now), LONGEST_GAP)

    def test_newcomers(self) -> None:
        """However many come, who is there goes on."""
        self.begin(MIB, most_parties=10**6)
        one = self.transfer("alice")
        pass_time(self.clock, 1)
        now = self.clock.seconds()
        for number in range(2000):
            self.transfer(f"{number}", size=2000)
            pass_time(self.clock, STEP)
        self.assertGreater(one.since(now), MIB / 10)

    def test_leaving(self) -> None:
        """Who leaves gives back what it has not sent, and nothing is left when all have left."""
        transfers = self.several("alice", 5) + self.several("bob", 5)
        pass_time(self.clock, 1)
        for each in transfers:
            each.leave()
            each.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        pass_time(self.clock, SAVED)
        self.assert_saved_up(self.transfer("carol"))

    def test_given_back(self) -> None:
        """What a transfer held when it was cut is there for others at once."""
        allowance = self.pacing.open("alice", UNLIMITED, is_download=True)
        assert allowance is not None
        self.assertTrue(allowance.ask(lambda: None))
        self.assertGreater(allowance.left, 0)
        allowance.end()
        self.assert_saved_up(self.transfer("bob"))

    def test_one_fails(self) -> None:
        """A transfer that fails when it is called keeps no other one from its turn."""

        def fail() -> None:
            raise RuntimeError("broken")

        first = self.transfer("alice")
        pass_time(self.clock, 1)
        for payer in ("bob", "carol"):
            allowance = self.pacing.open(payer, UNLIMITED, is_download=True)
            assert allowance is not None
            while allowance.ask(fail):
                allowance.spend(allowance.left)
        before = first.total
        pass_time(self.clock, 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        self.assertGreater(first.total, before)


class DownloadTests(PacingCase):
    """How many bodies of blobs an account may have sent at once."""

    rate = None
    limits = TransferLimits(downloads=2)

    def start(self, size: int, speed: float | None = None) -> Transfer:
        """A download of alice, who may have two at once."""
        return self.transfer("alice", limits=self.limits, size=size, speed=speed)

    def test_further_ones_wait(self) -> None:
        """The third waits until one has ended, or its client has gone."""
        first, second = self.start(10 * MIB, MIB), self.start(100 * MIB, MIB)
        waiting = [self.start(1000) for _ in range(3)]
        pass_time(self.clock, 2)
        self.assertEqual(total(waiting), 0)
        pass_time(self.clock, 10)
        self.assertIsNotNone(first.ended_at)
        self.assertEqual([each.total for each in waiting], [1000] * 3)
        third, fourth = self.start(100 * MIB, MIB), self.start(1000)
        pass_time(self.clock, 1)
        self.assertEqual(fourth.total, 0)
        for each in (second, third):
            each.leave()
            pass_time(self.clock, 1)
        self.assertEqual(fourth.total, 1000)

    def test_who_waits_may_leave(self) -> None:
        """One that has left before its turn takes no place."""
        first, _ = self.start(100 * MIB, MIB), self.start(100 * MIB, MIB)
        third, fourth = self.start(1000), self.start(1000)
        third.leave()
        first.leave()
        pass_time(self.clock, TICK + STEP)
        self.assertEqual((third.total, fourth.total), (0, 1000))

    def test_other_answers(self) -> None:
        """What is no blob needs no place."""
        self.start(100 * MIB, MIB), self.start(100 * MIB, MIB)
        allowance = self.pacing.open("alice", self.limits, is_download=False)
        assert allowance is not None
        self.assertTrue(allowance.ask(lambda: None))
        self.assertTrue(self.pacing.passes("alice", self.limits, 1000))

    def test_more_are_allowed(self) -> None:
        """Who may have more than before has them with its next request."""
        for _ in range(2):
            self.start(100 * MIB, MIB)
        third = self.start(1000)
        self.transfer("alice", limits=TransferLimits(downloads=4), size=1000)
        pass_time(self.clock, TICK + STEP)
        self.assertEqual(third.total, 1000)

    def test_changed_meanwhile(self) -> None:
        """Another number holds without a further request: who waits begins, who runs goes on."""
        running = [self.start(100 * MIB, MIB) for _ in range(3)]
        last = self.start(1000)
        self.pacing.follow("alice", TransferLimits(downloads=3))
        pass_time(self.clock, 1)
        self.assertEqual((running[2].total > 0, last.total), (True, 0))
        self.pacing.follow("alice", TransferLimits(downloads=1))
        before = total(running)
        pass_time(self.clock, 30)
        self.assertEqual(last.total, 0)
        self.assert_near(total(running) - before, 90 * MIB, 0.2)
        for each in running:
            pass_time(self.clock, TICK + STEP)
            self.assertEqual(last.total, 0)
            each.leave()
        pass_time(self.clock, TICK + STEP)
        self.assertEqual(last.total, 1000)


class AlwaysTests(PacingCase):
    """Tests what holds while clients come and go."""

    @given(data=st.data())
    @settings(max_examples=40, deadline=None)
    def test_always(self, data: st.DataObject) -> None:
        """No rate is exceeded by more than what is saved up; nobody starves; all comes to rest."""
        rate = data.draw(st.sampled_from([None, 5000, MIB, 20 * MIB]))
        own = data.draw(st.sampled_from([2000, MIB // 2, 5 * MIB]))
        self.begin(rate)
        limits = {"alice": TransferLimits(own), "bob": TransferLimits(4 * own, 2)}
        if rate is not None:
            limits |= {"carol": UNLIMITED, "dora": TransferLimits(None, 1)}
        payers = sorted(limits)
        transfers: list[tuple[str, Transfer]] = []
        for _ in range(data.draw(st.integers(1, 25))):
            action = data.draw(st.sampled_from(["begin", "begin", "leave", "pass"]))
            if action == "begin":
                payer = data.draw(st.sampled_from(payers))
                speed = data.draw(st.sampled_from([None, None, 3000.0, float(MIB)]))
                size = data.draw(st.sampled_from([None, 1, 100_000]))
                made = self.transfer(payer, limits=limits[payer], speed=speed, size=size)
                transfers.append((payer, made))
            elif action == "leave" and transfers:
                data.draw(st.sampled_from(transfers))[1].leave()
            else:
                pass_time(self.clock, data.draw(st.sampled_from([STEP, TICK, 0.3, 2.0])))
            self.check(rate, limits, transfers)
        self.check_end(transfers)

    def check(
        self,
        rate: int | None,
        limits: dict[str, TransferLimits],
        transfers: list[tuple[str, Transfer]],
    ) -> None:
        """No rate is exceeded."""
        rates = {None: rate, **{payer: limit.rate for payer, limit in limits.items()}}
        for payer, most in rates.items():
            if most is not None:
                sent = sum(one.total for who, one in transfers if payer in (None, who))
                self.assertLessEqual(sent, most * (self.clock.seconds() + SAVED) + 1)

    def check_end(self, transfers: list[tuple[str, Transfer]]) -> None:
        """All that have an end come to it when those have left that have none."""
        for _, each in transfers:
            if each._size is None:
                each.leave()
        for _ in range(500):
            pass_time(self.clock, 1.0)
            if all(each.left for _, each in transfers):
                break
        self.assertTrue(all(each.left for _, each in transfers))
        pass_time(self.clock, 1.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @given(data=st.data())
    @settings(max_examples=25, deadline=None)
    def test_greedy(self, data: st.DataObject) -> None:
        """Those who take all they get have equal parts of all there is, accounts first."""
        rate = data.draw(st.integers(400_000, 50 * MIB))
        counts = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
        self.begin(rate)
        groups = [self.several(f"{number}", count) for number, count in enumerate(counts)]
        pass_time(self.clock, 3)
        now = self.clock.seconds()
        pass_time(self.clock, 5)
        everything = sum(total(group, now) for group in groups)
        self.assert_near(everything, 5 * rate, 0.03)
        for group in groups:
            self.assert_near(total(group, now), everything / len(groups), 0.1)
            for each in group:
                self.assert_near(each.since(now), everything / len(groups) / len(group), 0.15)
