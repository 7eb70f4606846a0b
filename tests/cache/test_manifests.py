"""Manifests by digest: verified, kept, and never asked for again."""

import json
from collections.abc import Iterator

from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer
from regcache.manifest_body import MOST_BYTES, MOST_DESCRIPTORS
from regcache.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from regcache.timings import begin_timings
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

    def test_fetched_by(self) -> None:
        """It is recorded for whom it was fetched: who began that, not who joined."""

        async def ask(account: str) -> None:
            begin_timings(self.clock.seconds, account)
            await self.tag()

        asking = [self.start(ask(account)) for account in ("alice", "bob")]
        self.caches.run()
        for each in asking:
            self.successResultOf(each)
        self.assertEqual(self.index.fetched_by, {self.digest: "alice"})

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
        """The verified type is served after a restart too, also if other answers differ."""
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
