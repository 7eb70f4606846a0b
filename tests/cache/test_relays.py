"""Tests for what is passed on: which answers are fit for it, and what becomes of the others."""

from typing import Any

from twisted.internet.defer import Deferred

from regcache.cache.relays import Relays
from regcache.errors import UpstreamBadAnswer
from regcache.interfaces import IBlobBody
from tests.support.bodies import Fault
from tests.support.caches import Sink
from tests.support.download_case import DownloadTestCase


class RelaysTests(DownloadTestCase):
    """An upstream with a blob of 300 KiB."""

    def open(self, expected: int | None, body: IBlobBody | None = None) -> Any:
        """Begin to pass it on."""
        relays = Relays(self.caches.downloads, self.caches.events)
        upstream = self.caches.upstreams["up.test"]
        opening = relays.open(upstream, "org/app", self.digest, expected, body)
        relaying = Deferred.fromCoroutine(opening)
        self.caches.run(turns=3)
        return relaying

    def connections(self) -> list[bool]:
        """Which bodies of the upstream are open."""
        return [body.open for body in self.registry.bodies]

    def test_another_size_than_the_manifest_s(self) -> None:
        """It is refused, and the connection is closed."""
        self.failureResultOf(self.open(5), UpstreamBadAnswer)
        self.assertEqual(self.connections(), [False])

    def test_part(self) -> None:
        """So is a part where the whole was asked for."""
        self.registry.faults = [Fault(claim_start=1)]
        self.failureResultOf(self.open(None), UpstreamBadAnswer)
        self.assertEqual(self.connections(), [False])

    def test_part_at_hand(self) -> None:
        """An answer at hand that begins further on is closed, and another one asked for."""
        asking = self.registry.get_blob("org/app", self.digest, 1000)
        self.caches.run(turns=2)
        opened = self.successResultOf(self.open(len(self.content), self.successResultOf(asking)))
        self.assertEqual(self.connections(), [False, True])
        sink = Sink()
        opened.reader.begin(0, len(self.content), sink)
        self.caches.run()
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
