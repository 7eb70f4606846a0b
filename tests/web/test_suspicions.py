"""Clients that ask again for what they were just sent: it is verified behind that answer."""

import os
import random
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.suspicions import (
    MOST_AT_ONCE,
    MOST_SENT,
    MOST_VERIFIED,
    MOST_WAITING,
    SOON,
    VERIFIED_FOR,
    Suspicions,
)
from regcache.digests import Digest
from regcache.interfaces import Verified
from tests.support.front import Front
from tests.support.web_client import MemoryClient

CONTENT = random.Random(3).randbytes(1_500_000)


class SuspicionTests(SynchronousTestCase):
    """A large blob, which is not hashed when it is read."""

    def setUp(self) -> None:
        """It is stored."""
        self.front = Front(self.mktemp())
        self.addCleanup(self.front.stop)
        self.front.main.chunk = 100_000
        self.digest = self.front.main.add(CONTENT)
        self.target = f"/v2/org/app/blobs/{self.digest}"
        self.get("a")
        self.front.pass_time(SOON + 1)
        self.verified: list[Digest] = []
        store: Any = self.front.caches.store
        verify = store.verify

        def noted(digest: Digest, size: int) -> Any:
            self.verified.append(digest)
            self.assertEqual(size, len(CONTENT))
            return verify(digest, size)

        self.patch(store, "verify", noted)

    def get(self, address: str, *lines: str) -> bytes:
        """GET, from an address of its own."""
        peer: Any = type("Peer", (), {"type": "TCP", "host": address, "port": 1})()
        client = MemoryClient(self.front.site, peer=peer)
        client.request("GET", self.target, *lines)
        self.front.caches.run()
        client.leave()
        return client.raw.partition(b"\r\n\r\n")[2]

    def damage(self) -> str:
        """Four bytes of the file are others."""
        found = [
            os.path.join(parent, name)
            for parent, _, names in os.walk(self.front.caches.paths.blobs)
            for name in names
        ]
        with open(found[0], "r+b") as target:
            target.seek(1000)
            target.write(bytes(byte ^ 1 for byte in CONTENT[1000:1004]))
        return found[0]

    def test_asked_again(self) -> None:
        """The second answer is followed by a check, which is made once an hour."""
        self.get("a")
        self.assertEqual(self.verified, [])
        for _ in range(3):
            self.get("a")
        self.assertEqual(self.verified, [self.digest])
        self.front.pass_time(VERIFIED_FOR)
        self.get("a")
        self.get("a")
        self.assertEqual(self.verified, [self.digest] * 2)

    def test_damaged(self) -> None:
        """What is damaged is removed behind the second answer; the third is right."""
        path = self.damage()
        self.front.main.requests.clear()
        for _ in range(2):
            self.assertNotEqual(self.get("a"), CONTENT)
        self.assertFalse(os.path.exists(path))
        self.assertEqual(self.get("a"), CONTENT)
        self.assertEqual(self.front.main.count("get_blob"), 1)

    def test_others(self) -> None:
        """Neither another client, nor one that comes later, nor a part of it is suspicious."""
        self.get("a")
        self.get("b")
        self.get("a", "Range: bytes=5-")
        self.front.pass_time(SOON)
        self.get("a")
        self.assertEqual(self.verified, [])

    def test_not_all_of_it(self) -> None:
        """Who was not sent all of it asks again for a good reason."""
        self.get("c", "Range: bytes=0-99")
        self.get("c")
        self.assertEqual(self.verified, [])

    def test_from_the_start(self) -> None:
        """A range from the first byte on is from the start, too."""
        self.get("a")
        self.get("a", "Range: bytes=0-")
        self.assertEqual(self.verified, [self.digest])

    def test_bounded(self) -> None:
        """However many clients and blobs there are."""
        clock = Clock()
        store: Any = type("Store", (), {"verify": lambda *_: succeed(Verified.SOUND)})()
        suspicions = Suspicions(store, clock)
        for number in range(2 * MOST_SENT):
            digest = Digest.of(str(number).encode())
            suspicions.sent(str(number), digest)
            suspicions.verify(digest, 1)
        self.assertEqual(len(suspicions), MOST_SENT + MOST_VERIFIED)

    def test_pulled_over_and_over(self) -> None:
        """Few blobs are verified at once, few more wait, and the others are when asked again."""
        running: list[Deferred[Verified]] = []

        def verify(*_: object) -> "Deferred[Verified]":
            running.append(Deferred())
            return running[-1]

        store: Any = type("Store", (), {"verify": verify})()
        suspicions = Suspicions(store, Clock())
        digests = [Digest.of(b"%d" % number) for number in range(2 * MOST_WAITING)]
        for digest in digests:
            suspicions.verify(digest, 1)
        self.assertEqual(len(running), MOST_AT_ONCE)
        with capturedLogs() as events:
            for number, each in enumerate(running):  # it grows meanwhile
                each.callback(Verified.DAMAGED if number == 5 else Verified.SOUND)
        self.assertEqual(len(running), MOST_AT_ONCE + MOST_WAITING)
        self.assertEqual([event["digest"] for event in events], [str(digests[5])])
        suspicions.verify(digests[-1], 1)
        self.assertEqual(len(running), MOST_AT_ONCE + MOST_WAITING + 1)
