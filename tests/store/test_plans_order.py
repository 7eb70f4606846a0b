"""How far a plan has to go in the order of eviction, and what it takes by its last use."""

from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.pins import Pin
from regcache.retention import FIRST, Position, Selection
from regcache.store import index_plans
from tests.store.test_index_eviction import APP, EvictionCase
from tests.support.index_cases import BLOB, manifest_of, mention

BEFORE = 1e12


class PlanOrderTests(EvictionCase):
    """With parts of the order that are small."""

    def setUp(self) -> None:
        super().setUp()
        for number in range(12):
            self.blob(digest=Digest.of(b"%d" % number), size=4096 * number + 1, now=10.0 + number)
        self.unpinned = sum(in_blocks(4096 * number + 1) for number in range(12))
        self.patch(index_plans, "MOST_LOOKED_AT", 3)

    def end_of(self, wanted: int) -> Position | None:
        """How far it goes."""
        found: Position | None = self.successResultOf(
            self.index.plans.end_of(wanted, Selection(BEFORE))
        )
        return found

    def by_hand(self, wanted: int) -> Position | None:
        """The same, counted one by one."""
        page, position = self.successResultOf(self.index.places.candidates(FIRST, BEFORE)), None
        for each in page.candidates:
            if wanted <= 0:
                break
            position, wanted = each.position, wanted - in_blocks(each.size)
        return position

    def check(self, most: int) -> None:
        """For each size that may be wanted."""
        for wanted in range(-4096, most, 2048):
            self.assertEqual(self.end_of(wanted), self.by_hand(wanted), wanted)

    def test_each_size(self) -> None:
        """It goes as far as it has to, and no further."""
        self.check(self.unpinned + 100_000)

    def test_pinned(self) -> None:
        """What is pinned counts for nothing."""
        self.successResultOf(self.index.pins.pin(APP, "1", Pin("", 1.0)))
        self.check(self.unpinned)

    def test_more_than_there_is(self) -> None:
        """Where more is wanted than is stored, all goes."""
        last = self.successResultOf(self.index.places.candidates(FIRST, BEFORE)).candidates[-1]
        self.assertEqual(self.end_of(10**12), last.position)

    def test_named(self) -> None:
        """What is in use is told by its repository; what is still to come by what lists it."""
        later, unknown = Digest.of(b"later"), Digest.of(b"unknown")
        self.manifest(manifest_of(later=1), mention(later, 9), repository="library/b")
        for digest, name in ((BLOB, "library/a"), (later, "library/b"), (unknown, "")):
            found = self.successResultOf(self.index.plans.name_of(digest))
            self.assertEqual(found, f"docker.io/{name}" if name else "")

    def test_unused(self) -> None:
        """A plan by age removes what neither came nor was used since, as daemons noted it."""
        used = Digest.of(b"3")
        self.index.touch(used, 50.0)
        self.successResultOf(self.index.places.write_uses())
        forget = "DELETE FROM uses WHERE last_use < 50"
        self.file.write([lambda connection: connection.execute(forget)])
        for last_use, contents in ((5.0, 0), (15.0, 6 + 3 - 1), (49.0, 14), (50.0, 15)):
            sums, _, _ = self.successResultOf(self.index.plans.sums(Selection(BEFORE, last_use)))
            self.assertEqual(sums.contents, contents, last_use)
