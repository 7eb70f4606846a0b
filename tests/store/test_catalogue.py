"""Tests for what the index shows of images."""

import sqlite3

from regcache.digests import Digest
from regcache.facts import ManifestUse, Subject
from regcache.images import Attached, NamedTag, RepositoryPlatform, TagPast
from regcache.store import catalogue_summaries
from regcache.store.index_contents import content_id
from regcache.store.index_places import drop_place
from regcache.store.index_pulls import SLOT
from regcache.store.summary_maker import EVERY
from tests.support.catalogued import CatalogueCase, blob_named, image_of, index_of
from tests.support.index_cases import repository_of

BASE, APP = ("base", 5000), ("app", 700)


def count_summaries(connection: sqlite3.Connection) -> int:
    """How many are made."""
    (count,) = connection.execute("SELECT count(*) FROM summaries").fetchone()
    return int(count)


class RepositoryTests(CatalogueCase):
    """Repositories in a list."""

    def test_sums(self) -> None:
        """Of each it says what is stored, and what of that nothing else needs."""
        one = self.put("library/a", image_of("a", [BASE, APP]), tag="1")
        two = self.put("library/b", image_of("b", [BASE]), tag="1")
        first, second = self.summary("library/a"), self.summary("library/b")
        self.assertEqual((first.tags, first.stored, first.own), (1, one.size, one.size - 5000))
        self.assertEqual((second.stored, second.own), (two.size, two.size - 5000))
        done = self.index.forget_content(two.digest)
        self.successResultOf(done)
        self.assertEqual(self.summary("library/a").own, one.size)

    def test_platforms(self) -> None:
        """A platform is complete for the tags for which all of it is here."""
        amd, arm = image_of("amd", [BASE, APP]), image_of("arm", [("arm", 900)])
        index = index_of("i", [("linux/amd64", amd), ("linux/arm64", arm), ("linux/s390x", BARE)])
        self.put("library/a", index, tag="1")
        self.tag("library/a", "latest", index.digest)
        self.put("library/a", amd)
        self.put("library/a", arm, blobs=[0])
        found = self.summary("library/a")
        part = len(arm.manifest.content) + 100
        self.assertEqual(
            found.platforms,
            [
                RepositoryPlatform(
                    platform="linux/amd64", here=amd.size, size=amd.size, complete=2, partial=0
                ),
                RepositoryPlatform(
                    platform="linux/arm64", here=part, size=arm.size, complete=0, partial=2
                ),
            ],
        )
        self.assertEqual((found.absent, found.tags), (1, 2))
        self.assertEqual(self.repositories(partial=True), ["library/a"])
        self.put("library/a", arm)
        self.assertEqual(self.repositories(partial=True), [])

    def test_pages(self) -> None:
        """Each sort order goes through all of them once, in pages of any size."""
        for number in range(7):
            name = f"library/{'gfedcba'[number]}"
            self.put(name, image_of(name, [(name, 1000 * (number % 3))]), tag="1")
            self.clock.advance(1.0)
        names = sorted(self.repositories())
        self.assertEqual(len(names), 7)
        for sort in ("name", "size", "last_used", "pulls", "tags"):
            for descending in (False, True):
                whole = self.repositories(sort=sort, descending=descending)
                self.assertEqual(sorted(whole), names)
                found, after = [], None
                while True:
                    page = self.page(sort=sort, descending=descending, limit=2, after=after)
                    self.assertEqual(page.total, 7)
                    found += [each.name for each in page.items]
                    after = page.after
                    if after is None:
                        break
                self.assertEqual(found, whole)
        self.assertEqual(self.repositories(sort="last_used"), sorted(names, reverse=True))

    def test_search(self) -> None:
        """By a part of the name, by upstream, and by the beginning of a tag."""
        self.put("library/nginx", image_of("n", [BASE]), tag="1.29")
        self.put("library/nginx-exporter", image_of("e", [APP]), tag="2")
        self.assertEqual(
            self.repositories(text="NGINX"), ["library/nginx", "library/nginx-exporter"]
        )
        self.assertEqual(self.repositories(text="nginx:1."), ["library/nginx"])
        self.assertEqual(
            self.repositories(text="docker.io/library/nginx:2"), ["library/nginx-exporter"]
        )
        self.assertEqual(self.repositories(text="%"), [])
        self.assertEqual(self.page(text="nginx:1").total, 1)

    def test_visible(self) -> None:
        """What somebody may not see is left out, and not counted."""
        for name in ("team/a", "team/b", "other/c"):
            self.put(name, image_of(name, [(name, 10)]), tag="1")
        page = self.page(visible=lambda upstream, name: name.startswith("team/"), limit=1)
        self.assertEqual(([each.name for each in page.items], page.total), (["team/a"], None))
        last = self.page(visible=lambda upstream, name: name == "team/b", after=page.after)
        self.assertEqual(([each.name for each in last.items], last.after), (["team/b"], None))

    def test_elsewhere(self) -> None:
        """What another repository fetches of an image that an index lists is here, too."""
        amd = image_of("amd", [BASE, APP])
        self.put("library/a", index_of("i", [("linux/amd64", amd)]), tag="1")
        self.put("library/b", amd, blobs=[0, 1])
        self.assertEqual(self.summary("library/a").platforms[0].partial, 1)
        self.put("library/b", image_of("other", [APP]))
        self.assertEqual(self.summary("library/a").platforms[0].complete, 1)

    def test_private(self) -> None:
        """What another repository may not have without its upstream is not here for it."""
        image = image_of("p", [BASE])
        self.put("team/owner", image, tag="1", private=True)
        self.put("team/other", image, tag="1", private=True, blobs=[0])
        self.assertEqual(self.summary("team/owner").platforms[0].complete, 1)
        self.assertEqual(self.summary("team/other").platforms[0].complete, 0)

    def test_vanished(self) -> None:
        """What was removed whole is in no list any more."""
        self.put("library/a", image_of("a", [BASE]), tag="1")
        self.assertEqual(self.repositories(), ["library/a"])
        self.successResultOf(self.index.drop_tag(repository_of("library/a"), "1"))
        for each in (image_of("a", [BASE]).digest, blob_named("base"), blob_named("config of a")):
            self.successResultOf(self.index.forget_content(each))
        self.assertEqual(self.repositories(), [])

    def test_swept(self) -> None:
        """Nothing is left of it: it is not listed; tag and right stay for when it comes again."""
        image = self.put("library/app", image_of("app", [("layer", 50)]), tag="1")
        self.assertEqual(self.repositories(), ["library/app"])
        every = [image.digest, *(each.digest for each in image.descriptors)]

        def evict(connection: sqlite3.Connection) -> None:
            for digest in every:
                number = content_id(connection, digest)
                assert number is not None
                drop_place(connection, number)

        self.assertEqual(self.file.write([evict]), [None])
        self.assertEqual((self.repositories(), self.page().total), ([], 0))
        asked = self.index.catalogue.repository(repository_of("library/app"))
        self.assertIsNone(self.successResultOf(asked))
        self.assertEqual(self.tags("library/app"), ["1"])
        self.assertIsNotNone(self.facts("library/app", image.digest).link)
        self.blob("library/app", image.descriptors[0].digest, size=100)
        self.assertEqual(self.repositories(), ["library/app"])

    def test_missing(self) -> None:
        """While some were never added up, a page says so, to those who may see all."""
        self.assertIsNone(self.page().missing)
        for name in ("library/a", "library/b"):
            self.put(name, image_of(name, [BASE]), tag="1")
        self.patch(catalogue_summaries, "MOST_DUE", 0)
        page = self.page()
        self.assertEqual((page.items, page.missing), ([], (0, 2)))
        self.assertIsNone(self.page(visible=lambda *_: True).missing)
        self.patch(catalogue_summaries, "MOST_DUE", 64)
        self.assertEqual((len(self.page().items), self.page().missing), (2, None))

    def test_unasked(self) -> None:
        """Summaries are made by and by, before anybody asks."""
        self.put("library/a", image_of("a", [BASE]), tag="1")
        self.assertEqual(self.file.read(count_summaries), 0)
        self.clock.advance(EVERY)
        self.assertEqual(self.file.read(count_summaries), 1)

    def test_uses(self) -> None:
        """The last use is that of any of its images, without a summary made anew."""
        image = self.put("library/a", image_of("a", [BASE]), tag="1")
        self.assertEqual(self.summary("library/a").last_used, 1_000_000.0)
        self.index.touch(image.digest, 2_000_000.0)
        self.successResultOf(self.index.places.write_uses())
        self.assertEqual(self.summary("library/a").last_used, 2_000_000.0)

    def test_pulls(self) -> None:
        """Requests of one pull are one; a manifest of an index counts with the index."""
        amd = image_of("amd", [BASE])
        index = self.put("library/a", index_of("i", [("linux/amd64", amd)]), tag="1")
        self.put("library/a", amd)
        repository = repository_of("library/a")
        self.summary("library/a")
        for digest, use in (
            (index.digest, ManifestUse.BY_TAG),
            (index.digest, ManifestUse.GOT),
            (amd.digest, ManifestUse.GOT),
        ):
            self.index.note_pull(repository, digest, use)
        self.clock.advance(EVERY)
        self.assertEqual(self.summary("library/a").pulls, [0] * 23 + [1])
        self.assertEqual(self.shown("library/a", "1").pulls, 1)
        self.assertEqual(self.repositories(sort="pulls", descending=True), ["library/a"])
        self.clock.advance(24.0 * SLOT)
        self.assertEqual(sum(self.summary("library/a").pulls), 0)


