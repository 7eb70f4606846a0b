"""Quotas of seats, by real clients: what runs is finished, and what comes next is refused."""

import hashlib
import re
import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar

import yaml

from tests.integration.base import PullThroughCase, shared, upstream_config
from tests.support.clients import podman_command
from tests.support.downloads import Download
from tests.support.engines import Containerd
from tests.support.images import MIB, gzip_layer, image, mixed_image
from tests.support.processes import Server, wait_until
from tests.support.registry_client import Answer, basic
from tests.support.servers import Regcache

REPOSITORY = "team/app"
BASE = f"/v2/{REPOSITORY}"
TAG = f"{BASE}/manifests/1"
IMAGE = mixed_image("quota", 1000)
KEY = "rc_" + "q" * 40
LAYER, DAILY = 8 * MIB, 3 * MIB // 2
#: More layers than podman asks for at once, each smaller than the quota.
LAYERED = image([gzip_layer(f"quota-{number}", MIB) for number in range(6)], seed="layered")

containerd = shared(Containerd)


class QuotaCase(PullThroughCase):
    """Two seats, of which alice has limits: a quota at first.

    :cvar limits: these.
    """

    limits: ClassVar[dict[str, Any]] = {"daily": f"{DAILY}B"}

    def setUp(self) -> None:
        self.upstream = self.faulty_upstream()
        self.upstream.add_image(REPOSITORY, IMAGE, "1")
        blob = self.upstream.add_generated_blob(REPOSITORY, LAYER, "quota")
        self.digest, self.layer = blob.digest, f"{BASE}/blobs/{blob.digest}"
        self.folder = self.workspace()
        config: dict[str, Any] = {
            **upstream_config(self.upstream.url),
            "limits": {"drain": "1s"},
            "access": {"seats": str(self.write_seats(**self.limits))},
        }
        self.daemon: Regcache = self.regcache(config)
        self.alice = self.daemon.client(credentials=("alice", KEY))
        self.bob = self.daemon.client(credentials=("bob", KEY))

    def write_seats(self, **alice: Any) -> Any:
        """Write the file of seats, in one step."""
        digest = "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()
        seats = {"alice": {"keys": [digest], **alice}, "bob": {"keys": [digest]}}
        text = yaml.safe_dump(seats)
        new = self.folder.file("seats.new", text)
        new.chmod(0o600)
        return new.rename(new.with_name("seats.yml"))

    def check_refused(self) -> None:
        """New bodies are refused; HEAD and what the client has already are not, nor are others."""
        for target in (TAG, self.layer, f"{BASE}/manifests/{IMAGE.digest}"):
            self.assert_refused(self.alice.get(target))
            self.assertEqual(self.alice.head(target).status, 200, target)
        same = {"If_None_Match": f'"{IMAGE.digest}"'}
        self.assertEqual(self.alice.get(TAG, **same).status, 304)
        self.assertEqual(self.bob.get(TAG).status, 200)

    def give_more(self) -> None:
        """Raise the quota."""
        self.write_seats(daily="100MiB")
        wait_until(lambda: self.alice.get(TAG).status == 200, "there is more")

    def assert_refused(self, answer: Answer, quota: str = "daily") -> None:
        """429, with the quota and the time until there is more."""
        self.assertEqual((answer.status, answer.errors), (429, ["TOOMANYREQUESTS"]), answer)
        self.assertIn(f"the {quota} quota of", answer.json()["errors"][0]["message"])
        now = datetime.now()
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time())
        if quota == "daily":
            left = midnight.timestamp() - now.timestamp()
            self.assertLess(abs(int(answer.headers["retry-after"]) - left), 60)

    def written(self) -> int:
        """How much the file says that alice was served."""
        path = self.daemon.directory / "usage.sqlite"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        query = "SELECT COALESCE(SUM(served), 0) FROM days WHERE account = 'alice'"
        (served,) = connection.execute(query).fetchone()
        connection.close()
        return int(served)


