"""Manifests by digest: verified, kept, and never asked for again."""

import json
from collections.abc import Iterator

from regcache.cache import manifests
from regcache.cache.forgetting import Forgotten, Kind
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer
from regcache.facts import Manifest
from regcache.manifest_body import MOST_BYTES, MOST_DESCRIPTORS
from regcache.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.cache.cases import APP, DAY, CacheTestCase, index_of, manifest_of


class FetchTests(CacheTestCase):
    """What is taken of an upstream, and what is not."""

    def test_never_again(self) -> None:
        """The bytes are asked for once, however old they are, restarts included."""
        self.result(self.by_digest())
        for _ in range(3):
            self.clock.advance(100 * DAY)
            self.restart()
            self.assertEqual(self.status_of(self.by_digest()), "regcache; hit")
        self.assertEqual(self.asked(), ["get_manifest"])

    def test_wrong_digest(self) -> None:
        """What fails the digest that was asked for is not served, kept or believed later."""
        self.registry.manifests[APP, str(self.digest)] = (manifest_of(b"evil"), OCI_MANIFEST)
        for _ in range(2):
            self.refusal(self.by_digest(), UpstreamBadAnswer)
        self.assertEqual(self.caches.events.mismatches, ["up.test"] * 2)
        self.assertEqual(self.successResultOf(self.index.occupied_bytes()), 0)

    def test_sha512(self) -> None:
        """A manifest may be named by its sha512 digest."""
        digest = Digest.of(self.content, "sha512")
        self.registry.manifests[APP, str(digest)] = (self.content, OCI_MANIFEST)
        served = self.result(self.by_digest(digest))
        self.assertEqual((served.manifest.digest, served.manifest.content), (digest, self.content))

    def test_too_large(self) -> None:
        """A manifest of more than 4 MiB is refused."""
        content = manifest_of(annotations={"a": "x" * MOST_BYTES})
        digest = self.registry.add_manifest(APP, "big", content, OCI_MANIFEST)
        self.refusal(self.tag("big"), UpstreamBadAnswer)
        self.refusal(self.by_digest(digest), UpstreamBadAnswer)
        self.refusal(self.head_tag("big"), UpstreamBadAnswer)

    def test_too_many_descriptors(self) -> None:
        """A manifest that lists thousands of descriptors is refused, and the reason is told."""
        layers = [json.loads(self.content)["config"]] * MOST_DESCRIPTORS
        content = manifest_of(layers=layers)
        digest = self.registry.add_manifest(APP, "many", content, OCI_MANIFEST)
        for asking in (self.tag("many"), self.by_digest(digest)):
            refusal = self.refusal(asking, UpstreamBadAnswer)
            self.assertIn("more than 4,096 descriptors", str(refusal))
        self.assertEqual(self.successResultOf(self.index.occupied_bytes()), 0)

    def test_generic_types(self) -> None:
        """Where the Content-Type says nothing, the content says what it is."""
        bodies = (
            (manifest_of(b"1"), OCI_MANIFEST),
            (index_of(b"2"), OCI_INDEX),
            (manifest_of(b"3", mediaType=DOCKER_MANIFEST), DOCKER_MANIFEST),
        )
        for number, (content, expected) in enumerate(bodies):
            for generic in ("", "application/json", "application/octet-stream", "text/plain"):
                self.restart()
                self.registry.add_manifest(APP, str(number), content, generic)
                self.successResultOf(
                    self.index.drop_tag(self.caches.served(APP).identity, str(number))
                )
                served = self.result(self.tag(str(number)))
                self.assertEqual(served.manifest.media_type, expected)

    def test_cve_2021_41190_type_confusion(self) -> None:
        """A body that two clients would read as two things is refused, by tag and by digest."""
        for number, (content, media_type) in enumerate(ambiguous()):
            digest = self.registry.add_manifest(APP, str(number), content, media_type)
            self.refusal(self.tag(str(number)), UpstreamBadAnswer)
            self.refusal(self.by_digest(digest), UpstreamBadAnswer)
        self.assertEqual(self.successResultOf(self.index.occupied_bytes()), 0)

    def test_type_is_kept(self) -> None:
        """The type that was verified is served after a restart too, whatever others say later."""
        self.result(self.by_digest())
        self.registry.manifests[APP, str(self.digest)] = (self.content, OCI_INDEX)
        self.restart()
        self.assertEqual(self.result(self.by_digest()).manifest.media_type, OCI_MANIFEST)

    def test_lost_from_disk(self) -> None:
        """A manifest that is not on the disk any more is fetched again."""
        self.result(self.by_digest())
        self.restart()
        self.successResultOf(self.caches.store.remove(self.digest))
        self.assertEqual(self.status_of(self.by_digest()), "regcache; fwd=uri-miss; stored")


