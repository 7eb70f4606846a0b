"""Tests for what is passed on: one body to one client, and which answers are fit for it."""

import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.cache.download.context import WITHHELD, BlobSource
from regcache.cache.download.relay import SLOWEST, WINDOW, Relay
from regcache.cache.download.target import NO_ROOM
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer, UpstreamFailure, UpstreamUnreachable
from regcache.interfaces import IBlobBody, IBodyConsumer, IReader, IReaderSink
from tests.support.bodies import FakeBody, Fault
from tests.support.caches import Sink
from tests.support.download_case import DownloadTestCase
from tests.support.registries import FakeRegistry

KIB = 1024


class RelayTests(SynchronousTestCase):
    """One body, one client."""

    def setUp(self) -> None:
        """A blob of 200 KiB, in chunks of 10 KiB."""
        self.clock = Clock()
        self.registry = FakeRegistry(self.clock, chunk=10 * KIB)
        self.content = random.Random(3).randbytes(200 * KIB)
        self.lies = 0
        self.sizes: list[int] = []
        self.failures: list[UpstreamFailure] = []
        self.sink = Sink()

    def relay(self, size: int | None = 200 * KIB, fault: Fault | None = None) -> Relay:
        """A relay of the blob."""

        self.body = FakeBody(self.registry, self.content, 0, len(self.content), fault or Fault())
        digest = Digest.of(self.content)
        relay = Relay(digest, self.body, size, upstream="up.test", events=self, clock=self.clock)
        self.sink.reader = relay
        return relay

    def wrong_bytes(self) -> None:
        """Count it."""
        self.lies += 1

    def verified(self, size: int) -> None:
        """Note it."""
        self.sizes.append(size)

    def broke_off(self, failure: UpstreamFailure) -> None:
        """Note it."""
        self.failures.append(failure)

    def run_through(self, turns: int = 100) -> None:
        """Let everything happen, and see that nothing is left."""
        for _ in range(turns):
            self.clock.advance(0.001)
        self.assertFalse(self.body.open)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_interfaces(self) -> None:
        """It has the face of a reader; the fake body is a body."""
        relay = self.relay()
        verifyObject(IReader, relay)
        verifyObject(IBodyConsumer, relay)
        verifyObject(IBlobBody, self.body)
        verifyObject(IReaderSink, self.sink)

    def test_whole(self) -> None:
        """A whole blob passes, whether or not its size is known."""
        for size in (200 * KIB, None):
            with self.subTest(size=size):
                self.sink = Sink()
                relay = self.relay(size, Fault(hide_size=size is None))
                self.successResultOf(relay.ready())
                relay.begin(0, size, self.sink)
                self.run_through()
                self.assertEqual((bytes(self.sink.data), self.sink.ended), (self.content, True))
        self.assertEqual(self.sizes, [200 * KIB] * 2)

    def test_last_bytes_wait_for_the_proof(self) -> None:
        """Until the body has ended the last 64 KiB are held back."""
        for size in (200 * KIB, None):
            with self.subTest(size=size):
                self.sink = Sink()
                relay = self.relay(size, Fault(stall=199 * KIB, hide_size=size is None))
                relay.begin(0, size, self.sink)
                for _ in range(100):
                    self.clock.advance(0.001)
                self.assertLessEqual(len(self.sink.data), 200 * KIB - WITHHELD)
                self.assertGreater(len(self.sink.data), 100 * KIB)
                relay.leave()

    def test_range(self) -> None:
        """A range is cut out, and ends the upstream transfer when nothing is to be held back."""
        self.relay().begin(15 * KIB, 35 * KIB + 7, self.sink)
        self.run_through()
        self.assertEqual(bytes(self.sink.data), self.content[15 * KIB : 35 * KIB + 7])
        self.assertTrue(self.sink.ended)
        self.assertLess(self.registry.sent, 60 * KIB)

    def test_range_near_the_end(self) -> None:
        """A range within the last bytes is sent after the proof."""
        self.relay().begin(150 * KIB, 199 * KIB, self.sink)
        self.run_through()
        self.assertEqual(bytes(self.sink.data), self.content[150 * KIB : 199 * KIB])
        self.assertEqual(self.registry.sent, 200 * KIB)

    def test_mismatch(self) -> None:
        """Wrong bytes abort the answer, and are told."""
        for start, end in ((0, 200 * KIB), (150 * KIB, 199 * KIB)):
            with self.subTest(start=start):
                self.sink, self.lies = Sink(), 0
                self.relay(fault=Fault(flip=199 * KIB)).begin(start, end, self.sink)
                self.run_through()
                self.assertIsNotNone(self.sink.reason)
                self.assertEqual(self.lies, 1)
                self.assertLessEqual(len(self.sink.data), 200 * KIB - WITHHELD)

    def test_other_lengths(self) -> None:
        """A body that ends as longer or shorter than was announced is aborted, and is no lie."""
        faults = (Fault(surplus=b"more"), Fault(ends=150 * KIB), Fault(cut=150 * KIB))
        for fault in faults:
            with self.subTest(fault=fault):
                self.sink = Sink()
                self.relay(fault=fault).begin(0, 200 * KIB, self.sink)
                self.run_through()
                self.assertIsNotNone(self.sink.reason)
        self.assertEqual((self.lies, self.sizes), (0, []))
        self.assertEqual([each.reason for each in self.failures], ["the connection broke"])

    def test_announced_longer_than_it_is(self) -> None:
        """Right bytes that are fewer than the client was told are no complete answer."""
        self.relay(size=300 * KIB).begin(0, 300 * KIB, self.sink)
        self.run_through()
        self.assertIsNotNone(self.sink.reason)

    def test_second_range(self) -> None:
        """What passed cannot be had again: a second range is broken off."""
        relay = self.relay()
        self.sink.range_ended = lambda: relay.begin(0, 10, self.sink)  # type: ignore[method-assign]
        relay.begin(20 * KIB, 30 * KIB, self.sink)
        self.run_through()
        self.assertEqual(bytes(self.sink.data), self.content[20 * KIB : 30 * KIB])
        self.assertIsNotNone(self.sink.reason)

    def test_slow_client(self) -> None:
        """A client that takes nothing stops the upstream; when it takes more that goes on."""
        relay = self.relay()
        self.sink.slow = True
        relay.begin(0, 200 * KIB, self.sink)
        for _ in range(50):
            self.clock.advance(0.001)
        self.assertTrue(self.body.paused)
        self.assertEqual(len(self.sink.data), 10 * KIB)
        self.sink.slow = False
        relay.resumeProducing()
        self.run_through()
        self.assertEqual(bytes(self.sink.data), self.content)

    def drip(self, relay: Relay, seconds: float, count: int) -> None:
        """A client that takes a chunk of 10 KiB after so many seconds, again and again."""
        self.sink.slow = True
        relay.begin(0, 200 * KIB, self.sink)
        for _ in range(count):
            self.clock.advance(0.001)
            self.clock.advance(seconds)
            relay.resumeProducing()

    def test_client_that_drips(self) -> None:
        """A client that takes less than 1 KiB/s over a minute is given up, and so is its place."""
        relay = self.relay()
        self.drip(relay, 13.0, 6)
        self.assertIn(f"less than {SLOWEST} bytes a second", self.sink.reason or "")
        self.assertTrue(self.body.aborted)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow_client_in_time(self) -> None:
        """One that takes a little more than that gets all, however long it takes."""
        relay = self.relay()
        self.drip(relay, 9.0, 30)
        self.assertEqual((bytes(self.sink.data), self.sink.ended), (self.content, True))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_limit(self) -> None:
        """Nothing counts against a client that a limit holds up, also after it was full."""
        relay = self.relay()
        relay.begin(0, 200 * KIB, self.sink)
        relay.pauseProducing()
        relay.pause_for_limit()
        self.clock.advance(10 * WINDOW)
        self.assertIsNone(self.sink.reason)
        relay.resumeProducing()
        self.run_through()
        self.assertEqual((bytes(self.sink.data), self.sink.ended), (self.content, True))
        relay.pause_for_limit()

    def test_slow_upstream(self) -> None:
        """For how long the client waits for the upstream is no matter."""
        relay = self.relay(fault=Fault(stall=100 * KIB))
        relay.begin(0, 200 * KIB, self.sink)
        for _ in range(30):
            self.clock.advance(0.001)
        self.clock.advance(10 * WINDOW)
        self.assertIsNone(self.sink.reason)
        relay.leave()

    def test_leaves(self) -> None:
        """A client that leaves ends the transfer, at any time and only once."""
        for turns in (0, 5):
            with self.subTest(turns=turns):
                relay = self.relay()
                if turns:
                    relay.begin(0, 200 * KIB, self.sink)
                for _ in range(turns):
                    self.clock.advance(0.001)
                relay.stopProducing()
                relay.leave()
                relay.resumeProducing()
                self.run_through()
                self.assertTrue(self.body.aborted)
                self.assertFalse(self.sink.ended)
                self.assertIsNone(self.sink.reason)

    def test_breaks_after_the_end(self) -> None:
        """What an upstream says after the end is not heard."""
        relay = self.relay()
        relay.begin(0, 10 * KIB, self.sink)
        self.run_through()
        relay.body_chunk(b"more")
        relay.body_failed(UpstreamUnreachable("up.test", "reset"))
        relay.body_ended()
        self.assertEqual((len(self.sink.data), self.sink.reason), (10 * KIB, None))


