"""What an operator asks of a large index while 50 clients are being served.

How long it takes over 100,000 contents is measured by ``python -m benchmarks operating``.
"""

import json
import shutil
import threading
from typing import Any

from benchmarks.index_maker import make_index
from tests.access.accounts import basic, hashed
from tests.integration.base import UPSTREAM, PullThroughCase, upstream_config
from tests.support.downloads import Download
from tests.support.images import MIB
from tests.support.processes import wait_until
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache

ADMIN = ("admin", "secret")
IMAGES, TRANSFERS, SIZE = 4_000, 50, 16 * MIB


class LargeIndexTests(PullThroughCase):
    """Images of five contents each."""

    def setUp(self) -> None:
        """A daemon with that index, and transfers that have begun and do not end."""
        self.upstream = self.faulty_upstream()
        self.blob = self.upstream.add_generated_blob("team/app", SIZE)
        accounts = self.workspace().file("htpasswd", f"admin:{hashed(ADMIN[1]).decode()}\n")
        access = {"htpasswd": str(accounts), "admins": ["admin"]}
        self.daemon = Regcache({**upstream_config(self.upstream.url), "access": access})
        self.addCleanup(self.daemon.close)
        made = make_index(self.workspace().path / "index.sqlite", IMAGES)
        shutil.move(made, self.daemon.directory / "index.sqlite")
        self.daemon.start()
        self.admin = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}", ADMIN)
        self.go_on = threading.Event()
        self.addCleanup(self.go_on.set)

    def api(self, call: str, body: Any = None) -> Any:
        """What a call answers."""
        target, content = f"/api/v1/{call}", {"X-Regcache": "1", "Content-Type": "application/json"}
        if body is None:
            answer = self.admin.get(target)
        else:
            answer = self.admin.ask("POST", target, json.dumps(body).encode(), content)
        self.assertEqual(answer.status, 200, answer.body[:500])
        return answer.json()

    def begin(self) -> list[Download]:
        """Clients that have got something, and take no more."""
        target = f"/v2/team/app/blobs/{self.blob.digest}"
        running = [
            Download(
                self.daemon.client(),
                target,
                headers={"Authorization": basic(*ADMIN)},
                pace=lambda _: self.go_on.wait(),
                receive_buffer=1 << 16,
            )
            for _ in range(TRANSFERS)
        ]
        wait_until(lambda: all(each.received for each in running), "all transfers have begun")
        return running

    def name(self, number: int) -> str:
        """A repository of the index, by its number."""
        return f"{UPSTREAM}/team{number % 997}/app{number}"

    def newest(self) -> list[str]:
        """The first page of repositories by last use."""
        items = self.api("repositories?sort=last_used&limit=50")["items"]
        return [each["name"] for each in items]

    def test_while_transfers_run(self) -> None:
        """Status, list, plan and search answer rightly, and every transfer goes on to its end."""
        wanted = [self.name(IMAGES - back) for back in range(50)]
        wait_until(lambda: self.newest() == wanted, "all repositories have been summed up")
        running = self.begin()
        self.assertEqual(self.newest(), wanted)
        counts = self.api("status")["counts"]
        self.assertEqual(counts["tags"], IMAGES)
        found = self.api("repositories?q=app3999")["items"]
        self.assertEqual([each["name"] for each in found], [self.name(3_999)])
        plan = self.api("plans", {"action": "purge"})
        self.assertEqual((plan["images"], plan["tags"]), (IMAGES, IMAGES))
        self.assertTrue(all(each.is_alive() and each.received < SIZE for each in running))
        self.go_on.set()
        for each in running:
            each.wait()
            got = (each.status, each.error, each.digest)
            self.assertEqual(got, (200, None, self.blob.digest))
