"""The calls about seats over the daemon as it is put together."""

import hashlib
import json
import re
from dataclasses import replace
from datetime import date
from typing import Any

from cryptography import x509
from twisted.internet.defer import succeed

from regcache.access.sessions import Sessions
from regcache.admin.api import seat_calls
from regcache.admin.api.callers import Callers, Reach
from regcache.admin.api.calls import PREFIX
from regcache.admin.api.router import Api
from regcache.admin_seats import SeatAdmin
from regcache.client_setup.served import ListeningPlace, ServedHere, ServedRegistry
from regcache.config.client_facts import served_here
from regcache.new_secrets import hash_of
from regcache.own_authority import load_or_make_authority
from regcache.parsing import Parser
from regcache.whole_file import MOST_BYTES
from tests.access.accounts import basic
from tests.support.api import CHANGE, assert_answers, assert_problem
from tests.support.pools import HeldPool, ImmediatePool
from tests.support.web_client import Answer, MemoryClient, make_site
from tests.test_seat_access import SeatDaemonCase

FILE = "# ours\nalice:  # the first\n  note: x\n"


class SeatCallCase(SeatDaemonCase):
    """An API beside the daemon, for the administrator root."""

    def setUp(self) -> None:
        """The seats are those of a file with a comment."""
        super().setUp()
        self.write(FILE)
        self.network.advance(1)
        self.engine.metering.book.load({}, date.today())
        folder = self.file.with_name("ca-of-test")
        self.folder = str(folder)
        seats = self.make_admin()
        sessions = Sessions(self.engine.short_lived.entries, self.network)
        callers = Callers(self.current.gatekeeper, sessions, lambda: 0)
        api = Api(seat_calls.seat_routes(seats), callers, Parser(ImmediatePool()))
        self.api_site = make_site(lambda request: api.at(Reach.SOCKET)(request), self.network)
        self.patch(Callers, "find", _as_root)

    def make_admin(self) -> SeatAdmin:
        """What the calls are answered by."""
        return SeatAdmin(
            self.engine,
            self.current,
            lambda: succeed(served_here(self.current.in_force.config, "box")),
            lambda: self.folder,
        )

    def call(self, method: str, path: str, body: Any = None, *lines: str) -> Answer:
        """Ask the API."""
        content = b"" if body is None else json.dumps(body).encode()
        client = MemoryClient(self.api_site)
        client.request(method, PREFIX + path, *CHANGE, *lines, body=content)
        return client.answer()

    def change(self, path: str = "seats", **body: Any) -> Any:
        """The answer to a change that is made."""
        answer = self.call("POST", path, body)
        self.assertEqual(answer.status, 200, answer.body)
        assert_answers(seat_calls.POST_SEATS, answer.json)
        return answer.json

    def listed(self) -> list[Any]:
        """All seats."""
        answer = self.call("GET", "seats")
        assert_answers(seat_calls.GET_SEATS, answer.json)
        items: list[Any] = answer.json["items"]
        return items


async def _as_root(self: Callers, request: Any, reach: Reach) -> Any:
    from regcache.admin.api.callers import Caller, Role

    return Caller(Role.ADMIN, reach, "loopback")


