"""A disk that takes its time holds up only those who wait for it."""

import time

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.downloads import Download
from tests.support.images import MIB, mixed_image
from tests.support.processes import CHECKOUT, Workspace, wait_until
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache

REPOSITORY = "team/app"
MANIFEST_PATH = f"/v2/{REPOSITORY}/manifests/1"
#: What the daemon's interpreter runs before anything else. Every call that may wait for a disk
#: waits; nothing is in the page cache; and once there is a file WATCHED such a call in the main
#: thread, where the reactor runs, is told of.
SITE_CUSTOMIZE = """
import os
import sys
import threading
import time

WATCHED = os.path.join(os.path.dirname(__file__), "watched")

def slowed(name):
    call = getattr(os, name)
    def slow(*args):
        if name == "preadv" and len(args) > 3 and args[3] & os.RWF_NOWAIT:
            raise BlockingIOError(11, "not in the page cache")
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.2)
        elif os.path.exists(WATCHED):
            print("BLOCKED THE REACTOR:", name, flush=True)
        return call(*args)
    return slow

if any("twistd" in one for one in sys.orig_argv):
    for each in ("pwritev", "preadv", "pread", "pwrite", "fdatasync", "fsync", "replace"):
        setattr(os, each, slowed(each))
"""


class SlowDiskTests(PullThroughCase):
    """A daemon in which every read and write of the disk takes 200 ms."""

    def setUp(self) -> None:
        """Start one in front of an upstream with a small image and a larger blob."""
        self.upstream = self.faulty_upstream()
        self.image = mixed_image("slow", 1000)
        self.upstream.add_image(REPOSITORY, self.image, "1")
        self.blob = self.upstream.add_generated_blob(REPOSITORY, MIB)
        folder: Workspace = self.workspace()
        folder.file("sitecustomize.py", SITE_CUSTOMIZE)
        self.daemon = Regcache(upstream_config(self.upstream.url))
        self.addCleanup(self.daemon.close)
        self.daemon.environment = {"PYTHONPATH": f"{folder.path}:{CHECKOUT}"}
        self.daemon.start()
        folder.file("watched", "")

    def slowest(self, path: str, count: int) -> float:
        """The longest of so many requests on one connection (seconds)."""
        connection = self.daemon.client().connect()
        self.addCleanup(connection.close)
        slowest = 0.0
        for _ in range(count):
            started = time.monotonic()
            connection.request("GET", path)
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            answer.read()
            slowest = max(slowest, time.monotonic() - started)
            time.sleep(0.01)
        return slowest

    def test_others_are_answered_while_the_disk_is_slow(self) -> None:
        """``/v2/`` and a manifest in memory are answered within 50 ms beside busy downloads."""
        client: RegistryClient = self.daemon.client()
        self.assertEqual(client.get(MANIFEST_PATH).body, self.image.data)
        target = f"/v2/{REPOSITORY}/blobs/{self.blob.digest}"
        for state in ("growing", "finished"):
            busy = [Download(client, target) for _ in range(2)]
            wait_until(lambda busy=busy: any(one.received for one in busy), "bytes flow")
            for path in ("/v2/", MANIFEST_PATH, "/healthz"):
                slowest = min(self.slowest(path, 5) for _ in range(2))
                self.assertLess(slowest, 0.05, f"{path} while the blob is {state}")
            self.assertTrue(any(one.is_alive() for one in busy), "the disk was not slow")
            for one in busy:
                one.wait(60)
                self.assertEqual((one.error, one.digest), (None, self.blob.digest))
        blocked = [one for one in self.daemon.log().splitlines() if "BLOCKED" in one]
        self.assertEqual(blocked, [])
