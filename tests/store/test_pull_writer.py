"""Tests for how pulls are counted."""

from regcache.digests import Digest
from regcache.facts import ManifestUse
from regcache.store import pull_writer
from regcache.store.batch_writer import INTERVAL
from regcache.store.index_pulls import SLOT, SLOTS
from tests.support.catalogued import CatalogueCase, image_of
from tests.support.index_cases import repository_of

BY_TAG, GOT, HEADED = ManifestUse.BY_TAG, ManifestUse.GOT, ManifestUse.HEADED
REPOSITORY = repository_of("library/a")


class PullTests(CatalogueCase):
    """Pulls of an image."""

    def setUp(self) -> None:
        super().setUp()
        self.digest = self.put("library/a", image_of("a", [("a", 1)]), tag="1").digest

    def pulls(self, *uses: ManifestUse) -> int:
        """How many there are, some seconds after these requests."""
        for use in uses:
            self.index.note_pull(REPOSITORY, self.digest, use)
        self.clock.advance(INTERVAL)
        return self.shown("library/a", "1").pulls

    def test_clients(self) -> None:
        """What one client asks for one pull counts once, whichever client it is."""
        self.assertEqual(self.pulls(BY_TAG), 1)
        self.assertEqual(self.pulls(BY_TAG, GOT), 2)
        self.assertEqual(self.pulls(HEADED, GOT), 3)
        self.assertEqual(self.pulls(BY_TAG, BY_TAG, GOT, GOT), 5)

    def test_age(self) -> None:
        """After thirty days it does not count, and what is old is not kept."""
        self.assertEqual(self.pulls(BY_TAG), 1)
        self.clock.advance(SLOTS * SLOT)
        self.assertEqual(self.shown("library/a", "1").pulls, 0)
        self.assertEqual(self.pulls(BY_TAG), 1)
        count = "SELECT count(*) FROM pulls"
        self.assertEqual(self.file.read(lambda index: index.execute(count).fetchone()), (1,))

    def test_bounded(self) -> None:
        """Only so many wait; what is not known in the index is not counted at all."""
        self.patch(pull_writer, "MOST_PENDING", 5)
        for number in range(9):
            self.index.note_pull(repository_of(f"made/up{number}"), self.digest, BY_TAG)
        self.assertEqual(len(self.index._pulls), 5)
        self.assertEqual(self.pulls(BY_TAG), 0)
        self.assertEqual(len(self.index._pulls), 0)
        self.index.note_pull(REPOSITORY, Digest.of(b"unknown"), BY_TAG)
        self.assertEqual(self.pulls(BY_TAG), 1)
        self.assertEqual(sum(self.summary("library/a").pulls), 2)

    def test_closed(self) -> None:
        """What waits is written at the end."""
        self.index.note_pull(REPOSITORY, self.digest, BY_TAG)
        self.successResultOf(self.index.close())
        self.index = self.open()
        self.assertEqual(self.shown("library/a", "1").pulls, 1)
