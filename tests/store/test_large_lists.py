"""Manifests that list as much as one may: all of it counts, in an older index, too."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from regcache.cache.image_details import details_of
from regcache.cache.shown_images import ShownImages
from regcache.digests import Digest
from regcache.facts import Descriptor, Manifest, in_blocks
from regcache.manifest_body import MOST_DESCRIPTORS
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from regcache.parsing import Parser
from regcache.pins import Pin
from regcache.removals import manifest_of
from regcache.store.catalogue_schema import LISTS
from regcache.store.index_contents import Proof, record_blob
from regcache.store.index_file import Operation
from regcache.store.index_schema import MIGRATIONS, digest_from_key
from regcache.store.summary_maker import EVERY
from tests.support.catalogued import LAYER, CatalogueCase, MadeImage
from tests.support.index_cases import content_of, repository_of
from tests.support.pools import ImmediatePool
from tests.support.removal_steps import removed

KEPT_EARLIER = 1024
APP = "library/app"


def _document(media_type: str, key: str, descriptors: tuple[Descriptor, ...]) -> MadeImage:
    listed = [
        {"digest": str(each.digest), "size": each.size, "mediaType": each.media_type}
        for each in descriptors
    ]
    content = json.dumps({"schemaVersion": 2, "mediaType": media_type, key: listed}).encode()
    return MadeImage(Manifest(Digest.of(content), media_type, content), descriptors)


def _blob(digest: Digest) -> Operation:
    content = content_of(APP, digest)
    return lambda connection: record_blob(connection, content, 1, True, Proof("", 1.0))


def large_image(layers: int) -> MadeImage:
    """An image of so many layers of a byte."""
    listed = (Descriptor(Digest.of(b"%d" % number), 1, LAYER) for number in range(layers))
    return _document(OCI_MANIFEST, "layers", tuple(listed))


class LargeListCase(CatalogueCase):
    """An index of the disk, and the bodies of manifests."""

    def store(self, layers: Sequence[Descriptor]) -> None:
        """Record layers at once."""
        self.file.write([_blob(each.digest) for each in layers])

    def pinned(self) -> set[Digest]:
        """What pins cover."""
        return {digest_from_key(key) for (key,) in self.rows("SELECT digest FROM pinned")}

    def rows(self, statement: str) -> list[Any]:
        """What the file has."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(statement).fetchall()


class LargestTests(LargeListCase):
    """The image with the most layers that a manifest may list."""

    def setUp(self) -> None:
        super().setUp()
        self.made = self.put(APP, large_image(MOST_DESCRIPTORS), tag="1", blobs=[])
        self.store(self.made.descriptors[:-1])

    def store_last(self) -> Digest:
        """The last layer comes, too."""
        last = self.made.descriptors[-1].digest
        self.blob(APP, last, size=1)
        return last

    def test_complete(self) -> None:
        """It is shown as complete with its last layer, and not before."""
        (platform,) = self.shown(APP, "1").platforms
        self.assertEqual((platform.complete, platform.layers), (False, MOST_DESCRIPTORS))
        self.assertEqual(self.summary(APP).platforms[0].partial, 1)
        self.store_last()
        self.assertTrue(self.shown(APP, "1").platforms[0].complete)
        self.assertEqual(self.summary(APP).platforms[0].complete, 1)

    def test_pin(self) -> None:
        """A pin covers all of it."""
        pin = Pin("somebody", 5.0)
        self.successResultOf(self.index.pins.pin(repository_of(APP), "1", pin))
        self.assertEqual(len(self.pinned()), MOST_DESCRIPTORS + 1)

    def test_steps(self) -> None:
        """Each of its layers is shown, of any step."""
        details = details_of(self.made.manifest.content, None)
        self.assertEqual(len(details.steps), MOST_DESCRIPTORS)

    def test_used(self) -> None:
        """A use of the manifest is one of all of it."""
        self.store_last()
        self.index.touch(self.made.digest, 5e6)
        self.successResultOf(self.index.places.write_uses())
        used = self.rows("SELECT count(*) FROM uses WHERE last_use = 5e6")
        self.assertEqual(used, [(MOST_DESCRIPTORS + 1,)])

    def test_removed(self) -> None:
        """A plan says that all of it comes free, and the removal frees it."""
        self.store_last()
        target = manifest_of(repository_of(APP), self.made.digest)
        item = self.successResultOf(self.index.plans.image(self.made.digest))
        gone = [each for effect in removed(self, self.index, target) for each in effect.gone]
        taken = sum(in_blocks(each.size) for each in gone)
        self.assertEqual((item.size, item.frees), (taken, taken))
        self.assertEqual(len(gone), MOST_DESCRIPTORS + 1)


