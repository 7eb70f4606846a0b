"""Upstreams that take no HEAD: the body that comes instead is used, and nothing is asked twice."""

from dataclasses import replace

from regcache.cache import spare_bodies
from regcache.cache.policy import Policy, TagTtl
from regcache.cache.spare_bodies import KEPT_FOR, OVERHEAD
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer
from regcache.facts import ContentHead, ManifestAnswer
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from tests.cache.cases import APP, TTL, CacheTestCase, index_of, manifest_of


class HeadlessCase(CacheTestCase):
    """An upstream that takes no HEAD."""

    def setUp(self) -> None:
        super().setUp()
        self.registry.takes_head = False


class TagTests(HeadlessCase):
    """Tags, cold and cached."""

    def test_cold_head(self) -> None:
        """HEAD of what is not cached is answered, and the body that came for it is stored."""
        asking = [self.start(self.head_tag()) for _ in range(20)]
        self.caches.run(turns=20)
        for head in map(self.successResultOf, asking):
            self.assertEqual(head.manifest.content, self.content)
        self.assertEqual(self.asked(), ["head_manifest"])
        self.assertEqual(self.status_of(self.tag()), "regcache; hit")
        self.restart()
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.assertEqual(self.asked(), [])

    def test_cold_head_by_digest(self) -> None:
        """By digest likewise."""
        head = self.result(self.head_digest())
        self.assertEqual(head.manifest.content, self.content)
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.assertEqual(self.asked(), ["head_manifest"])

    def test_without_a_digest(self) -> None:
        """Where no header says what it is, the body does."""
        self.registry.claims["latest"] = None
        self.assertEqual(self.result(self.head_tag()).manifest.digest, self.digest)
        self.clock.advance(TTL)
        self.assertEqual(self.result(self.tag()).manifest.digest, self.digest)
        self.assertEqual(self.asked(), ["head_manifest"] * 2)

    def test_revalidated(self) -> None:
        """A cached tag is asked about once, and is fresh again; each time anew."""
        self.result(self.tag())
        self.asked()
        for _ in range(3):
            self.clock.advance(TTL)
            self.assertEqual(self.status_of(self.tag()), "regcache; hit; detail=revalidated")
            self.assertEqual(self.asked(), ["head_manifest"])

    def test_revalidated_within_seconds(self) -> None:
        """Nor is a tag that is fresh for a second only answered from what came before."""
        self.restart(Policy(tag_ttls=(TagTtl("*", 1.0),)))
        self.result(self.tag())
        for _ in range(3):
            self.clock.advance(1)
            self.asked()
            self.content = manifest_of(str(self.clock.seconds()).encode())
            digest = self.registry.add_manifest(APP, "latest", self.content, OCI_MANIFEST)
            self.assertEqual(self.result(self.tag()).manifest.digest, digest)
            self.assertEqual(self.asked(), ["head_manifest"])

    def test_moved(self) -> None:
        """A tag that moved costs that question alone, for all who ask meanwhile."""
        self.result(self.tag())
        self.asked()
        self.clock.advance(TTL)
        self.content = manifest_of(b"newer")
        digest = self.registry.add_manifest(APP, "latest", self.content, OCI_MANIFEST)
        asking = [self.start(self.tag()) for _ in range(20)]
        self.caches.run(turns=20)
        for served in map(self.successResultOf, asking):
            self.assertEqual(served.manifest.digest, digest)
        self.assertEqual(self.asked(), ["head_manifest"])

    def test_index(self) -> None:
        """Of an index too the body is used; what it lists is asked for."""
        content = index_of(self.content)
        digest = self.registry.add_manifest(APP, "multi", content, OCI_INDEX)
        self.assertEqual(self.result(self.head_tag("multi")).manifest.digest, digest)
        self.assertEqual(self.asked(), ["head_manifest"])

    def test_what_is_no_manifest(self) -> None:
        """A body that says to be a manifest and is none is refused, by HEAD as by GET."""
        self.registry.manifests[APP, "latest"] = (b"{}", OCI_MANIFEST)
        for ask in (self.head_tag, self.tag):
            self.refusal(ask(), UpstreamBadAnswer)
        self.assertEqual(self.successResultOf(self.index.occupied_bytes()), 0)


