"""Tests for one digest that two upstreams give at a time."""

import os
from typing import Any

from regcache.errors import UpstreamBadAnswer
from tests.cache.cases import CacheTestCase
from tests.support.bodies import Fault
from tests.support.caches import Sink
from tests.support.download_case import KIB, make_content
from tests.support.indexes import MemoryIndex
from tests.support.pipeline import open_files_below
from tests.support.registries import FakeRegistry

SLOW, QUICK = "up.test", "quick.test"
CONTENT = make_content(300 * KIB, seed=9)


class TwoUpstreamsCase(CacheTestCase):
    """One brings the blob slowly, as only its credentials can read it; another one is quick."""

    credentials = "robot"

    def setUp(self) -> None:
        """A reader of the slow one waits in the middle."""
        super().setUp()
        self.registry.chunk = 10 * KIB
        self.registry.pace = 0.1
        self.registry.serve_private = True
        self.quick = FakeRegistry(self.clock, name=QUICK, chunk=10 * KIB)
        self.blob = self.registry.add(CONTENT)
        self.quick.add(CONTENT)
        self.caches = self.make_caches(self.registry, self.quick)
        self.slow_sink = self.read(SLOW)

    def begin(self, name: str) -> Any:
        """A client asks for the blob."""
        return self.start(self.open(self.blob, "x/y", name))

    def read(self, name: str) -> Sink:
        """A client reads it, as far as it comes in a moment."""
        opening = self.begin(name)
        self.caches.run(turns=150)
        return self.take(opening)[1]

    def take(self, opening: Any) -> tuple[str, Sink]:
        """How an answer came about, and what it brings."""
        opened = self.successResultOf(opening)
        sink = Sink()
        sink.reader = opened.reader
        self.addCleanup(opened.reader.leave)
        opened.reader.begin(0, None, sink)
        return opened.status.outcome, sink

    def files(self, folder: str) -> list[str]:
        """The files in a folder of the storage."""
        where = os.path.join(self.directory, folder)
        return [name for _, _, names in os.walk(where) for name in names]

    def link(self, name: str) -> Any:
        """The right of the repository of an upstream."""
        content = self.caches.served("x/y", name).content(self.blob)
        return self.successResultOf(self.index.content(content)).link