class OlderIndexTests(LargeListCase):
    """An index whose version kept only the first of what a manifest lists."""

    def setUp(self) -> None:
        super().setUp()
        self.made = self.put(APP, large_image(KEPT_EARLIER + 6), tag="1", blobs=[])
        self.store(self.made.descriptors)
        self.small = self.put("library/small", large_image(KEPT_EARLIER - 1), tag="1", blobs=[])
        listed = tuple(
            Descriptor(Digest.of(b"child %d" % number), 1, OCI_MANIFEST)
            for number in range(KEPT_EARLIER + 1)
        )
        self.many = self.put("library/many", _document(OCI_INDEX, "manifests", listed), tag="1")
        pin = Pin("somebody", 5.0)
        self.successResultOf(self.index.pins.pin(repository_of(APP), "1", pin))
        self.stored = {
            each.digest: each.manifest.content for each in (self.made, self.small, self.many)
        }

    def reopen(self) -> None:
        """Let the file be as the older version left it, and open it."""
        self.successResultOf(self.index.close())
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            for table in ("mentions", "members"):
                connection.execute(f"DELETE FROM {table} WHERE position >= {KEPT_EARLIER}")
            connection.execute(
                "DELETE FROM shown WHERE (digest, manifest_id) NOT IN"
                " (SELECT digest, manifest_id FROM mentions)"
            )
            connection.execute(
                "DELETE FROM pinned WHERE digest NOT IN (SELECT digest FROM mentions)"
                " AND digest NOT IN (SELECT digest FROM contents WHERE media_type != '')"
            )
            connection.execute("DROP TRIGGER lists_completed")
            connection.execute("DROP TABLE partly_known")
            connection.execute("DROP TABLE following")
            connection.execute("DELETE FROM outdated")
            connection.execute(f"PRAGMA user_version = {MIGRATIONS.index(LISTS)}")
        self.index = self.open()

    async def load(self, digest: Digest, limit: int, size: int | None) -> bytes | None:
        """As a store of contents."""
        return self.stored.get(digest)

    def describe(self) -> None:
        """Have what can be known read, as in the background."""
        store: Any = self
        images = ShownImages(self.index.catalogue, store, Parser(ImmediatePool()))
        self.index.catalogue.summaries.describe = images.describe
        self.clock.advance(EVERY)

    def test_unknown(self) -> None:
        """Of what lists more than is known nothing is shown as complete; other images are."""
        self.reopen()
        (platform,) = self.shown(APP, "1").platforms
        self.assertEqual((platform.complete, platform.size, platform.layers), (False, None, None))
        self.assertEqual(self.summary(APP).platforms[0].partial, 1)
        self.assertTrue(self.shown("library/small", "1").platforms[0].complete)

    def test_read_again(self) -> None:
        """What it lists is read from the disk in the background, and counts from then on."""
        self.reopen()
        self.describe()
        (platform,) = self.shown(APP, "1").platforms
        self.assertEqual((platform.complete, platform.layers), (True, KEPT_EARLIER + 6))
        self.assertEqual(self.summary(APP).platforms[0].complete, 1)
        self.assertEqual(len(self.shown("library/many", "1").platforms), KEPT_EARLIER + 1)
        self.assertEqual(len(self.pinned()), KEPT_EARLIER + 7)
        last = self.made.descriptors[-1].digest
        self.assertEqual(self.facts(APP, last).mentioned_size, 1)
        self.assertEqual(self.rows("SELECT * FROM partly_known"), [])

    def test_unreadable(self) -> None:
        """What cannot be read stays incomplete until it is fetched again."""
        self.reopen()
        self.stored.clear()
        self.describe()
        self.assertFalse(self.shown(APP, "1").platforms[0].complete)
        self.put(APP, self.made, blobs=[])
        self.assertTrue(self.shown(APP, "1").platforms[0].complete)

    def test_forgotten(self) -> None:
        """With a manifest that is gone goes the note."""
        self.reopen()
        for each in (self.made, self.many):
            self.successResultOf(self.index.forget_content(each.digest))
        self.assertEqual(self.rows("SELECT * FROM partly_known"), [])
