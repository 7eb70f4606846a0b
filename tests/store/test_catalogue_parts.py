"""Which image something belongs to."""

from regcache.digests import Digest
from regcache.identity import RepositoryContent
from regcache.images import AskedContent, ImagePart
from regcache.media_types import OCI_MANIFEST
from tests.support.catalogued import CatalogueCase, MadeImage, blob_named, image_of, index_of
from tests.support.index_cases import repository_of

BASE, APP, EXTRA = ("base", 5000), ("app", 700), ("extra", 300)
A = "library/a"


class PartTests(CatalogueCase):
    """Parts of images."""

    def part(
        self, digest: Digest, *before: tuple[str, MadeImage], name: str = A
    ) -> ImagePart | None:
        """What something is a part of."""
        asked_for = tuple((reference, image.digest) for reference, image in before)
        asked = AskedContent(RepositoryContent(repository_of(name), digest), asked_for)
        (found,) = self.successResultOf(self.index.catalogue.parts([asked]))
        return found  # type: ignore[no-any-return]

    def config(self, image: MadeImage) -> Digest:
        """That of an image."""
        return image.descriptors[0].digest

    def test_layers(self) -> None:
        """Layers are counted in the order of the manifest; the configuration is none of them."""
        image = self.put(A, image_of("a", [EXTRA, BASE, APP]), tag="1.2")
        for name, place in (("extra", 1), ("base", 2), ("app", 3)):
            self.assertEqual(self.part(blob_named(name)), ImagePart("1.2", "", (place, 3)))
        self.assertEqual(self.part(self.config(image)), ImagePart("1.2", ""))
        self.assertEqual(self.part(image.digest), ImagePart("1.2", ""))

    def test_index(self) -> None:
        """What an index lists has its tag, and the platform that it says."""
        amd, arm = image_of("amd", [BASE]), image_of("arm", [APP, EXTRA])
        index = self.put(A, index_of("i", [("linux/amd64", amd), ("linux/arm64", arm)]), tag="1")
        self.put(A, amd)
        self.put(A, arm)
        self.assertEqual(self.part(blob_named("extra")), ImagePart("1", "linux/arm64", (2, 2)))
        self.assertEqual(self.part(amd.digest), ImagePart("1", "linux/amd64"))
        self.assertEqual(self.part(index.digest), ImagePart("1", ""))

    def test_several(self) -> None:
        """Of images with the same layer it is the one that the client asked for, by that name."""
        one = self.put(A, image_of("one", [BASE]), tag="1")
        two = self.put(A, image_of("two", [APP, BASE]), tag="2")
        self.tag(A, "latest", two.digest)
        base = blob_named("base")
        self.assertEqual(self.part(base, ("1", one)), ImagePart("1", "", (1, 1)))
        self.assertEqual(self.part(base, ("2", two), ("1", one)), ImagePart("2", "", (2, 2)))
        by_digest = self.part(base, (str(two.digest), two))
        assert by_digest is not None
        self.assertIn(by_digest.reference, ("2", "latest"))
        self.tag(A, "1", two.digest)
        self.assertEqual(self.part(base, ("1", one)), ImagePart("1", "", (1, 1)))

    def test_untagged(self) -> None:
        """An image without a tag is named by its digest."""
        image = self.put(A, image_of("a", [BASE]))
        self.assertEqual(self.part(blob_named("base")), ImagePart(str(image.digest), "", (1, 1)))

    def test_elsewhere(self) -> None:
        """What only other repositories have an image with is nothing here."""
        self.put("library/b", image_of("b", [BASE]), tag="1")
        self.put(A, image_of("a", [APP]), tag="1")
        self.assertIsNone(self.part(blob_named("base")))
        self.assertIsNone(self.part(blob_named("base"), name="library/none"))

    def test_evicted(self) -> None:
        """It is known of what was evicted, and not of what was removed."""
        image = self.put(A, image_of("a", [BASE]), tag="1")
        self.successResultOf(self.index.forget_content(blob_named("base")))
        self.assertEqual(self.part(blob_named("base")), ImagePart("1", "", (1, 1)))
        self.successResultOf(self.index.forget_content(image.digest))
        self.assertIsNone(self.part(blob_named("base")))

    def test_earlier_version(self) -> None:
        """What was recorded without an order is a part of no place, until it is fetched again."""
        self.put(A, image_of("a", [BASE]), tag="1")
        self.file.write(
            [lambda connection: connection.execute("UPDATE mentions SET position = NULL")]
        )
        self.assertEqual(self.part(blob_named("base")), ImagePart("1", ""))
        self.put(A, image_of("a", [BASE]), tag="1")
        self.assertEqual(self.part(blob_named("base")), ImagePart("1", "", (1, 1)))

    def test_fetched_by(self) -> None:
        """An image tells for whom it was fetched, by the first fetch since it is here."""
        image = image_of("a", [BASE])
        for account in ("alice", "bob"):
            self.manifest(
                image.manifest,
                *image.descriptors,
                repository=A,
                now=self.clock.seconds(),
                asked_by=account,
            )
        self.assertEqual(image.manifest.media_type, OCI_MANIFEST)
        self.assertEqual(self.shown(A, image.digest).fetched_by, "alice")