class RelaysTests(DownloadTestCase):
    """An upstream with a blob of 300 KiB."""

    def open(self, expected: int | None, body: IBlobBody | None = None) -> Any:
        """Begin to pass it on."""
        relays = self.caches.relays
        opening = relays.open(
            self.digest,
            BlobSource(self.registry, self.caches.served().identity),
            expected_size=expected,
            reason="there is no space for it",
            body=body,
        )
        relaying = Deferred.fromCoroutine(opening)
        self.caches.run(turns=3)
        return relaying

    def connections(self) -> list[bool]:
        """Which bodies of the upstream are open."""
        return [body.open for body in self.registry.bodies]

    def test_places_of_their_own(self) -> None:
        """What is asked for to be passed on takes no place among the downloads."""
        self.successResultOf(self.open(None))
        self.assertEqual([body.relayed for body in self.registry.bodies], [True])

    def test_place_of_an_answer_at_hand(self) -> None:
        """An answer that a download had asked for gives its place back."""
        body = self.answer_at_hand()
        self.successResultOf(self.open(None, body))
        self.assertEqual([body.relayed for body in self.registry.bodies], [True])

    def test_no_place_for_an_answer_at_hand(self) -> None:
        """Where the relays have no place left it is closed, and a place is waited for."""
        body = self.answer_at_hand()
        self.registry.relays_left = 0
        self.successResultOf(self.open(None, body))
        self.assertEqual(self.connections(), [False, True])

    def answer_at_hand(self) -> Any:
        """An answer that a download asked for."""
        asking = self.registry.get_blob("org/app", self.digest)
        self.caches.run(turns=2)
        body = self.successResultOf(asking)
        self.assertFalse(body.relayed)
        return body

    def test_nobody_may_be_asked(self) -> None:
        """Where every URL rests an answer at hand is closed, and no place stays taken."""
        body = self.answer_at_hand()
        identity = self.registry.identity
        for _ in range(2):
            self.caches.downloads.wrong_bytes(self.digest, identity, 0, page=False)
        self.failureResultOf(self.open(None, body), UpstreamBadAnswer)
        self.assertEqual(self.connections(), [False])

    def test_part(self) -> None:
        """A part where the whole was asked for is refused, and the connection is closed."""
        self.registry.faults = [Fault(claim_start=1)]
        self.failureResultOf(self.open(None), UpstreamBadAnswer)
        self.assertEqual(self.connections(), [False])

    def test_part_at_hand(self) -> None:
        """An answer at hand that begins further on is closed, and another one asked for."""
        asking = self.registry.get_blob("org/app", self.digest, 1000)
        self.caches.run(turns=2)
        relay = self.successResultOf(self.open(len(self.content), self.successResultOf(asking)))
        self.assertEqual(self.connections(), [False, True])
        sink = Sink()
        relay.begin(0, len(self.content), sink)
        self.caches.run()
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))


