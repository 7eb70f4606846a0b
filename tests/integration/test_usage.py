"""What a real daemon counts of usage: all that its access log has, to the byte."""

import json
import sqlite3
import ssl
import threading
import time
from collections import Counter
from typing import Any

from regcache.admin.api.calls import PREFIX
from regcache.admin.api.usage_calls import GET_USAGE
from regcache.times import parse_time
from regcache.usage import NOBODY
from tests.access.accounts import htpasswd
from tests.integration.base import UPSTREAM, PullThroughCase, certificates, upstream_config
from tests.support.api import assert_answers
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.http2_socket import SocketHttp2
from tests.support.images import MIB, mixed_image
from tests.support.processes import wait_until
from tests.support.registry_client import RegistryClient, basic
from tests.support.servers import Regcache

REPOSITORY = "team/app"
BASE = f"/v2/{REPOSITORY}"
IMAGE = mixed_image("usage", 1000)
ACCOUNTS = ("alice", "bob")
LAYER = 8 * MIB
#: How late what has ended may be in the file (seconds).
LATEST = 10.0

Sums = Counter[tuple[str, str]]
"""By account and upstream."""


class UsageCase(PullThroughCase):
    """Two accounts, and strangers who may pull as well."""

    def setUp(self) -> None:
        self.upstream = self.faulty_upstream()
        self.upstream.add_image(REPOSITORY, IMAGE, "1")
        self.blob = self.upstream.add_generated_blob(REPOSITORY, LAYER, "usage")
        self.layer = f"{BASE}/blobs/{self.blob.digest}"
        config: dict[str, Any] = {
            **upstream_config(self.upstream.url),
            "log": {"format": "json"},
            "limits": {"drain": "0s"},
            "access": {
                "htpasswd": str(self.workspace().file("htpasswd", htpasswd(*ACCOUNTS))),
                "admins": ["bob"],
                "rules": [{"accounts": ["anonymous"]}],
            },
        }
        self.daemon = Regcache(config, certificates().certificate)
        self.addCleanup(self.daemon.close)
        for listener in self.daemon.config["listeners"]:
            listener["http2"] = "tls" in listener
        self.daemon.start()
        self.alice, self.bob = (self.daemon.client(credentials=(each, each)) for each in ACCOUNTS)
        self.admin = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}")

    def lines(self) -> list[dict[str, Any]]:
        """The access lines so far."""
        read = [json.loads(line) for line in self.daemon.log().splitlines() if line[:1] == "{"]
        return [line for line in read if line.get("logger") == "regcache.access"]

    def logged(self) -> tuple[Sums, Sums]:
        """Bytes and requests of the access log."""
        served, requests = Sums(), Sums()
        for line in self.lines():
            key = (line["account"] or NOBODY, line["upstream"])
            served[key] += line["bytes"]
            requests[key] += 1
        return served, requests

    def used(self) -> tuple[Sums, Sums]:
        """The same by the file."""
        path = self.daemon.directory / "usage.sqlite"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        served, requests = Sums(), Sums()
        for account, upstream, *sums in connection.execute(
            "SELECT account, upstream, served, requests FROM days"
        ):
            served[account, upstream] += sums[0]
            requests[account, upstream] += sums[1]
        connection.close()
        return served, requests


