"""Manifests as large as may be, and larger: what they cost those who are served beside them."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.images import OCI_INDEX, OCI_MANIFEST, mixed_image
from tests.support.registry_client import Answer
from tests.support.servers import Regcache

REPOSITORY = "team/app"
#: Descriptors that a manifest may have, and how many fit into the 4 MiB that it may have.
MOST, HOSTILE = 4096, 33_000
CROWD = 40
#: Visits of a client that takes no index.
VISITS = 40


def index_of(listed: list[dict[str, Any]], name: str = "") -> bytes:
    """An index that lists these."""
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": listed,
        "annotations": {"name": name},
    }
    return json.dumps(index, separators=(",", ":")).encode()


def descriptors(count: int, **more: Any) -> list[dict[str, Any]]:
    """Of so many manifests, in few bytes each."""
    return [{"size": 2, "digest": f"sha256:{number:064x}", **more} for number in range(count)]


class LargeManifestTests(PullThroughCase):
    """One daemon in front of an upstream that has such manifests."""

    def setUp(self) -> None:
        """Start both."""
        self.upstream: FaultyUpstream = self.faulty_upstream()
        self.daemon: Regcache = self.regcache(upstream_config(self.upstream.url, tag_ttl="1h"))

    def get(self, reference: str, accept: str = OCI_INDEX) -> Answer:
        """What a client gets that takes this media type."""
        client = self.daemon.client()
        return client.get(f"/v2/{REPOSITORY}/manifests/{reference}", Accept=accept)

    def hold(self, content: bytes, *tags: str) -> str:
        """Have the upstream hold an index; its digest."""
        return self.upstream.add_manifest(REPOSITORY, OCI_INDEX, content, *tags)

    def test_many_descriptors(self) -> None:
        """As many as may be are served as they are; one more is refused, and why is said."""
        content = index_of(descriptors(MOST))
        self.assertEqual(self.get(self.hold(content)).body, content)
        refused = self.get(self.hold(index_of(descriptors(MOST + 1))))
        self.assertEqual((refused.status, refused.errors), (502, ["UNAVAILABLE"]))
        self.assertIn(f"more than {MOST:,} descriptors".encode(), refused.body)

    def test_hostile_crowd(self) -> None:
        """Forty of 33,000 descriptors are refused; to find that out takes the reactor no time."""
        listed = descriptors(HOSTILE)
        digests = [self.hold(index_of(listed, str(number))) for number in range(CROWD)]
        process = self.daemon.process
        all_before, reactor_before = process.cpu_seconds(), process.main_thread_seconds()
        with ThreadPoolExecutor(CROWD) as pool:
            answers = list(pool.map(self.get, digests))
        spent = process.cpu_seconds() - all_before
        self.assertEqual({one.status for one in answers}, {502})
        self.assertTrue(all(b"descriptors" in one.body for one in answers), answers[0].body)
        self.assertLess(process.main_thread_seconds() - reactor_before, spent / 2)

    def test_client_that_takes_no_index(self) -> None:
        """Which manifest of an index it gets is found out once, and not at each of its visits."""
        child = mixed_image("child", 1000)
        self.upstream.add_image(REPOSITORY, child)
        listed = descriptors(MOST - 1, annotations={f"n{each}": str(each) for each in range(40)})
        platform = {"os": "linux", "architecture": "amd64"}
        size = len(child.data)
        own = {"mediaType": OCI_MANIFEST, "digest": child.digest, "size": size}
        self.hold(index_of([*listed, {**own, "platform": platform}]), "1")
        self.assertEqual(self.get("1", OCI_MANIFEST).body, child.data)
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        first, *others = [self.cost(child.data) for _ in range(1 + VISITS)]
        self.assertLess(sum(others), VISITS / 4 * first)

    def cost(self, expected: bytes) -> float:
        """The processor time that a visit takes (seconds)."""
        before = self.daemon.process.cpu_seconds()
        self.assertEqual(self.get("1", OCI_MANIFEST).body, expected)
        return self.daemon.process.cpu_seconds() - before
