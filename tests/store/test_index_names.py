"""What every index promises of names: tags, repositories, referrers, verdicts."""

from regcache.facts import Descriptor, TagFact, Verdict
from tests.support.index_cases import (
    BLOB,
    HUB,
    OCI_MANIFEST,
    OTHER,
    MemoryIndexCase,
    SqliteIndexCase,
    manifest_of,
)


class NamePromises:
    """The promises; the classes below say of which index."""

    def test_tag(self) -> None:
        """A tag points to the digest that was recorded last, with the time of it."""
        self.successResultOf(self.index.record_tag(HUB, "library/a", "latest", BLOB, 1.0))
        self.successResultOf(self.index.record_tag(HUB, "library/a", "latest", OTHER, 2.5))
        self.assertEqual(
            self.successResultOf(self.index.tag(HUB, "library/a", "latest")),
            TagFact(OTHER, 2.5),
        )

    def test_unknown_tag(self) -> None:
        """A tag of another repository or upstream is unknown."""
        self.successResultOf(self.index.record_tag(HUB, "library/a", "latest", BLOB, 1.0))
        self.assertIsNone(self.successResultOf(self.index.tag(HUB, "library/b", "latest")))
        self.assertIsNone(self.successResultOf(self.index.tag("quay.io", "library/a", "latest")))

    def test_drop_tag(self) -> None:
        """A dropped tag is unknown; the others of the repository stay."""
        for tag in ("1", "2"):
            self.successResultOf(self.index.record_tag(HUB, "library/a", tag, BLOB, 1.0))
        self.successResultOf(self.index.drop_tag(HUB, "library/a", "1"))
        self.successResultOf(self.index.drop_tag(HUB, "library/none", "1"))
        self.assertEqual(self.successResultOf(self.index.tags(HUB, "library/a")), ["2"])

    def test_tags(self) -> None:
        """The tags of a repository come sorted, and only its own."""
        for repository, tag in (("library/a", "b"), ("library/a", "B"), ("library/b", "c")):
            self.successResultOf(self.index.record_tag(HUB, repository, tag, BLOB, 1.0))
        self.assertEqual(self.successResultOf(self.index.tags(HUB, "library/a")), ["B", "b"])
        self.assertEqual(self.successResultOf(self.index.tags("quay.io", "library/a")), [])

    def test_verdict(self) -> None:
        """The last verdict on a repository is remembered, per upstream."""
        self.successResultOf(self.index.record_verdict(HUB, "library/a", False, 1.0))
        self.successResultOf(self.index.record_verdict(HUB, "library/a", True, 2.0))
        verdict = self.successResultOf(self.index.verdict(HUB, "library/a"))
        self.assertEqual(verdict, Verdict(True, 2.0))
        self.assertIsNone(self.successResultOf(self.index.verdict("quay.io", "library/a")))

    def test_closed(self) -> None:
        """A repository is closed from when that was recorded until it is said to be open."""
        self.blob("library/a")
        self.successResultOf(self.index.record_tag(HUB, "library/b", "1", BLOB, 1.0))
        for repository in ("library/a", "library/b"):
            since = self.index.closed_since(HUB, repository)
            self.assertIsNone(self.successResultOf(since))
            self.successResultOf(self.index.record_closed(HUB, repository, 5.0))
            since = self.index.closed_since(HUB, repository)
            self.assertEqual(self.successResultOf(since), 5.0)
        self.assertIsNone(self.successResultOf(self.index.closed_since("quay.io", "library/a")))
        self.successResultOf(self.index.record_closed(HUB, "library/a", None))
        self.assertIsNone(self.successResultOf(self.index.closed_since(HUB, "library/a")))

    def test_closed_unknown(self) -> None:
        """A name of which nothing is known takes no place in the index."""
        self.successResultOf(self.index.record_closed(HUB, "made/up", 5.0))
        self.assertIsNone(self.successResultOf(self.index.closed_since(HUB, "made/up")))

    def test_repositories(self) -> None:
        """Repositories with stored content are listed in order, page by page."""
        for upstream, repository in (("quay.io", "z"), (HUB, "b"), (HUB, "a"), ("ghcr.io", "c")):
            self.blob(repository, upstream=upstream)
        self.assertEqual(self.listed(None, ("", ""), 2), [(HUB, "a"), (HUB, "b")])
        self.assertEqual(self.listed(None, (HUB, "b"), 9), [("ghcr.io", "c"), ("quay.io", "z")])
        self.assertEqual(self.listed(None, ("", ""), 0), [])

    def test_repositories_of_one(self) -> None:
        """The list can be narrowed to an upstream, wherever the page begins."""
        for upstream, repository in (("quay.io", "z"), (HUB, "b"), (HUB, "a")):
            self.blob(repository, upstream=upstream)
        self.assertEqual(self.listed(HUB, ("", ""), 9), [(HUB, "a"), (HUB, "b")])
        self.assertEqual(self.listed(HUB, (HUB, "a"), 9), [(HUB, "b")])
        self.assertEqual(self.listed("quay.io", (HUB, "b"), 9), [("quay.io", "z")])
        self.assertEqual(self.listed(HUB, ("quay.io", "a"), 9), [])

    def test_repositories_without_content(self) -> None:
        """A repository is listed while one of its contents is stored, by whomever."""
        self.blob("a")
        self.successResultOf(self.index.record_tag(HUB, "tag-only", "1", BLOB, 1.0))
        self.successResultOf(self.index.record_link(HUB, "b", BLOB, "", 1.0))
        self.successResultOf(self.index.record_link(HUB, "c", OTHER, "", 1.0))
        self.assertEqual(self.listed(None, ("", ""), 9), [(HUB, "a"), (HUB, "b")])
        self.successResultOf(self.index.forget_content(BLOB))
        self.assertEqual(self.listed(None, ("", ""), 9), [])
        self.blob("c", OTHER)
        self.assertEqual(self.listed(None, ("", ""), 9), [(HUB, "c")])

    def test_referrers(self) -> None:
        """Stored manifests with the digest as subject are listed with type and annotations."""
        signature = manifest_of(
            subject={"digest": str(BLOB)},
            artifactType="application/example.signature",
            annotations={"org.example.by": "somebody"},
        )
        self.manifest(signature)
        self.manifest(manifest_of(subject={"digest": str(OTHER)}))
        self.assertEqual(
            self.successResultOf(self.index.referrers(HUB, "library/a", BLOB)),
            [
                Descriptor(
                    signature.digest,
                    len(signature.content),
                    OCI_MANIFEST,
                    artifact_type="application/example.signature",
                    annotations=(("org.example.by", "somebody"),),
                )
            ],
        )

    def test_referrer_type_from_config(self) -> None:
        """Without an artifact type that of the config counts."""
        self.manifest(
            manifest_of(subject={"digest": str(BLOB)}, config={"mediaType": "application/sbom"})
        )
        (referrer,) = self.successResultOf(self.index.referrers(HUB, "library/a", BLOB))
        self.assertEqual(referrer.artifact_type, "application/sbom")

    def test_referrers_elsewhere(self) -> None:
        """A referrer is shown where a repository has a link to it, and nowhere else."""
        signature = manifest_of(subject={"digest": str(BLOB)})
        self.manifest(signature)
        self.assertEqual(self.successResultOf(self.index.referrers(HUB, "library/b", BLOB)), [])
        self.successResultOf(self.index.record_link(HUB, "library/b", signature.digest, "", 1.0))
        self.assertEqual(
            [
                each.digest
                for each in self.successResultOf(self.index.referrers(HUB, "library/b", BLOB))
            ],
            [signature.digest],
        )

    def test_referrers_forgotten(self) -> None:
        """A referrer whose bytes are gone is not listed."""
        signature = manifest_of(subject={"digest": str(BLOB)})
        self.manifest(signature)
        self.successResultOf(self.index.forget_content(signature.digest))
        self.assertEqual(self.successResultOf(self.index.referrers(HUB, "library/a", BLOB)), [])


class SqliteNameTests(NamePromises, SqliteIndexCase):
    """The real index."""


class MemoryNameTests(NamePromises, MemoryIndexCase):
    """The fake index."""
