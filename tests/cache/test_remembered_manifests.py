"""What memory holds of manifests: it is bounded, and what was removed is not there."""

import json

from regcache.cache import manifest_checker, remembered_manifests
from regcache.cache.forgetting import Forgotten, Kind
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer
from regcache.facts import Manifest
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from tests.cache.cases import APP, CacheTestCase, manifest_of


class ChildTests(CacheTestCase):
    """The child of an index for clients that take no index."""

    def add_index(self, number: int) -> Manifest:
        """An index, fetched."""
        child = {**json.loads(self.content)["config"], "platform": _DEFAULT, "size": number}
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}
        content = json.dumps(body).encode()
        self.registry.add_manifest(APP, "index", content, OCI_INDEX)
        manifest: Manifest = self.result(self.by_digest(Digest.of(content))).manifest
        return manifest

    def test_remembered(self) -> None:
        """It is known without another parsing once the index was fetched, or loaded."""
        index = self.add_index(1)
        upstream = self.caches.upstreams["up.test"]
        child = self.caches.manifests.known_child(index.digest)
        self.assertEqual(child, Digest.of(b"layer"))
        self.restart()
        self.assertIsNone(self.caches.manifests.known_child(index.digest))
        found = self.result(self.caches.manifests.default_child(upstream, index))
        self.assertEqual(found, child)
        self.patch(manifest_checker, "parse_manifest", self.fail)
        self.assertEqual(self.result(self.caches.manifests.default_child(upstream, index)), child)

    def test_bounded(self) -> None:
        """Of many indexes the children of the latest are remembered."""
        self.patch(remembered_manifests, "MOST_CHILDREN", 5)
        self.restart()
        indexes = [self.add_index(number) for number in range(20)]
        known = [self.caches.manifests.known_child(each.digest) for each in indexes]
        self.assertEqual([child is not None for child in known], [False] * 15 + [True] * 5)

    def test_stored_by_an_earlier_program(self) -> None:
        """An index that was stored and that is not valid any more is a bad answer."""
        index = Manifest(self.digest, OCI_INDEX, self.content)
        upstream = self.caches.upstreams["up.test"]
        self.refusal(self.caches.manifests.default_child(upstream, index), UpstreamBadAnswer)


_DEFAULT = {"os": "linux", "architecture": "amd64"}


class MemoryTests(CacheTestCase):
    """What is kept in memory."""

    def test_bounded_by_bytes(self) -> None:
        """Many manifests fill the memory that is set aside for them, and no more."""
        self.patch(remembered_manifests, "MEMORY", 64 * 1024)
        self.restart()
        filler = "x" * 4000
        for number in range(50):
            content = manifest_of(str(number).encode(), annotations={"a": filler})
            digest = self.registry.add_manifest(APP, str(number), content, OCI_MANIFEST)
            self.result(self.by_digest(digest))
        kept = self.caches.remembered_manifests.contents
        self.assertLessEqual(kept.weight, 64 * 1024)
        self.assertGreater(len(kept), 5)

    def test_small_ones_are_bounded_too(self) -> None:
        """Tiny manifests count for what they really cost."""
        self.patch(remembered_manifests, "MEMORY", 10 * 1024)
        self.restart()
        for number in range(30):
            content = manifest_of(str(number).encode())
            self.registry.add_manifest(APP, str(number), content, OCI_MANIFEST)
            self.result(self.tag(str(number)))
        self.assertLess(len(self.caches.remembered_manifests.contents), 10)

    def test_rights_are_bounded(self) -> None:
        """The rights that are remembered are bounded in number."""
        self.patch(remembered_manifests, "MOST_RIGHTS", 5)
        self.restart()
        for number in range(30):
            name = f"org/{number}"
            self.registry.add_manifest(name, "latest", self.content, OCI_MANIFEST)
            self.result(self.tag(repository=name))
        self.assertEqual(len(self.caches.remembered_manifests.rights), 5)
        self.assertEqual(self.status_of(self.tag(repository="org/0")), "regcache; hit")

    def test_forgotten(self) -> None:
        """What has gone is not served from memory. With what is deleted its rights go, too."""
        self.result(self.by_digest())
        for generation, rights in ((0, 1), (1, 0)):
            self.successResultOf(self.index.forget_content(self.digest))
            gone = Forgotten(Kind.CONTENT, self.digest, generation)
            self.caches.remembered_manifests.forget(gone)
            self.assertEqual(len(self.caches.remembered_manifests.rights), rights)
        self.assertEqual(self.status_of(self.by_digest()), "regcache; fwd=uri-miss; stored")
