"""What every index promises of content, held by the real one and by the fake alike."""

from dataclasses import replace

from zope.interface.verify import verifyObject

from regcache.digests import Digest
from regcache.facts import ContentFacts, Link
from regcache.identity import RepositoryContent
from regcache.interfaces import IIndex
from regcache.media_types import OCI_INDEX
from tests.support.index_cases import (
    BLOB,
    OCI_MANIFEST,
    OTHER,
    QUAY,
    MemoryIndexCase,
    SqliteIndexCase,
    content_of,
    manifest_of,
    mention,
    repository_of,
)


class ContentPromises:
    """The promises; the classes below say of which index."""

    def test_interface(self) -> None:
        """It provides the whole interface."""
        self.assertTrue(verifyObject(IIndex, self.index))

    def test_unknown_content(self) -> None:
        """Nothing is said of a digest and a repository that nobody recorded."""
        self.assertEqual(self.facts("library/a", BLOB), ContentFacts())

    def test_blob(self) -> None:
        """A recorded blob is stored, and linked to its repository."""
        self.blob(credentials="cred", public=False)
        self.assertEqual(
            self.facts("library/a", BLOB),
            ContentFacts(size=5, link=Link(100.0, "cred"), upstream_linked=True),
        )

    def test_blob_elsewhere(self) -> None:
        """Another repository sees stored bytes without a link, and whether its upstream has one."""
        self.blob(public=False, credentials="cred")
        self.assertEqual(self.facts("library/b", BLOB), ContentFacts(size=5, upstream_linked=True))
        self.assertEqual(self.facts("library/a", BLOB, QUAY), ContentFacts(size=5))

    def test_public_stays(self) -> None:
        """Bytes once given without credentials stay public, even when they go and come again."""
        self.blob(public=True)
        self.blob("library/b", credentials="cred", public=False)
        self.successResultOf(self.index.forget_content(BLOB))
        self.blob("library/b", credentials="cred", public=False)
        self.assertTrue(self.facts("library/b", BLOB).public)

    def test_link(self) -> None:
        """A recorded proof links stored bytes to one more repository, and makes nothing public."""
        self.blob(public=False, credentials="cred")
        self.successResultOf(self.index.record_link(content_of("library/b", BLOB), "", 200.0))
        facts = self.facts("library/b", BLOB)
        self.assertEqual((facts.link, facts.public), (Link(200.0, ""), False))

    def test_link_without_content(self) -> None:
        """A proof for bytes that are not here makes a link and no content."""
        self.successResultOf(self.index.record_link(content_of("library/b", BLOB), "c", 200.0))
        self.assertEqual(
            self.facts("library/b", BLOB),
            ContentFacts(link=Link(200.0, "c"), upstream_linked=True),
        )
        self.assertEqual(self.successResultOf(self.index.occupied_bytes()), 0)

    def test_latest_proof(self) -> None:
        """Of two proofs of one link the later recorded counts."""
        self.blob(credentials="old", public=False)
        self.successResultOf(self.index.record_link(content_of("library/a", BLOB), "new", 300.0))
        self.assertEqual(self.facts("library/a", BLOB).link, Link(300.0, "new"))

    def test_forget(self) -> None:
        """Forgotten bytes are not stored any more, and their links stay."""
        self.blob()
        self.successResultOf(self.index.forget_content(BLOB))
        facts = self.facts("library/a", BLOB)
        self.assertEqual((facts.size, facts.link), (None, Link(100.0, "")))

    def test_forget_unknown(self) -> None:
        """To forget what nobody knows changes nothing."""
        self.successResultOf(self.index.forget_content(BLOB))
        self.assertEqual(self.facts("library/a", BLOB), ContentFacts())

    def test_manifest(self) -> None:
        """A recorded manifest is stored with its media type; without credentials it is public."""
        manifest = manifest_of(layers=[])
        self.manifest(manifest)
        self.assertEqual(
            self.facts("library/a", manifest.digest),
            ContentFacts(
                size=len(manifest.content),
                media_type=OCI_MANIFEST,
                public=True,
                link=Link(100.0, ""),
                upstream_linked=True,
            ),
        )

    def test_private_manifest(self) -> None:
        """A manifest fetched with credentials is not public."""
        manifest = manifest_of(layers=[])
        self.manifest(manifest, credentials="cred")
        self.assertFalse(self.facts("library/a", manifest.digest).public)

    def test_manifest_as_blob(self) -> None:
        """A manifest that is fetched as a blob too keeps its media type."""
        manifest = manifest_of(layers=[])
        self.manifest(manifest)
        self.blob(digest=manifest.digest, size=len(manifest.content))
        self.assertEqual(self.facts("library/a", manifest.digest).media_type, OCI_MANIFEST)

    def test_mention(self) -> None:
        """A manifest's mention gives its repository the size, and no link."""
        self.manifest(manifest_of(a=1), mention(BLOB, 5))
        self.assertEqual(self.facts("library/a", BLOB), ContentFacts(mentioned_size=5))

    def test_found_content(self) -> None:
        """Content that was found is stored; who has the right to it, and since when, stays."""
        self.blob(credentials="fingerprint", public=False, now=100.0)
        before = self.facts("library/a", BLOB)
        self.successResultOf(self.index.forget_content(BLOB))
        self.successResultOf(self.index.record_stored(BLOB, 5, 200.0))
        self.assertEqual(self.facts("library/a", BLOB), before)
        self.assertIsNone(self.facts("library/b", BLOB).link)
        self.assertEqual(self.successResultOf(self.index.occupied_bytes()), 4096)

    def test_mention_elsewhere(self) -> None:
        """A mention tells nothing to a repository without a link to the manifest."""
        self.manifest(manifest_of(a=1), mention(BLOB, 5))
        self.assertIsNone(self.facts("library/b", BLOB).mentioned_size)
        self.assertIsNone(self.facts("library/a", BLOB, QUAY).mentioned_size)

    def test_mention_by_link(self) -> None:
        """A proof of the right to a stored manifest gives the sizes that it mentions."""
        manifest = manifest_of(a=1)
        self.manifest(manifest, mention(BLOB, 5))
        self.successResultOf(
            self.index.record_link(content_of("library/b", manifest.digest), "", 1.0)
        )
        self.assertEqual(self.facts("library/b", BLOB).mentioned_size, 5)

    def test_known_manifests(self) -> None:
        """Two manifests that a repository was shown to have last, by tag or by a proof."""
        repository = repository_of("library/a")

        def known() -> list[Digest]:
            return self.successResultOf(self.index.known_manifests(repository))

        self.assertEqual(known(), [])
        manifests = [manifest_of(a=number) for number in range(3)]
        for number, manifest in enumerate(manifests):
            self.manifest(manifest, mention(BLOB, 5), now=100.0 + number)
        tagged = manifest_of(tagged=True)
        self.manifest(tagged, now=50.0)
        self.blob(now=500.0)
        self.manifest(manifest_of(other=True), mention(BLOB, 5), repository="library/b")
        self.assertEqual(known(), [manifests[2].digest, manifests[1].digest])
        self.successResultOf(self.index.record_tag(repository, "1", tagged.digest, 200.0))
        self.assertEqual(known(), [tagged.digest, manifests[2].digest])
        self.successResultOf(self.index.forget_content(manifests[2].digest))
        self.assertEqual(known(), [tagged.digest, manifests[1].digest])
        self.successResultOf(self.index.record_tag(repository, "2", OTHER, 300.0))
        self.assertEqual(known(), [tagged.digest, manifests[1].digest])

    def test_who_mentions(self) -> None:
        """The rights to all manifests that mention something, none of them for what is public."""
        private, public = manifest_of(a=1), manifest_of(a=2)
        self.manifest(private, mention(BLOB, 5), credentials="fingerprint", now=1.0)
        self.manifest(private, mention(BLOB, 5), repository="library/b", credentials="b", now=2.0)
        self.manifest(public, mention(BLOB, 5), now=3.0)
        mentioning = self.successResultOf(self.index.mentioning(content_of("library/a", BLOB)))
        self.assertEqual(
            sorted(mentioning, key=lambda each: each.proved_at),
            [Link(1.0, "fingerprint"), Link(3.0, "")],
        )
        for other in (content_of("library/c", BLOB), content_of("library/a", OTHER)):
            self.assertEqual(self.successResultOf(self.index.mentioning(other)), [])
        self.successResultOf(self.index.forget_content(public.digest))
        mentioning = self.successResultOf(self.index.mentioning(content_of("library/a", BLOB)))
        self.assertEqual(mentioning, [Link(1.0, "fingerprint")])

    def image_size(self, content: RepositoryContent, enough: int = 0) -> int | None:
        """The size of the smallest image that lists it."""
        return self.successResultOf(self.index.image_size(content, enough))

    def test_image_sizes(self) -> None:
        """The smallest image of the repository that lists a blob counts, whole."""
        content = content_of("library/a", BLOB)
        self.assertIsNone(self.image_size(content))
        self.manifest(manifest_of(a=1), mention(BLOB, 5), mention(OTHER, 100))
        self.manifest(manifest_of(a=2), mention(OTHER, 100))
        self.manifest(manifest_of(a=3), mention(BLOB, 5), repository="library/b")
        self.assertEqual(self.image_size(content), 105)
        self.assertEqual(self.image_size(content_of("library/b", BLOB)), 5)
        self.assertEqual(self.image_size(content_of("library/a", OTHER)), 100)
        self.assertIsNone(self.image_size(content_of("library/b", OTHER)))
        self.manifest(manifest_of(a=4), mention(BLOB, 5), mention(OTHER, 20))
        self.assertEqual(self.image_size(content), 25)
        self.assertIn(self.image_size(content, 200), (25, 105))

    def test_image_sizes_without_indexes(self) -> None:
        """An index is no image, and sizes of any number add up."""
        index = manifest_of(manifests=[])
        self.manifest(replace(index, media_type=OCI_INDEX), mention(BLOB, 5))
        self.assertIsNone(self.image_size(content_of("library/a", BLOB)))
        huge = 2**63 - 1
        self.manifest(manifest_of(a=1), mention(BLOB, huge), mention(OTHER, huge))
        size = self.image_size(content_of("library/a", BLOB))
        assert size is not None
        self.assertGreaterEqual(size, huge)

    def test_mentions_agree(self) -> None:
        """Several manifests of one repository that state one size give it."""
        self.manifest(manifest_of(a=1), mention(BLOB, 5))
        self.manifest(manifest_of(a=2), mention(BLOB, 5))
        self.assertEqual(self.facts("library/a", BLOB).mentioned_size, 5)

    def test_mentions_are_wrong(self) -> None:
        """What was found out of a size counts, be the content here or not any more."""
        self.manifest(manifest_of(a=1), mention(BLOB, 5))
        self.manifest(manifest_of(a=2), mention(OTHER, 5))
        self.successResultOf(self.index.record_size(BLOB, 7))
        self.blob(digest=OTHER, size=8)
        self.assertEqual(self.facts("library/a", BLOB).mentioned_size, 7)
        self.assertIsNone(self.facts("library/a", BLOB).size)
        self.assertEqual(self.facts("library/a", OTHER).mentioned_size, 8)
        self.successResultOf(self.index.forget_content(OTHER))
        self.manifest(manifest_of(a=3), mention(OTHER, 5))
        facts = self.facts("library/a", OTHER)
        self.assertEqual((facts.size, facts.mentioned_size), (None, 8))

    def test_size_without_a_mention(self) -> None:
        """To whom no manifest mentions it nothing is told of its size."""
        self.successResultOf(self.index.record_size(BLOB, 7))
        self.assertIsNone(self.facts("library/a", BLOB).mentioned_size)

    def test_mentions_disagree(self) -> None:
        """Where manifests of one repository disagree there is no size."""
        self.manifest(manifest_of(a=1), mention(BLOB, 5))
        self.manifest(manifest_of(a=2), mention(BLOB, 6))
        self.assertIsNone(self.facts("library/a", BLOB).mentioned_size)

    def test_manifest_disagrees_with_itself(self) -> None:
        """One manifest that states two sizes of a digest gives none."""
        self.manifest(manifest_of(a=1), mention(BLOB, 5), mention(BLOB, 6))
        self.assertIsNone(self.facts("library/a", BLOB).mentioned_size)

    def test_impossible_sizes(self) -> None:
        """Sizes that no content can have are as good as not stated."""
        self.manifest(manifest_of(a=1), mention(BLOB, -1), mention(OTHER, 2**63))
        self.assertIsNone(self.facts("library/a", BLOB).mentioned_size)
        self.assertIsNone(self.facts("library/a", OTHER).mentioned_size)

    def test_mentions_go_with_the_manifest(self) -> None:
        """A forgotten manifest mentions nothing, and does again once it is back."""
        manifest = manifest_of(a=1)
        self.manifest(manifest, mention(BLOB, 5))
        self.successResultOf(self.index.forget_content(manifest.digest))
        self.assertIsNone(self.facts("library/a", BLOB).mentioned_size)
        self.assertEqual(self.facts("library/a", manifest.digest).media_type, "")
        self.manifest(manifest, mention(BLOB, 5))
        self.assertEqual(self.facts("library/a", BLOB).mentioned_size, 5)

    def test_manifest_back_elsewhere(self) -> None:
        """A manifest that came back through one repository tells its mentions to that one."""
        manifest = manifest_of(a=1)
        for repository in ("library/a", "library/b"):
            self.manifest(manifest, mention(BLOB, 5), repository=repository)
        self.successResultOf(self.index.forget_content(manifest.digest))
        self.manifest(manifest, mention(BLOB, 5), repository="library/b")
        self.assertIsNone(self.facts("library/a", BLOB).mentioned_size)
        self.assertEqual(self.facts("library/b", BLOB).mentioned_size, 5)

    def test_same_manifest_twice(self) -> None:
        """To record a manifest again changes nothing but the proof."""
        manifest = manifest_of(a=1)
        self.manifest(manifest, mention(BLOB, 5))
        self.manifest(manifest, mention(BLOB, 5), now=200.0)
        self.assertEqual(self.facts("library/a", manifest.digest).link, Link(200.0, ""))
        self.assertEqual(self.facts("library/a", BLOB).mentioned_size, 5)
        self.assertEqual(self.successResultOf(self.index.occupied_bytes()), 4096)

    def test_occupied_bytes(self) -> None:
        """The total counts each stored content once, in blocks."""
        self.blob(size=5)
        self.blob("library/b", size=5)
        self.blob(digest=OTHER, size=4097)
        self.assertEqual(self.successResultOf(self.index.occupied_bytes()), 3 * 4096)
        self.successResultOf(self.index.forget_content(BLOB))
        self.successResultOf(self.index.forget_content(BLOB))
        self.assertEqual(self.successResultOf(self.index.occupied_bytes()), 2 * 4096)

    def test_close(self) -> None:
        """It can be closed, more than once."""
        self.successResultOf(self.index.close())
        self.successResultOf(self.index.close())