class ByteTests(UsageCase):
    """To the byte."""

    def test_all_of_it(self) -> None:
        """Whole, cut, in parts, unchanged, refused and broken answers, over all protocols."""
        alice, bob = self.alice, self.bob
        for client in (alice, bob, self.daemon.client()):
            self.assertEqual(client.get(f"{BASE}/manifests/1").status, 200)
            self.assertEqual(client.head(self.layer).status, 200)
        etag = f'"{IMAGE.digest}"'
        self.assertEqual(alice.get(f"{BASE}/manifests/1", If_None_Match=etag).status, 304)
        cut = Download(bob, self.layer, headers={"Authorization": basic("bob", "bob")}, most=MIB)
        cut.wait()
        self.assertEqual(alice.get(self.layer).status, 200)
        for ranges, status in (
            ("bytes=5-99", 206),
            ("bytes=0-1,7-9", 206),
            ("bytes=99999999-", 416),
        ):
            self.assertEqual(alice.get(self.layer, Range=ranges).status, status)
        self.assertEqual(alice.get(f"{BASE}/manifests/none").status, 404)
        self.assertEqual(self.daemon.client(credentials=("alice", "no")).get("/v2/").status, 401)
        self.break_off()
        self.over_tls()
        self.assertEqual(self.admin.get("/healthz").status, 200)
        login = {"Authorization": basic("alice", "alice")}
        told = self.admin.get("/api/v1/status", **login)
        self.assertEqual(told.status, 200)
        self.told()
        open_ones = [self.leave_open() for _ in range(2)]
        self.daemon.stop()
        for each in open_ones:
            each.wait()
        self.assertEqual(self.used(), self.logged())
        served, _ = self.used()
        self.assertGreaterEqual(served["alice", ""], len(told.body))
        self.assertGreater(served["alice", UPSTREAM], LAYER)
        self.assertGreater(served["bob", UPSTREAM], MIB // 2)
        self.assertGreater(served[NOBODY, UPSTREAM], 2 * LAYER)

    def break_off(self) -> None:
        """The upstream breaks off in the middle of a blob, again and again."""
        broken = self.upstream.add_generated_blob(REPOSITORY, LAYER, "broken")
        fault = Fault(cut_at=MIB)
        self.upstream.faults.always(f"*{broken.digest}", fault, method="GET")
        Download(self.daemon.client(), f"{BASE}/blobs/{broken.digest}").wait()

    def over_tls(self) -> None:
        """HTTP/2: a whole stream, and one that is reset; and HTTP/1.1 over TLS."""
        context = ssl.create_default_context(cafile=str(certificates().authority.file))
        client = SocketHttp2(("127.0.0.1", self.daemon.tls_port), context, window=4 * LAYER)
        answer = client.get(f"{BASE}/manifests/1")
        self.assertEqual(answer.status, 200)
        client.open_and_reset(self.layer)
        client.get(f"{BASE}/manifests/1")
        client.close()
        context = ssl.create_default_context(cafile=str(certificates().authority.file))
        plain = RegistryClient(f"https://{self.daemon.tls_address}", context=context)
        self.assertEqual(len(plain.get(self.layer).body), LAYER)

    def leave_open(self) -> Download:
        """A download that goes on until the daemon stops."""
        release = threading.Event()
        self.addCleanup(release.set)
        one = Download(self.daemon.client(), self.layer, lambda _: release.wait(), 65536)
        wait_until(lambda: one.received > 0, "it has begun")
        threading.Timer(0.5, release.set).start()
        return one

    def told(self) -> None:
        """The call tells what the file will have, and each account its own."""
        answer = self.admin.get(f"{PREFIX}usage")
        told = answer.json()
        assert_answers(GET_USAGE, told)
        served = sum(each["served_bytes"] for each in told["items"] if each["account"] == "alice")
        own = sum(line["bytes"] for line in self.lines() if line["account"] == "alice")
        self.assertEqual(served, own)
        names = [each for each in told["items"] if each["account"] == "alice" and each["pulls"]]
        self.assertEqual([each["pulls"] for each in names], [2])
        top = self.admin.get(f"{PREFIX}top?by=principal&range=24h").json()["items"]
        wait_until(
            lambda: (
                {"alice": served}.items()
                <= {
                    each["name"]: each["served_bytes"]
                    for each in self.admin.get(f"{PREFIX}top?by=principal&range=24h").json()[
                        "items"
                    ]
                }.items()
            ),
            f"the same in GET top, after {top}",
        )


class KillTests(UsageCase):
    """kill -9."""

    def test_kill(self) -> None:
        """What ended ten seconds before is in the file, and nothing twice, kill after kill."""
        lost = Sums()
        for _ in range(2):
            self.alice.get(self.layer)
            self.wait_until_written(lost)
            self.alice.get(f"{BASE}/manifests/1")
            self.bob.get(self.layer)
            killed = time.time()
            self.daemon.process.kill()
            missing = self.missing()
            self.assertEqual(lost - missing, Sums(), "something was counted twice")
            recent = [each for each in self.lines() if parse_time(each["time"]) > killed - LATEST]
            self.assertLessEqual((missing - lost).total(), sum(each["bytes"] for each in recent))
            lost = missing
            self.daemon.start()
        self.wait_until_written(lost)

    def missing(self) -> Sums:
        """What the access log has, and the file has not."""
        missing = Sums(self.logged()[0])
        missing.subtract(self.used()[0])
        self.assertGreaterEqual(min(missing.values()), 0, missing)
        return +missing

    def wait_until_written(self, lost: Sums) -> None:
        """Until the file has everything but what was lost before."""
        wait_until(lambda: self.missing() == lost, "all of it is in the file")
