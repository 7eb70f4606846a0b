"""What goes with what is removed, and what something else keeps; on the real index."""

import os
import sqlite3
from functools import partial
from typing import Any

from regcache.digests import Digest
from regcache.facts import Descriptor, Manifest, Subject
from regcache.identity import Repository
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from regcache.pins import Pin
from regcache.removals import RemovalEffect, RemovalTarget, blob_of, manifest_of, tag_of
from regcache.store.index_contents import content_id
from regcache.store.index_places import drop_place
from tests.support.index_cases import (
    HUB,
    QUAY,
    SqliteIndexCase,
    content_of,
    repository_of,
)
from tests.support.index_cases import manifest_of as make_manifest
from tests.support.removal_steps import combined, removed

A, B, C = repository_of("a"), repository_of("b"), repository_of("c", QUAY)
BASE, OWN, CONFIG = (Digest.of(name) for name in (b"base", b"own", b"config"))


def image(*blobs: Digest, **more: Any) -> tuple[Manifest, list[Descriptor]]:
    """A manifest, and what it lists."""
    manifest = make_manifest(layers=[str(each) for each in blobs], **more)
    return manifest, [Descriptor(each, 5, "application/layer") for each in blobs]


def index_of(*children: Manifest) -> tuple[Manifest, list[Descriptor]]:
    """An index, and what it lists."""
    made = make_manifest(manifests=[str(each.digest) for each in children])
    listed = [Descriptor(each.digest, len(each.content), OCI_MANIFEST) for each in children]
    return Manifest(made.digest, OCI_INDEX, made.content), listed


class RemovalCase(SqliteIndexCase):
    """An index with images in it."""

    def setUp(self) -> None:
        """Nothing is removed yet."""
        super().setUp()
        self.generation = 0

    def put(
        self,
        repository: Repository,
        made: tuple[Manifest, list[Descriptor]],
        *tags: str,
        blobs: bool = True,
        subject: Digest | None = None,
    ) -> Digest:
        """Record an image as a pull of all of it does."""
        manifest, listed = made
        self.manifest(
            manifest,
            *listed,
            repository=repository.name,
            upstream=repository.upstream,
            subject=Subject(subject, "", ()) if subject else None,
        )
        for each in listed if blobs else ():
            self.blob(repository.name, each.digest, upstream=repository.upstream)
        for tag in tags:
            self.tag(repository, tag, manifest.digest)
        return manifest.digest

    def tag(self, repository: Repository, tag: str, digest: Digest) -> None:
        """Record a tag."""
        self.successResultOf(self.index.record_tag(repository, tag, digest, 100.0))

    def remove(self, target: RemovalTarget) -> RemovalEffect:
        """Remove it; a look before each step says what comes of that."""
        self.generation += 1
        return combined(removed(self, self.index, target, self.generation))

    def gone(self, target: RemovalTarget) -> set[Digest]:
        """Remove it; what leaves the disk."""
        return {each.digest for each in self.remove(target).gone}

    def stored(self, *digests: Digest) -> list[bool]:
        """Which of them the index has."""
        return [self.facts("a", each).size is not None for each in digests]


