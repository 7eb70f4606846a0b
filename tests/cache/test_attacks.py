"""What befell other caches, tried on this one."""

from regcache.errors import UpstreamDenied, UpstreamNotFound
from regcache.media_types import OCI_MANIFEST
from tests.cache.cases import APP, DAY, index_of, manifest_of
from tests.cache.rights_cases import EVIL, SECRET, RightsTestCase
from tests.support.registries import FakeRegistry


class AttackTests(RightsTestCase):
    """What befell other caches."""

    def test_manifest_as_a_key(self) -> None:
        """A pushed manifest that lists another repository's digests opens none of them."""
        child = self.digest
        attack = index_of(self.content)
        self.registry.add_manifest(EVIL, "index", attack, "application/vnd.oci.image.index.v1+json")
        image = manifest_of(SECRET)
        self.registry.add_manifest(EVIL, "image", image, OCI_MANIFEST)
        for _ in range(2):
            self.result(self.tag("index", EVIL))
            self.result(self.tag("image", EVIL))
            self.refusal(self.by_digest(child, EVIL), UpstreamNotFound)
            self.refusal(self.head_digest(child, EVIL), UpstreamNotFound)
            self.refusal(self.open(self.blob, EVIL), UpstreamNotFound)
            self.clock.advance(10.0)
            self.restart()

    def test_private_image_readable_by_others(self) -> None:
        """What one upstream's credentials pulled is shown under no other name and upstream."""
        for repository, name in ((EVIL, "up.test"), (APP, "other.test"), ("x/y", "other.test")):
            self.refusal(self.by_digest(self.digest, repository, name), UpstreamNotFound)
            self.refusal(self.open(self.blob, repository, name), UpstreamNotFound)

    def test_private_image_after_access_is_revoked(self) -> None:
        """A cached copy is not served once the upstream has revoked our access."""
        self.result(self.tag())
        self.clock.advance(400.0)
        self.registry.closed.add(APP)
        self.refusal(self.tag(), UpstreamDenied)
        for coroutine in (self.by_digest(), self.open(self.blob), self.head_tag()):
            self.refusal(coroutine, UpstreamDenied)

    def test_cve_2026_35172_membership_survives(self) -> None:
        """What a repository lost it does not regain because another one brings it again."""
        self.holders.add(("org/b", self.blob))
        self.pull(self.blob, "org/b")
        self.holders.remove((APP, self.blob))
        self.clock.advance(DAY)
        self.refusal(self.open(self.blob), UpstreamNotFound)
        self.successResultOf(self.index.forget_content(self.blob))
        self.successResultOf(self.caches.store.remove(self.blob))
        self.assertEqual(self.pull(self.blob, "org/b"), "miss")
        for _ in range(2):
            self.clock.advance(10.0)
            self.refusal(self.open(self.blob), UpstreamNotFound)
            self.restart()

    def test_artifact_keeper_3606_rights_of_other_credentials(self) -> None:
        """Two entries for one host: what one's credentials may read the other's may not."""
        twin = FakeRegistry(self.clock, name="twin.test", credentials="")
        twin.blobs, twin.manifests = self.registry.blobs, self.registry.manifests
        twin.private.add(APP)
        self.caches = self.make_caches(self.registry, twin)
        self.registry.private.add(APP)
        self.refusal(self.by_digest(name="twin.test"), UpstreamNotFound)
        self.refusal(self.open(self.blob, APP, "twin.test"), UpstreamNotFound)
        self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
