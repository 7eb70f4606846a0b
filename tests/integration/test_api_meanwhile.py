"""Every call of the API while something else goes on, or the disk is ill: an answer, and soon."""

import http.client
import json
import os
import signal
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from tests.access.accounts import hashed
from tests.integration.base import UPSTREAM, PullThroughCase, upstream_config
from tests.support.all_calls import CHANGE, AllCalls, Outcome
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.images import MIB, multi_image
from tests.support.processes import require_root, wait_until
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache
from tests.support.small_disk import fill_up, mount, small_disk

ADMIN = ("admin", "secret")
REPOSITORY = "team/app"
NAME = f"{UPSTREAM}/{REPOSITORY}"
#: What cannot be done where nothing can be written.
UNWRITTEN = {
    "POST pin: 503 INDEX_BUSY",
    "POST unpin: 503 INDEX_BUSY",
    "POST plans: 503 INDEX_BUSY",
    "POST seats/certificate: 503 UNAVAILABLE",  # the authority of the cache lies there, too
}
#: What is refused however well the daemon is: it asks for what is not there, or runs already.
USUAL = {"NOT_CACHED", "UNKNOWN_SEAT", "NOT_SET", "PLAN_EXPIRED", "JOB_RUNNING"}


class MeanwhileCase(PullThroughCase):
    """A daemon with an image, and an administrator who asks everything."""

    def setUp(self) -> None:
        self.upstream = self.faulty_upstream()
        self.image = multi_image("meanwhile")
        self.upstream.add_image(REPOSITORY, self.image, "1")
        folder = self.workspace()
        accounts = folder.file("htpasswd", f"admin:{hashed(ADMIN[1]).decode()}\n")
        access = {"htpasswd": str(accounts), "seats": str(folder.path / "seats.yml")}
        access |= {"admins": ["admin"], "rules": [{"accounts": ["anonymous"]}]}
        self.daemon = Regcache({**upstream_config(self.upstream.url), "access": access})
        self.addCleanup(self.daemon.close)
        self.prepare()
        self.start()
        self.pull()

    def prepare(self) -> None:
        """What there has to be before it starts."""

    def start(self) -> None:
        """Start it."""
        self.daemon.start()
        self.client = self.daemon.client()
        url = f"http://127.0.0.1:{self.daemon.admin_port}"
        self.admin = RegistryClient(url, ADMIN)
        platform = self.image.children[0].digest
        self.calls = AllCalls(self, self.admin, name=NAME, reference="1", platform=platform)

    def pull(self) -> None:
        """Pull all of the image, and see that it is right."""
        manifests = {"1": self.image, **{each.digest: each for each in self.image.all_manifests()}}
        for reference, one in manifests.items():
            answer = self.client.get(f"/v2/{REPOSITORY}/manifests/{reference}")
            self.assertEqual((answer.status, answer.body), (200, one.data), reference)
        for digest, blob in self.image.all_blobs().items():
            answer = self.client.get(f"/v2/{REPOSITORY}/blobs/{digest}")
            self.assertEqual((answer.status, answer.body), (200, blob.data), digest)

    def held(self) -> tuple[Download, Fault]:
        """A download that goes on when it is let."""
        blob = self.upstream.add_generated_blob(REPOSITORY, 4 * MIB, "held")
        fault = Fault(hold_at=MIB)
        self.upstream.faults.always(f"*{blob.digest}", fault)
        one = Download(self.client, f"/v2/{REPOSITORY}/blobs/{blob.digest}")
        wait_until(lambda: one.received > 0, "it has begun")
        return one, fault

    def unusual(self, outcomes: Sequence[Outcome]) -> set[str]:
        """The refusals that an operator would not expect of a daemon that is well."""
        return {str(each) for each in outcomes if each.status >= 300 and each.code not in USUAL}

    def assert_refused(self, outcomes: Sequence[Outcome]) -> None:
        """Only what would have to be written is, and nothing is a fault of ours."""
        refused = {str(each) for each in outcomes if each.status >= 300 and each.code not in USUAL}
        self.assertLessEqual(refused, UNWRITTEN)

    def change(self, call: str, body: Any) -> Any:
        """Ask for a change; the answer."""
        return self.admin.ask("POST", f"/api/v1/{call}", json.dumps(body).encode(), CHANGE)


