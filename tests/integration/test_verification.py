"""Flipped bytes in stored files, found by the daemon that serves them; the next pull is right."""

import hashlib
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

    def path(self, blob: GeneratedContent) -> Path:
        """Where a blob is stored."""
        return self.path_of(blob.digest)

    def path_of(self, digest: str) -> Path:
        """The same of a digest."""
        algorithm, _, name = digest.partition(":")
        return self.directory / "blobs" / algorithm / name[:2] / name

    def rot(self, blob: GeneratedContent) -> Path:
        """Store a blob, restart, and have four of its bytes flip."""
        self.pull(blob)
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        path = self.path(blob)
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
        cut, gone, fine = (
            self.upstream.add_generated_blob(REPOSITORY, 2_000_000, name)
            for name in ("cut", "gone", "fine")
        )
        for blob in (cut, gone, fine, self.small):
            self.pull(blob)
        flipped = [self.rot(each) for each in (self.large, self.small)]
        os.truncate(self.path(cut), 1000)
        self.path(gone).unlink()
        foreign, wrong = hashlib.sha256(b"foreign").hexdigest(), "ab" * 32
        for name in (foreign, wrong):
            path = self.path_of(f"sha256:{name}")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"foreign")
        told = self.verify()
        self.assertEqual((told["state"], told["error"]), ("done", None))
        result = told["result"]
        names = {self.large.digest, self.small.digest, cut.digest, f"sha256:{wrong}"}
        self.assertEqual((set(result["damaged"]), result["damaged_count"]), (names, 4))
        self.assertEqual((result["missing"], result["adopted"]), (1, 1))
        self.assertEqual([each.exists() for each in flipped], [False, False])
        self.assertEqual(self.notices(), [("storage.damaged", 4)])
        for blob in (self.large, self.small, cut, gone):
            self.assertEqual(self.pull(blob).headers["cache-status"], MISS)
        self.assertIn("; hit", self.pull(fine).headers["cache-status"])
        refused = self.client.get(f"/v2/{REPOSITORY}/blobs/sha256:{foreign}")
        self.assertEqual(refused.status, 404, "what was adopted is nobody's")
        self.assertEqual(self.verify()["result"]["damaged"], [])
        self.assertEqual(self.notices(), [])

    def notices(self) -> list[tuple[str, int]]:
        """What GET status warns of, and how many there are."""
        told = self.admin().get("/api/v1/status").json()["notices"]
        return [(each["code"], each["params"]["count"]) for each in told]

    def admin(self) -> RegistryClient:
        """Asks as an administrator."""
        return RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}", ("admin", "secret"))

    def verify(self) -> Any:
        """Have it done; what is told of the job in the end."""
        admin = self.admin()
        headers = {"X-Regcache": "1", "Content-Type": "application/json"}
        begun = admin.ask("POST", "/api/v1/verify", b"{}", headers)
        self.assertEqual(begun.status, 202, begun.body)
        told: list[Any] = []

        def ended() -> bool:
            told.append(admin.get(f"/api/v1/job?id={begun.json()['job']}").json())
            return bool(told[-1]["ended"])

        wait_until(ended, "the verification has ended")
        return told[-1]

    def test_suspicion(self) -> None:
        """By default it is found when its client asks again, and fetched anew after that."""
        self.start()
        path = self.rot(self.large)
        for _ in range(2):
            self.assertNotEqual(self.pull(self.large, right=False).digest, self.large.digest)
        wait_until(lambda: not path.exists(), "the damaged file is removed")
        self.assert_told(self.large)
        self.assertEqual(self.pull(self.large).headers["cache-status"], MISS)