class ReasonTests(DownloadTestCase):
    """Why a blob is passed on stands in the log."""

    def reasons(self, opening: Any) -> list[str]:
        """What the log says of relays until an answer begins."""
        with capturedLogs() as events:
            self.caches.run(turns=12)
        self.successResultOf(opening).reader.leave()
        lines = [formatEvent(event) for event in events]
        return [line.partition("not kept: ")[2] for line in lines if "not kept: " in line]

    def test_no_space(self) -> None:
        """There is no space for it."""
        self.caches.space.limit = 100 * KIB
        self.assertEqual(self.reasons(self.caches.open(self.digest)), [NO_ROOM])

    def test_disk_rests(self) -> None:
        """The disk refused a write a moment ago."""
        self.caches.downloads.storage_failed(self.digest, OSError("no space"))
        reasons = self.reasons(self.caches.open(self.digest))
        self.assertEqual(reasons, ["the disk refused a write a moment ago"])

    def test_outgrown(self) -> None:
        """It outgrew its space the last time."""
        self.caches.downloads.outgrew(self.digest)
        reasons = self.reasons(self.caches.open(self.digest))
        self.assertEqual(reasons, ["it outgrew the space there was for it"])

    def test_small(self) -> None:
        """A small blob for which there is no space is answered from memory, and not kept."""
        self.caches.space.limit = 0
        digest = self.registry.add(b"small")
        self.assertEqual(self.reasons(self.caches.open(digest)), [NO_ROOM])

    def test_stored(self) -> None:
        """Of what is kept the log says nothing."""
        self.assertEqual(self.reasons(self.caches.open(self.digest)), [])