class SharingTests(TwoUpstreamsCase):
    """Who waits for whom."""

    def test_clients_of_the_other_share(self) -> None:
        """They wait for nothing that is not verified, and cost their upstream one question."""
        openings = [self.begin(QUICK) for _ in range(10)]
        self.caches.run(turns=10)
        taken = [self.take(each) for each in openings]
        self.caches.run(turns=200)
        self.assertEqual([outcome for outcome, _ in taken], ["miss", *["collapsed"] * 9])
        for _, sink in taken:
            self.assertEqual((bytes(sink.data), sink.ended), (CONTENT, True))
        self.assertEqual(self.quick.count("get_blob"), 1)
        self.assertFalse(self.slow_sink.ended)

    def test_first_that_is_verified_is_stored(self) -> None:
        """The other goes on for who reads it, stores nothing again, and is noted as well."""
        self.read(QUICK)
        self.caches.run(turns=200)
        (name,) = self.files("blobs")
        path = os.path.join(self.directory, "blobs", "sha256", name[:2], name)
        stored = os.stat(path)
        self.caches.run(turns=5000)
        self.assertEqual((bytes(self.slow_sink.data), self.slow_sink.ended), (CONTENT, True))
        self.assertTrue(os.path.samestat(os.stat(path), stored))
        self.assertEqual(self.files("partial"), [])
        self.assertEqual((self.link(QUICK).credentials, self.link(SLOW).credentials), ("", "robot"))
        self.assertEqual([self.pull(self.blob, "x/y", name) for name in (SLOW, QUICK)], ["hit"] * 2)
        self.assertEqual((self.registry.count("get_blob"), self.quick.count("get_blob")), (1, 1))
        self.assertTrue(all(claim.released for claim in self.caches.space.claims))

    def test_lost_meanwhile(self) -> None:
        """What was stored first and is lost is stored by the one that comes second."""
        self.read(QUICK)
        self.caches.run(turns=200)
        self.caches.store.remove(self.blob)
        self.caches.forgetting.lost(self.blob)
        self.caches.run(turns=5000)
        self.assertTrue(self.slow_sink.ended)
        self.assertEqual(self.files("blobs"), [self.blob.hex])
        self.assertEqual(self.pull(self.blob, "x/y", SLOW), "hit")

    def test_wrong_bytes_of_one(self) -> None:
        """They are nothing to the other, and to nobody who asks that one."""
        self.quick.faults = [Fault(flip=5), Fault(flip=5)]
        sink = self.read(QUICK)
        self.caches.run(turns=200)
        self.assertIsNotNone(sink.reason)
        self.caches.run(turns=5000)
        self.assertEqual((bytes(self.slow_sink.data), self.slow_sink.ended), (CONTENT, True))
        self.assertEqual(self.caches.events.mismatches, [QUICK])

    def test_both_are_resumed(self) -> None:
        """After a stop each goes on where it was."""
        self.quick.faults = [Fault(stall=100 * KIB)]
        self.read(QUICK)
        self.caches.stop()
        self.assertEqual(len(self.files("partial")), 4)
        self.caches = self.make_caches(self.registry, self.quick)
        for name, registry in ((SLOW, self.registry), (QUICK, self.quick)):
            registry.pace = 0.001
            self.read(name)
            self.assertLessEqual(registry.sent, len(CONTENT) + 2 * registry.chunk)
        self.assertEqual(open_files_below(os.path.join(self.directory, "partial")), [])

    def test_storage_of_the_other_is_read(self) -> None:
        """Who may have what another upstream has brought need not wait for the slow one."""
        self.read(QUICK)
        self.caches.run(turns=200)
        opening = self.begin(SLOW)
        self.caches.run(turns=10)
        outcome, sink = self.take(opening)
        self.assertEqual((outcome, bytes(sink.data)), ("hit", CONTENT))
        self.assertFalse(self.slow_sink.ended)


class ReplacedTests(TwoUpstreamsCase):
    """Content that is here, and whose right is not proved by a piece."""

    def setUp(self) -> None:
        """It is here, and the index was lost; the quick upstream knows no Range."""
        super().setUp()
        self.registry.pace = 0.001
        self.caches.run()
        self.caches.stop()
        self.index = MemoryIndex()
        self.quick.faults = [Fault(ignore_range=True)] * 100
        self.caches = self.make_caches(self.registry, self.quick)
        self.assertEqual(self.files("blobs"), [self.blob.hex])

    def test_fetched_afresh_once(self) -> None:
        """All who ask share one download, after which it is theirs."""
        openings = [self.begin(QUICK) for _ in range(10)]
        self.caches.run(turns=20)
        taken = [self.take(each) for each in openings]
        self.caches.run()
        for _, sink in taken:
            self.assertEqual((bytes(sink.data), sink.ended), (CONTENT, True))
        self.assertEqual([outcome for outcome, _ in taken], ["miss", *["collapsed"] * 9])
        whole = [each for each in self.quick.requests if each[3:] == (0, None)]
        self.assertEqual((len(whole), self.quick.count("get_blob")), (1, 2))
        self.assertEqual([self.pull(self.blob, "x/y", QUICK) for _ in range(3)], ["hit"] * 3)
        self.assertEqual(self.quick.count("get_blob"), 2)

    def test_gives_something_else(self) -> None:
        """An upstream that has not these bytes opens nothing, and damages nothing."""
        self.quick.blobs[self.blob] = bytes(20 * KIB)
        self.refusal(self.open(self.blob, "x/y", QUICK), UpstreamBadAnswer)
        self.assertIsNone(self.link(QUICK))
        self.registry.faults = []
        self.assertEqual(self.pull(self.blob, "x/y", SLOW), "hit")
