"""The end of the daemon: a disk that hangs holds it up no longer than others, and nobody twice."""

import os
import signal
import time
from pathlib import Path

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.downloads import Download
from tests.support.images import MIB
from tests.support.processes import CHECKOUT, Workspace, wait_until
from tests.support.servers import Regcache

DRAIN = 2
#: What the daemon's interpreter runs before anything else. Once there is a file HUNG, calls that
#: reach the disk wait in the kernel for who never comes: a FIFO that nobody writes.
SITE_CUSTOMIZE = """
import os
import sys
import threading

FOLDER = os.path.dirname(__file__)
HUNG, FIFO = os.path.join(FOLDER, "hung"), os.path.join(FOLDER, "fifo")

def hanging(name, call):
    def hang(*args, **kwargs):
        if os.path.exists(HUNG) and threading.current_thread() is not threading.main_thread():
            print("HANGS:", name, flush=True)
            with open(FIFO):
                pass
        return call(*args, **kwargs)
    return hang

if any("twistd" in one for one in sys.orig_argv):
    for each in ("pwritev", "preadv", "pread", "fdatasync", "fsync", "replace", "statvfs"):
        setattr(os, each, hanging(each, getattr(os, each)))
    import sqlite3
    sqlite3.connect = hanging("connect", sqlite3.connect)
"""


class StoppingTests(PullThroughCase):
    """A daemon that is told to stop while something holds it up."""

    def setUp(self) -> None:
        """Prepare one whose disk can be made to hang."""
        self.upstream = self.faulty_upstream()
        self.folder: Workspace = self.workspace()
        self.folder.file("sitecustomize.py", SITE_CUSTOMIZE)
        os.mkfifo(self.folder.path / "fifo")
        self.daemon = Regcache(
            {**upstream_config(self.upstream.url), "limits": {"drain": f"{DRAIN}s"}}
        )
        self.addCleanup(self.daemon.close)
        self.daemon.environment = {"PYTHONPATH": f"{self.folder.path}:{CHECKOUT}"}

    def hang(self) -> None:
        """From now on the disk does not answer."""
        Path(self.folder.path / "hung").touch()

    def download(self, rate: float | None = None, size: int = 16 * MIB) -> Download:
        """A download that has begun."""
        self.upstream.rate = rate
        blob = self.upstream.add_generated_blob("team/app", size)
        one = Download(self.daemon.client(), f"/v2/team/app/blobs/{blob.digest}")
        wait_until(lambda: one.received > 0, "the first bytes")
        return one

    def ended_after(self, most: float) -> float:
        """The seconds to its end, of which there may be so many."""
        started = time.monotonic()
        self.daemon.process.wait(most + 30)
        return time.monotonic() - started

    def test_hung_disk(self) -> None:
        """A disk that hangs delays the stop by no more than 10 s beyond ``drain``; status 1."""
        self.daemon.start()
        self.assert_delayed(self.download(rate=4e6))

    def test_hung_disk_behind_a_fast_upstream(self) -> None:
        """So does one that hangs while threads receive."""
        self.daemon.start()
        self.assert_delayed(self.download(size=256 * MIB))

    def assert_delayed(self, one: Download) -> None:
        """What the disk does to a download delays the stop for a while, and ends it."""
        self.hang()
        wait_until(lambda: "HANGS" in self.daemon.log(), "something hangs")
        self.daemon.process.signal(signal.SIGTERM)
        self.assertLess(self.ended_after(DRAIN + 10), DRAIN + 10)
        self.assertEqual(self.daemon.process.wait(), 1)
        self.assertIn("a disk does not answer", self.daemon.log())
        self.assertNotIn("Traceback", self.daemon.log())
        one.wait(10)

    def test_disk_that_hangs_at_the_start(self) -> None:
        """So it is before the storage is open, and nobody was let in."""
        self.hang()
        self.daemon.launch()
        wait_until(lambda: "HANGS: connect" in self.daemon.log(), "it opens the index")
        with self.assertRaises(ConnectionRefusedError):
            self.daemon.client().get("/v2/")
        self.daemon.process.signal(signal.SIGTERM)
        self.assertLess(self.ended_after(DRAIN + 10), DRAIN + 10)
        self.assertEqual(self.daemon.process.wait(), 1)

    def test_second_signal(self) -> None:
        """Told a second time it ends at once: answers are cut, nothing is waited for."""
        self.daemon.config["limits"]["drain"] = "5m"
        self.daemon.start()
        one = self.download(rate=1e6)
        self.daemon.process.signal(signal.SIGTERM)
        wait_until(lambda: "stopping: answers may take" in self.daemon.log(), "it stops")
        self.assertIsNone(one.error)
        self.daemon.process.signal(signal.SIGTERM)
        self.assertEqual(self.daemon.process.wait(60), 0)
        self.assertIsNotNone(one.wait(5).error)
        self.assertIn("a second time", self.daemon.log())

    def test_second_signal_and_hung_disk(self) -> None:
        """So it is where the disk hangs."""
        self.daemon.config["limits"]["drain"] = "5m"
        self.daemon.start()
        self.download(rate=1e6)
        self.hang()
        wait_until(lambda: "HANGS" in self.daemon.log(), "something hangs")
        for text in ("stopping: answers may take", "a second time"):
            self.daemon.process.signal(signal.SIGTERM)
            wait_until(lambda text=text: text in self.daemon.log(), "it heard of it")
        self.assertEqual(self.daemon.process.wait(60), 0)
