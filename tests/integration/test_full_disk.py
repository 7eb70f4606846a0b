"""A disk that is full for real: pulls go on, the daemon lives, and says what happens."""

import http.client
import subprocess
from pathlib import Path

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.images import MIB, mixed_image
from tests.support.processes import wait_until
from tests.support.servers import Regcache
from tests.support.small_disk import fill_up, small_disk

REPOSITORY = "team/app"
SIZE = 64 * MIB
STORED = "regcache; fwd=uri-miss; stored"


class FullDiskTests(PullThroughCase):
    """A daemon whose storage is a small file system of its own."""

    rate: float | None = None

    def setUp(self) -> None:
        """Mount 64 MiB, and start the daemon there."""
        self.mount = small_disk(self, self.workspace().path, SIZE, lambda: self.daemon.close())
        self.upstream = self.faulty_upstream()
        self.daemon = Regcache(upstream_config(self.upstream.url))
        self.daemon.config["storage"] |= {"directory": str(self.mount), "min_free": "1MiB"}
        self.daemon.start()
        self.client = self.daemon.client()

    def blob(self, size: int, seed: object) -> tuple[str, str]:
        """A blob of the upstream: its digest, and what clients ask for."""
        blob = self.upstream.add_generated_blob(REPOSITORY, size, seed)
        return blob.digest, f"/v2/{REPOSITORY}/blobs/{blob.digest}"

    def assert_relayed(self, digest: str, target: str) -> None:
        """The blob arrives, and is not stored."""
        one = Download(self.client, target).wait()
        self.assertEqual((one.error, one.status, one.digest), (None, 200, digest))
        self.assertEqual(one.headers["cache-status"], "regcache; fwd=uri-miss; detail=relay")
        self.assertEqual(self.blobs(), [])

    def blobs(self) -> list[Path]:
        """The files of finished and growing blobs."""
        folders = (self.mount / "blobs", self.mount / "partial")
        files = [one for each in folders for one in each.rglob("*") if one.is_file()]
        return [one for one in files if one.stat().st_size > MIB]

    def test_a_blob_that_is_larger_than_the_disk(self) -> None:
        """It completes by relay, for several clients at once, in bounded memory, and verified."""
        digest, target = self.blob(3 * SIZE // 2, "large")
        self.assert_relayed(digest, target)
        several = [Download(self.client, target) for _ in range(2)]
        for one in several:
            one.wait()
            self.assertEqual((one.error, one.digest), (None, digest))
            self.assertIn("relay", one.headers["cache-status"])
        self.assertLess(self.daemon.process.resident_bytes(peak=True), 150 * 10**6)
        self.assertEqual(self.blobs(), [])
        self.upstream.faults.then(target, Fault(wrong_byte_at=SIZE + 7))
        wrong = Download(self.client, target).wait()
        self.assertIsInstance(wrong.error, http.client.HTTPException | ConnectionError)
        self.assertLess(wrong.received, 3 * SIZE // 2)
        self.assertEqual(self.daemon.metric("regcache_digest_mismatches_total"), 1)
        small, small_target = self.blob(4 * MIB, "small")
        one = Download(self.client, small_target).wait()
        self.assertEqual((one.digest, one.headers["cache-status"]), (small, STORED))

    def test_a_disk_that_is_full_from_the_beginning(self) -> None:
        """Manifests and blobs are served even if the index can note nothing."""
        fill_up(self.mount)
        image = mixed_image("full", MIB)
        self.upstream.add_image(REPOSITORY, image, "1")
        manifest = f"/v2/{REPOSITORY}/manifests"
        for path in (f"{manifest}/1", f"{manifest}/{image.digest}", f"{manifest}/1"):
            answer = self.client.get(path)
            self.assertEqual((answer.status, answer.body), (200, image.data), path)
        for digest, blob in image.all_blobs().items():
            answer = self.client.get(f"/v2/{REPOSITORY}/blobs/{digest}")
            self.assertEqual((answer.status, answer.body), (200, blob.data))
        self.assert_relayed(*self.blob(8 * MIB, "relayed"))
        self.assertEqual(self.client.get("/healthz").status, 200)
        self.assertEqual(self.daemon.stop(), 0)
        (self.mount / "others").unlink()
        self.daemon.start()
        digest, target = self.blob(4 * MIB, "again")
        self.assertEqual(Download(self.client, target).wait().digest, digest)

    def test_a_disk_that_becomes_full_half_way(self) -> None:
        """Who has bytes already is aborted, who asks then gets it by relay; log and metric."""
        digest, target = self.blob(40 * MIB, "half")
        held = Fault(hold_at=10 * MIB)
        self.upstream.faults.then(target, held)
        self.daemon.process.assert_running()
        running = Download(self.client, target)
        wait_until(lambda: running.received > 2 * MIB, "the blob flows")
        # What was reserved ahead is there; nothing else is.
        self.take_back_what_was_reserved()
        fill_up(self.mount)
        held.release.set()
        running.wait()
        self.assertIsInstance(running.error, http.client.HTTPException | ConnectionError)
        self.assertLess(running.received, 40 * MIB)
        self.assert_relayed(digest, target)
        self.assertGreaterEqual(self.daemon.metric("regcache_storage_errors_total"), 1)
        self.assert_logged(self.daemon, f"storing {digest} failed")
        wait_until(lambda: self.daemon.metric("regcache_readers") == 0, "its readers are gone")
        wait_until(lambda: self.daemon.cache_files() == 0, "the files are closed")
        self.assertEqual(self.client.get("/v2/").status, 200)

    def take_back_what_was_reserved(self) -> None:
        """Free the blocks behind what was written, as a file system without reserving would."""
        [partial] = self.blobs()
        subprocess.run(
            ["fallocate", "-p", "-o", str(20 * MIB), "-l", str(SIZE), partial], check=True
        )
