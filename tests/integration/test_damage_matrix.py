"""Each damage of stored files, found in each way: by read, suspicion, scrub and verify.

==================  ======================  =============  =========================  ===========
damage              read                    suspicion      scrub                      verify
==================  ======================  =============  =========================  ===========
flipped, small      before its answer       as by read     when its folder is due     at once
flipped, large      not by default; with    behind the     when its folder is due     at once
                    ``all`` before its      second answer
                    last bytes
cut                 before its answer       as by read     by the comparison          at once
gone                a miss                  a miss         by the comparison          at once
too much, right     a hit, once the         as by read     adopted by the comparison  adopted
                    upstream proved it
too much, wrong     a miss                  a miss         by the comparison          at once
==================  ======================  =============  =========================  ===========

``all`` is in :mod:`tests.integration.test_verification`.
"""

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.access.accounts import hashed
from tests.integration.base import PullThroughCase, upstream_config
from tests.support.all_calls import CHANGE
from tests.support.downloads import Download
from tests.support.generated import GeneratedContent
from tests.support.images import MIB
from tests.support.processes import CHECKOUT, Workspace, wait_until
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache

REPOSITORY = "team/app"
MISS = "regcache; fwd=uri-miss; stored"
SIZES = {"small": 300_000, "large": 5 * MIB}
DAMAGES = ("flipped", "cut", "gone", "too much, right", "too much, wrong")
#: What the daemon's interpreter runs first: what comes a minute after a start comes at once.
SITE_CUSTOMIZE = """
import sys

if any("twistd" in one for one in sys.orig_argv):
    from regcache.store import scrub
    scrub.FIRST, scrub.PAUSE = 0.3, 0.001
"""


