"""What every index promises of names: tags, repositories, referrers, verdicts."""

from regcache.facts import Descriptor, Subject, TagFact, Verdict
from tests.support.index_cases import (
    BLOB,
    HUB,
    OCI_MANIFEST,
    OTHER,
    QUAY,
    MemoryIndexCase,
    SqliteIndexCase,
    content_of,
    manifest_of,
    repository_of,
)


class NamePromises:
    """The promises; the classes below say of which index."""

    def test_tag(self) -> None:
        """A tag points to the digest that was recorded last, with the time of it."""
        self.successResultOf(self.index.record_tag(repository_of("library/a"), "latest", BLOB, 1.0))
        self.successResultOf(
            self.index.record_tag(repository_of("library/a"), "latest", OTHER, 2.5)
        )
        self.assertEqual(
            self.successResultOf(self.index.tag(repository_of("library/a"), "latest")),
            TagFact(OTHER, 2.5),
        )

    def test_unknown_tag(self) -> None:
        """A tag of another repository or upstream is unknown."""
        self.successResultOf(self.index.record_tag(repository_of("library/a"), "latest", BLOB, 1.0))
        self.assertIsNone(
            self.successResultOf(self.index.tag(repository_of("library/b"), "latest"))
        )
        self.assertIsNone(
            self.successResultOf(self.index.tag(repository_of("library/a", QUAY), "latest"))
        )

    def test_drop_tag(self) -> None:
        """A dropped tag is unknown; the others of the repository stay."""
        for tag in ("1", "2"):
            self.successResultOf(self.index.record_tag(repository_of("library/a"), tag, BLOB, 1.0))
        self.successResultOf(self.index.drop_tag(repository_of("library/a"), "1"))
        self.successResultOf(self.index.drop_tag(repository_of("library/none"), "1"))
        self.assertEqual(self.tags(), ["2"])

    def test_tags(self) -> None:
        """The tags of a repository come sorted, and only its own."""
        for repository, tag in (("library/a", "b"), ("library/a", "B"), ("library/b", "c")):
            self.successResultOf(self.index.record_tag(repository_of(repository), tag, BLOB, 1.0))
        self.assertEqual(self.tags(), ["B", "b"])
        self.assertEqual(self.tags(upstream=QUAY), [])

    def test_pages_of_tags(self) -> None:
        """Tags come in pages behind one that need not be there, and no more than were asked for."""
        for tag in ("3", "1", "4", "2"):
            self.successResultOf(self.index.record_tag(repository_of("library/a"), tag, BLOB, 1.0))
        self.assertEqual(self.tags(limit=2), ["1", "2"])
        self.assertEqual(self.tags(after="2", limit=9), ["3", "4"])
        self.assertEqual(self.tags(after="2.5", limit=1), ["3"])
        self.assertEqual(self.tags(after="4"), [])
        self.assertEqual([self.tags(limit=limit) for limit in (0, -1)], [[], []])

    def test_verdict(self) -> None:
        """The last verdict on a repository is remembered, per upstream."""
        self.successResultOf(self.index.record_verdict(repository_of("library/a"), False, 1.0))
        self.successResultOf(self.index.record_verdict(repository_of("library/a"), True, 2.0))
        verdict = self.successResultOf(self.index.verdict(repository_of("library/a")))
        self.assertEqual(verdict, Verdict(True, 2.0))
        self.assertIsNone(
            self.successResultOf(self.index.verdict(repository_of("library/a", QUAY)))
        )

    def test_closed(self) -> None:
        """A repository is closed from when that was recorded until it is said to be open."""
        self.blob("library/a")
        self.successResultOf(self.index.record_tag(repository_of("library/b"), "1", BLOB, 1.0))
        for repository in ("library/a", "library/b"):
            since = self.index.closed_since(repository_of(repository))
            self.assertIsNone(self.successResultOf(since))
            self.successResultOf(self.index.record_closed(repository_of(repository), 5.0))
            since = self.index.closed_since(repository_of(repository))
            self.assertEqual(self.successResultOf(since), 5.0)
        self.assertIsNone(
            self.successResultOf(self.index.closed_since(repository_of("library/a", QUAY)))
        )
        self.successResultOf(self.index.record_closed(repository_of("library/a"), None))
        self.assertIsNone(self.successResultOf(self.index.closed_since(repository_of("library/a"))))

    def test_closed_unknown(self) -> None:
        """A name of which nothing is known takes no place in the index."""
        self.successResultOf(self.index.record_closed(repository_of("made/up"), 5.0))
        self.assertIsNone(self.successResultOf(self.index.closed_since(repository_of("made/up"))))

    def test_repositories(self) -> None:
        """An upstream's repositories with stored content are listed in order, page by page."""
        for upstream, repository in ((QUAY, "z"), (HUB, "b"), (HUB, "a"), (HUB, "c")):
            self.blob(repository, upstream=upstream)
        self.assertEqual(self.listed("", 2), ["a", "b"])
        self.assertEqual(self.listed("b", 9), ["c"])
        self.assertEqual(self.listed("", 0), [])
        self.assertEqual(self.listed("", 9, QUAY), ["z"])

    def test_repositories_without_content(self) -> None:
        """A repository is listed while one of its contents is stored, by whomever."""
        self.blob("a")
        self.successResultOf(self.index.record_tag(repository_of("tag-only"), "1", BLOB, 1.0))
        self.successResultOf(self.index.record_link(content_of("b", BLOB), "", 1.0))
        self.successResultOf(self.index.record_link(content_of("c", OTHER), "", 1.0))
        self.assertEqual(self.listed("", 9), ["a", "b"])
        self.successResultOf(self.index.forget_content(BLOB))
        self.assertEqual(self.listed("", 9), [])
        self.blob("c", OTHER)
        self.assertEqual(self.listed("", 9), ["c"])

    def test_referrers(self) -> None:
        """Stored manifests with the digest as subject are listed with type and annotations."""
        signature, annotations = manifest_of(a=1), (("org.example.by", "somebody"),)
        subject = Subject(BLOB, "application/example.signature", annotations)
        self.manifest(signature, subject=subject)
        self.manifest(manifest_of(a=2), subject=Subject(OTHER, "", ()))
        self.manifest(manifest_of(a=3))
        self.assertEqual(
            self.successResultOf(self.index.referrers(content_of("library/a", BLOB))),
            [
                Descriptor(
                    signature.digest,
                    len(signature.content),
                    OCI_MANIFEST,
                    artifact_type="application/example.signature",
                    annotations=annotations,
                )
            ],
        )

    def test_referrers_elsewhere(self) -> None:
        """A referrer is shown where a repository has a link to it, and nowhere else."""
        signature = manifest_of()
        self.manifest(signature, subject=Subject(BLOB, "", ()))
        self.assertEqual(self.successResultOf(self.index.referrers(content_of("library/b"))), [])
        self.successResultOf(
            self.index.record_link(content_of("library/b", signature.digest), "", 1.0)
        )
        self.assertEqual(
            [
                each.digest
                for each in self.successResultOf(
                    self.index.referrers(content_of("library/b", BLOB))
                )
            ],
            [signature.digest],
        )

    def test_referrers_forgotten(self) -> None:
        """A referrer whose bytes are gone is not listed."""
        signature = manifest_of()
        self.manifest(signature, subject=Subject(BLOB, "", ()))
        self.successResultOf(self.index.forget_content(signature.digest))
        self.assertEqual(self.successResultOf(self.index.referrers(content_of("library/a"))), [])


class SqliteNameTests(NamePromises, SqliteIndexCase):
    """The real index."""


class MemoryNameTests(NamePromises, MemoryIndexCase):
    """The fake index."""
