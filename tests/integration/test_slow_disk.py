"""A disk that does not answer holds up only those who wait for it."""

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.downloads import Download
from tests.support.images import MIB, mixed_image
from tests.support.processes import CHECKOUT, Workspace, wait_until
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache

REPOSITORY = "team/app"
MANIFEST_PATH = f"/v2/{REPOSITORY}/manifests/1"
#: What the daemon's interpreter runs before anything else. As long as there is a file HUNG every
#: call that may wait for a disk waits, and says so; nothing is in the page cache. Such a call in
#: the main thread, where the reactor runs, is told of.
SITE_CUSTOMIZE = """
import os
import sys
import threading
import time

HUNG = os.path.join(os.path.dirname(__file__), "hung")

def slowed(name):
    call = getattr(os, name)
    def slow(*args):
        if name == "preadv" and len(args) > 3 and args[3] & os.RWF_NOWAIT:
            raise BlockingIOError(11, "not in the page cache")
        if os.path.exists(HUNG):
            if threading.current_thread() is threading.main_thread():
                print("BLOCKED THE REACTOR:", name, flush=True)
            else:
                print("WAITS FOR THE DISK:", name, flush=True)
                while os.path.exists(HUNG):
                    time.sleep(0.02)
        return call(*args)
    return slow

if any("twistd" in one for one in sys.orig_argv):
    for each in ("pwritev", "preadv", "pread", "pwrite", "fdatasync", "fsync", "replace"):
        setattr(os, each, slowed(each))
"""
#: While there is a file LATE the next look at a partial file in place of stored content is told
#: of only when the file HELD, which it then leaves, is gone. What it found is older by then.
LATE_ANSWER = """
import os
import sys
import time

FOLDER = os.path.dirname(__file__)
LATE, HELD = os.path.join(FOLDER, "late"), os.path.join(FOLDER, "held")
lexists = os.path.lexists

def look_and_wait(path):
    found = lexists(path)
    if "/partial/" in str(path) and os.path.exists(LATE):
        os.rename(LATE, HELD)
        while os.path.exists(HELD):
            time.sleep(0.02)
    return found

if any("twistd" in one for one in sys.orig_argv):
    os.path.lexists = look_and_wait
"""


class SlowDiskTests(PullThroughCase):
    """A daemon whose disk can be made to wait."""

    def setUp(self) -> None:
        """Start one in front of an upstream with a small image and a larger blob."""
        self.upstream = self.faulty_upstream()
        self.image = mixed_image("slow", 1000)
        self.upstream.add_image(REPOSITORY, self.image, "1")
        self.blob = self.upstream.add_generated_blob(REPOSITORY, MIB)
        folder: Workspace = self.workspace()
        folder.file("sitecustomize.py", SITE_CUSTOMIZE)
        self.hung = folder.path / "hung"
        self.daemon = Regcache(upstream_config(self.upstream.url))
        self.addCleanup(self.daemon.close)
        self.daemon.environment = {"PYTHONPATH": f"{folder.path}:{CHECKOUT}"}
        self.daemon.start()

    def waiting(self) -> int:
        """How many calls have waited for the disk so far."""
        return self.daemon.log().count("WAITS FOR THE DISK")

    def test_others_are_answered_while_the_disk_hangs(self) -> None:
        """``/v2/`` and a manifest in memory are answered while downloads wait for the disk."""
        client: RegistryClient = self.daemon.client()
        self.assertEqual(client.get(MANIFEST_PATH).body, self.image.data)
        target = f"/v2/{REPOSITORY}/blobs/{self.blob.digest}"
        for state in ("growing", "finished"):
            before = self.waiting()
            self.hung.touch()
            busy = [Download(client, target) for _ in range(2)]
            wait_until(lambda before=before: self.waiting() > before, "somebody waits")
            for path in ("/v2/", MANIFEST_PATH, "/healthz"):
                self.assertEqual(client.get(path).status, 200, f"{path} while it is {state}")
            self.assertTrue(all(one.is_alive() for one in busy), "the disk was not waited for")
            self.hung.unlink()
            for one in busy:
                one.wait()
                self.assertEqual((one.error, one.digest), (None, self.blob.digest))
        blocked = [one for one in self.daemon.log().splitlines() if "BLOCKED" in one]
        self.assertEqual(blocked, [])


class LateAnswerTests(PullThroughCase):
    """A look at the disk whose answer comes when it is not true any more."""

    def test_absent_behind_a_whole_download(self) -> None:
        """What was absent, and was fetched and stored meanwhile, is not fetched again."""
        upstream, folder = self.faulty_upstream(), self.workspace()
        folder.file("sitecustomize.py", LATE_ANSWER)
        daemon = Regcache(upstream_config(upstream.url))
        self.addCleanup(daemon.close)
        daemon.environment = {"PYTHONPATH": f"{folder.path}:{CHECKOUT}"}
        daemon.start()
        for size in (20_000, MIB):
            blob = upstream.add_generated_blob(REPOSITORY, size, size)
            target = f"/v2/{REPOSITORY}/blobs/{blob.digest}"
            folder.file("late", "")
            first = Download(daemon.client(), target)
            wait_until((folder.path / "held").exists, "its look at the disk waits")
            for outcome in ("stored", "hit"):
                other = Download(daemon.client(), target).wait()
                self.assertEqual((other.error, other.digest), (None, blob.digest))
                self.assertIn(outcome, other.headers["cache-status"])
            self.assertTrue(first.is_alive())
            (folder.path / "held").unlink()
            self.assertEqual((first.wait().error, first.digest), (None, blob.digest))
            self.assertEqual([one.path for one in upstream.asked()].count(target), 1)
