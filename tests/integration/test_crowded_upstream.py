"""More at once than an upstream has places for: everything comes, and in bounded time."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.images import MIB
from tests.support.processes import wait_until
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


class BlackHoleTests(PullThroughCase):
    """More at once than there are places, and no answer at all."""

    def test_who_waits_gets_the_rest_of_the_time(self) -> None:
        """Nobody waits for a place and then once more for an answer."""
        names, patience = ("blobs.test", "manifests.test"), 10
        upstreams = {}
        for name in names:
            upstream = self.faulty_upstream()
            upstream.faults.always("*", Fault(silent=True))
            times = {"connect_timeout": "60s", "first_byte_timeout": f"{patience}s"}
            upstreams[name] = {"urls": [upstream.url], **times}
        daemon = self.regcache({"upstreams": upstreams})
        digests = [f"sha256:{number:064x}" for number in range(CROWD)]
        pulls = [
            Download(daemon.client(), f"/v2/{kind}.test/{REPOSITORY}/{kind}/{digest}")
            for digest in digests
            for kind in ("blobs", "manifests")
        ]
        found = [one.wait() for one in pulls]
        self.assertEqual({one.status for one in found} - {503, 504}, set())
        self.assertGreaterEqual(max(one.seconds for one in found), patience)
        self.assertLess(max(one.seconds for one in found), 1.75 * patience)


class SlowLinkTests(PullThroughCase):
    """More layers than places, on a link that is slow and well."""

    def test_layers_that_wait(self) -> None:
        """Each layer gets its turn, however much longer that takes than an answer may."""
        upstream = self.faulty_upstream(rate=0.4 * MIB)
        times = {"connect_timeout": "2s", "first_byte_timeout": "2s"}
        daemon = self.regcache(upstream_config(upstream.url, max_downloads=1, **times))
        blobs = [upstream.add_generated_blob(REPOSITORY, MIB, seed) for seed in range(3)]
        targets = [f"/v2/{REPOSITORY}/blobs/{blob.digest}" for blob in blobs]
        pulls = [Download(daemon.client(), target) for target in targets]
        found = [(one.wait(30).status, one.digest) for one in pulls]
        self.assertEqual(found, [(200, blob.digest) for blob in blobs])


class SlowClientTests(PullThroughCase):
    """Clients that hardly take what is passed on to them, and those beside them."""

    def setUp(self) -> None:
        """An upstream with a blob that is never stored."""
        self.upstream: FaultyUpstream = self.faulty_upstream()
        self.large = self.upstream.add_generated_blob(REPOSITORY, 32 * MIB, "large")
        self.released = threading.Event()
        self.addCleanup(self.released.set)

    def start(self, **storage: str) -> Regcache:
        """A daemon that has two places for downloads."""
        config = upstream_config(self.upstream.url, max_downloads=2)
        daemon = Regcache(config)
        self.addCleanup(daemon.close)
        daemon.config["storage"].update(storage)
        return daemon.start()

    def slow(self, daemon: Regcache) -> Download:
        """A client that takes a piece, and then nothing more."""
        taken = threading.Event()

        def pace(_: int) -> None:
            taken.set()
            self.released.wait(60)

        target = f"/v2/{REPOSITORY}/blobs/{self.large.digest}"
        one = Download(daemon.client(), target, pace, receive_buffer=65536)
        self.assertTrue(taken.wait(20), f"{one.status} {one.error}")
        return one

    def assert_cold_pull(self, daemon: Regcache, size: int, outcome: str) -> None:
        """Somebody else gets a blob that nobody pulled before, at once."""
        blob = self.upstream.add_generated_blob(REPOSITORY, size, "cold")
        one = Download(daemon.client(), f"/v2/{REPOSITORY}/blobs/{blob.digest}").wait(20)
        self.assertEqual((one.status, one.digest), (200, blob.digest))
        self.assertIn(outcome, one.headers["cache-status"])

    def test_slow_clients_of_what_is_too_large(self) -> None:
        """However many there are, downloads find their places."""
        daemon = self.start(max_blob="16MiB")
        slow = [self.slow(daemon) for _ in range(6)]
        self.assert_cold_pull(daemon, MIB, "stored")
        self.released.set()
        self.assertEqual({one.wait(60).digest for one in slow}, {self.large.digest})

    def test_slow_clients_and_a_full_disk(self) -> None:
        """Where nothing can be stored, slow clients keep nobody from a pull."""
        daemon = self.start(min_free="1000000GiB")
        slow = [self.slow(daemon) for _ in range(6)]
        self.assert_cold_pull(daemon, MIB, "relay")
        self.released.set()
        self.assertEqual({one.wait(60).digest for one in slow}, {self.large.digest})


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


class LateAnswerTests(PullThroughCase):
    """``limits.first_answer``, and what goes on behind it."""

    def setUp(self) -> None:
        """A daemon whose clients are told after a second."""
        self.upstream: FaultyUpstream = self.faulty_upstream()
        config = {**upstream_config(self.upstream.url), "limits": {"first_answer": "1s"}}
        self.client = self.regcache(config).client()

    def joined(self, target: str) -> Answer:
        """504 with Retry-After at first; who asks again gets this, which was asked for once."""
        held = Fault(held=True)
        self.upstream.faults.then(target, held)
        answer = self.client.get(target)
        self.assertEqual((answer.status, answer.errors), (504, ["UNAVAILABLE"]))
        self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
        held.release.set()
        wait_until(lambda: self.client.get(target).status == 200, "it is here")
        self.assertEqual([one.path for one in self.upstream.requests], [target])
        return self.client.get(target)

    def test_blob(self) -> None:
        """A layer that waits for its upstream."""
        blob = self.upstream.add_generated_blob(REPOSITORY, MIB, "late")
        found = self.joined(f"/v2/{REPOSITORY}/blobs/{blob.digest}")
        self.assertTrue(found.body == blob.read(0, MIB))

    def test_manifest(self) -> None:
        """A manifest that does."""
        body = _large_manifest(0)
        self.upstream.add_manifest(REPOSITORY, MANIFEST_TYPE, body, "1")
        self.assertEqual(self.joined(f"/v2/{REPOSITORY}/manifests/1").body, body)

    def test_tags(self) -> None:
        """A list of tags that does."""
        self.upstream.add_manifest(REPOSITORY, MANIFEST_TYPE, _large_manifest(0), "1")
        self.assertEqual(self.joined(f"/v2/{REPOSITORY}/tags/list").json()["tags"], ["1"])
