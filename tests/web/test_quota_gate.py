"""Who has used up a quota, as a client sees it."""

import json
from datetime import datetime

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.access import Access
from regcache.access.grants import Rules
from regcache.access.own_tokens import OwnTokens
from regcache.access.passwords import Passwords
from regcache.digests import Digest
from regcache.local_days import LocalDays
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from regcache.seats import Seat
from regcache.usage import ServedTo
from regcache.web.quota_gate import LONGEST_WAIT
from tests.access.accounts import basic, hashed
from tests.support.front import Front, Setting
from tests.support.pools import ImmediatePool
from tests.support.web_client import Answer
from tests.test_local_days import set_zone
from tests.test_manifest_body import image
from tests.web.test_manifest_handler import INDEX

ALICE, BOB = basic("alice", "secret"), basic("bob", "secret")
IMAGE = json.dumps(image()).encode()
BLOB = b"layer" * 20_000
BASE = "/v2/org/app"
TAG, BY_DIGEST = f"{BASE}/manifests/1", f"{BASE}/manifests/{Digest.of(IMAGE)}"
LAYER = f"{BASE}/blobs/{Digest.of(BLOB)}"
DAILY = 1000


class QuotaGateCase(SynchronousTestCase):
    """Alice has a daily quota, bob none; an image is at the upstream."""

    def setUp(self) -> None:
        set_zone(self, "Europe/Berlin")
        clock = Clock()
        clock.advance(datetime(2026, 12, 1, 18).timestamp())
        self.access = Access(
            Rules(True, []), Passwords(ImmediatePool(), clock), OwnTokens(b"k" * 32, 300), clock
        )
        self.access.replace_accounts({name: hashed("secret") for name in ("alice", "bob")})
        self.give(Seat(name="alice", daily=DAILY))
        self.front = Front(self.mktemp(), Setting(private=True, access=self.access))
        self.addCleanup(self.front.stop)
        self.front.clock.advance(clock.seconds() - self.front.clock.seconds())
        self.book = self.front.book
        self.day = LocalDays().day(clock.seconds())
        main = self.front.main
        main.add_manifest("org/app", "1", IMAGE, OCI_MANIFEST)
        main.add_manifest("org/app", "list", INDEX, OCI_INDEX)
        main.add(BLOB)

    def give(self, seat: Seat) -> None:
        """Change the file of seats."""
        self.access.replace_seats({seat.name: seat})

    def ask(self, method: str, target: str, *lines: str, who: str = ALICE) -> Answer:
        """Ask as somebody."""
        return self.front.ask(method, target, f"Authorization: {who}", *lines)

    def use_up(self) -> None:
        """Alice was served all that she may have."""
        self.book.load({"alice": ServedTo(DAILY, DAILY)}, self.day)

    def assert_refused(self, answer: Answer, seconds: int) -> None:
        """429, with all that it has to say."""
        self.assertEqual(answer.status, 429, answer.body)
        (error,) = answer.json["errors"]
        self.assertEqual(error["code"], "TOOMANYREQUESTS")
        self.assertIn("daily quota of 1000 B", error["message"])
        self.assertIn(int(answer.headers["retry-after"]), range(seconds - 30, seconds + 1))