BARE = image_of("bare", [("bare", 1)])


class ImageTests(CatalogueCase):
    """Single images."""

    def test_unknown(self) -> None:
        """What is not here, or only in another repository, is not shown."""
        image = self.put("library/a", image_of("a", [BASE]), tag="1")
        self.put("library/b", image_of("b", [APP]), tag="1")
        self.assertIsNone(self.image("library/a", "2"))
        self.assertIsNone(self.image("library/none", "1"))
        self.assertIsNone(self.image("library/b", image.digest))
        self.assertIsNone(self.images("library/none"))

    def test_rows(self) -> None:
        """A row for each digest, with its tags; images without a tag come last."""
        one = self.put("library/a", image_of("1", [BASE]), tag="1")
        self.tag("library/a", "latest", one.digest)
        loose = self.put("library/a", image_of("2", [BASE, APP]))
        page = self.images("library/a")
        assert page is not None
        first, second = page.items
        self.assertEqual([each.tag for each in first.tags], ["1", "latest"])
        self.assertEqual((second.digest, second.tags), (loose.digest, []))
        self.assertEqual(first.frees, one.size - 5000)
        self.assertEqual(second.frees, loose.size - 5000)
        for query, expected in (
            ({"text": "late"}, [one.digest]),
            ({"text": loose.digest.hex[:8]}, [loose.digest]),
            ({"sort": "checked"}, [one.digest, loose.digest]),
            ({"limit": 1}, [one.digest]),
        ):
            found = self.images("library/a", **query)
            assert found is not None
            self.assertEqual([each.digest for each in found.items], expected, query)
        rest = self.images("library/a", limit=1, after=found.after)
        assert rest is not None
        self.assertEqual(([each.digest for each in rest.items], rest.total), ([loose.digest], 2))
        self.assertIsNone(rest.after)

    def test_only_named(self) -> None:
        """A tag of which only the digest is known is shown, with nothing here."""
        self.put("library/a", image_of("a", [BASE]), tag="1")
        self.tag("library/a", "2", Digest.of(b"elsewhere"))
        found = self.shown("library/a", "2")
        self.assertEqual((found.media_type, found.platforms, found.stored), ("", [], 0))

    def test_image(self) -> None:
        """Platforms with what is here; attestations, signatures and others apart."""
        amd, arm = image_of("amd", [BASE, APP]), image_of("arm", [("arm", 900)])
        attested = image_of("att", [("proof", 50)])
        index = index_of(
            "i", [("linux/amd64", amd), ("linux/arm64/v8", arm), ("attestation", attested)]
        )
        self.put("library/a", index, tag="1")
        self.put("library/a", amd)
        self.put("library/a", attested)
        sbom = Subject(amd.digest, "application/spdx+json", ())
        self.put("library/a", image_of("sbom", [("sbom", 5)]), subject=sbom)
        self.tag("library/a", str(index.digest).replace(":", "-") + ".sig", Digest.of(b"sig"))
        found = self.shown("library/a", "1")
        first, second = found.platforms
        self.assertEqual(
            (first.platform, first.complete, first.layers_here), ("linux/amd64", True, 2)
        )
        self.assertEqual((first.layers, first.config_here, first.here), (2, True, amd.size))
        self.assertEqual((second.platform, second.manifest_here), ("linux/arm64/v8", False))
        self.assertEqual((second.size, second.layers, second.config_here), (None, None, None))
        self.assertEqual(
            found.attached,
            [Attached("attestation", 1, 1), Attached("signature", 1, 0), Attached("sbom", 1, 1)],
        )
        self.assertEqual(found.tags, [NamedTag("1", 1_000_000.0)])
        self.assertEqual(found.since, 1_000_000.0)
        self.assertEqual(found.shared_with, 0)
        images = self.images("library/a")
        assert images is not None
        self.assertEqual(images.total, 2)  # the index, and the tag of the signature

    def test_sharing(self) -> None:
        """What another image lists, too, is shared, and not freed."""
        one = self.put("library/a", image_of("a", [BASE, APP]), tag="1")
        self.put("library/a", image_of("b", [BASE]), tag="2")
        self.put("team/c", image_of("c", [BASE]), tag="1")
        found = self.shown("library/a", "1")
        self.assertEqual((found.stored, found.own), (one.size, one.size - 5000))
        self.assertEqual(found.shared_with, 2)

    def test_history(self) -> None:
        """What a tag has named, the latest first; what a removed tag named is forgotten."""
        first = self.put("library/a", image_of("1", [BASE]), tag="t")
        self.clock.advance(10.0)
        self.tag("library/a", "t", first.digest)
        self.clock.advance(10.0)
        gone = Digest.of(b"gone")
        self.tag("library/a", "t", gone)
        history = self.index.catalogue.history(repository_of("library/a"), "t")
        self.assertEqual(
            self.successResultOf(history),
            [
                TagPast(gone, 1_000_020.0, None, here=False),
                TagPast(first.digest, 1_000_000.0, 1_000_020.0, here=True),
            ],
        )
        for number in range(50):
            self.clock.advance(1.0)
            self.tag("library/a", "t", Digest.of(b"%d" % number))
        history = self.index.catalogue.history(repository_of("library/a"), "t")
        self.assertEqual(len(self.successResultOf(history)), 20)
        self.successResultOf(self.index.drop_tag(repository_of("library/a"), "t"))
        history = self.index.catalogue.history(repository_of("library/a"), "t")
        self.assertEqual(self.successResultOf(history), [])
