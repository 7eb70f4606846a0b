"""Stored files that were cut, changed or replaced by something that is no file."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.generated import GeneratedContent
from tests.support.images import MIB, mixed_image
from tests.support.processes import wait_until

REPOSITORY = "team/app"
MISS = "regcache; fwd=uri-miss; stored"


class DamagedStorageTests(PullThroughCase):
    """A daemon whose files somebody changes while it does not look."""

    def setUp(self) -> None:
        """Start one in front of an upstream with an image and blobs of two sizes."""
        self.upstream = self.faulty_upstream()
        self.image = mixed_image("damaged", 1000)
        self.upstream.add_image(REPOSITORY, self.image, "1")
        self.large = self.upstream.add_generated_blob(REPOSITORY, 3 * MIB, "large")
        self.small = self.upstream.add_generated_blob(REPOSITORY, 20_000, "small")
        self.daemon = self.regcache(upstream_config(self.upstream.url))
        self.client = self.daemon.client()

    def target(self, blob: GeneratedContent) -> str:
        """What clients ask for."""
        return f"/v2/{REPOSITORY}/blobs/{blob.digest}"

    def pull(self, blob: GeneratedContent) -> str:
        """Pull a blob; it must be right. What the answer says of the cache."""
        one = Download(self.client, self.target(blob)).wait(20)
        self.assertEqual((one.error, one.status, one.digest), (None, 200, blob.digest))
        return one.headers["cache-status"]

    def file(self, digest: str) -> Path:
        """Where content is stored."""
        algorithm, _, name = digest.partition(":")
        return Path(self.daemon.directory) / "blobs" / algorithm / name[:2] / name

    def restart(self) -> None:
        """Have nothing in memory, and everything on the disk."""
        self.assertEqual(self.daemon.stop(), 0, self.daemon.log())
        self.daemon.start()

    def lines(self, text: str) -> list[str]:
        """The lines of the log that say it."""
        return [line for line in self.daemon.log().splitlines() if text in line]

    def test_cut_blobs(self) -> None:
        """A blob that was cut is fetched anew for the very request that finds it, and said so."""
        for blob in (self.large, self.small):
            self.assertEqual(self.pull(blob), MISS)
            self.restart()
            os.truncate(self.file(blob.digest), blob.size // 2)
            self.assertEqual(self.pull(blob), MISS)
            [line] = self.lines("stored content is damaged")
            for word in (blob.digest, f"{blob.size // 2} bytes", f"index says {blob.size} bytes"):
                self.assertIn(word, line)
            self.assertEqual(self.daemon.metric("regcache_storage_errors_total"), 1)
            self.assertIn("; hit", self.pull(blob))
            self.daemon.process.log_path.write_text("")

    def test_head_of_a_cut_blob(self) -> None:
        """HEAD says nothing of a file that GET would not serve."""
        self.pull(self.large)
        self.restart()
        self.assertIn("; hit", self.client.head(self.target(self.large)).headers["cache-status"])
        os.truncate(self.file(self.large.digest), 7)
        answer = self.client.head(self.target(self.large))
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-length"], str(self.large.size))
        self.assertNotIn("hit", answer.headers["cache-status"])
        self.assertFalse(self.file(self.large.digest).exists())

    def test_cut_manifest(self) -> None:
        """So it is with manifests, by tag and by digest."""
        for reference in ("1", self.image.digest):
            path = f"/v2/{REPOSITORY}/manifests/{reference}"
            self.assertEqual(self.client.get(path).body, self.image.data)
            self.restart()
            os.truncate(self.file(self.image.digest), 10)
            asked = len(self.upstream.asked("manifests"))
            self.assertEqual(self.client.get(path).body, self.image.data)
            self.assertEqual(len(self.upstream.asked("manifests")), asked + 1)
            self.assertEqual(len(self.lines("stored content is damaged")), 1)
            self.daemon.process.log_path.write_text("")

    def test_cut_while_it_is_sent(self) -> None:
        """A client whose file becomes shorter while it is sent is cut, and gets no whole one."""
        blob = self.upstream.add_generated_blob(REPOSITORY, 64 * MIB, "sent")
        self.pull(blob)

        def cut(received: int) -> None:
            if self.file(blob.digest).stat().st_size == blob.size:
                os.truncate(self.file(blob.digest), blob.size // 2)

        one = Download(self.client, self.target(blob), cut, receive_buffer=65536)
        one.wait(30)
        self.assertIsNotNone(one.error)
        self.assertLess(one.received, blob.size)
        self.assertEqual(self.pull(blob), MISS)

    def strange(self) -> dict[str, Callable[[Path], None]]:
        """What may stand where a file belongs."""

        def folder(path: Path) -> None:
            path.mkdir()
            (path / "of somebody").write_text("precious")

        def bind(path: Path) -> None:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(path.parent / "short"))
            (path.parent / "short").rename(path)

        return {
            "a folder": folder,
            "a FIFO": os.mkfifo,
            "a link": lambda path: path.symlink_to("/etc/passwd"),
            "a link to nowhere": lambda path: path.symlink_to("nowhere"),
            "a socket": bind,
        }

    def test_no_file_under_blobs(self) -> None:
        """A folder, FIFO, link or socket in the place of content is a miss, and told."""
        for blob in (self.large, self.small):
            self.pull(blob)
            for kind, make in self.strange().items():
                self.restart()
                self.file(blob.digest).unlink()
                make(self.file(blob.digest))
                self.assertEqual(self.pull(blob), MISS, kind)
                wait_until(self.file(blob.digest).is_file, f"it is stored in the place of {kind}")
                self.assertFalse(self.file(blob.digest).is_symlink(), kind)
                self.assertEqual(len(self.lines("is no file or folder of this program")), 1, kind)
                self.daemon.process.log_path.write_text("")
        kept = [path for path in (Path(self.daemon.directory) / "aside").iterdir()]
        self.assertEqual(len(kept), 2 * len(self.strange()))
        texts = [(each / "of somebody").read_text() for each in kept if each.is_dir()]
        self.assertEqual(texts, ["precious"] * 2)

    def test_no_file_under_partial(self) -> None:
        """Nor does it hold up a download, whether it is the file or the note beside it."""
        self.upstream.faults.always(self.target(self.large), Fault(hold_at=MIB))
        Download(self.client, self.target(self.large), most=1000).wait()
        upstream_part = self.partial_file(self.large).name.partition(".")[2]
        for number, (kind, make) in enumerate(self.strange().items()):
            for suffix in ("", ".json", ".json.tmp"):
                blob = self.upstream.add_generated_blob(REPOSITORY, MIB, f"{number}{suffix}")
                name = f"{blob.digest.replace(':', '-')}.{upstream_part}"
                make(Path(self.daemon.directory) / "partial" / (name + suffix))
                self.assertEqual(self.pull(blob), MISS, (kind, suffix))
                self.assertIn("; hit", self.pull(blob), (kind, suffix))

    def partial_file(self, blob: GeneratedContent) -> Path:
        """The file into which a blob is being fetched, which has its upstream in its name."""
        found = (Path(self.daemon.directory) / "partial").glob(f"*{blob.digest[7:]}*")
        [file] = [each for each in found if ".json" not in each.name]
        return file

    def test_no_folders(self) -> None:
        """Files and FIFOs in the places of folders are moved when the daemon starts, and later."""
        self.assertEqual(self.daemon.stop(), 0)
        directory = Path(self.daemon.directory)
        for folder in ("blobs", "partial"):
            (directory / folder).rename(directory / f"{folder}.old")
        (directory / "blobs").write_text("precious")
        os.mkfifo(directory / "partial")
        self.daemon.start()
        self.assertEqual(self.pull(self.large), MISS)
        wait_until(self.file(self.large.digest).is_file, "it has its name, behind its answer")
        folder = self.file(self.large.digest).parent
        folder.rename(directory / "old")
        os.mkfifo(folder)
        self.assertEqual(self.pull(self.large), MISS)

    def test_no_index_and_no_lock(self) -> None:
        """Something else in the place of the index, what is beside it, or the lock: it starts."""
        self.pull(self.large)
        directory = Path(self.daemon.directory)
        for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm", "lock"):
            for kind, make in self.strange().items():
                self.assertEqual(self.daemon.stop(), 0, (name, kind))
                (directory / name).unlink(missing_ok=True)
                make(directory / name)
                self.daemon.start()
                self.pull(self.large)
                self.assertTrue((directory / name).is_file(), (name, kind))
                self.assertFalse((directory / name).is_symlink(), (name, kind))

    def test_bytes_behind_a_partial_file(self) -> None:
        """What somebody appends to a partial file counts for nothing, and costs nothing."""
        self.upstream.rate = 4e6
        blob = self.upstream.add_generated_blob(REPOSITORY, 4 * MIB, "appended")
        one = Download(self.client, self.target(blob))
        wait_until(lambda: one.received > MIB, "a part has come")
        self.daemon.process.kill()
        one.wait(10)
        with self.partial_file(blob).open("ab") as file:
            file.write(b"!" * 8 * MIB)
        self.daemon.start()
        self.upstream.rate = None
        self.assertEqual(self.pull(blob), MISS)
        self.assertEqual(self.daemon.metric("regcache_digest_mismatches_total"), 0)
        self.assertLess(self.upstream.sent_bytes(), 1.2 * blob.size)