class BusyTests(MeanwhileCase):
    """The daemon does something else."""

    def test_download(self) -> None:
        """While a download is open all is answered, and the download ends rightly."""
        one, fault = self.held()
        self.assertEqual(self.unusual(self.calls.ask_all()), set())
        self.assertLess(self.calls.slowest, 5)
        fault.release.set()
        self.assertEqual((one.wait().error, one.received), (None, 4 * MIB))

    def test_removal(self) -> None:
        """While what was swept is removed all is answered; what is pinned stays."""
        self.assertEqual(
            self.change("pin", {"targets": [{"name": NAME, "reference": "1"}]}).status, 200
        )
        for number in range(150):
            blob = self.upstream.add_generated_blob(REPOSITORY, 5000, number)
            self.client.get(f"/v2/{REPOSITORY}/blobs/{blob.digest}")
        plan = self.change("plans", {"action": "purge"}).json()
        job = self.change("plans/run", {"plan": plan["plan"]}).json()["job"]
        outcomes = [*self.calls.ask_all(changes=False), *self.calls.ask_all(changes=False)]
        self.assertEqual(self.unusual(outcomes), set())
        self.assertLess(self.calls.slowest, 5)

        def ended() -> bool:
            return bool(self.admin.get(f"/api/v1/job?id={job}").json()["ended"])

        wait_until(ended, "it is removed")
        asked = len(self.upstream.asked("blobs"))
        self.pull()
        self.assertEqual(len(self.upstream.asked("blobs")), asked, "what is pinned was removed")

    def test_reload(self) -> None:
        """While the configuration changes again and again all is answered, and the last is used."""
        is_over = threading.Event()

        def reload() -> None:
            while not is_over.wait(0.02):
                self.change("reload", {})

        def write() -> None:
            text, number = self.daemon.file.read_text(), 0
            while not is_over.wait(0.05):
                number += 1
                new = self.daemon.file.with_suffix(".new")
                new.write_text(f"{text}\nui: {{title: title {number}}}\n")
                os.rename(new, self.daemon.file)

        threads = [threading.Thread(target=each, daemon=True) for each in (reload, write)]
        for each in threads:
            each.start()
        try:
            self.assertEqual(self.unusual([*self.calls.ask_all(), *self.calls.ask_all()]), set())
        finally:
            is_over.set()
            for each in threads:
                each.join(30)
        self.assertLess(self.calls.slowest, 5)
        self.assertEqual(self.change("reload", {}).status, 200)
        title = self.daemon.file.read_text().rpartition("title: ")[2].strip(" }\n")
        self.assertEqual(self.admin.get("/api/v1/status").json()["title"], title)

    def test_drain(self) -> None:
        """While it drains, what is asked over an open connection is answered or ended at once."""
        one, fault = self.held()
        kept = [self.admin.connect() for _ in range(3)]
        for each in kept:
            self.addCleanup(each.close)
            self.assertEqual(self.over(each, "GET", "status"), 200)
        self.daemon.process.signal(signal.SIGTERM)
        wait_until(lambda: "stopping" in self.daemon.log(), "it drains")
        body = json.dumps({"targets": [{"name": NAME, "reference": "1"}]}).encode()
        for each, asked in zip(
            kept, (("GET", "status"), ("GET", "repositories"), ("POST", "pin", body)), strict=True
        ):
            each.timeout = 10.0
            self.assertIn(self.over(each, *asked), (200, 503, None), asked)
        fault.release.set()
        self.assertEqual((one.wait().error, one.received), (None, 4 * MIB))
        self.assertEqual(self.daemon.process.wait(), 0)
        self.assertNotIn("Traceback", self.daemon.log())

    def over(
        self, connection: http.client.HTTPConnection, method: str, call: str, body: bytes = b""
    ) -> int | None:
        """The status of a call over a connection; None if the daemon has closed that."""
        login = {"Authorization": "Basic YWRtaW46c2VjcmV0", **(CHANGE if body else {})}
        try:
            connection.auto_open = 0
            if connection.sock is None:
                connection.connect()
            connection.request(method, f"/api/v1/{call}", body or None, login)
            answer = connection.getresponse()
            answer.read()
        except (ConnectionError, http.client.RemoteDisconnected, http.client.NotConnected):
            return None
        return answer.status


class ReadOnlyFolderTests(MeanwhileCase):
    """The folders of the storage may not be written."""

    def test_folder(self) -> None:
        """All that only looks is answered, and a change says that nothing can be written."""
        require_root("doing without a right of root")
        self.assertEqual(self.daemon.stop(), 0)
        folders = [self.daemon.directory, *self.daemon.directory.rglob("*")]
        for each in folders:
            if each.is_dir():
                each.chmod(0o555)
        self.daemon.prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
        self.start()
        self.assertEqual(self.unusual(self.calls.ask_all(changes=False)), set())
        answer = self.change("pin", {"targets": [{"name": NAME, "reference": "1"}]})
        self.assertEqual((answer.status, answer.json()["code"]), (503, "INDEX_BUSY"))
        self.assert_refused(self.calls.ask_all())
        self.assertLess(self.calls.slowest, 5)
        self.pull()


