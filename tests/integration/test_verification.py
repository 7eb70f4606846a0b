"""Flipped bytes in stored files, found by the daemon that serves them; the next pull is right."""

import os
from pathlib import Path
from typing import Any

from tests.access.accounts import hashed
from tests.integration.base import PullThroughCase, upstream_config
from tests.support.downloads import Download
from tests.support.generated import GeneratedContent
from tests.support.images import MIB
from tests.support.processes import wait_until
from tests.support.registry_client import RegistryClient

REPOSITORY = "team/app"
MISS = "regcache; fwd=uri-miss; stored"


class VerificationTests(PullThroughCase):
    """A daemon whose disk rots."""

    def start(self, access: Any = None, **storage: Any) -> None:
        """Start one in front of an upstream with a small and a large blob."""
        self.upstream = self.faulty_upstream()
        self.large = self.upstream.add_generated_blob(REPOSITORY, 5 * MIB, "large")
        self.small = self.upstream.add_generated_blob(REPOSITORY, 300_000, "small")
        directory = str(self.workspace().path / "cache")
        more = {"directory": directory, "max_size": "20GiB", "min_free": "1MiB", **storage}
        config = {**upstream_config(self.upstream.url), "storage": more}
        self.daemon = self.regcache(config if access is None else {**config, "access": access})
        self.directory = Path(directory)
        self.client = self.daemon.client()

    def pull(self, blob: GeneratedContent, right: bool = True) -> Download:
        """Pull a blob."""
        one = Download(self.client, f"/v2/{REPOSITORY}/blobs/{blob.digest}").wait(20)
        if right:
            self.assertEqual((one.error, one.status, one.digest), (None, 200, blob.digest))
        return one

    def rot(self, blob: GeneratedContent) -> Path:
        """Store a blob, restart, and have four of its bytes flip."""
        self.pull(blob)
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        algorithm, _, name = blob.digest.partition(":")
        path = self.directory / "blobs" / algorithm / name[:2] / name
        os.chmod(path, 0o600)
        with path.open("r+b") as target:
            target.seek(100_000)
            old = target.read(4)
            target.seek(100_000)
            target.write(bytes(byte ^ 0x55 for byte in old))
        os.chmod(path, 0o400)
        return path

    def assert_told(self, blob: GeneratedContent) -> None:
        """One line of the log, and the metrics."""
        (line,) = self.assert_logged(self.daemon, "damaged, and was removed", blob.digest)
        for word in (f"{blob.size} bytes", "another digest"):
            self.assertIn(word, line)
        self.assertEqual(self.daemon.metric("regcache_damaged_contents_total"), 1)

    def test_small(self) -> None:
        """A small blob is fetched anew for the very request that would have got it."""
        self.start()
        self.rot(self.small)
        self.assertEqual(self.pull(self.small).headers["cache-status"], MISS)
        self.assert_told(self.small)
        self.assertIn("; hit", self.pull(self.small).headers["cache-status"])

    def test_large_meanwhile(self) -> None:
        """With ``all`` a large one is cut off before its last bytes, and the next pull is right."""
        self.start(verify_on_read="all")
        self.rot(self.large)
        one = self.pull(self.large, right=False)
        self.assertIsNotNone(one.error)
        self.assert_told(self.large)
        self.assertEqual(self.pull(self.large).headers["cache-status"], MISS)

    def test_large_whole(self) -> None:
        """A large one that is right is sent whole, and hashed once."""
        self.start(verify_on_read="all")
        self.pull(self.large)
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        for _ in range(2):
            self.assertIn("; hit", self.pull(self.large).headers["cache-status"])

    def test_verify(self) -> None:
        """An administrator has everything verified: flipped, cut, gone and foreign files."""
        accounts = self.workspace().file("htpasswd", f"admin:{hashed('secret').decode()}\n")
        rules = [{"accounts": ["anonymous"]}]
        self.start(access={"htpasswd": str(accounts), "admins": ["admin"], "rules": rules})
        path = self.rot(self.large)
        foreign = path.with_name(path.name[:2] + "0" * 62)
        foreign.write_bytes(b"something else")
        url = f"http://127.0.0.1:{self.daemon.admin_port}"
        admin = RegistryClient(url, ("admin", "secret"))
        headers = {"X-Regcache": "1", "Content-Type": "application/json"}
        begun = admin.ask("POST", "/api/v1/verify", b"{}", headers)
        self.assertEqual(begun.status, 202, begun.body)
        job = begun.json()["job"]

        def ended() -> bool:
            self.told = admin.get(f"/api/v1/job?id={job}").json()
            return bool(self.told["ended"])

        wait_until(ended, "the verification has ended")
        self.assertEqual((self.told["state"], self.told["error"]), ("done", None))
        result = self.told["result"]
        names = {self.large.digest, f"sha256:{foreign.name}"}
        self.assertEqual((set(result["damaged"]), result["damaged_count"]), (names, 2))
        self.assertEqual([each.exists() for each in (path, foreign)], [False, False])
        self.assertEqual(self.pull(self.large).headers["cache-status"], MISS)

    def test_suspicion(self) -> None:
        """By default it is found when its client asks again, and fetched anew after that."""
        self.start()
        path = self.rot(self.large)
        for _ in range(2):
            self.assertNotEqual(self.pull(self.large, right=False).digest, self.large.digest)
        wait_until(lambda: not path.exists(), "the damaged file is removed")
        self.assert_told(self.large)
        self.assertEqual(self.pull(self.large).headers["cache-status"], MISS)