class PublicTests(HeadlessCase):
    """Credentials that only raise the quota: whether all may read is asked first."""

    credentials = "robot"

    def test_cold(self) -> None:
        """That is answered with the body, which is then served and stored as public."""
        for ask in (self.tag, self.head_tag):
            self.registry.manifests.clear()
            self.content = manifest_of(ask.__name__.encode())
            self.registry.add_manifest(APP, "latest", self.content, OCI_MANIFEST)
            self.index.drop_tag(self.caches.served(APP).identity, "latest")
            self.restart()
            self.clock.advance(10_000)
            self.assertEqual(self.result(ask()).manifest.content, self.content)
            self.assertEqual(self.asked(), ["head_manifest"])
        facts = self.successResultOf(
            self.index.content(self.caches.served(APP).content(Digest.of(self.content)))
        )
        self.assertTrue(facts.public)

    def test_cached(self) -> None:
        """The same question revalidates a tag."""
        self.result(self.tag())
        self.clock.advance(100_000)
        self.asked()
        self.assertEqual(self.status_of(self.tag()), "regcache; hit; detail=revalidated")
        self.assertEqual(self.asked(), ["head_manifest"])


class SpareBodiesTests(CacheTestCase):
    """What is kept, and when; the rows of the table."""

    def setUp(self) -> None:
        """One body."""
        super().setUp()
        self.spares = self.caches.spare_bodies
        self.repository = self.caches.served(APP).identity
        body = ManifestAnswer(self.content, OCI_MANIFEST, None)
        self.head = ContentHead(self.digest, len(self.content), OCI_MANIFEST, body=body)

    def keep(self, anonymous: bool, **changes: object) -> None:
        """A head comes."""
        self.spares.keep(self.repository, "latest", replace(self.head, **changes), anonymous)

    def find(self, what: str, reference: str = "latest") -> object:
        """What somebody gets who asks for a head, or a body."""
        return getattr(self.spares, what)(self.repository, reference)

    def test_anonymous(self) -> None:
        """What came without credentials is head and body, once each."""
        self.keep(anonymous=True)
        self.assertEqual(self.find("head"), self.head)
        self.assertIsNone(self.find("head"))
        self.assertEqual(self.find("body"), self.head.body)
        self.assertIsNone(self.find("body"))

    def test_with_credentials(self) -> None:
        """What came with credentials told its head at once."""
        self.keep(anonymous=False)
        self.assertIsNone(self.find("head"))
        self.assertEqual(self.find("body"), self.head.body)

    def test_by_digest(self) -> None:
        """It is known by its digest, too; who takes it takes it under both names."""
        self.keep(anonymous=True)
        self.assertEqual(self.find("body", str(self.digest)), self.head.body)
        self.assertIsNone(self.find("body"))
        self.keep(anonymous=True, digest=None)
        self.assertIsNone(self.find("body", str(self.digest)))
        self.assertIsNotNone(self.find("body"))

    def test_time(self) -> None:
        """After some seconds it is forgotten."""
        self.keep(anonymous=True)
        self.clock.advance(KEPT_FOR)
        self.assertIsNone(self.find("head"))
        self.assertIsNone(self.find("body"))

    def test_nothing_to_keep(self) -> None:
        """Neither heads alone are kept, nor pages."""
        self.keep(anonymous=True, body=None)
        self.keep(anonymous=True, media_type="text/html")
        self.assertEqual(self.spares.weight, 0)

    def test_repositories_apart(self) -> None:
        """Another repository, or tag, gets nothing."""
        self.keep(anonymous=True)
        self.assertIsNone(self.find("body", "other"))
        self.repository = self.caches.served("org/other").identity
        self.assertIsNone(self.find("body"))

    def test_bounded(self) -> None:
        """Many bodies fill the memory that is set aside for them, and no more."""
        room = 10 * (OVERHEAD + len(self.content))
        self.patch(spare_bodies, "MEMORY", room)
        self.restart()
        self.spares = self.caches.spare_bodies
        for number in range(100):
            self.spares.keep(self.repository, f"tag-{number}", self.head, True)
        self.assertLessEqual(self.spares.weight, room)
        self.assertIsNone(self.find("body", "tag-50"))
        self.assertIsNotNone(self.find("body", "tag-99"))
