"""Tests for answers that do not say the size of a blob, or say different ones."""

import os
from dataclasses import replace

from regcache.cache.download.context import WITHHELD
from regcache.cache.download.relay import Relay
from regcache.errors import UpstreamServerError
from tests.support.bodies import Fault
from tests.support.caches import Sink
from tests.support.download_case import KIB, DownloadTestCase, make_content


class UnknownSizeTests(DownloadTestCase):
    """Answers that do not say how long they are."""

    def start(self, *faults: Fault, turns: int = 12) -> Sink:
        """A client of the first answer."""
        self.registry.faults = list(faults)
        opening = self.caches.open(self.digest)
        self.caches.run(turns=turns)
        opened = self.successResultOf(opening)
        sink = Sink()
        sink.reader = opened.reader
        self.addCleanup(opened.reader.leave)
        opened.reader.begin(0, None, sink)
        self.caches.run(seconds=60)
        return sink

    def test_resumed_where_it_broke(self) -> None:
        """What breaks off goes on from its last byte, although nobody knows the end."""
        sink = self.start(Fault(hide_size=True, cut=120 * KIB))
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual([each[3] for each in self.registry.requests], [0, 120 * KIB])
        self.assertEqual(self.registry.sent, len(self.content))

    def test_size_is_news(self) -> None:
        """Where a later answer tells the size, readers get what had to be withheld before."""
        self.registry.faults = [Fault(hide_size=True, cut=200 * KIB), Fault(stall=0)]
        opening = self.caches.open(self.digest)
        self.caches.run(turns=12)
        sink = Sink()
        sink.reader = self.successResultOf(opening).reader
        self.addCleanup(sink.reader.leave)
        sink.reader.begin(0, None, sink)
        while len(self.registry.requests) == 1:
            self.assertLessEqual(len(sink.data), 200 * KIB - WITHHELD)
            self.caches.run(turns=1)
        self.caches.run(seconds=5)
        self.assertEqual(len(sink.data), 200 * KIB)

    def test_broken_behind_the_last_byte(self) -> None:
        """Where nothing follows, a whole answer says so."""
        sink = self.start(Fault(hide_size=True, cut=300 * KIB), Fault(), Fault(hide_size=True))
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual([each[3] for each in self.registry.requests], [0, 300 * KIB, 0])

    def test_ends_before_what_is_held(self) -> None:
        """An end before what is held already is no end."""
        early = Fault(hide_size=True, ignore_range=True, ends=50 * KIB)
        sink = self.start(Fault(hide_size=True, cut=120 * KIB), early)
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))

    def test_size_is_less_than_what_is_held(self) -> None:
        """A size that is less than what is held is not believed."""
        short = Fault(claim_size=100 * KIB)
        sink = self.start(Fault(hide_size=True, cut=120 * KIB), short)
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))

    def test_outgrown_blob_is_relayed_next(self) -> None:
        """A blob that outgrew its space is relayed to who asks next; others are stored."""
        self.caches.space.limit = 100 * KIB
        sink = self.start(Fault(hide_size=True), turns=9)
        self.assertIsNotNone(sink.reason)
        self.registry.faults = [Fault(hide_size=True)]
        opening = self.caches.open(self.digest)
        self.caches.run(turns=4)
        relay = self.successResultOf(opening).reader
        self.assertIsInstance(relay, Relay)
        relay.leave()
        other = self.registry.add(make_content(90 * KIB, seed=9))
        self.assertEqual(bytes(self.pull(other).data), self.registry.blobs[other])
        self.assertEqual(len(self.caches.space.claims), 2)
        self.assertEqual(self.caches.events.storage_errors, 0)

    def test_declared_size_claims_nothing(self) -> None:
        """Space is claimed for what an answer announces or brings, not for a manifest's word."""
        look_up = self.caches.index.content
        self.caches.index.content = lambda *key: look_up(*key).addCallback(  # type: ignore
            lambda facts: replace(facts, mentioned_size=2**50)
        )
        self.registry.faults = [Fault(hide_size=True, stall=200 * KIB)]
        opening = self.caches.open(self.digest)
        self.caches.run(turns=60)
        self.successResultOf(opening).reader.leave()
        self.assertLess(self.caches.space.claims[0].size, 300 * KIB)


class OtherSizeTests(DownloadTestCase):
    """Sizes that contradict each other."""

    def test_size_too_large_is_not_kept(self) -> None:
        """A blob whose size was announced too large can be had when that is mended."""
        self.registry.faults = [Fault(claim_size=400 * KIB)] * 10
        self.read_in_vain(10)
        self.registry.faults = []
        self.assertEqual(bytes(self.pull().data), self.content)

    def test_conflict_in_vain(self) -> None:
        """What is held is given up once; a size that changes again is the upstream's fault."""
        sizes = [Fault(claim_size=size * KIB, cut=0) for size in (400, 500, 600)]
        down = Fault(refuse=UpstreamServerError("up.test", "503", status=503))
        self.registry.faults = [sizes[0], *[down] * 20]
        sink = self.read_in_vain(20)
        self.assertIsNotNone(sink.reason)
        self.registry.faults = sizes[1:]
        again = self.caches.open(self.digest)
        self.caches.run(turns=10)
        reader = self.successResultOf(again).reader
        self.assertEqual(reader.size, 600 * KIB)
        reader.leave()

    def test_conflict_half_way(self) -> None:
        """Where answers go on to contradict the first one, nobody knows what it was worth."""
        self.registry.faults = [Fault(cut=120 * KIB), *[Fault(claim_size=400 * KIB)] * 20]
        sink = self.read_in_vain(20)
        self.assertIsNotNone(sink.reason)
        self.assertEqual(os.listdir(os.path.join(self.directory, "partial")), [])

    def test_surplus_of_a_part(self) -> None:
        """Bytes behind the end of a part that was asked for are not written."""
        self.registry.faults = [Fault(cut=120 * KIB), Fault(surplus=b"wrong")]
        partial = self.successResultOf(self.caches.store.open_partial(self.digest))
        partial.set_size(len(self.content))
        self.successResultOf(partial.write(290 * KIB, [self.content[290 * KIB :]]))
        self.successResultOf(partial.save())
        partial.close()
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        sink = self.read(opening)
        self.caches.run(seconds=60)
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.caches.events.mismatches, [])
