"""More at once than an upstream has places for: everything comes, and in bounded time."""

import json
from concurrent.futures import ThreadPoolExecutor

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.registry_client import Answer, RegistryClient
from tests.support.servers import Regcache

REPOSITORY = "team/app"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
#: Clients at once.
CROWD = 60
#: Bytes of a blob, and about those of a manifest.
BLOB, MANIFEST = 900_000, 200_000


class CrowdTests(PullThroughCase):
    """Answers that end while others wait for their connection, over plain HTTP."""

    def setUp(self) -> None:
        """A daemon in front of an upstream."""
        self.upstream: FaultyUpstream = self.faulty_upstream()
        self.daemon: Regcache = self.regcache(upstream_config(self.upstream.url))

    def at_once(self, targets: list[str]) -> list[Answer]:
        """What a crowd of clients gets."""
        client: RegistryClient = self.daemon.client()
        with ThreadPoolExecutor(CROWD) as pool:
            return list(pool.map(client.get, targets))

    def test_cold_blobs(self) -> None:
        """All of sixty blobs of 900 kB that nobody has pulled before arrive whole."""
        blobs = [self.upstream.add_generated_blob(REPOSITORY, BLOB, seed) for seed in range(CROWD)]
        answers = self.at_once([f"/v2/{REPOSITORY}/blobs/{blob.digest}" for blob in blobs])
        self.assertEqual([one.status for one in answers], [200] * CROWD, self.daemon.log()[-2000:])
        for blob, answer in zip(blobs, answers, strict=True):
            self.assertTrue(answer.body == blob.read(0, BLOB))

    def test_cold_manifests(self) -> None:
        """So do sixty manifests of 200 kB."""
        bodies = [_large_manifest(number) for number in range(CROWD)]
        for number, body in enumerate(bodies):
            self.upstream.add_manifest(REPOSITORY, MANIFEST_TYPE, body, f"tag-{number}")
        answers = self.at_once([f"/v2/{REPOSITORY}/manifests/tag-{n}" for n in range(CROWD)])
        self.assertEqual([one.status for one in answers], [200] * CROWD, self.daemon.log()[-2000:])
        self.assertEqual([one.body for one in answers], bodies)


def _large_manifest(number: int) -> bytes:
    """A manifest with an annotation that fills it."""
    empty = f"sha256:{'0' * 64}"
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config,
        "layers": [],
        "annotations": {"filling": str(number) * (MANIFEST // len(str(number)))},
    }
    return json.dumps(manifest).encode()
