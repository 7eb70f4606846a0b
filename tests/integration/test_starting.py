"""Starts on disks that are full, cannot be written, or are ill; and those that cannot be."""

import shutil
import socket
import sqlite3
import subprocess
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from regcache.store.index_schema import MIGRATIONS, schema_version
from tests.integration.base import PullThroughCase, certificates, upstream_config
from tests.support.downloads import Download
from tests.support.images import MIB, mixed_image
from tests.support.processes import free_port, require_root, wait_until
from tests.support.servers import Regcache
from tests.support.service_manager import ServiceManager
from tests.support.small_disk import fill_up, mount, small_disk

REPOSITORY = "team/app"
MANIFEST = f"/v2/{REPOSITORY}/manifests"
RELAYED = "regcache; fwd=uri-miss; detail=relay"


class IllDiskTests(PullThroughCase):
    """A daemon whose storage is a small file system of its own."""

    def setUp(self) -> None:
        """Mount one, and pull an image and a blob through the daemon."""
        self.mount = small_disk(self, self.workspace().path, 24 * MIB, lambda: self.daemon.close())
        self.upstream = self.faulty_upstream()
        self.image = mixed_image("ill", 1000)
        self.upstream.add_image(REPOSITORY, self.image, "1")
        self.blob = self.upstream.add_generated_blob(REPOSITORY, 2 * MIB, "stored")
        self.daemon = Regcache(upstream_config(self.upstream.url, tag_ttl="1h"))
        self.daemon.config["storage"] |= {"directory": str(self.mount), "min_free": 0}

    def fill_cache(self, kill: bool = False) -> None:
        """Have the image and the blob in the cache, and end."""
        self.daemon.start()
        client = self.daemon.client()
        self.assertEqual(client.get(f"{MANIFEST}/1").body, self.image.data)
        for digest, blob in self.image.all_blobs().items():
            self.assertEqual(client.get(f"/v2/{REPOSITORY}/blobs/{digest}").body, blob.data)
        self.pull(self.blob.digest)
        if kill:
            self.daemon.process.kill()
        else:
            self.assertEqual(self.daemon.stop(), 0)

    def pull(self, digest: str) -> str:
        """Pull a blob; what the answer says of the cache."""
        one = Download(self.daemon.client(), f"/v2/{REPOSITORY}/blobs/{digest}").wait(20)
        self.assertEqual((one.error, one.status, one.digest), (None, 200, digest))
        return one.headers["cache-status"]

    def large_files(self) -> set[str]:
        """Which blobs of at least a MiB are on the disk."""
        blobs = (self.mount / "blobs").rglob("*")
        return {each.name for each in blobs if each.is_file() and each.stat().st_size >= MIB}

    def remount(self, how: str) -> None:
        """Let the file system be written, or not."""
        mount("-o", f"remount,{how}", str(self.mount))

    def assert_serves_what_it_has(self) -> None:
        """Without the upstream's help: the image by tag and digest, its blobs, the large one."""
        client = self.daemon.client()
        asked = len(self.upstream.requests)
        for reference in ("1", self.image.digest):
            self.assertEqual(client.get(f"{MANIFEST}/{reference}").body, self.image.data)
        for digest in (*self.image.all_blobs(), self.blob.digest):
            self.assertIn("; hit", self.pull(digest))
        self.assertEqual([one.path for one in self.upstream.requests[asked:]], [])

    def assert_relays(self, seed: str) -> None:
        """What is new is passed through."""
        for size in (1000, 2 * MIB):
            blob = self.upstream.add_generated_blob(REPOSITORY, size, seed)
            self.assertEqual(self.pull(blob.digest), RELAYED, size)

    def readiness(self) -> tuple[int, list[str]]:
        """What /readyz says."""
        answer = self.daemon.client().get("/readyz")
        return answer.status, answer.body.decode().splitlines()

    def assert_unready(self, *words: str) -> None:
        """It says why, in as many lines; the process is alive."""
        status, lines = self.readiness()
        self.assertEqual((status, len(lines)), (503, len(words)), lines)
        for word, line in zip(words, lines, strict=True):
            self.assertIn(word, line)
        self.assertEqual(self.daemon.client().get("/healthz").status, 200)

    def assert_recovers(self, seed: str) -> None:
        """Before long it is ready again, and what is new is stored."""
        wait_until(lambda: self.readiness() == (200, ["ready"]), "it is ready", 30)
        blob = self.upstream.add_generated_blob(REPOSITORY, 2 * MIB, seed)
        self.assertIn("stored", self.pull(blob.digest))
        self.assertIn("; hit", self.pull(blob.digest))

    def test_full_disk(self) -> None:
        """It starts on a disk without a byte left, serves what is there, and makes room."""
        for kill in (False, True):
            self.fill_cache(kill)
            fill_up(self.mount)
            self.daemon.start()
            self.assert_serves_what_it_has()
            before = self.large_files()
            blob = self.upstream.add_generated_blob(REPOSITORY, MIB, f"full {kill}")
            wait_until(lambda: "; hit" in self.pull(blob.digest), "others made way for it", 60)  # noqa: B023
            self.assertTrue(before - self.large_files(), "nothing made way")
            (self.mount / "others").unlink()
            wait_until(lambda: "no space" not in str(self.readiness()), "it looks again")
            self.daemon.client().get(f"{MANIFEST}/none")  # something is asked of the index
            self.assert_recovers(f"room {kill}")
            self.assertEqual(self.daemon.stop(), 0)
            self.assertNotIn("Traceback", self.daemon.log())

    def test_full_disk_and_an_earlier_version(self) -> None:
        """An index of the version before is used as well, and gets its version with room."""
        self.fill_cache()
        self.assertEqual(self.version("PRAGMA user_version = 12"), 12)
        fill_up(self.mount)
        self.daemon.start()
        self.assert_serves_what_it_has()
        (self.mount / "others").unlink()
        wait_until(lambda: "no space" not in str(self.readiness()), "it looks again")
        wait_until(self.asks_the_index, "the index is opened", 30)
        self.assert_recovers("room")
        self.assertEqual(self.daemon.stop(), 0)
        self.assertEqual(self.version(), len(MIGRATIONS))

    def version(self, statement: str = "") -> int:
        """The version of the index, after a statement."""
        with closing(sqlite3.connect(self.mount / "index.sqlite")) as index:
            index.execute(statement)
            return schema_version(index)

    def test_empty_and_full(self) -> None:
        """So it is where there is nothing yet: no lock, no folder, no index."""
        fill_up(self.mount)
        self.daemon.start()
        self.assertEqual(self.daemon.client().get(f"{MANIFEST}/1").body, self.image.data)
        self.assert_relays("empty")
        self.assert_unready("no space is left", "the index cannot be opened")
        other = Regcache(self.daemon.config)
        self.addCleanup(other.close)
        other.launch()
        self.assertEqual(other.process.wait(), 1)
        self.assertIn("is in use by", other.log())
        (self.mount / "others").unlink()
        wait_until(lambda: "no space" not in str(self.readiness()), "it looks again")
        wait_until(self.asks_the_index, "the index is opened", 30)
        self.assert_recovers("room")

    def asks_the_index(self) -> bool:
        """Whether it is ready after something was asked of its index."""
        self.daemon.client().get(f"{MANIFEST}/none")
        return self.readiness()[0] == 200

    def test_read_only(self) -> None:
        """On a file system that cannot be written it serves what is there, and says why."""
        for kill in (False, True):
            self.fill_cache(kill)
            self.remount("ro")
            self.daemon.start()
            self.assert_serves_what_it_has()
            self.assert_relays(f"read only {kill}")
            self.assertEqual(self.readiness()[0], 503)
            self.assertIn("mounted read only", self.readiness()[1][0])
            self.remount("rw")
            wait_until(self.asks_the_index, "the index is opened", 30)
            self.assert_recovers(f"writable {kill}")
            self.assertEqual(self.daemon.stop(), 0)
            self.assertNotIn("Traceback", self.daemon.log())

    def test_read_only_and_empty(self) -> None:
        """Where there is nothing it passes everything through."""
        self.remount("ro")
        self.daemon.start()
        self.assertEqual(self.daemon.client().get(f"{MANIFEST}/1").body, self.image.data)
        self.assert_relays("empty")
        self.assert_unready("mounted read only", "the index cannot be opened")
        self.remount("rw")
        wait_until(self.asks_the_index, "the index is opened", 30)
        self.assert_recovers("writable")

    def test_becomes_read_only(self) -> None:
        """A file system that fails while the daemon runs, as ext4 does after an error."""
        self.fill_cache()
        self.daemon.start()
        self.assertEqual(self.readiness(), (200, ["ready"]))
        # What is open for writing would keep it from being mounted read only.
        mount("--bind", str(self.mount), str(self.mount))
        mount("-o", "remount,bind,ro", str(self.mount))
        self.addCleanup(subprocess.run, ["umount", str(self.mount)], check=True)
        self.addCleanup(self.daemon.close)
        self.assert_serves_what_it_has()
        wait_until(lambda: "mounted read only" in str(self.readiness()), "it has noticed")
        self.assert_relays("read only")
        self.assertEqual(self.readiness()[0], 503)

    def test_damaged_index(self) -> None:
        """With any damage of the index it starts, and serves after asking the upstream again."""
        self.fill_cache()
        index = self.mount / "index.sqlite"
        whole = index.read_bytes()
        for content in (b"", b"garbage" * 9000, whole[:5000], whole[:4096] + b"\xff" * 9000):
            for kill in (False, True):
                index.write_bytes(content)
                self.daemon.start()
                self.assertEqual(self.daemon.client().get(f"{MANIFEST}/1").body, self.image.data)
                self.pull(self.blob.digest)
                self.assertEqual(self.readiness(), (200, ["ready"]))
                if kill:
                    self.daemon.process.kill()
                else:
                    self.assertEqual(self.daemon.stop(), 0)