def ambiguous() -> Iterator[tuple[bytes, str]]:
    """Bodies whose kind is open to interpretation."""
    both = {**json.loads(manifest_of()), "manifests": []}
    yield json.dumps(both).encode(), OCI_MANIFEST
    yield json.dumps({**both, "mediaType": OCI_INDEX}).encode(), OCI_INDEX
    yield manifest_of(), OCI_INDEX
    yield index_of(b"x"), OCI_MANIFEST
    yield manifest_of(), DOCKER_MANIFEST
    yield index_of(b"x"), DOCKER_LIST
    yield manifest_of(), "text/html"
    yield b"<html></html>", OCI_MANIFEST
    yield b'{"schemaVersion": 1}', OCI_MANIFEST


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
        self.patch(manifests, "parse_manifest", self.fail)
        self.assertEqual(self.result(self.caches.manifests.default_child(upstream, index)), child)

    def test_bounded(self) -> None:
        """Of many indexes the children of the latest are remembered."""
        self.patch(manifests, "MOST_CHILDREN", 5)
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
        self.patch(manifests, "MEMORY", 64 * 1024)
        self.restart()
        filler = "x" * 4000
        for number in range(50):
            content = manifest_of(str(number).encode(), annotations={"a": filler})
            digest = self.registry.add_manifest(APP, str(number), content, OCI_MANIFEST)
            self.result(self.by_digest(digest))
        kept = self.caches.manifests.memory
        self.assertLessEqual(kept.weight, 64 * 1024)
        self.assertGreater(len(kept), 5)

    def test_small_ones_are_bounded_too(self) -> None:
        """Tiny manifests count for what they really cost."""
        self.patch(manifests, "MEMORY", 10 * 1024)
        self.restart()
        for number in range(30):
            content = manifest_of(str(number).encode())
            self.registry.add_manifest(APP, str(number), content, OCI_MANIFEST)
            self.result(self.tag(str(number)))
        self.assertLess(len(self.caches.manifests.memory), 10)

    def test_rights_are_bounded(self) -> None:
        """The rights that are remembered are bounded in number."""
        self.patch(manifests, "MOST_RIGHTS", 5)
        self.restart()
        for number in range(30):
            name = f"org/{number}"
            self.registry.add_manifest(name, "latest", self.content, OCI_MANIFEST)
            self.result(self.tag(repository=name))
        self.assertEqual(len(self.caches.manifests.known_rights), 5)
        self.assertEqual(self.status_of(self.tag(repository="org/0")), "regcache; hit")

    def test_forgotten(self) -> None:
        """What was deleted is not served from memory, nor are its rights remembered."""
        self.result(self.by_digest())
        self.successResultOf(self.index.forget_content(self.digest))
        self.caches.manifests.forget(Forgotten(Kind.CONTENT, self.digest))
        self.assertEqual(len(self.caches.manifests.known_rights), 0)
        self.assertEqual(self.status_of(self.by_digest()), "regcache; fwd=uri-miss; stored")
