"""Tests for regcache.store.space."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.facts import BLOCK, AtMostATenth, Percentage, in_blocks
from regcache.interfaces import ISpace, ISpaceClaim
from regcache.store.space import (
    FileSystemSpace,
    SpaceClaim,
    SpaceLedger,
    SpaceLimits,
)


def ledger(
    max_size: int | Percentage = 1000,
    max_blob: int | Percentage = 1000,
    min_free: int = 100,
    free: int = 10_000,
    evictable: int = 0,
) -> SpaceLedger:
    """A ledger of a file system of 20,000 bytes."""
    limits = SpaceLimits(max_size, max_blob, min_free)
    new = SpaceLedger(limits, lambda: evictable)
    new.measured(FileSystemSpace(20_000, free), new.consumed)
    return new


class SpaceLedgerTests(SynchronousTestCase):
    """Tests for :class:`SpaceLedger`."""

    def test_interfaces(self) -> None:
        """It is the ledger that the cache expects."""
        space = ledger()
        verifyObject(ISpace, space)
        verifyObject(ISpaceClaim, space.claim(1))

    def test_blocks(self) -> None:
        """A file takes whole blocks; an empty one none."""
        sizes = (0, 1, BLOCK, BLOCK + 1)
        self.assertEqual([in_blocks(size) for size in sizes], [0, BLOCK, BLOCK, 2 * BLOCK])

    def claims(self, space: SpaceLedger, *sizes: int) -> list[bool]:
        """Which of some claims, made one after the other, are granted."""
        return [space.claim(size) is not None for size in sizes]

    def test_max_size(self) -> None:
        """What is stored and claimed never exceeds the limit."""
        space = ledger()
        space.change_contents(300)
        self.assertEqual(
            self.claims(space, 701, 400, 301, 300, 1), [False, True, False, True, False]
        )

    def test_other_limits(self) -> None:
        """Other limits hold for the next claim, and need no measurement."""
        space = ledger()
        self.assertEqual(self.claims(space, 600), [True])
        space.follow(SpaceLimits(500, 400, 100))
        self.assertEqual((self.claims(space, 1), space.shortfall()), ([False], 100))
        space.follow(SpaceLimits(2000, 400, 100))
        self.assertEqual(self.claims(space, 401, 400), [False, True])
        space.follow(SpaceLimits(2000, 400, 9_900))
        self.assertEqual(self.claims(space, 1), [False])

    def test_max_size_in_per_cent(self) -> None:
        """The limit may be a part of the file system."""
        space = ledger(Percentage(1.0), max_blob=Percentage(100))
        self.assertEqual(space.max_size(), 200)
        self.assertEqual(self.claims(space, 201, 200), [False, True])

    def test_max_blob(self) -> None:
        """A single blob may be no larger than its own limit."""
        self.assertEqual(self.claims(ledger(max_blob=50), 51, 50), [False, True])
        self.assertEqual(self.claims(ledger(max_blob=Percentage(25)), 251, 250), [False, True])

    def test_min_free(self) -> None:
        """So much of the file system stays free, also if other programs use the rest."""
        self.assertEqual(self.claims(ledger(free=150), 51, 30, 21, 20), [False, True, False, True])

    def test_negative(self) -> None:
        """There is no claim of less than nothing."""
        self.assertIsNone(ledger().claim(-1))

    def test_unmeasured(self) -> None:
        """As long as nothing is known of the file system nothing is granted."""
        space = SpaceLedger(SpaceLimits(1000, 1000, 0), lambda: 10**9)
        self.assertEqual(self.claims(space, 0, 1), [False, False])

    def test_evictable(self) -> None:
        """What could be evicted counts as room, and the ledger tells how much must go."""
        space = ledger(evictable=200)
        space.change_contents(1000)
        self.assertEqual(space.shortfall(), 0)
        self.assertEqual(self.claims(space, 201, 200, 1), [False, True, False])
        self.assertEqual(space.shortfall(), 200)

    def test_room(self) -> None:
        """A claim has its room at once, or waits until others made way."""
        waiting: Deferred[None] = Deferred()
        space = SpaceLedger(SpaceLimits(1000, 1000, 0), lambda: 500, lambda: waiting)
        space.measured(FileSystemSpace(20_000, 10_000), space.consumed)
        space.change_contents(1000)
        claims = [space.claim(size) for size in (0, 100)]
        rooms = [claim.room() for claim in claims if claim is not None]
        self.assertIs(rooms[1], waiting)
        waiting.callback(None)

    def test_tenth(self) -> None:
        """Where it is not set, a tenth of a small file system stays free; else what is set."""
        for limit, free in ((AtMostATenth(10**9), 2000), (AtMostATenth(1000), 1000), (5000, 5000)):
            self.assertEqual(ledger(min_free=limit).min_free(), free)

    def test_full(self) -> None:
        """A full disk is closed only if nothing on it can make way."""
        for evictable, closed in ((0, "no space is left"), (1, "")):
            space = ledger(evictable=evictable)
            space.measured(FileSystemSpace(20_000, 0, "no space is left", full=True), 0)
            self.assertEqual(space.closed, closed)

    def test_why_not(self) -> None:
        """A refusal names the key, and the numbers."""
        space = ledger(max_blob=900, evictable=10)
        space.change_contents(600)
        self.assertEqual(space.why_not(901), "storage.max_blob 900 B: it has 901 B")
        self.assertEqual(
            space.why_not(500),
            "storage.max_size 1000 B: 600 B are taken or claimed, of which 10 B can be evicted",
        )
        space.measured(FileSystemSpace(20_000, 150), space.consumed)
        self.assertEqual(
            space.why_not(100),
            "storage.min_free 100 B: 150 B are free, 100 B are wanted, and 10 B can be evicted",
        )

    def test_beyond_the_file_system(self) -> None:
        """A limit that is never reached is told, with what decides instead."""
        space = SpaceLedger(SpaceLimits(1000, 10, 100))
        self.assertEqual(space.beyond_file_system, "")
        space.measured(FileSystemSpace(1000, 500), 0)
        self.assertEqual(space.beyond_file_system, "")
        space.measured(FileSystemSpace(999, 500), 0)
        self.assertEqual(
            space.beyond_file_system,
            "storage.max_size 1000 B: the file system has 999 B in all, so that storage.min_free,"
            " 100 B, decides",
        )

    def test_why_not_as_the_log_has_it(self) -> None:
        """The listener for refusals is told why, and whether there is space for less."""
        told: list[tuple[str, bool]] = []
        space = SpaceLedger(SpaceLimits(100, 10, 0), refused=lambda *refusal: told.append(refusal))
        space.claim(1)
        self.assertEqual(told, [("storage.directory: its file system does not answer", False)])
        space.measured(FileSystemSpace(1000, 500), 0)
        space.claim(11)
        self.assertEqual(told[1:], [("storage.max_blob 10 B: it has 11 B", True)])
        space.closed = "closed for now"
        space.claim(11)
        self.assertEqual(told[2:], [("storage.directory: closed for now", False)])

    def test_release(self) -> None:
        """A claim that was released counts no more, and only once."""
        space = ledger()
        claim = space.claim(1000)
        assert claim is not None
        claim.wrote(400)
        for _ in range(2):
            claim.release()
            self.assertEqual(space.reserved, 0)
        claim.wrote(1)
        self.assertFalse(claim.grow(1))
        space.measured(FileSystemSpace(20_000, 10_000), space.consumed)
        self.assertEqual(self.claims(space, 1000), [True])

    def test_grow(self) -> None:
        """A claim grows where a new one of the difference would be granted."""
        space = ledger()
        claim = space.claim(0)
        assert claim is not None
        self.assertEqual([claim.grow(600), claim.grow(1001), claim.grow(500)], [True, False, True])
        self.assertEqual(claim.size, 600)
        self.assertEqual(self.claims(space, 401, 400), [False, True])
        self.assertFalse(claim.grow(601))

    def test_written_bytes_are_not_promised_twice(self) -> None:
        """What a claim has written is gone from the free space, and counts there only."""
        space = ledger(max_size=10_000, max_blob=10_000, free=1100)
        claim = space.claim(900)
        assert claim is not None
        claim.wrote(900)
        self.assertEqual(self.claims(space, 101, 50), [False, True])
        space.measured(FileSystemSpace(20_000, 200), space.consumed)
        self.assertEqual(self.claims(space, 51, 50), [False, True])

    def test_old_measurement(self) -> None:
        """Bytes written while the file system was asked are deducted from its answer."""
        space = ledger(free=500)
        consumed = space.consumed
        space.change_contents(300, unclaimed=True)
        space.measured(FileSystemSpace(20_000, 500), consumed)
        self.assertEqual(self.claims(space, 101, 100), [False, True])

    def test_removed_since(self) -> None:
        """What was removed since the file system was asked may be free: claims wait for that."""
        waiting: Deferred[None] = Deferred()
        space = SpaceLedger(SpaceLimits(5000, 5000, 100), lambda: 0, lambda: waiting)
        space.change_contents(900)
        space.measured(FileSystemSpace(20_000, 200), space.consumed, space.removed)
        space.change_contents(-700)
        self.assertEqual(self.claims(space, 801), [False])
        claim = space.claim(800)
        assert claim is not None
        self.assertIs(claim.room(), waiting)
        space.measured(FileSystemSpace(20_000, 200), space.consumed, space.removed)
        self.assertEqual(self.claims(space, 1), [False])
        waiting.callback(None)

    def test_removed_since_and_max_size(self) -> None:
        """What was removed never counts twice towards max_size, which needs no measurement."""
        space = ledger()
        space.change_contents(1000)
        space.change_contents(-300)
        self.assertEqual(self.claims(space, 301, 300), [False, True])

    def test_each_byte_is_deducted_once(self) -> None:
        """What a claim wrote is not deducted again as it is stored, set aside or taken up."""
        space = ledger(max_size=10_000, max_blob=10_000, free=1000)
        for after in (space.change_contents, space.change_parked):
            claim = space.claim(200)
            assert claim is not None
            claim.wrote(200)
            after(200)
            claim.release()
        space.change_parked(-200)
        resumed = space.claim(300)
        assert resumed is not None
        resumed.holds(200)
        self.assertEqual(self.claims(space, 401, 400), [False, True])

    def test_wrote_too_much(self) -> None:
        """A claim never counts more bytes than it has."""
        space = ledger()
        claim = space.claim(10)
        assert claim is not None
        claim.wrote(25)
        self.assertEqual(claim.written, 10)

    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("claim"), st.integers(0, 700)),
                st.tuples(st.just("change"), st.integers(-300, 300)),
                st.tuples(st.sampled_from(["grow", "wrote", "store"]), st.integers(0, 700)),
                st.tuples(st.just("release"), st.just(0)),
            ),
            max_size=30,
        )
    )
    def test_limits_hold(self, steps: list[tuple[str, int]]) -> None:
        """A grant keeps all limits after any events, and the sums are those of the claims."""
        space = ledger(free=1500)
        disk_free = 1500
        claims: list[SpaceClaim] = []
        for action, amount in steps:
            granted = False
            if action == "claim":
                claim = space.claim(amount)
                granted = claim is not None
                claims += [claim] if claim else []
            elif action == "change":
                disk_free -= max(amount, -space.used)
                space.change_contents(amount, unclaimed=True)
            elif claims and action == "grow":
                granted = claims[-1].grow(amount) and amount > 0
            elif claims and action == "wrote":
                before = claims[-1].written
                claims[-1].wrote(amount)
                disk_free -= claims[-1].written - before
            elif claims and action == "store":
                claim = claims.pop()
                disk_free -= claim.size - claim.written
                claim.wrote(claim.size - claim.written)
                space.change_contents(claim.size)
                claim.release()
            elif claims:
                claim = claims.pop(0)
                disk_free += claim.written
                claim.release()
            if granted and action == "claim":
                self.assertLessEqual(space.used + space.reserved, 1000)
                promised = sum(claim.size - claim.written for claim in claims)
                self.assertGreaterEqual(disk_free - promised, 100)
            self.assertEqual(space.reserved, sum(claim.size for claim in claims))
        for claim in claims:
            claim.release()
        self.assertEqual((space.reserved, space._written), (0, 0))