class ChangeTests(SeatCallCase):
    """What changes seats."""

    def test_add(self) -> None:
        """A new seat is in force with the answer, which alone has its secrets."""
        made = self.change(
            name="bob", make=["password", "key", "certificate", "host", "link"], daily="20GiB"
        )
        self.assertTrue(made["created"])
        self.assertEqual(made["seat"]["daily"], 20 * 1024**3)
        for password in (made["password"], made["key"]):
            shown = f"Authorization: {basic('bob', password)}"
            self.assertEqual(self.status("/v2/", shown), 200)
        self.assertEqual(self.status(host=f"docker-{made['host']['label']}.example.com"), 200)
        self.assertIn(f"//docker-{made['host']['label']}.example.com", made["host"]["urls"][0])
        link = made["link"]["urls"][0].partition(".com")[2].partition("/")[2]
        self.assertEqual(self.get(f"/{link}", method="POST").status, 200)
        self.assertEqual(self.status(), 200)
        shown = json.dumps(self.listed()) + self.file.read_text()
        for secret in (made["password"], made["key"], link.partition("/")[2]):
            self.assertNotIn(secret, shown)
            self.assertIn(secret, made["page"])
        self.assertNotIn(made["host"]["label"], json.dumps(self.listed()))
        self.assertTrue(self.file.read_text().startswith(FILE))
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    def test_certificate(self) -> None:
        """A certificate is issued by our own authority, and listed by its fingerprint."""
        made = self.change("seats/certificate", name="alice", days=10)["certificate"]
        certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
        certificate.verify_directly_issued_by(load_or_make_authority(self.folder).certificate)
        again = self.change("seats/certificate", name="alice")
        fingerprints = again["seat"]["certificates"]
        self.assertEqual(fingerprints[0], made["fingerprint"])
        self.assertEqual(len(fingerprints), 2)
        kept = self.change(name="alice", certificates=fingerprints[1:])
        self.assertEqual(kept["seat"]["certificates"], fingerprints[1:])

    def test_values(self) -> None:
        """Fields are as in the file; null takes away, and what is absent stays."""
        seat = self.change(
            name="alice",
            rate=5_000_000,
            monthly="1TiB",
            downloads=3,
            until="2031-01-31",
            upstreams=["corp"],
        )["seat"]
        self.assertEqual((seat["rate"], seat["monthly"]), (5_000_000, 1024**4))
        self.assertEqual((seat["downloads"], seat["upstreams"]), (3, ["corp"]))
        self.assertEqual((seat["until"], seat["note"]), ("2031-01-31", "x"))
        self.assertEqual(seat["left"]["monthly_bytes"], 1024**4)
        seat = self.change(name="alice", rate=None, until=None, upstreams=None, note=None)["seat"]
        self.assertEqual((seat["rate"], seat["until"], seat["upstreams"]), (None, None, None))
        self.assertEqual((seat["note"], seat["downloads"]), ("", 3))
        self.assertIn("alice:  # the first", self.file.read_text())

    def test_end(self) -> None:
        """An ended seat is out with the answer; its addresses are forgotten; it may come back."""
        made = self.change(name="alice", make=["password", "link"])
        link = made["link"]["urls"][0].partition(".com")[2].partition("/")[2]
        self.get(f"/{link}", method="POST")
        self.assertEqual(len(self.listed()[0]["addresses"]), 1)
        shown = f"Authorization: {basic('alice', made['password'])}"
        self.assertEqual(self.status("/v2/", shown), 200)
        ended = self.change("seats/end", name="alice")["seat"]
        self.assertTrue(ended["has_ended"])
        self.assertEqual(self.status("/v2/", shown), 403)
        self.assertEqual(self.status(), 401)
        self.assertFalse(self.change(name="alice", ended=None)["seat"]["has_ended"])
        self.assertEqual(self.status("/v2/", shown), 200)
        self.assertEqual(self.status(), 401)

    def test_own_password(self) -> None:
        """A password may be given; its hash alone is kept."""
        made = self.change(name="alice", password="my own word")
        self.assertIsNone(made["password"])
        self.assertNotIn("my own word", self.file.read_text() + made["page"])
        shown = f"Authorization: {basic('alice', 'my own word')}"
        self.assertEqual(self.status("/v2/", shown), 200)

    def test_keys(self) -> None:
        """Keys have a name and a last day, and go if they are not among those that stay."""
        first = self.change("seats/key", name="alice", key_name="ci", key_until="2031-01-31")
        self.change("seats/key", name="alice")
        keys = self.listed()[0]["keys"]
        digest = "sha256:" + hashlib.sha256(first["key"].encode()).hexdigest()
        self.assertEqual(keys[0], {"key": digest, "name": "ci", "until": "2031-01-31"})
        self.change(name="alice", keys=keys[1:])
        shown = f"Authorization: {basic('alice', first['key'])}"
        self.assertEqual(self.status("/v2/", shown), 401)