class SqliteContentTests(ContentPromises, SqliteIndexCase):
    """The real index."""

    def test_counts(self) -> None:
        """Repositories that hold something, tags and contents are counted."""
        counts = self.successResultOf(self.index.counts())
        self.assertEqual((counts.repositories, counts.tags, counts.contents), (0, 0, 0))
        manifest = manifest_of(a=1)
        for repository in ("library/a", "library/b"):
            self.manifest(manifest, mention(BLOB, 5), repository=repository)
        for tag in ("1", "2"):
            repository = repository_of("library/a")
            self.successResultOf(self.index.record_tag(repository, tag, manifest.digest, 1.0))
        counts = self.successResultOf(self.index.counts())
        self.assertEqual((counts.repositories, counts.tags, counts.contents), (2, 2, 1))
        self.successResultOf(self.index.forget_content(manifest.digest))
        counts = self.successResultOf(self.index.counts())
        self.assertEqual((counts.repositories, counts.tags, counts.contents), (0, 2, 0))


class MemoryContentTests(ContentPromises, MemoryIndexCase):
    """The fake index."""

    def test_write_failure(self) -> None:
        """A fake full disk fails what writes, changes nothing, and leaves reading alone."""
        self.index.write_failure = OSError("full")
        self.failureResultOf(
            self.index.record_blob(
                content_of("library/a", BLOB), 5, credentials="", public=True, now=1.0
            ),
            OSError,
        )
        self.assertEqual(self.facts("library/a", BLOB), ContentFacts())