class DamageMatrixTests(PullThroughCase):
    """A daemon whose files were damaged in every way while it was stopped."""

    def setUp(self) -> None:
        self.upstream = self.faulty_upstream()
        folder: Workspace = self.workspace()
        accounts = folder.file("htpasswd", f"admin:{hashed('secret').decode()}\n")
        access = {"htpasswd": str(accounts), "admins": ["admin"]}
        access |= {"rules": [{"accounts": ["anonymous"]}]}
        self.daemon = Regcache({**upstream_config(self.upstream.url), "access": access})
        self.addCleanup(self.daemon.close)
        self.scrub_folder = folder
        self.blobs = {
            (damage, size): self.upstream.add_generated_blob(REPOSITORY, length, damage + size)
            for damage in DAMAGES
            for size, length in SIZES.items()
        }
        self.fine = self.upstream.add_generated_blob(REPOSITORY, 2 * MIB, "fine")
        self.start()
        for (damage, _), blob in self.blobs.items():
            if not damage.startswith("too much"):
                self.assertEqual(self.pull(blob).headers["cache-status"], MISS)
        self.pull(self.fine)
        self.assertEqual(self.daemon.stop(), 0)
        for (damage, _), blob in self.blobs.items():
            self.damage(damage, blob)

    def start(self, **storage: Any) -> None:
        """Start it."""
        self.daemon.config["storage"] |= storage
        self.daemon.start()
        self.client = self.daemon.client()
        self.admin = RegistryClient(
            f"http://127.0.0.1:{self.daemon.admin_port}", ("admin", "secret")
        )

    def path(self, blob: GeneratedContent) -> Path:
        """Where a blob is stored."""
        algorithm, _, name = blob.digest.partition(":")
        return self.daemon.directory / "blobs" / algorithm / name[:2] / name

    def damage(self, what: str, blob: GeneratedContent) -> None:
        """Do it."""
        path = self.path(blob)
        if what == "gone":
            path.unlink()
            return
        path.parent.mkdir(exist_ok=True)
        if what == "cut":
            os.truncate(path, blob.size - 1000)
            return
        content = bytearray(blob.read(0, blob.size))
        if what != "too much, right":
            content[100_000:100_004] = bytes(each ^ 0x55 for each in content[100_000:100_004])
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        if what == "flipped":
            path.chmod(0o400)

    def pull(self, blob: GeneratedContent) -> Download:
        """Pull a blob."""
        one = Download(self.client, f"/v2/{REPOSITORY}/blobs/{blob.digest}").wait(30)
        self.assertEqual((one.error, one.status, one.received), (None, 200, blob.size))
        return one

    def assert_mended(self) -> None:
        """The next pull of each is right, and so is what is stored then."""
        for each, blob in self.blobs.items():
            self.assert_right(each, blob)
            self.assert_stored(blob)
        self.assertIn("; hit", self.pull(self.fine).headers["cache-status"])

    def assert_right(self, what: tuple[str, str], blob: GeneratedContent) -> None:
        """It is fetched anew; what was right, and nobody's, is shown for a proof."""
        one = self.pull(blob)
        self.assertEqual(one.digest, blob.digest, what)
        shown = "regcache; hit" if what[0] == "too much, right" else MISS
        self.assertEqual(one.headers["cache-status"], shown, what)
        asked = [each for each in self.upstream.requests if blob.digest in each.path]
        self.assertTrue(asked, "nothing proved the right to it")

    def assert_stored(self, blob: GeneratedContent) -> None:
        """It is on the disk, or will soon be: small ones are written behind their answers."""
        wait_until(self.path(blob).exists, "it is stored")
        self.assertEqual(self.path(blob).read_bytes(), blob.read(0, blob.size))

    def is_damaged(self, damage: str, size: str) -> bool:
        """Whether its file is one that a look at all files finds, and removes."""
        return damage in ("flipped", "cut", "too much, wrong")

    def assert_told(self) -> None:
        """A line of the log for each damaged file, with its digest, and the metric."""
        damaged = [blob for each, blob in self.blobs.items() if self.is_damaged(*each)]
        for blob in damaged:
            self.assertEqual(len(self.assert_logged(self.daemon, "damaged", blob.digest)), 1)
        self.assertEqual(self.daemon.metric("regcache_damaged_contents_total"), len(damaged))

    def test_read(self) -> None:
        """All but large flipped ones are fetched anew for the very request that finds them."""
        self.start()
        large = self.blobs["flipped", "large"]
        for each, blob in self.blobs.items():
            if blob is not large:
                self.assert_right(each, blob)
        for _ in range(2):  # that is what verify_on_read: small says; then its client asks again
            self.assertNotEqual(self.pull(large).digest, large.digest)
        wait_until(lambda: not self.path(large).exists(), "it was suspected, and is removed")
        self.assertEqual(self.pull(large).digest, large.digest)
        for blob in self.blobs.values():
            self.assert_stored(blob)
            self.assertIn("; hit", self.pull(blob).headers["cache-status"])

    def test_verify(self) -> None:
        """An administrator has all found at once."""
        self.start()
        begun = self.admin.ask("POST", "/api/v1/verify", b"{}", CHANGE).json()["job"]

        def ended() -> bool:
            self.told = self.admin.get(f"/api/v1/job?id={begun}").json()
            return bool(self.told["ended"])

        wait_until(ended, "it was verified")
        damaged = {blob.digest for each, blob in self.blobs.items() if self.is_damaged(*each)}
        self.assertEqual(set(self.told["result"]["damaged"]), damaged)
        self.assertEqual((self.told["result"]["missing"], self.told["result"]["adopted"]), (2, 2))
        self.assert_told()
        self.assert_mended()

    def test_scrub(self) -> None:
        """The scrub finds all by itself, and goes on where a former process was."""
        self.scrub_folder.file("sitecustomize.py", SITE_CUSTOMIZE)
        self.daemon.environment = {"PYTHONPATH": f"{self.scrub_folder.path}:{CHECKOUT}"}
        self.note_round(began=time.time() - 3600)  # so all of it is due
        self.start(scrub="1h")
        damaged = [blob for each, blob in self.blobs.items() if self.is_damaged(*each)]
        wait_until(lambda: not any(self.path(each).exists() for each in damaged), "all are found")
        self.assert_told()
        self.assert_mended()

    def note_round(self, began: float) -> None:
        """What a former process would have noted of its round."""
        with closing(sqlite3.connect(self.daemon.directory / "index.sqlite")) as index, index:
            text = json.dumps({"began": began, "next": 0})
            index.execute("INSERT OR REPLACE INTO progress VALUES ('scrub', ?)", (text,))
