"""A cache that is much smaller than what is pulled through it, on a file system of its own."""

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from tests.integration.base import UPSTREAM, PullThroughCase, upstream_config
from tests.support.downloads import Download
from tests.support.images import MIB
from tests.support.processes import wait_until
from tests.support.servers import Regcache
from tests.support.small_disk import fill_up, small_disk

REPOSITORY = "team/app"
SIZE = 256 * MIB
LAYER, LAYERS = 8 * MIB, 4
HIT, STORED = "regcache; hit", "regcache; fwd=uri-miss; stored"
MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class SparseImage:
    """An image whose layers are made as they are asked for.

    :ivar digests: of its configuration and its layers.
    """

    tag: str
    digests: tuple[str, ...]


class EvictionCase(PullThroughCase):
    """A daemon on a tmpfs of 256 MiB."""

    def setUp(self) -> None:
        """Mount it, and start the daemon there."""
        self.mount = small_disk(self, self.workspace().path, SIZE, lambda: self.daemon.close())
        self.upstream = self.faulty_upstream()
        self.daemon = Regcache(upstream_config(self.upstream.url, tag_ttl="1h"))
        self.daemon.config["storage"] = {"directory": str(self.mount), "min_free": "8MiB"}
        self.daemon.start()
        self.client = self.daemon.client()

    def image(self, number: int, layers: int = LAYERS) -> SparseImage:
        """Have the upstream hold an image."""
        blobs = [
            self.upstream.add_generated_blob(REPOSITORY, LAYER, (number, place))
            for place in range(layers)
        ]
        config = self.upstream.add_generated_blob(REPOSITORY, 2000, number)
        listed = [
            {"mediaType": "application/x", "digest": each.digest, "size": each.size}
            for each in (config, *blobs)
        ]
        document = {
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE,
            "config": listed[0],
            "layers": listed[1:],
        }
        data = json.dumps(document).encode()
        self.upstream.add_manifest(REPOSITORY, MEDIA_TYPE, data, f"v{number}")
        return SparseImage(f"v{number}", tuple(each["digest"] for each in listed))

    def begin(self, image: SparseImage) -> list[tuple[str, Download]]:
        """Begin to pull an image, its layers at once."""
        answer = self.client.get(f"/v2/{REPOSITORY}/manifests/{image.tag}")
        self.assertEqual(answer.status, 200)
        return [
            (digest, Download(self.client, f"/v2/{REPOSITORY}/blobs/{digest}"))
            for digest in image.digests
        ]

    def end(self, running: list[tuple[str, Download]]) -> list[str]:
        """See that it arrives; the Cache-Status of each of its blobs."""
        for digest, one in running:
            one.wait()
            self.assertEqual((one.error, one.digest), (None, digest))
        return [one.headers["cache-status"] for _, one in running]

    def pull(self, image: SparseImage) -> list[str]:
        """Pull an image."""
        return self.end(self.begin(image))

    def pull_together(self, images: list[SparseImage]) -> set[str]:
        """Pull some side by side; what the answers say."""
        running = [self.begin(image) for image in images]
        return {status for each in running for status in self.end(each)}

    def said(self) -> str:
        """What the daemon logged, but for its requests."""
        lines = self.daemon.log().splitlines()
        return "\n".join(line for line in lines if "regcache.access" not in line)[-8000:]

    def used(self) -> int:
        """What df says is used (bytes)."""
        found = os.statvfs(self.mount)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def free(self) -> int:
        """What df says is free (bytes)."""
        found = os.statvfs(self.mount)
        return found.f_bavail * found.f_frsize

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[int]]:
        """What is used, looked at all the while; in the end the most of it is in the list."""
        most, ended = [0], threading.Event()

        def watch() -> None:
            while not ended.wait(0.002):
                most[0] = max(most[0], self.used())

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield most
        finally:
            ended.set()
            thread.join()

    def files(self) -> dict[str, int]:
        """The names of complete files, and their sizes."""
        folders = (self.mount / "blobs").rglob("*")
        return {each.name: each.stat().st_size for each in folders if each.is_file()}

    def is_consistent(self) -> bool:
        """Whether all that the index knows is there, and nothing of what it lets go.

        What has got its name at the moment of a kill -9 is not known to it yet.
        """
        with contextlib.closing(sqlite3.connect(self.mount / "index.sqlite")) as index:
            leaving = index.execute("SELECT count(*) FROM leaving").fetchone()
        return self.places().items() <= self.files().items() and leaving == (0,)

    def places(self) -> dict[str, int]:
        """What the index says is stored."""
        with contextlib.closing(sqlite3.connect(self.mount / "index.sqlite")) as index:
            rows = index.execute(
                "SELECT hex(c.digest), p.size FROM places p JOIN contents c ON c.id = p.content_id"
            )
            return {digest[2:].lower(): size for digest, size in rows}


