"""Fetching images as clients do, for nobody but the disk."""

import json
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from regcache.cache import warming
from regcache.cache.checked_source import CheckedSource
from regcache.cache.download.reader import Reader
from regcache.cache.opened import MemoryFile, OpenBlob
from regcache.cache.status import hit
from regcache.cache.warming import WarmedSoFar, Warming, WarmingError
from regcache.digests import Digest
from regcache.errors import UpstreamServerError
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from regcache.parsing import Parser
from tests.cache.cases import APP, CacheTestCase
from tests.support.bodies import Fault
from tests.support.caches import Sink
from tests.support.pools import ImmediatePool

LARGE = 300_000


def blob(name: str, size: int = LARGE) -> bytes:
    """Content of its own."""
    return (name.encode() * size)[:size]


def descriptor(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """What names content."""
    digest = str(Digest.of(content))
    return {"mediaType": media_type, "digest": digest, "size": len(content), **more}


class WarmingTests(CacheTestCase):
    """One image for several platforms, with an attestation."""

    def setUp(self) -> None:
        super().setUp()
        self.told: list[WarmedSoFar] = []
        self.shared = blob("shared")
        platforms = ("linux/amd64", "linux/arm64/v8", "linux/arm/v7", "unknown/unknown")
        members = [self.image(each) for each in platforms]
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members}
        content = json.dumps(index).encode()
        self.top = self.registry.add_manifest(APP, "multi", content, OCI_INDEX)
        self.make_warming()

    def make_warming(self) -> None:
        """Over the caches as they are now."""
        caches = self.caches
        self.warming = Warming(
            caches.cache, caches.downloads, caches.index, Parser(ImmediatePool())
        )
        self.repository = caches.served().identity

    def image(self, platform: str) -> dict[str, Any]:
        """Add one; its descriptor."""
        layers = [self.shared, blob(platform)]
        config = b'{"platform": "%s"}' % platform.encode()
        for content in (*layers, config):
            self.registry.add(content)
        foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar"
        members = [descriptor(each, "application/layer") for each in layers]
        body = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, ""),
            "layers": [*members, descriptor(b"elsewhere", foreign)],
        }
        content = json.dumps(body).encode()
        self.registry.add_manifest(APP, platform.replace("/", "-"), content, OCI_MANIFEST)
        system, _, rest = platform.partition("/")
        architecture, _, variant = rest.partition("/")
        named = {"os": system, "architecture": architecture}
        more = {"platform": named | ({"variant": variant} if variant else {})}
        return descriptor(content, OCI_MANIFEST, **more)

    def begin(
        self, platforms: Sequence[str] | None = ("linux/amd64",), reference: str = "multi"
    ) -> "Deferred[None]":
        """Begin a pull."""
        pull = self.warming.pull(self.repository, reference, platforms, self.told.append)
        return self.start(pull)

    def warm(self, *arguments: Any) -> None:
        """Pull to the end."""
        pulling = self.begin(*arguments)
        self.caches.run(2.0)
        self.successResultOf(pulling)

    def fail(self, *arguments: Any) -> str:
        """Pull in vain; what it says."""
        pulling = self.begin(*arguments)
        self.caches.run(600.0)
        return str(self.failureResultOf(pulling, WarmingError).value)

    def fetched(self) -> list[str]:
        """The blobs that the upstream was asked for, each as often as it was."""
        return sorted(str(each[2]) for each in self.registry.requests if each[0] == "get_blob")

    def expected(self, *platforms: str) -> list[str]:
        """The digests of their blobs, each once."""
        found = {str(Digest.of(self.shared))}
        for each in platforms:
            found.add(str(Digest.of(blob(each))))
            found.add(str(Digest.of(b'{"platform": "%s"}' % each.encode())))
        return sorted(found)

    def test_platform(self) -> None:
        """What one platform needs is stored, and nothing else is fetched."""
        self.warm()
        self.assertEqual(self.fetched(), self.expected("linux/amd64"))
        last = self.told[-1]
        self.assertEqual((last.digest, last.arriving), (self.top, []))
        self.assertEqual((last.done, last.total), (last.total, last.images[0].size))
        ((platform, done),) = [(each.platform, each.done) for each in last.images]
        self.assertEqual((platform, done), ("linux/amd64", True))
        self.registry.failure = UpstreamServerError("up.test", "it is down", status=503)
        self.assertEqual(self.pull(Digest.of(blob("linux/amd64"))), "hit")

    def test_variants(self) -> None:
        """A platform stands for its variants, and v8 is what arm64 is."""
        self.warm(("linux/arm", "linux/arm64"))
        self.assertEqual(self.fetched(), self.expected("linux/arm/v7", "linux/arm64/v8"))

    def test_all(self) -> None:
        """All that the index lists, attestations too."""
        self.warm(None)
        names = ("linux/amd64", "linux/arm64/v8", "linux/arm/v7", "unknown/unknown")
        self.assertEqual(self.fetched(), self.expected(*names))
        self.assertEqual(len(self.told[-1].images), 4)

    def test_missing_platform(self) -> None:
        """What it has is said, and no blob is fetched."""
        said = self.fail(("linux/amd64", "linux/riscv64"))
        has = "linux/amd64, linux/arm/v7, linux/arm64"
        self.assertEqual(said, f"it has no linux/riscv64; it has {has}")
        self.assertEqual(self.fetched(), [])

    def test_single(self) -> None:
        """Without an index there is nothing to choose."""
        self.warm(("linux/s390x",), "linux-amd64")
        self.assertEqual(self.fetched(), self.expected("linux/amd64"))

    def test_by_digest(self) -> None:
        """A digest names an image, too."""
        self.warm(("linux/amd64",), str(self.top))
        self.assertEqual(self.fetched(), self.expected("linux/amd64"))

    def test_again(self) -> None:
        """A second time the upstream is asked for nothing."""
        self.warm()
        self.registry.requests.clear()
        self.warm()
        self.assertEqual(self.registry.requests, [])
        self.assertEqual(self.told[-1].done, self.told[-1].total)

    def test_with_a_client(self) -> None:
        """It joins what a client is being sent, and a client joins what it fetches."""
        layer = Digest.of(blob("linux/amd64"))
        opening = self.start(self.open(layer))
        pulling = self.begin()
        self.caches.run(turns=8)
        late = self.start(self.open(Digest.of(self.shared)))
        self.caches.run(turns=8)
        sinks = []
        for each in (opening, late):
            reader = self.successResultOf(each).reader
            sinks.append(Sink())
            reader.begin(0, None, sinks[-1])
        self.caches.run(2.0)
        self.successResultOf(pulling)
        self.assertEqual([len(each.data) for each in sinks], [LARGE, LARGE])
        self.assertEqual(self.fetched(), self.expected("linux/amd64"))

    def test_called_off(self) -> None:
        """It leaves like a client; what came is kept, and goes on the next time."""
        self.registry.faults.extend([Fault(stall=200_000)] * 3)
        pulling = self.begin()
        self.caches.run()
        self.assertTrue(self.told[-1].arriving)
        pulling.cancel()
        self.failureResultOf(pulling)
        self.assertEqual([len(each.readers) for each in self.caches.downloads._all.values()], [0])

    def test_upstream_fails(self) -> None:
        """What an upstream does not give is said."""
        self.registry.failure = UpstreamServerError("up.test", "it is down", status=503)
        self.assertEqual(self.fail(), "upstream up.test answered 503")

    def test_absent(self) -> None:
        """What an upstream has not is said."""
        self.assertEqual(self.fail(None, "absent"), "upstream up.test does not have it")

    def test_not_kept(self) -> None:
        """What cannot be stored is no success, and nothing is left open."""
        self.caches.space.limit = 1000
        self.assertIn("cannot be kept", self.fail())
        self.assertEqual(len(self.caches.downloads), 0)

    def test_storage_is_closed(self) -> None:
        """While nothing is stored, nothing is asked for."""
        self.caches.space.closed = "the disk is read only"
        self.assertIn("the disk is read only", self.fail())
        self.assertEqual(self.fetched(), [])

    def test_damaged(self) -> None:
        """What turns out to be damaged on the disk is fetched anew, in the same pull."""
        self.warm()
        damaged = [True]

        opening = self.caches.cache.open_blob

        async def open_blob(content: Any) -> OpenBlob:
            if damaged and damaged.pop():
                wrong: Deferred[bool] = Deferred()
                wrong.callback(False)
                file = MemoryFile(content.digest, b"x" * LARGE)
                return OpenBlob(Reader(CheckedSource(file, wrong)), hit(0))
            return await opening(content)

        self.patch(self.caches.cache, "open_blob", open_blob)
        self.warm()
        self.assertEqual((damaged, self.told[-1].done), ([], self.told[-1].total))

    def test_too_many_blobs(self) -> None:
        """Manifests that list more than anything real are not gone through."""
        self.patch(warming, "MOST_BLOBS", 4)
        self.warm()
        self.assertIn("too many blobs", self.fail(None))

    def test_nested_too_deeply(self) -> None:
        """Indexes in indexes in indexes end somewhere."""
        digest, size = str(self.top), 1
        for number in range(5):
            member = {"mediaType": OCI_INDEX, "digest": digest, "size": size}
            body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [member]}
            content = json.dumps(body).encode()
            digest = str(self.registry.add_manifest(APP, f"nest{number}", content, OCI_INDEX))
        self.assertIn("too many", self.fail(("linux/amd64",), "nest4"))