class TagTests(RemovalCase):
    """Tags."""

    def test_last_tag(self) -> None:
        """With the last tag goes the manifest, with what it alone lists."""
        digest = self.put(A, image(BASE, OWN), "1", "2")
        effect = RemovalEffect(found=True, named=digest, tags=("1",))
        self.assertEqual(self.remove(tag_of(A, "1")), effect)
        self.assertEqual(self.stored(digest, BASE, OWN), [True, True, True])
        self.assertEqual(self.gone(tag_of(A, "2")), {digest, BASE, OWN})
        self.assertEqual(self.stored(digest, BASE, OWN), [False, False, False])
        self.assertEqual(self.listed("", 10), [])

    def test_looked_at(self) -> None:
        """A look writes not a page, since the disk may be full, and changes nothing."""
        digest = self.put(A, image(BASE, OWN), "1")
        self.file.read(lambda found: found.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        effect = self.successResultOf(self.index.removals.look(tag_of(A, "1")))
        (planned,) = self.successResultOf(self.index.plans.look([tag_of(A, "1")]))
        self.assertEqual({each.digest for each in effect.gone}, {digest, BASE, OWN})
        self.assertEqual(planned, effect)
        self.assertEqual(os.path.getsize(f"{self.path}-wal"), 0)
        self.assertEqual(self.stored(digest, BASE, OWN), [True, True, True])

    def test_unknown(self) -> None:
        """A tag that is not here is not found, nor is one of an unknown repository."""
        self.put(A, image(OWN), "1")
        for target in (tag_of(A, "2"), tag_of(B, "1"), tag_of(repository_of("a", QUAY), "1")):
            self.assertEqual(self.remove(target), RemovalEffect())

    def test_listed_by_an_index(self) -> None:
        """A manifest that a kept index lists stays, with all rights."""
        child = image(OWN)
        self.put(A, index_of(child[0]), "multi", blobs=False)
        digest = self.put(A, child, "amd64")
        effect = self.remove(tag_of(A, "amd64"))
        self.assertEqual(effect, RemovalEffect(found=True, named=digest, tags=("amd64",)))
        self.assertIsNotNone(self.facts("a", digest).link)

    def test_without_manifest(self) -> None:
        """A tag whose manifest was never stored goes alone."""
        self.tag(A, "1", OWN)
        effect = self.remove(tag_of(A, "1"))
        self.assertEqual((effect.found, effect.tags), (True, ("1",)))
        self.assertEqual(self.successResultOf(self.index.tags(A, "", 9)), [])

    def test_tagged_elsewhere(self) -> None:
        """What another repository has by a tag alone stays on the disk."""
        digest = self.put(A, image(OWN), "1")
        self.tag(B, "1", digest)
        self.assertEqual(self.gone(tag_of(A, "1")), set())
        self.assertIsNone(self.facts("a", digest).link)


class ManifestTests(RemovalCase):
    """Manifests by digest."""

    def test_tags_go_with_it(self) -> None:
        """It goes with all tags of its repository, and no others."""
        digest = self.put(A, image(OWN), "1", "2")
        other = self.put(A, image(BASE), "3")
        effect = self.remove(manifest_of(A, digest))
        self.assertEqual(set(effect.tags), {"1", "2"})
        self.assertEqual({each.digest for each in effect.gone}, {digest, OWN})
        self.assertEqual(self.stored(other, BASE), [True, True])

    def test_shared_base(self) -> None:
        """A blob that another manifest of any repository and upstream lists stays."""
        for other in (A, B, C):
            self.setUp()
            kept = self.put(other, image(BASE, CONFIG), "other")
            digest = self.put(A, image(BASE, OWN), "1")
            self.assertEqual(self.gone(manifest_of(A, digest)), {digest, OWN})
            self.assertEqual(self.stored(kept, BASE, CONFIG), [True] * 3)

    def test_last_of_several(self) -> None:
        """What was shared goes with the last that lists it."""
        first = self.put(A, image(BASE, OWN), "1")
        second = self.put(C, image(BASE, CONFIG), "1")
        self.assertEqual(self.gone(manifest_of(A, first)), {first, OWN})
        self.assertEqual(self.gone(manifest_of(C, second)), {second, BASE, CONFIG})

    def test_rights(self) -> None:
        """What stays for another repository this one has to have proved again, if public too."""
        made = image(BASE)
        digest = self.put(A, made, "1")
        self.put(B, made, "1")
        self.put(C, image(CONFIG), "1")
        self.assertEqual(self.gone(manifest_of(A, digest)), set())
        for each in (digest, BASE):
            facts = self.facts("a", each)
            self.assertEqual((facts.public, facts.link), (False, None))
            self.assertTrue(facts.upstream_linked)
            self.assertTrue(self.facts("b", each).public)
        self.successResultOf(self.index.record_link(content_of("a", BASE), "", 200.0))
        self.assertTrue(self.facts("a", BASE).public)
        self.assertFalse(self.facts("a", digest).public)

    def test_rights_by_another_manifest(self) -> None:
        """The right to a blob that another manifest of the repository lists stays."""
        kept = self.put(A, image(BASE, CONFIG), "2")
        digest = self.put(A, image(BASE, OWN), "1")
        self.remove(manifest_of(A, digest))
        for each in (kept, BASE, CONFIG):
            self.assertIsNotNone(self.facts("a", each).link)
            self.assertTrue(self.facts("a", each).public)

    def test_index(self) -> None:
        """The children of an index go with it, but for those that have a tag."""
        children = [image(BASE, OWN), image(BASE, CONFIG)]
        digests = [self.put(A, each) for each in children]
        self.tag(A, "amd64", digests[0])
        index = self.put(A, index_of(*(each[0] for each in children)), "multi", blobs=False)
        effect = self.remove(manifest_of(A, index))
        self.assertEqual({each.digest for each in effect.gone}, {index, digests[1], CONFIG})
        self.assertEqual(self.stored(digests[0], BASE, OWN), [True] * 3)

    def test_child_of_another_index(self) -> None:
        """A child that another index lists stays, wherever that is."""
        child = image(OWN)
        for other in (A, B):
            self.setUp()
            digest = self.put(A, child)
            kept = self.put(other, index_of(child[0], image(BASE)[0]), "other", blobs=False)
            index = self.put(A, index_of(child[0]), "multi", blobs=False)
            self.assertEqual(self.gone(tag_of(A, "multi")), {index})
            self.assertEqual(self.stored(kept, digest, OWN), [True] * 3)

    def test_named_child(self) -> None:
        """A child that is named goes, though its index stays; so does what it alone lists."""
        child = image(OWN)
        digest = self.put(A, child)
        index = self.put(A, index_of(child[0]), "multi", blobs=False)
        self.assertEqual(self.gone(manifest_of(A, digest)), {digest, OWN})
        self.assertEqual(self.stored(index), [True])

    def test_child_held_elsewhere(self) -> None:
        """A named child of another repository's index stays on the disk."""
        child = image(OWN)
        digest = self.put(A, child)
        self.put(B, index_of(child[0]), "multi", blobs=False)
        self.assertEqual(self.gone(manifest_of(A, digest)), set())
        self.assertFalse(self.facts("a", digest).public)

    def test_referrers(self) -> None:
        """What refers to a manifest goes with it."""
        digest = self.put(A, image(OWN), "1")
        signature = self.put(A, image(CONFIG), subject=digest)
        self.assertEqual(self.gone(manifest_of(A, digest)), {digest, OWN, signature, CONFIG})

    def test_not_here(self) -> None:
        """Neither a blob's digest nor another repository's manifest is one that is here."""
        digest = self.put(A, image(OWN), "1")
        for target in (manifest_of(A, OWN), manifest_of(B, digest), manifest_of(C, digest)):
            self.assertEqual(self.remove(target), RemovalEffect())
        self.put(B, image(BASE), "1")
        self.assertEqual(self.remove(manifest_of(B, digest)), RemovalEffect())


class PinTests(RemovalCase):
    """Pins, by hand and by pattern."""

    def pin(self, repository: Repository, reference: str) -> None:
        """Pin it by hand."""
        pin = Pin("root", 1.0)
        self.successResultOf(self.index.pins.pin(repository, reference, pin))

    def refused(self, *targets: RemovalTarget) -> None:
        """None of it is removed."""
        for target in targets:
            self.assertEqual(self.remove(target), RemovalEffect(found=True, pinned=True), target)

    def test_tag(self) -> None:
        """A pinned tag keeps its image whole; another tag of it may go."""
        for by_hand in (True, False):
            self.setUp()
            if not by_hand:
                self.index.pins.set_patterns(["docker.io/a:stable"])
            digest = self.put(A, image(OWN), "stable", "1")
            if by_hand:
                self.pin(A, "stable")
            self.refused(tag_of(A, "stable"), manifest_of(A, digest), blob_of(A, OWN))
            effect = self.remove(tag_of(A, "1"))
            self.assertEqual((effect.tags, effect.withdrawn, effect.gone), (("1",), (), ()))
            self.assertEqual(self.stored(digest, OWN), [True, True])

    def test_digest(self) -> None:
        """So does a pinned digest, without a tag, and with what lists it gone."""
        child = image(OWN)
        digest = self.put(A, child)
        index = self.put(A, index_of(child[0], image(BASE)[0]), "multi", blobs=False)
        self.pin(A, str(digest))
        self.refused(manifest_of(A, digest), blob_of(A, OWN))
        self.assertEqual(self.gone(tag_of(A, "multi")) & {digest, OWN}, set())
        self.assertEqual(self.stored(index, digest, OWN), [False, True, True])
        self.assertIsNotNone(self.facts("a", OWN).link)

    def test_tag_of_a_pinned_digest(self) -> None:
        """Its tag may go, and the manifest stays."""
        digest = self.put(A, image(OWN), "1")
        self.pin(A, str(digest))
        effect = RemovalEffect(found=True, named=digest, tags=("1",))
        self.assertEqual(self.remove(tag_of(A, "1")), effect)
        self.assertEqual(self.stored(digest, OWN), [True, True])

    def test_child_of_a_pinned_index(self) -> None:
        """What a pinned index lists belongs to it."""
        child = image(OWN)
        digest = self.put(A, child)
        self.put(A, index_of(child[0]), "multi", blobs=False)
        self.pin(A, "multi")
        self.refused(manifest_of(A, digest), blob_of(A, OWN))

    def test_pinned_elsewhere(self) -> None:
        """What another repository has pinned stays on the disk; this one may be rid of it."""
        made = image(BASE, OWN)
        digest = self.put(A, made, "1")
        self.put(C, made, "1")
        self.pin(C, "1")
        effect = self.remove(manifest_of(A, digest))
        self.assertEqual((effect.found, effect.pinned, effect.gone), (True, False, ()))
        self.assertIsNone(self.facts("a", BASE).link)
        self.assertEqual(self.stored(digest, BASE, OWN), [True] * 3)

    def test_repository_stays_known(self) -> None:
        """A pin of what is not here keeps its repository."""
        self.put(A, image(OWN), "1")
        self.pin(A, "2")
        self.assertNotEqual(self.gone(tag_of(A, "1")), set())
        names = self.successResultOf(self.index.removals.repositories(HUB, "", 9))
        self.assertEqual(names, ["a"])


class BlobTests(RemovalCase):
    """Blobs."""

    def test_named(self) -> None:
        """A named blob goes, though its own repository's manifest lists it."""
        digest = self.put(A, image(BASE, OWN), "1")
        self.assertEqual(self.gone(blob_of(A, BASE)), {BASE})
        self.assertEqual(self.stored(digest, OWN), [True, True])

    def test_held_elsewhere(self) -> None:
        """It stays for another repository that has it, by a link, or by what lists it."""
        self.put(A, image(BASE), "1")
        self.blob("b", BASE)
        self.assertEqual(self.gone(blob_of(A, BASE)), set())
        self.assertEqual(self.gone(blob_of(B, BASE)), set())
        self.put(A, image(OWN), "2")
        self.blob("b", OWN)
        self.assertEqual(self.gone(tag_of(A, "2")), {image(OWN)[0].digest, OWN})

    def test_child_of_a_tag(self) -> None:
        """A tag without a link, of an index, holds what its children list."""
        child = image(OWN)
        self.put(A, child)
        index = index_of(child[0])
        self.put(A, index, blobs=False)
        self.tag(B, "multi", index[0].digest)
        self.assertEqual(self.gone(blob_of(A, OWN)), set())
        self.assertTrue(self.successResultOf(self.index.removals.holds(content_of("b", OWN))))
        self.assertFalse(self.successResultOf(self.index.removals.holds(content_of("c", OWN))))

    def test_not_here(self) -> None:
        """What another repository has is not this one's, nor is a manifest a blob."""
        digest = self.put(A, image(OWN), "1")
        self.put(B, image(BASE), "1")
        for target in (blob_of(B, OWN), blob_of(A, digest), blob_of(A, CONFIG)):
            self.assertEqual(self.remove(target), RemovalEffect())

    def test_being_fetched(self) -> None:
        """What is only being fetched for a removed manifest counts as removed."""
        digest = self.put(A, image(OWN), "1", blobs=False)
        self.assertEqual(self.gone(manifest_of(A, digest)), {digest, OWN})


class GenerationTests(RemovalCase):
    """What began before a removal."""

    def record_all(self, made: tuple[Manifest, list[Descriptor]], began: int) -> None:
        """Everything that may be recorded of an image."""
        manifest, listed = made
        index = self.index
        for done in (
            index.record_manifest(
                A, manifest, listed, subject=None, credentials="", now=1.0, began=began
            ),
            index.record_blob(
                content_of("a", OWN), 5, credentials="", public=True, now=1.0, began=began
            ),
            index.record_link(content_of("a", OWN), "", 1.0, began=began),
            index.record_tag(A, "1", manifest.digest, 1.0, began=began),
        ):
            self.successResultOf(done)

    def test_refused(self) -> None:
        """What began before it is not recorded, and what began after it is; after a restart too."""
        made = image(OWN)
        digest = self.put(A, made, "1")
        self.generation = 6
        self.remove(manifest_of(A, digest))
        self.successResultOf(self.index.close())
        self.index = self.open()
        self.assertEqual(self.successResultOf(self.index.removals.last_generation()), 7)
        self.record_all(made, 6)
        self.assertEqual(self.stored(digest, OWN), [False, False])
        self.assertEqual(self.successResultOf(self.index.tags(A, "", 9)), [])
        self.record_all(made, 7)
        self.assertEqual(self.stored(digest, OWN), [True, True])

    def test_other_repository(self) -> None:
        """Where the bytes stay for another repository, that one may go on recording."""
        made = image(OWN)
        digest = self.put(A, made, "1")
        self.put(B, made, "1")
        self.remove(manifest_of(A, digest))
        self.record_all(made, 0)
        self.assertIsNone(self.facts("a", OWN).link)
        recording = self.index.record_link(content_of("b", OWN), "new", 300.0, began=0)
        self.successResultOf(recording)
        link = self.facts("b", OWN).link
        self.assertEqual(link.credentials if link else None, "new")

    def test_leaving(self) -> None:
        """What leaves the disk is marked until its file is gone, or has come again."""
        digest = self.put(A, image(OWN), "1")
        self.remove(manifest_of(A, digest))
        removals = self.index.removals
        self.assertEqual(set(self.successResultOf(removals.leaving())), {digest, OWN})
        self.blob("a", OWN)
        still = self.successResultOf(removals.still_leaving([digest, OWN]))
        self.assertEqual(still, [digest])
        self.successResultOf(removals.have_left([digest]))
        self.assertEqual(self.successResultOf(removals.leaving()), [])


class RepositoryTests(RemovalCase):
    """Whole repositories."""

    def left(self, after: RemovalTarget | None = None) -> RemovalTarget | None:
        """What is next."""
        found: RemovalTarget | None
        found = self.successResultOf(self.index.removals.left_in(A, after))
        return found

    def test_order(self) -> None:
        """Tags come first, then manifests, then blobs, and then there is nothing."""
        untagged = self.put(A, image(BASE))
        digest = self.put(A, image(OWN), "1")
        self.blob("a", CONFIG)
        found, target = [], self.left()
        while target is not None:
            found.append(target)
            target = self.left(target)
        blobs = sorted((BASE, OWN, CONFIG), key=lambda each: each.hex)
        manifests = sorted((untagged, digest), key=lambda each: each.hex)
        expected = [tag_of(A, "1")]
        expected += [manifest_of(A, each) for each in manifests]
        self.assertEqual(found, [*expected, *(blob_of(A, each) for each in blobs)])

    def test_vanishes(self) -> None:
        """What nothing is left of is not known any more, unless a right was withdrawn there."""
        made = image(OWN)
        digest = self.put(A, made, "1")
        self.put(B, made, "1")
        self.remove(manifest_of(A, digest))
        removals = self.index.removals
        names = [self.listed("", 9), self.successResultOf(removals.repositories(HUB, "", 9))]
        self.assertEqual(names, [["b"], ["a", "b"]])
        self.remove(manifest_of(B, digest))
        self.successResultOf(removals.clear(A))
        self.assertEqual(self.successResultOf(removals.repositories(HUB, "", 9)), [])

    def test_clear(self) -> None:
        """Rights to what is not here do not keep a repository."""
        self.blob("a", OWN)
        self.successResultOf(self.index.forget_content(OWN))
        self.assertIsNone(self.left())
        self.successResultOf(self.index.removals.clear(A))
        names = self.successResultOf(self.index.removals.repositories(HUB, "", 9))
        self.assertEqual(names, [])

    def test_clear_what_manifests_say(self) -> None:
        """With the right to a manifest that is not here goes what it showed; the rest stays."""
        made, kept = image(OWN), image(BASE, annotations={"kept": "yes"})
        digest = self.put(A, made)
        self.put(A, image(CONFIG, annotations={"about": "it"}), blobs=False, subject=digest)
        self.put(A, kept)
        self.put(B, made)
        gone = [digest, image(CONFIG, annotations={"about": "it"})[0].digest]
        for each in gone:
            self.file.write([partial(self.evict, digest=each)])
        self.successResultOf(self.index.removals.clear(A))
        self.assertIsNone(self.facts("a", OWN).mentioned_size)
        self.assertEqual(self.facts("a", BASE).mentioned_size, 5)
        self.assertEqual(self.facts("b", OWN).mentioned_size, 5)
        self.assertEqual(self.file.read(self.without_a_right), [0, 0])

    @staticmethod
    def without_a_right(connection: sqlite3.Connection) -> list[int]:
        """How much repositories are shown without a right to the manifest that says it."""
        return [
            connection.execute(
                f"SELECT count(*) FROM {table} t WHERE NOT EXISTS (SELECT 1 FROM links l WHERE"
                " l.content_id = t.manifest_id AND l.repository_id = t.repository_id)"
            ).fetchone()[0]
            for table in ("shown", "referrers")
        ]

    @staticmethod
    def evict(connection: sqlite3.Connection, digest: Digest) -> None:
        """Content makes room."""
        number = content_id(connection, digest)
        assert number is not None
        drop_place(connection, number)
