"""Pulls while another program has locked the file of the index, as an admin's shell does."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.generated import GeneratedContent
from tests.support.images import Image, mixed_image
from tests.support.processes import wait_until

#: Seconds: an answer that takes as long has waited for the lock.
MOST = 3.0


class LockedIndexTests(PullThroughCase):
    """A daemon that has pulled one image, and has nothing in memory any more."""

    def setUp(self) -> None:
        """Let it pull, and start it again."""
        self.upstream = self.faulty_upstream()
        self.images: dict[str, Image] = {}
        self.layers: dict[str, GeneratedContent] = {}
        for name in ("warm", "cold"):
            self.images[name] = mixed_image(name, 100_000)
            self.upstream.add_image(name, self.images[name], "1")
            self.layers[name] = self.upstream.add_generated_blob(name, 4_000_000, name)
        self.daemon = self.regcache(upstream_config(self.upstream.url))
        self.client = self.daemon.client()
        self.pull("warm")
        self.restart()

    def restart(self) -> None:
        """Stop and start it."""
        self.assertEqual(self.daemon.stop(), 0, self.daemon.log())
        self.daemon.start()

    def pull(self, name: str) -> float:
        """Pull an image, and a layer of several MiB. Returns the seconds of the slowest answer."""
        image, layer = self.images[name], self.layers[name]
        targets = [f"manifests/{each}" for each in ("1", image.digest)]
        targets += [f"blobs/{each}" for each in (*self.blobs(image), layer.digest)]
        slowest = 0.0
        for target in targets:
            begun = time.monotonic()
            answer = self.client.get(f"/v2/{name}/{target}")
            slowest = max(slowest, time.monotonic() - begun)
            self.assertEqual(answer.status, 200)
        self.assertEqual(len(answer.body), layer.size)
        return slowest

    def blobs(self, image: Image) -> Sequence[str]:
        """The digests of the blobs of an image."""
        return [each.digest for each in image.blobs]

    def ready(self) -> tuple[int, bytes]:
        """What /readyz says."""
        answer = self.client.get("/readyz")
        return answer.status, answer.body

    def test_pulls(self) -> None:
        """No answer waits for it, it is said once, and what was pulled meanwhile is not lost."""
        path = self.daemon.directory / "index.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            took = [self.pull(name) for name in ("warm", "cold", "cold")]
            print("slowest answers, warm, cold, again:", [round(each, 3) for each in took])
            self.assertLess(max(took), MOST)
            wait_until(lambda: self.ready()[0] == 503, "it is said", 10)
            self.assertIn(b"locked the index", self.ready()[1])
            other.execute("ROLLBACK")
        wait_until(lambda: self.ready()[0] == 200, "it goes on", 10)
        self.assertEqual(len(self.assert_logged(self.daemon, "locked the index")), 1)
        self.assertNotIn("failed", self.daemon.log())
        self.restart()
        self.upstream.close()
        self.assertLess(self.pull("cold"), MOST)

    def test_end(self) -> None:
        """A daemon that is told to stop meanwhile stops."""
        path = self.daemon.directory / "index.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            self.pull("cold")
            begun = time.monotonic()
            self.assertEqual(self.daemon.stop(), 0, self.daemon.log())
            print("stopped after", round(time.monotonic() - begun, 1))
            self.assert_logged(self.daemon, "changes of the index are lost")
        self.daemon.start()
        self.pull("cold")