class IllDiskTests(MeanwhileCase):
    """The disk is full or cannot be written, or somebody else holds the index."""

    def prepare(self) -> None:
        """Mount a small file system."""
        self.mount = small_disk(self, self.workspace().path, 24 * MIB, lambda: self.daemon.close())
        self.daemon.config["storage"] |= {"directory": str(self.mount), "min_free": 0}

    def served(self) -> int:
        """How much was served, by GET usage."""
        items = self.admin.get("/api/v1/usage").json()["items"]
        return sum(each["served_bytes"] for each in items)

    def note(self) -> int:
        """Have what was counted written; how much was served."""
        self.assertEqual(self.daemon.stop(), 0)
        self.start()
        noted = self.served()
        self.assertGreater(noted, 0)
        return noted

    def test_full(self) -> None:
        """On a full disk all that only looks is answered, and what was counted is not lost."""
        noted = self.note()
        for _ in range(2):
            fill_up(self.mount)
            self.assertEqual(self.unusual(self.calls.ask_all(changes=False)), set())
            self.assert_refused(self.calls.ask_all())
            self.assertLess(self.calls.slowest, 5)
            self.assertGreaterEqual(self.served(), noted)
            self.assertEqual(self.daemon.stop(), 0)
            self.start()
        (self.mount / "others").unlink()
        wait_until(lambda: self.client.get("/readyz").status == 200, "it looks again")
        self.assertEqual(self.unusual(self.calls.ask_all()), set())
        self.pull()

    def test_counted_on_a_full_disk(self) -> None:
        """What is served while the disk is full is noted, and is known after a stop."""
        blob = self.upstream.add_generated_blob(REPOSITORY, MIB, "counted")

        def serve(count: int) -> None:
            for _ in range(count):
                answer = self.client.get(f"/v2/{REPOSITORY}/blobs/{blob.digest}")
                self.assertEqual(len(answer.body), MIB)

        serve(1)
        wait_until(lambda: self.served() >= MIB, "it is noted")
        fill_up(self.mount)
        serve(3)
        wait_until(lambda: self.served() >= 4 * MIB, "it is noted on a full disk", 20)
        serve(3)
        self.assertEqual(self.daemon.stop(), 0)
        (self.mount / "others").unlink()
        self.start()
        self.assertGreaterEqual(self.served(), 7 * MIB)

    def test_full_from_the_beginning(self) -> None:
        """Where nothing was ever counted, nothing was."""
        self.assertEqual(self.daemon.stop(), 0)
        for each in self.mount.glob("*.sqlite*"):
            each.unlink()
        fill_up(self.mount)
        self.start()
        self.assertEqual(
            self.unusual(self.calls.ask_all(changes=False)) - {"GET repository: 404 NOT_CACHED"},
            set(),
        )
        self.assertEqual(self.served(), 0)

    def test_read_only(self) -> None:
        """Where nothing can be written all that only looks is answered, after a kill, too."""
        noted = self.note()
        for kill in (False, True):
            self.daemon.process.kill() if kill else self.daemon.stop()
            mount("-o", "remount,ro", str(self.mount))
            self.start()
            self.assertEqual(self.unusual(self.calls.ask_all(changes=False)), set())
            self.assertGreaterEqual(self.served(), noted)
            answer = self.change("pin", {"targets": [{"name": NAME, "reference": "1"}]})
            self.assertEqual(answer.status, 503)
            self.assertEqual(answer.json()["params"], {"reason": "read_only"})
            self.assert_refused(self.calls.ask_all())
            self.assertLess(self.calls.slowest, 5)
            self.pull()
            self.assertEqual(self.daemon.stop(), 0)
            mount("-o", "remount,rw", str(self.mount))
            self.start()
        self.assertEqual(self.unusual(self.calls.ask_all()), set())

    def test_locked_index(self) -> None:
        """While somebody else holds the index what cannot be noted is refused, all else goes on."""
        with closing(sqlite3.connect(self.mount / "index.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = self.change("pin", {"targets": [{"name": NAME, "reference": "1"}]})
            self.assertEqual((answer.status, answer.json()["code"]), (503, "INDEX_BUSY"))
            self.assertEqual(answer.headers["retry-after"], "2")
            self.assertEqual(self.admin.get("/api/v1/status").status, 200)
            manifest = self.client.get(f"/v2/{REPOSITORY}/manifests/1")
            self.assertEqual((manifest.status, manifest.body), (200, self.image.data))
            other.execute("ROLLBACK")
        self.assertEqual(self.unusual(self.calls.ask_all()), set())
