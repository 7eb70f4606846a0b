"""What is stored of each upstream, added up."""

from regcache.identity import UpstreamIdentity
from regcache.pins import Pin
from tests.support.index_cases import BLOB, HUB, OTHER, SqliteIndexCase, repository_of

QUAY = UpstreamIdentity("quay.test", ("https://quay.test",))
#: Of the same name, and another registry.
ELSEWHERE = UpstreamIdentity(QUAY.name, ("https://elsewhere.test",))


class SumsTests(SqliteIndexCase):
    """What counts how often."""

    def sums(self) -> dict[str, tuple[int, int]]:
        """By the name of the upstream: bytes that are stored, and how many of them are pinned."""
        stored = self.successResultOf(self.index.plans.stored(1000.0))
        return {each.name: (each.stored, each.pinned) for each in stored.upstreams}

    def test_upstreams(self) -> None:
        """Content counts once for each upstream that gave it, in however many repositories."""
        for repository in ("a", "b"):
            self.blob(repository, BLOB, size=5)
        self.blob("a", BLOB, upstream=QUAY, size=5)
        self.blob("a", OTHER, upstream=QUAY, size=7)
        pin = self.index.pins.pin(repository_of("a"), str(BLOB), Pin("", 1.0))
        self.successResultOf(pin)
        self.assertEqual(self.sums(), {HUB.name: (5, 5), QUAY.name: (12, 5)})

    def test_same_name(self) -> None:
        """Upstreams that have had the same name count as one."""
        for upstream in (QUAY, ELSEWHERE):
            self.blob("a", BLOB, upstream=upstream, size=5)
        self.blob("a", OTHER, upstream=ELSEWHERE, size=7)
        self.assertEqual(self.sums(), {QUAY.name: (12, 0)})