class HandEditTests(SeatCallCase):
    """The file was edited by hand a moment ago, and the daemon has not looked yet."""

    def test_version(self) -> None:
        """The version is that of the seats that are told: no change brings back what is revoked."""
        first = self.change("seats/key", name="alice")["key"]
        self.change("seats/key", name="alice")
        before = self.call("GET", "seats")
        keys = before.json["items"][0]["keys"]
        revoked = {"key": "sha256:" + hashlib.sha256(first.encode()).hexdigest()}
        lines = self.file.read_text().splitlines()
        self.write("\n".join(each for each in lines if "keys" not in each))
        after = self.call("GET", "seats")
        self.assertEqual(after.json["items"][0]["keys"], [])
        self.assertNotEqual(after.headers["etag"], before.headers["etag"])
        for answer, given, status in ((before, keys, 412), (after, [], 200)):
            tag = f"If-Match: {answer.headers['etag']}"
            told = self.call("POST", "seats", {"name": "alice", "keys": given, "note": "z"}, tag)
            self.assertEqual(told.status, status, told.body)
        self.assertNotIn(revoked["key"], self.file.read_text())

    def test_fault(self) -> None:
        """Of a file with a fault those in force are told; a change says where the fault is."""
        self.write("alice: {nte: x}\n")
        told = self.call("GET", "seats")
        self.assertEqual([each["note"] for each in told.json["items"]], ["x"])
        tag = f"If-Match: {told.headers['etag']}"
        answer = self.call("POST", "seats", {"name": "alice", "note": "y"}, tag)
        assert_problem(self, answer, 422, "WRONG_SEATS")
        self.write(FILE)
        answer = self.call("POST", "seats", {"name": "alice", "note": "y"}, tag)
        assert_problem(self, answer, 412, "CHANGED")
        self.assertEqual(self.file.read_text(), FILE)


class LeavingTests(SeatCallCase):
    """The client leaves while its change is being written by a slow disk."""

    def make_admin(self) -> SeatAdmin:
        """Over a disk that waits for the test; the daemon's own looks do not."""
        self.disk = HeldPool()
        self.engine = replace(self.engine, disk_pool=self.disk)
        return super().make_admin()

    def begin_change(self, path: str, **body: Any) -> MemoryClient:
        """Ask for a change."""
        client = MemoryClient(self.api_site)
        content = json.dumps(body).encode()
        return client.request("POST", PREFIX + path, *CHANGE, body=content)

    def test_left(self) -> None:
        """The change comes into force whole; the next one waits for its end, and finds it there."""
        secret = "s" * 43
        self.write(FILE + f"  knock: {hash_of(secret)}\n")
        self.network.advance(1)
        self.get(f"/knock/{secret}", method="POST")
        knocks = self.engine.short_lived.knocks
        self.assertEqual(len(knocks.all()), 1)
        self.begin_change("seats/end", name="alice").leave()
        following = self.begin_change("seats", name="alice", note="paid")
        self.assertEqual(len(self.disk.jobs), 1)
        self.disk.release()
        self.assertEqual(knocks.all(), [])
        self.assertEqual(self.status(), 401)
        self.disk.release_all()
        self.assertTrue(following.answer().json["seat"]["has_ended"])
        self.assertIn("note: paid", self.file.read_text())

    def test_failed(self) -> None:
        """A change that fails after that keeps nobody waiting."""
        self.write("alice: {nte: x}\n")
        self.begin_change("seats", name="alice", note="y").leave()
        self.disk.release()
        following = self.begin_change("seats", name="alice", note="paid")
        self.disk.release()
        assert_problem(self, following.answer(), 422, "WRONG_SEATS")