class WarningTests(PullThroughCase):
    """Starts that go on, and say what may not be wanted."""

    def test_warnings(self) -> None:
        """Each warning names its key and the numbers: certificate, everybody, no space."""
        expired = certificates().authority.issue("127.0.0.1", life=timedelta(days=-1))
        pair = {"chain": str(expired.chain), "key": str(expired.key)}
        daemon = Regcache(upstream_config("http://127.0.0.1:1"))
        self.addCleanup(daemon.close)
        tls = {"certificates": [pair]}
        daemon.config["listeners"].append({"endpoint": f"tcp:{free_port()}", "tls": tls})
        daemon.config["storage"]["min_free"] = "900TiB"
        daemon.start()
        for words in (
            ("listeners[1].tls.certificates[0].chain", "expired on 20"),
            ("listeners[1].endpoint: an open proxy", "see access"),
            ("nothing new is stored: storage.min_free 900.0 TiB:", "are free"),
        ):
            self.assert_logged(daemon, *words)

    def test_directory_that_may_not_be_written(self) -> None:
        """What is there is served, and all else passed through; /readyz has the reasons."""
        require_root("doing without a right of root")
        upstream = self.faulty_upstream()
        old = upstream.add_generated_blob(REPOSITORY, 100_000, "old")
        daemon = self.regcache(upstream_config(upstream.url))
        target = f"/v2/{REPOSITORY}/blobs/{old.digest}"
        self.assertEqual(daemon.client().get(target).status, 200)
        self.assertEqual(daemon.stop(), 0)
        folders = [daemon.directory, *(x for x in daemon.directory.rglob("*") if x.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        daemon.prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
        daemon.start()
        found = daemon.client().get(target)
        self.assertEqual((found.status, len(found.body)), (200, 100_000))
        new = upstream.add_generated_blob(REPOSITORY, 100_000, "new")
        answer = daemon.client().get(f"/v2/{REPOSITORY}/blobs/{new.digest}")
        self.assertEqual((len(answer.body), answer.headers["cache-status"]), (100_000, RELAYED))
        ready = daemon.client().get("/readyz")
        self.assertEqual(ready.status, 503)
        self.assertIn(b"storage.directory: it may not be written", ready.body)
        self.assertNotIn("Traceback", daemon.log())


class LineTests(PullThroughCase):
    """Starts that cannot be: one line says why, and what to type."""

    def refused(self, daemon: Regcache) -> str:
        """The only line of a start that fails with the status 1."""
        self.addCleanup(daemon.close)
        daemon.launch()
        self.assertEqual(daemon.process.wait(), 1, daemon.log())
        lines = [line for line in daemon.log().splitlines() if " info " not in line]
        self.assertEqual(len(lines), 1, daemon.log())
        return lines[0]

    def daemon(self, tls: bool = False, **storage: str) -> Regcache:
        """One that was not started."""
        certificate = certificates().certificate if tls else None
        made = Regcache(upstream_config("http://127.0.0.1:1"), certificate)
        made.config["storage"] |= storage
        return made

    def test_storage(self) -> None:
        """A storage directory that cannot be made, or is none."""
        place = self.workspace()
        file = place.file("file", "")
        line = self.refused(self.daemon(directory=str(file)))
        self.assertIn(f"storage.directory: {file} is no folder", line)
        self.assertIn(f"type: mv {file} {file}.old", line)
        line = self.refused(self.daemon(directory=f"{file}/cache"))
        self.assertIn(f"storage.directory: {file}/cache cannot be made", line)
        self.assertIn(f"type: mkdir -p {file}/cache && chown ", line)

    def test_storage_in_use(self) -> None:
        """One that another daemon has."""
        first = self.regcache(upstream_config("http://127.0.0.1:1"))
        line = self.refused(self.daemon(directory=str(first.directory)))
        self.assertIn(f"type: kill {first.process.pid}", line)

    def test_port(self) -> None:
        """A port that somebody has."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            daemon = self.daemon()
            daemon.config["listeners"] = [{"endpoint": f"tcp:{port}:interface=127.0.0.1"}]
            self.assertIn(f"ss -ltnp sport = :{port}", self.refused(daemon))

    def test_certificate(self) -> None:
        """A certificate that is not there, or is none."""
        daemon = self.daemon(tls=True)
        pair = daemon.config["listeners"][1]["tls"]["certificates"][0]
        for path, words in (
            ("/nowhere/x.pem", "/nowhere/x.pem cannot be read: No such file or directory"),
            ("/etc/passwd", "/etc/passwd holds no valid PEM certificate"),
        ):
            pair["chain"] = path
            line = self.refused(daemon)
            self.assertIn(f"regcache.yml:9: listeners[1].tls.certificates[0].chain: {words}", line)
            daemon.process.log_path.write_text("")

    def test_newer_index(self) -> None:
        """An index that a newer program wrote."""
        daemon = self.daemon()
        index = daemon.directory / "index.sqlite"
        with sqlite3.connect(index) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
        line = self.refused(daemon)
        self.assertIn(f"type: mv {index} {index}.newer", line)

    def test_nobody_waits_for_a_start_that_fails(self) -> None:
        """While it fails, again and again, who connects is refused at once."""
        daemon = self.daemon()
        with sqlite3.connect(daemon.directory / "index.sqlite") as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
        self.addCleanup(daemon.close)
        for _ in range(3):
            daemon.launch()
            while daemon.process.running:
                with self.assertRaises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", daemon.port), timeout=5).close()
            self.assertEqual(daemon.process.wait(), 1)

    def test_nobody_waits_at_a_passed_socket(self) -> None:
        """Who connects to a socket that outlives the process is cut off when its start fails."""
        daemon = self.daemon()
        self.addCleanup(daemon.close)
        with sqlite3.connect(daemon.directory / "index.sqlite") as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
        for wrong in (
            {"surprise": 1},
            {"storage": {"directory": "/etc/passwd"}},
            {},  # the index is that of a newer version
        ):
            port = free_port()
            daemon.manager = manager = ServiceManager({"regcache.socket": port})
            self.addCleanup(manager.close)
            config, daemon.config = daemon.config, {**daemon.config, **wrong}
            with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
                daemon.launch()
                self.assertEqual(daemon.process.wait(), 1, daemon.log())
                with self.assertRaises(ConnectionResetError):
                    client.recv(1)
            daemon.config = config

    def test_certificate_that_is_replaced_meanwhile(self) -> None:
        """A renewal between the reading of the files and the first look at them is in use soon.

        What the check of the configuration reads does not count: it may be older.
        """
        place = self.workspace()
        old, new = certificates().certificate, certificates().authority.issue("127.0.0.1")
        for name, source in (("chain", old.chain), ("key", old.key)):
            shutil.copy(source, place.path / name)
        place.file("sitecustomize.py", _RENEW)
        for name, source in (("chain", new.chain), ("key", new.key)):
            shutil.copy(source, place.path / f"{name}.new")
        daemon = self.daemon(tls=True)
        self.addCleanup(daemon.close)
        daemon.config["listeners"][1]["tls"]["certificates"] = [
            {"chain": str(place.path / "chain"), "key": str(place.path / "key")}
        ]
        daemon.environment = {"PYTHONPATH": f"{place.path}:{Path(__file__).parents[2]}"}
        daemon.start()
        wait_until(lambda: self.shown(daemon) == self.serial(new.chain), "the new one is shown")

    def shown(self, daemon: Regcache) -> str:
        """The serial number of the certificate that a client gets."""
        command = ["openssl", "s_client", "-connect", daemon.tls_address]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
        return self.read_serial(done.stdout)

    def serial(self, chain: Path) -> str:
        """The serial number of a certificate in a file."""
        return self.read_serial(chain.read_bytes())

    def read_serial(self, text: bytes) -> str:
        """The serial number of the first certificate in a text."""
        command = ["openssl", "x509", "-noout", "-serial"]
        done = subprocess.run(command, input=text, capture_output=True, check=True)
        return done.stdout.decode().strip()


#: Renews the certificate as soon as both its files were read to be used.
_RENEW = """
import os, sys

FOLDER = os.path.dirname(__file__)

if any("twistd" in one for one in sys.orig_argv):
    import regcache.tls as tls

    load = tls.CertificateStore.load

    def load_and_renew(*arguments):
        load(*arguments)
        for name in ("chain", "key"):
            os.replace(os.path.join(FOLDER, name + ".new"), os.path.join(FOLDER, name))

    tls.CertificateStore.load = load_and_renew
"""
