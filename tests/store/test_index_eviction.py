"""What the index knows of what was evicted: that it comes back, and for how long."""

from typing import Any

from regcache.digests import Digest
from regcache.pins import Pin
from regcache.plans import Savings
from regcache.retention import FIRST, Candidate
from regcache.store.index_forgetting import FORGET_AFTER
from tests.support.index_cases import (
    BLOB,
    OTHER,
    SqliteIndexCase,
    manifest_of,
    mention,
    repository_of,
)

MIB = 2**20
DAY = 86_400.0
IMAGE = manifest_of(image=1)
APP = repository_of("library/a")


class EvictionCase(SqliteIndexCase):
    """An index with an image of two layers."""

    def setUp(self) -> None:
        super().setUp()
        self.manifest(IMAGE, mention(BLOB, 5 * MIB), mention(OTHER, 7), now=10.0)
        self.successResultOf(self.index.record_tag(APP, "1", IMAGE.digest, 10.0))
        self.blob(size=5 * MIB, now=10.0)
        self.blob(digest=OTHER, size=7, now=10.0)

    def candidates(self) -> dict[Digest, Candidate]:
        """What may go."""
        page = self.successResultOf(self.index.places.candidates(FIRST, 1e12))
        return {each.digest: each for each in page.candidates}

    def evict(self, *digests: Digest) -> list[Digest]:
        """Evict contents; what went."""
        candidates = self.candidates()
        gone = self.successResultOf(
            self.index.places.evict([candidates[digest] for digest in digests])
        )
        self.successResultOf(self.index.places.left([each.digest for each in gone]))
        return [each.digest for each in gone]


class EvictTests(EvictionCase):
    """What eviction takes, and what it leaves."""

    def test_place_alone(self) -> None:
        """What is evicted is not stored any more; its right, and what is known of it, stay."""
        before = self.facts("library/a", BLOB)
        self.assertEqual(self.evict(BLOB, IMAGE.digest), [BLOB, IMAGE.digest])
        after = self.facts("library/a", BLOB)
        self.assertIsNone(after.size)
        self.assertEqual((after.link, after.mentioned_size), (before.link, 5 * MIB))
        self.assertEqual(self.successResultOf(self.index.occupied_bytes()), 4096)

    def test_tried_again(self) -> None:
        """What could be noted at the second attempt alone is gone all the same, and forgotten."""
        self.find_full_at_first()
        self.assertEqual(self.evict(BLOB, OTHER), [BLOB, OTHER])
        self.successResultOf(self.index.drop_tag(APP, "1"))
        late = 10.0 + FORGET_AFTER + DAY
        self.assertEqual(self.successResultOf(self.index.places.forget_unstored(late)), 2)

    def test_used_meanwhile(self) -> None:
        """What was used since it was found stays."""
        found = self.candidates()[BLOB]
        for _ in range(5):
            self.index.touch(BLOB, 20.0)
        self.successResultOf(self.index.places.write_uses())
        self.assertEqual(self.successResultOf(self.index.places.evict([found])), [])

    def test_pinned_meanwhile(self) -> None:
        """So does what was pinned since."""
        found = self.candidates()[BLOB]
        self.successResultOf(self.index.pins.pin(APP, "1", Pin("", 1.0)))
        self.assertEqual(self.successResultOf(self.index.places.evict([found])), [])

    def test_gone_meanwhile(self) -> None:
        """What is gone already is not evicted again."""
        found = self.candidates()[BLOB]
        self.evict(BLOB)
        self.assertEqual(self.successResultOf(self.index.places.evict([found])), [])

    def test_many(self) -> None:
        """Very many go by steps, all of them."""
        digests = [Digest.of(b"%d" % number) for number in range(300)]
        for digest in digests:
            self.blob(digest=digest, now=10.0)
        gone: set[Digest] = set()
        while len(gone) < 300:
            page = self.successResultOf(self.index.places.candidates(FIRST, 1e12)).candidates
            chosen = [each for each in page if each.digest in set(digests)]
            gone |= {each.digest for each in self.successResultOf(self.index.places.evict(chosen))}
        self.assertEqual(gone, set(digests))


class GhostTests(EvictionCase):
    """What comes back."""

    def savings(self, since: float = 0.0) -> Any:
        """What a larger disk would have had."""
        return self.successResultOf(self.index.plans.savings(since))

    def test_comes_back(self) -> None:
        """What comes back counts as what a disk would have had that is larger by all since then."""
        self.evict(BLOB)
        self.assertEqual(self.savings(), [])
        self.blob(size=5 * MIB, now=DAY)
        self.assertEqual(self.savings(), [Savings(8 * MIB, 1, 5 * MIB)])
        self.assertEqual(self.savings(2 * DAY), [])

    def test_adds_up(self) -> None:
        """A disk that is larger still would have had that, too."""
        self.evict(OTHER)
        self.blob(digest=OTHER, size=7, now=DAY)
        self.evict(OTHER)
        self.evict(BLOB)
        self.blob(digest=OTHER, size=7, now=DAY)
        self.assertEqual(self.savings(), [Savings(MIB, 1, 7), Savings(8 * MIB, 2, 14)])


class ForgettingTests(EvictionCase):
    """What is known of what is not here."""

    def forget(self, now: float) -> int:
        """Forget what has not been here for long."""
        forgotten: int = self.successResultOf(self.index.places.forget_unstored(now))
        return forgotten

    def test_after_long(self) -> None:
        """It is forgotten after 90 days, and what is here is not."""
        self.evict(BLOB, IMAGE.digest)
        self.assertEqual(self.forget(10.0 + FORGET_AFTER), 0)
        self.assertEqual(self.forget(11.0 + FORGET_AFTER), 2)
        self.assertIsNone(self.facts("library/a", BLOB).link)
        self.assertIsNone(self.facts("library/a", OTHER).mentioned_size)
        self.assertEqual(self.facts("library/a", OTHER).size, 7)
        self.assertEqual(self.successResultOf(self.index.tags(APP, "", 9)), [])

    def test_used_or_pinned(self) -> None:
        """What was used since, or is pinned, is not."""
        self.evict(BLOB, OTHER, IMAGE.digest)
        self.index.touch(BLOB, 1000.0)
        self.successResultOf(self.index.places.write_uses())
        pin = self.index.pins.pin(APP, str(IMAGE.digest), Pin("", 1.0))
        self.successResultOf(pin)
        self.assertEqual(self.forget(11.0 + FORGET_AFTER), 0)

    def test_empty_repositories(self) -> None:
        """A repository of which nothing is known any more is none."""
        self.evict(BLOB, OTHER, IMAGE.digest)
        self.assertEqual(self.forget(11.0 + FORGET_AFTER), 3)
        known = self.index.removals.knows(APP)
        self.assertFalse(self.successResultOf(known))