class RefusalTests(SeatCallCase):
    """What is refused, and leaves the file as it was."""

    def refused(self, status: int, code: str, path: str = "seats", **body: Any) -> Any:
        """The problem."""
        problem = assert_problem(self, self.call("POST", path, body), status, code)
        self.assertEqual(self.file.read_text(), FILE)
        return problem

    def test_names(self) -> None:
        """A seat that has to be new is, and one that has to be there is."""
        self.refused(409, "SEAT_EXISTS", name="alice", new=True)
        self.refused(404, "UNKNOWN_SEAT", name="bob", new=False)
        for call in ("end", "key", "certificate", "host", "link"):
            self.refused(404, "UNKNOWN_SEAT", f"seats/{call}", name="bob")
        for name in ("a b", "*", "anonymous", "a:b"):
            self.refused(400, "INVALID", name=name)

    def test_values(self) -> None:
        """Values that cannot be are refused, with the field."""
        for body in (
            {"daily": "20"},
            {"daily": 0},
            {"until": "tomorrow"},
            {"downloads": 0},
            {"upstreams": []},
            {"host": "A-label"},
            {"certificates": ["sha256:" + "x" * 64]},
            {"knock": "x" * 71},
            {"note": "two\nlines"},
            {"unknown": 1},
            {"password": "ü" * 37},
        ):
            problem = self.refused(400, "INVALID", name="alice", **body)
            self.assertEqual(re.split(r"[.\[]", problem["params"]["field"])[0], *body)

    def test_version(self) -> None:
        """A change of what was changed since it was read is refused."""
        etag = self.call("GET", "seats").headers["etag"]
        body = {"name": "alice", "note": "y"}
        self.assertEqual(self.call("POST", "seats", body, f"If-Match: {etag}").status, 200)
        answer = self.call("POST", "seats", body, f"If-Match: {etag}")
        assert_problem(self, answer, 412, "CHANGED")
        self.assertEqual(self.call("POST", "seats", body, "If-Match: *").status, 200)

    def test_wrong_file(self) -> None:
        """A file with a fault is not changed; the lines are told."""
        self.write("alice: {nte: x}\n")
        answer = self.call("POST", "seats", {"name": "alice", "note": "y"})
        problem = assert_problem(self, answer, 422, "WRONG_SEATS")
        self.assertIn(":1: alice.nte: unknown key", problem["params"]["errors"][0])

    def test_too_large(self) -> None:
        """A file that is not read whole is not written either, nor one made that would not be."""
        line = "# " + "x" * 1021 + "\n"
        whole = FILE + line * (MOST_BYTES // len(line) - 1)
        for more, why in ((MOST_BYTES - len(whole), "would be"), (2 * len(line), "it is")):
            text = whole + "#" * (more - 1) + "\n"
            self.write(text)
            body = {"name": "bob", "note": "y"}
            problem = assert_problem(self, self.call("POST", "seats", body), 422, "WRONG_SEATS")
            (error,) = problem["params"]["errors"]
            self.assertIn(f"{why} larger than", error)
            self.assertIn("take out seats that have ended", error)
            self.assertEqual(self.file.stat().st_size, len(text))

    def test_no_text(self) -> None:
        """So is one that is no text."""
        self.file.write_bytes(b"alice: {note: \xff}\n")
        answer = self.call("POST", "seats", {"name": "alice", "note": "y"})
        problem = assert_problem(self, answer, 422, "WRONG_SEATS")
        self.assertIn(":1: is not UTF-8", problem["params"]["errors"][0])

    def test_no_links(self) -> None:
        """Without access.knock there are no links, and it is said which key to set."""
        self.begin_without_links()
        problem = self.refused(409, "NOT_SET", "seats/link", name="alice")
        self.assertEqual(problem["params"], {"key": "access.knock"})

    def begin_without_links(self) -> None:
        """Another configuration."""
        keys = "urls: ['http://old.test'], hosts: [docker.example.com]"
        following = self.build(keys, f"access: {{seats: '{self.file}'}}\n")
        self.current.replace(following)


class WarningTests(SeatCallCase):
    """What was made, but will be of no use as the cache is set up."""

    def make_admin(self) -> SeatAdmin:
        """It listens as a test says."""
        served = lambda: succeed(self.served)  # noqa: E731
        return SeatAdmin(self.engine, self.current, served, lambda: self.folder)

    def warnings(self, place: ListeningPlace, host: str) -> list[str]:
        """Of a certificate, a host and a link."""
        self.served = ServedHere([place], [ServedRegistry("docker.io", hosts=[host])])
        found: list[str] = self.change(name="alice", make=["certificate", "host", "link"])[
            "warnings"
        ]
        return found

    def test_warnings(self) -> None:
        """Each says what is missing; with TLS and a wildcard nothing is."""
        for names, wanted in ((["docker.example.com"], 1), (["*.example.com"], 0), ([], 0)):
            place = ListeningPlace("https", 443, names=names)
            found = self.warnings(place, "docker.example.com")
            self.assertEqual(len(found), wanted, (names, found))
            self.assertTrue(all("they need a wildcard" in each for each in found))
        found = self.warnings(ListeningPlace("http", 5000), "192.0.2.1")
        for words, each in zip(("has TLS", "need a host name", "plain HTTP"), found, strict=True):
            self.assertIn(words, each)