class LimitTests(EvictionCase):
    """Limits, with eviction."""

    def test_two_gibibytes_through_a_quarter(self) -> None:
        """Every image arrives and is stored; df is never over the limit; the last ones are hits."""
        images = [self.image(number) for number in range(64)]
        with self.watched() as most:
            for image in images:
                self.assertEqual(set(self.pull(image)), {STORED}, self.said())
        limit = SIZE * 8 // 10
        index = sum(each.stat().st_size for each in self.mount.glob("index.sqlite*"))
        self.assertLessEqual(most[0], limit + index + 1 * MIB)
        self.assertGreater(sum(self.files().values()), limit - 2 * LAYER)
        self.assertEqual(set(self.pull(images[-1])), {HIT})
        evicted = self.daemon.metric("regcache_evicted_bytes_total")
        self.assertGreater(evicted, 64 * LAYERS * LAYER - limit)

    def test_several_at_once(self) -> None:
        """Images that are pulled side by side, and fill half of the disk, are all stored."""
        images = [self.image(number) for number in range(16)]
        with self.watched() as most:
            for start in range(0, 16, 4):
                statuses = self.pull_together(images[start : start + 4])
                self.assertEqual(statuses, {STORED}, self.said())
        index = sum(each.stat().st_size for each in self.mount.glob("index.sqlite*"))
        self.assertLessEqual(most[0], SIZE * 8 // 10 + index + 1 * MIB)

    def test_pinned(self) -> None:
        """What a pattern pins is there still when all else has gone."""
        self.daemon.stop()
        self.daemon.config["storage"]["pin"] = [f"{UPSTREAM}/{REPOSITORY}:v0"]
        self.daemon.start()
        images = [self.image(number) for number in range(12)]
        for image in images:
            self.assertEqual(set(self.pull(image)), {STORED})
        self.assertEqual(set(self.pull(images[0])), {HIT})
        self.assertNotEqual(set(self.pull(images[1])), {HIT})

    def test_min_free(self) -> None:
        """Where others fill the disk, content makes way for what is new, and min_free is kept."""
        for number in range(4):
            self.pull(self.image(number))
        with (self.mount / "others").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, SIZE - self.used() - 4 * MIB)
        wait_until(lambda: self.free() >= 8 * MIB, "something made way")
        for number in range(4, 8):
            self.assertEqual(set(self.pull(self.image(number))), {STORED})
            self.assertGreaterEqual(self.free(), 8 * MIB)

    def test_a_start_on_a_full_disk(self) -> None:
        """It starts, serves what is there, and evicts as soon as something is claimed."""
        images = [self.image(number) for number in range(5)]
        for image in images[:4]:
            self.pull(image)
        self.assertEqual(self.daemon.stop(), 0)
        fill_up(self.mount)
        self.daemon.start()
        self.assertEqual(self.pull(images[3])[1:2], [HIT])
        wait_until(lambda: os.statvfs(self.mount).f_bavail > 0, "something is evicted")
        self.assertEqual(set(self.pull(images[4])), {STORED}, self.daemon.log()[-3000:])
        self.assertEqual(set(self.pull(images[4])), {HIT})

    def test_killed(self) -> None:
        """After a kill -9 in the midst of it all that the index knows is there, and right."""
        images = [self.image(number) for number in range(40)]
        moments = {8: 3000, 15: 700_000, 21: 2_000_000}
        for number, image in enumerate(images[:24]):
            running = [
                Download(self.client, f"/v2/{REPOSITORY}/blobs/{digest}")
                for digest in image.digests
            ]
            if number in moments:
                received = moments[number]
                wait_until(lambda: running[-1].received >= received, "it flows")  # noqa: B023
                self.daemon.process.kill()
                for one in running:
                    one.wait()
                self.daemon.start()
                self.client = self.daemon.client()
                wait_until(self.is_consistent, "what the index knows is there")
            for one in running:
                one.wait()
        for image in images[20:]:
            self.pull(image)
        wait_until(self.is_consistent, "what the index knows is there")
        self.assertEqual(set(self.pull(images[-1])), {HIT})
