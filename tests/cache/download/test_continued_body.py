"""Tests for the body of a relay: how it goes on where an answer has broken off."""

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from regcache.cache.download.context import WITHHELD, BlobSource
from regcache.cache.download.retries import MOST_TRIES
from regcache.errors import (
    UpstreamDenied,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamServerError,
)
from regcache.interfaces import IBodyConsumer
from tests.support.bodies import Fault
from tests.support.caches import Sink
from tests.support.download_case import KIB, DownloadTestCase

SIZE = 300 * KIB
CUT = Fault(cut=100 * KIB)


class RelayCase(DownloadTestCase):
    """An upstream with a blob of 300 KiB that is passed through."""

    def setUp(self) -> None:
        """There is no space for it."""
        super().setUp()
        self.registry.stall_timeout = 30.0
        self.relay: Any = None

    def begin(self, *faults: Fault, start: int = 0, end: int | None = SIZE) -> Sink:
        """Begin to pass it on, with answers that go wrong."""
        self.registry.faults = list(faults)
        opening = self.caches.relays.open(
            self.digest,
            BlobSource(self.registry, self.caches.served().identity),
            expected_size=None,
            reason="there is no space for it",
        )
        relaying = Deferred.fromCoroutine(opening)
        self.caches.run(turns=3)
        self.relay = self.successResultOf(relaying)
        sink = Sink()
        sink.reader = self.relay
        self.addCleanup(self.relay.leave)
        self.relay.begin(start, end, sink)
        return sink

    def run_on(self, seconds: int = 120) -> None:
        """Let answers come and pauses pass."""
        for _ in range(seconds):
            self.caches.run(turns=60)
            self.clock.advance(1.0)

    def asked(self) -> list[tuple[int, int | None]]:
        """Which ranges were asked for."""
        return [each[3:] for each in self.registry.requests if each[0] == "get_blob"]

    def assert_whole(self, sink: Sink) -> None:
        """The client got all of it, and nothing is left of the upstream."""
        self.assertEqual((sink.data == self.content, sink.ended, sink.reason), (True, True, None))
        self.assertEqual([body.open for body in self.registry.bodies if body.open], [])
        self.assertEqual(self.caches.events.mismatches, [])

    def assert_broken(self, sink: Sink, reason: str) -> None:
        """The client was cut off, with nothing that was to be withheld."""
        self.assertIn(reason, sink.reason or "")
        self.assertLessEqual(len(sink.data), SIZE - WITHHELD)
        self.assertEqual([body.open for body in self.registry.bodies if body.open], [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class GoingOnTests(RelayCase):
    """Answers that break off, and what is asked for then."""

    def test_interface(self) -> None:
        """It takes the bodies of answers."""
        self.begin()
        verifyObject(IBodyConsumer, self.relay._body)

    def test_cut(self) -> None:
        """It is asked for from the last byte, and no byte comes twice."""
        sink = self.begin(CUT, CUT)
        self.run_on()
        self.assert_whole(sink)
        self.assertEqual(self.asked(), [(0, None), (100 * KIB, None), (200 * KIB, None)])
        self.assertEqual(self.registry.sent, SIZE)
        self.assertEqual([body.relayed for body in self.registry.bodies], [True] * 3)

    def test_other_breaks(self) -> None:
        """So it is after a stall, an early end, and more bytes than were announced."""
        faults = (
            Fault(stall=100 * KIB),
            Fault(ends=100 * KIB),
            Fault(surplus=b"more"),
            Fault(cut=SIZE),
        )
        for fault in faults:
            with self.subTest(fault=fault):
                sink = self.begin(fault)
                self.run_on()
                self.assert_whole(sink)

    def test_last_bytes(self) -> None:
        """What is withheld stays withheld while it pauses."""
        sink = self.begin(Fault(cut=299 * KIB))
        self.caches.run(turns=40)
        self.assertEqual(len(self.registry.bodies), 1)
        self.assertEqual(len(sink.data), 230 * KIB)
        self.run_on()
        self.assert_whole(sink)

    def test_ranges(self) -> None:
        """A range of it is cut out as ever."""
        for start, end in ((5 * KIB, 150 * KIB), (250 * KIB, SIZE - 1)):
            with self.subTest(start=start):
                sink = self.begin(CUT, start=start, end=end)
                self.run_on()
                self.assertEqual(bytes(sink.data), self.content[start:end])
                self.assertTrue(sink.ended)

    def test_range_ignored(self) -> None:
        """An answer from the beginning is passed over up to what has come."""
        sink = self.begin(CUT, Fault(ignore_range=True))
        self.run_on()
        self.assert_whole(sink)
        self.assertEqual(self.registry.sent, SIZE + 100 * KIB)

    def test_range_ignored_and_short(self) -> None:
        """One that ends before what has come brings nothing."""
        short = Fault(ignore_range=True, ends=20 * KIB)
        sink = self.begin(CUT, short, short)
        self.run_on()
        self.assert_whole(sink)

    def test_unfit_answers(self) -> None:
        """Another range or another size is no continuation; it is asked for once more."""
        for fault in (Fault(claim_start=7), Fault(claim_size=SIZE + 1), Fault(claim_size=5 * KIB)):
            with self.subTest(fault=fault):
                sink = self.begin(CUT, fault)
                self.run_on()
                self.assert_whole(sink)

    def test_unknown_size(self) -> None:
        """Where nobody knows the size the digest alone tells the end."""
        sink = self.begin(Fault(hide_size=True, cut=100 * KIB), Fault(hide_size=True), end=None)
        self.run_on()
        self.assert_whole(sink)

    def test_unknown_size_and_nothing_follows(self) -> None:
        """Where nothing follows only a whole answer says that it is the end."""
        sink = self.begin(Fault(hide_size=True, cut=SIZE), end=None)
        self.run_on()
        self.assert_whole(sink)
        self.assertEqual(self.asked(), [(0, None), (SIZE, None), (0, None)])

    def test_mixed(self) -> None:
        """What fails its digest is never completed, whichever answer was wrong."""
        sink = self.begin(CUT, Fault(flip=120 * KIB))
        self.run_on()
        self.assert_broken(sink, "fails its digest")
        self.assertEqual(self.caches.events.mismatches, ["up.test"])


class BoundTests(RelayCase):
    """When it is given up."""

    def test_tries(self) -> None:
        """After so many tries that bring nothing it ends, with pauses that grow."""
        sink = self.begin(CUT, *[Fault(cut=0)] * 100)
        began = self.clock.seconds()
        while sink.reason is None:
            self.caches.run(turns=100)
        self.assert_broken(sink, "the connection broke")
        self.assertEqual(len(self.asked()), MOST_TRIES + 1)
        self.assertGreater(self.clock.seconds() - began, 3.0)

    def test_progress(self) -> None:
        """A link that brings something each time is no reason to end."""
        self.content = self.content * 10
        self.digest = self.registry.add(self.content)
        sink = self.begin(*[Fault(cut=300 * KIB)] * 9, end=len(self.content))
        self.run_on()
        self.assert_whole(sink)

    def test_right_withdrawn(self) -> None:
        """What the URL refuses that gave the beginning is refused for good."""
        for failure in (
            UpstreamDenied("up.test", "no", status=403),
            UpstreamNotFound("up.test", "not found", status=404),
        ):
            with self.subTest(failure=failure):
                sink = self.begin(CUT, Fault(refuse=failure))
                self.run_on(3)
                self.assert_broken(sink, failure.reason)

    def test_refused_for_a_while(self) -> None:
        """An error of the server, or a limit, is asked about again when its time is over."""
        sink = self.begin(
            CUT,
            Fault(refuse=UpstreamServerError("up.test", "503", status=503)),
            Fault(refuse=UpstreamRateLimited("up.test", "slowly", retry_after=7)),
        )
        self.run_on(5)
        self.assertFalse(sink.ended)
        self.run_on(10)
        self.assert_whole(sink)

    def test_detour(self) -> None:
        """The next URL is asked; where it has nothing the first one goes on."""
        self.registry.url_count = 2
        self.registry.refusing = {1: UpstreamNotFound("up.test", "not found", status=404)}
        sink = self.begin(CUT, Fault(), CUT)
        self.run_on()
        self.assert_whole(sink)
        self.assertEqual(self.registry.asked, [0, 1, 0, 0])

    def test_page_on_a_detour(self) -> None:
        """A page of another URL is not taken for the rest."""
        self.registry.url_count = 2
        page = Fault(hide_size=True, ignore_range=True, flip=0)
        sink = self.begin(CUT, page)
        self.run_on()
        self.assert_whole(sink)

    def test_which_url_is_to_blame(self) -> None:
        """A URL that gave all of it is; where two gave something nobody knows."""
        for count, blamed in ((1, {0}), (2, set())):
            self.registry.url_count = count
            for _ in range(2):
                self.begin(CUT, Fault(flip=120 * KIB))
                self.run_on(5)
            skipped = self.caches.downloads._distrusted_urls.skipped(
                self.digest, self.registry.identity, 2
            )
            self.assertEqual(skipped, blamed)
            self.clock.advance(10_000)


class ClientTests(RelayCase):
    """Clients that are slow, or leave."""

    def test_paused(self) -> None:
        """Nothing is asked for while the client takes nothing, however long that is."""
        sink = self.begin()
        self.caches.run(turns=10)
        self.relay.pauseProducing()
        self.registry.bodies[0].abort()
        self.relay._body.body_failed(UpstreamServerError("up.test", "closed"))
        self.run_on(20)
        self.assertEqual(len(self.asked()), 1)
        self.relay.resumeProducing()
        self.run_on()
        self.assert_whole(sink)
        self.assertEqual(len(self.asked()), 2)

    def test_paused_while_it_is_asked_for(self) -> None:
        """An answer that comes while the client takes nothing waits for it."""
        sink = self.begin(CUT)
        self.caches.run(turns=20)
        self.registry.delay = 5.0
        self.clock.advance(0.2)
        self.assertEqual(len(self.asked()), 2)
        self.relay.pauseProducing()
        self.run_on(10)
        self.assertLess(len(sink.data), 101 * KIB)
        self.relay.resumeProducing()
        self.run_on()
        self.assert_whole(sink)

    def test_leaves(self) -> None:
        """A client that leaves ends the body in every state."""
        for turns, delay in ((3, 0.001), (30, 0.001), (30, 100.0)):
            with self.subTest(turns=turns, delay=delay):
                self.registry.delay = 0.001
                self.begin(CUT)
                self.caches.run(turns=turns)
                self.registry.delay = delay
                if delay > 1:
                    self.clock.advance(0.2)
                asked = len(self.asked())
                self.relay.leave()
                self.run_on(200)
                self.assertEqual(len(self.asked()), asked)
                self.assertEqual([body for body in self.registry.bodies if body.open], [])
                self.registry.requests.clear()

    def test_fault_of_our_own(self) -> None:
        """Nobody is left waiting by an error that nobody foresaw."""
        sink = self.begin(CUT)

        def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a bug")

        asked = self.registry.get_blob
        self.registry.get_blob = lambda *a, **k: asked(*a, **k).addCallback(broken)  # type: ignore[method-assign]
        self.run_on(3)
        self.assertIn("passing it on failed", sink.reason or "")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
