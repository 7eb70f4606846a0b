"""Changes of seats that name what they saw (If-Match), over sockets, several at once."""

import json
import threading
from typing import Any

from tests.access.accounts import hashed
from tests.integration.base import PullThroughCase, upstream_config
from tests.support.all_calls import CHANGE
from tests.support.processes import wait_until
from tests.support.registry_client import Answer, RegistryClient

ADMIN = ("admin", "secret")
#: Each call that changes a seat.
CHANGES = ("", "/end", "/key", "/certificate", "/host", "/link")


class SeatChangeTests(PullThroughCase):
    """Two administrators who do not know of each other."""

    def setUp(self) -> None:
        folder = self.workspace()
        accounts = folder.file("htpasswd", f"admin:{hashed(ADMIN[1]).decode()}\n")
        self.file = folder.path / "seats.yml"
        access = {"htpasswd": str(accounts), "seats": str(self.file), "admins": ["admin"]}
        access["knock"] = "24h"
        self.upstream = self.faulty_upstream()
        self.blob = self.upstream.add_generated_blob("team/app", 10_000)
        self.daemon = self.regcache({**upstream_config(self.upstream.url), "access": access})
        self.admin = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}", ADMIN)
        self.password = "a long password"
        self.assertEqual(self.change("", password=self.password).status, 200)

    def tag(self) -> str:
        """The entity tag of the list."""
        return self.admin.get("/api/v1/seats").headers["etag"]

    def change(self, call: str, tag: str | None = None, **values: Any) -> Answer:
        """Ask for a change of a seat."""
        body = json.dumps({"name": "alice", **values}).encode()
        headers = {**CHANGE, **({} if tag is None else {"If-Match": tag})}
        return self.admin.ask("POST", f"/api/v1/seats{call}", body, headers)

    def test_each_call(self) -> None:
        """Each change that names an older list is refused with 412, and changes nothing."""
        old = self.tag()
        self.assertEqual(self.change("", old, note="first").status, 200)
        before = self.file.read_text()
        for call in CHANGES:
            for tag in (old, f"W/{old}", '"no such version"', "", f'{old}, "another"'):
                answer = self.change(call, tag)
                self.assertEqual(answer.status, 412, (call, tag, answer.body))
                self.assertEqual(answer.headers["content-type"], "application/problem+json")
                self.assertEqual(answer.json()["code"], "CHANGED")
        self.assertEqual(self.file.read_text(), before)
        for call in CHANGES[2:]:
            self.assertIn(self.change(call, self.tag()).status, (200, 409), call)
        self.assertEqual(self.change("/end", "*").status, 200)

    def test_use(self) -> None:
        """What a seat was served changes the list, and is no change of the seats."""
        old = self.tag()
        client = self.daemon.client(credentials=("alice", self.password))
        self.assertEqual(client.get(f"/v2/team/app/blobs/{self.blob.digest}").status, 200)
        wait_until(lambda: self.tag() != old, "the list shows what was served")
        self.assertEqual(self.change("", old, note="fine").status, 200)

    def test_by_hand(self) -> None:
        """A file that somebody edits is another version, as soon as it is in use."""
        old = self.tag()
        self.file.write_text(self.file.read_text() + "bob: {note: by hand}\n")
        wait_until(lambda: b"by hand" in self.admin.get("/api/v1/seats").body, "it is in use")
        self.assertEqual(self.change("", old, note="over it").status, 412)
        self.assertIn("by hand", self.file.read_text())

    def test_at_once(self) -> None:
        """Of many that saw the same list one is done."""
        tag, statuses = self.tag(), []

        def ask(number: int) -> None:
            statuses.append(self.change("", tag, note=f"number {number}").status)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        self.assertEqual(sorted(statuses), [200] + [412] * 11)
        (seat,) = self.admin.get("/api/v1/seats").json()["items"]
        self.assertRegex(seat["note"], "^number ")

    def test_other_answers(self) -> None:
        """Every GET has an entity tag, and is 304 for who has it, until it is another one."""
        for call in ("seats", "upstreams", "config", "pins", "storage", "openapi.json"):
            answer = self.admin.get(f"/api/v1/{call}")
            again = self.admin.get(f"/api/v1/{call}", If_None_Match=answer.headers["etag"])
            self.assertEqual((again.status, again.body), (304, b""), call)
            self.assertEqual(again.headers["etag"], answer.headers["etag"])
            self.assertEqual(again.headers["cache-control"], "no-store")