class QuotaTests(QuotaCase):
    """Over a quota."""

    def test_course(self) -> None:
        """Reached in the middle of a transfer; killed and started again; then there is more."""
        release = threading.Event()
        self.addCleanup(release.set)
        login = {"Authorization": basic("alice", KEY)}
        paused: list[int] = []

        def pace(done: int) -> None:
            if done > DAILY:
                paused.append(done)
                release.wait()

        running = Download(self.daemon.client(), self.layer, pace, headers=login)
        wait_until(lambda: bool(paused), "more than the quota has come")
        self.check_refused()
        release.set()
        running.wait()
        self.assertEqual((running.error, running.digest), (None, self.digest))
        self.check_refused()
        wait_until(lambda: self.written() > LAYER, "it is in the file")
        self.daemon.process.kill()
        self.daemon.start()
        self.check_refused()
        self.write_seats(monthly=f"{DAILY}B")
        wait_until(lambda: "monthly" in self.alice.get(TAG).body.decode(), "the file is read")
        self.assert_refused(self.alice.get(TAG), "monthly")
        self.give_more()
        log = self.daemon.log()
        for secret in (KEY, hashlib.sha256(KEY.encode()).hexdigest(), login["Authorization"]):
            self.assertNotIn(secret, log)

    def test_containerd(self) -> None:
        """A pull that reaches the quota fails with 429; it works when there is more."""
        self.write_seats(daily="1B")
        reference = f"{self.daemon.address}/{REPOSITORY}:1"
        options = ("--plain-http", "--user", f"alice:{KEY}")
        wait_until(lambda: self.alice.get(TAG).status == 429, "the quota counts")
        with self.assertRaises(AssertionError) as caught:
            containerd().pull(reference, *options)
        self.assertIn("429", str(caught.exception))
        self.give_more()
        self.assert_arrived(IMAGE, containerd().pull(reference, *options), whole=False)

    def test_podman(self) -> None:
        """What crosses the quota is finished; podman waits before it asks for the rest again."""
        self.upstream.add_image("team/layers", LAYERED, "1")
        reference = f"{self.daemon.address}/team/layers:1"
        settings = self.folder.file("containers.conf", "[engine]\nimage_parallel_copies = 1\n")
        environment = {"HOME": str(self.folder.path), "CONTAINERS_CONF": str(settings)}
        command = [*podman_command(self.folder.path), "--log-level=debug", "pull"]
        command += ["--tls-verify=false", f"--creds=alice:{KEY}", reference]
        podman = Server(command, self.folder.path / "podman.log", environment=environment)
        self.addCleanup(podman.kill)
        wait_until(lambda: "Too many requests to " in podman.log(), "podman waits")
        podman.kill()
        lines = self.assert_logged(
            self.daemon, "repository=team/layers", "kind=blob", "status=200", times=3
        )
        for line in lines:
            ((digest, size),) = re.findall(r"reference=(\S+) .* bytes=(\d+) ", line)
            self.assertEqual(int(size), len(LAYERED.all_blobs()[digest].data), line)
        self.check_refused()


class DownloadsTests(QuotaCase):
    """How many bodies a seat has at once."""

    limits = {"downloads": 1}

    def test_waiting(self) -> None:
        """Heads come at once; a body waits for its turn, also if its client or the seat goes."""
        release = threading.Event()
        self.addCleanup(release.set)
        running = self.download(lambda _: release.wait())
        wait_until(lambda: running.received > 0, "a body")
        leaving = self.alice.connect()
        leaving.request("GET", self.layer, headers={"Authorization": basic("alice", KEY)})
        self.assertEqual(leaving.getresponse().status, 200)
        waiting = self.download(lambda _: None)
        wait_until(lambda: waiting.status == 200, "a head")
        self.assertEqual(self.alice.get(TAG).status, 200)
        leaving.close()
        self.write_seats(downloads=1, until="2020-01-01")
        wait_until(lambda: self.alice.get(TAG).status == 401, "the seat has ended")
        self.assertEqual((waiting.received, waiting.is_alive()), (0, True))
        release.set()
        for each in (running, waiting):
            each.wait()
            self.assertEqual((each.error, each.digest), (None, self.digest))

    def test_stop(self) -> None:
        """A stop cuts who still waits when its time is over."""
        release = threading.Event()
        self.addCleanup(release.set)
        running = self.download(lambda _: release.wait())
        wait_until(lambda: running.received > 0, "a body")
        waiting = self.download(lambda _: None)
        wait_until(lambda: waiting.status == 200, "a head")
        self.assertEqual(self.daemon.stop(), 0)
        release.set()
        self.assertIsNotNone(waiting.wait().error)
        running.wait()

    def download(self, pace: Callable[[int], object]) -> Download:
        """A download of alice, by a client that takes little at a time."""
        headers = {"Authorization": basic("alice", KEY)}
        return Download(self.daemon.client(), self.layer, pace, 65536, headers=headers)