class RefusalTests(QuotaGateCase):
    """The table, row by row."""

    def test_refused(self) -> None:
        """New GETs of manifests and blobs, cold and warm; nothing is asked of the upstream."""
        self.use_up()
        for target in (TAG, BY_DIGEST, LAYER, f"{BASE}/manifests/none"):
            self.assert_refused(self.ask("GET", target), 6 * 3600)
        self.assertEqual(self.front.main.requests, [])
        self.assertEqual(self.ask("GET", TAG, who=BOB).status, 200)
        self.assert_refused(self.ask("GET", TAG), 6 * 3600)
        record = self.front.records.last
        self.assertEqual((record.outcome, record.status), ("denied", 429))
        assert record.cause is not None
        self.assertEqual(record.cause.code, "denied.quota")

    def test_heads(self) -> None:
        """HEAD, lists and a login still work."""
        self.use_up()
        for target in (TAG, BY_DIGEST, LAYER):
            self.assertEqual(self.ask("HEAD", target).status, 200, target)
        for target in (f"{BASE}/referrers/{Digest.of(IMAGE)}", "/v2/_catalog", "/v2/"):
            self.assertEqual(self.ask("GET", target).status, 200, target)

    def test_revalidation(self) -> None:
        """What the client has is said to be unchanged; what it has not is refused."""
        self.use_up()
        same = f'If-None-Match: "{Digest.of(IMAGE)}"'
        other = f'If-None-Match: "{Digest.of(b"x")}"'
        for target in (TAG, BY_DIGEST):
            for _ in range(2):  # cold, and cached
                self.assertEqual(self.ask("GET", target, same).status, 304, target)
                self.assert_refused(self.ask("GET", target, other), 6 * 3600)
        layer = f'If-None-Match: "{Digest.of(BLOB)}"'
        self.assertEqual(self.ask("GET", LAYER, layer).status, 304)
        self.assert_refused(self.ask("GET", LAYER, same), 6 * 3600)
        changed = f"{BASE}/manifests/list"
        self.assert_refused(self.ask("GET", changed, same, f"Accept: {OCI_INDEX}"), 6 * 3600)

    def test_others(self) -> None:
        """An account without a quota is never refused."""
        self.book.load({"bob": ServedTo(10**12, 10**12)}, self.day)
        self.assertEqual(self.ask("GET", LAYER, who=BOB).body, BLOB)


class CourseTests(QuotaGateCase):
    """What changes in the course of time."""

    def test_reached(self) -> None:
        """What is served counts: the answer that goes over it is whole, the next one refused."""
        self.book.load({}, self.day)
        self.assertEqual(self.ask("GET", LAYER).body, BLOB)
        self.assertEqual(self.book.used("alice").day, len(BLOB))
        self.assert_refused(self.ask("GET", TAG), 6 * 3600)

    def test_two_connections(self) -> None:
        """What another connection has been sent counts while it is being sent."""
        self.book.load({"alice": ServedTo(DAILY - 1, DAILY - 1)}, self.day)
        first, second = (
            self.front.begin("GET", LAYER, f"Authorization: {ALICE}") for _ in range(2)
        )
        self.front.caches.run()
        self.assert_refused(self.ask("GET", TAG), 6 * 3600)
        for client in (first, second):
            self.assertEqual(client.answer().body, BLOB)
            client.leave()

    def test_midnight(self) -> None:
        """At midnight there is more, by a connection and a decision from before."""
        self.use_up()
        self.front.pass_time(6 * 3600 - 1)
        self.assert_refused(self.ask("GET", TAG), 1)
        self.front.pass_time(1)
        self.assertEqual(self.ask("GET", TAG).status, 200)

    def test_changed(self) -> None:
        """A quota that is changed, taken away or given counts at once."""
        self.use_up()
        self.give(Seat(name="alice", daily=DAILY + 10**6))
        self.assertEqual(self.ask("GET", TAG).status, 200)
        self.give(Seat(name="alice", monthly=1))
        answer = self.ask("GET", TAG)
        self.assertIn("monthly quota of 1 B", answer.json["errors"][0]["message"])
        self.assertEqual(answer.headers["retry-after"], str(30 * 86400 + 6 * 3600))
        self.give(Seat(name="alice"))
        self.assertEqual(self.ask("GET", TAG).status, 200)


class StartTests(QuotaGateCase):
    """Before it is known what was served by earlier processes."""

    def test_waits(self) -> None:
        """Who has a quota waits until that is known, and others do not."""
        self.assertEqual(self.ask("GET", TAG, who=BOB).status, 200)
        client = self.front.begin("GET", TAG, f"Authorization: {ALICE}")
        self.assertEqual(client.raw, b"")
        self.use_up()
        self.front.caches.run()
        self.assert_refused(client.answer(), 6 * 3600)

    def test_too_long(self) -> None:
        """It is refused for the moment if that takes too long."""
        client = self.front.begin("GET", TAG, f"Authorization: {ALICE}")
        self.front.pass_time(LONGEST_WAIT)
        answer = client.answer()
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "5"))

    def test_left(self) -> None:
        """A client that leaves meanwhile is forgotten."""
        client = self.front.begin("GET", TAG, f"Authorization: {ALICE}")
        client.leave()
        self.use_up()
        self.front.caches.run()
        self.assertEqual(client.raw, b"")
        self.assertEqual(self.book.used("alice").day, DAILY)
