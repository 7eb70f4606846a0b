"""Tests for what is passed on: which answers are fit for it, and what becomes of the others."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from regcache.cache.download.relays import Relays, Wanted
from regcache.errors import UpstreamBadAnswer
from regcache.interfaces import IBlobBody
from tests.support.bodies import Fault
from tests.support.caches import Sink
from tests.support.download_case import KIB, DownloadTestCase


class RelaysTests(DownloadTestCase):
    """An upstream with a blob of 300 KiB."""

    def open(self, expected: int | None, body: IBlobBody | None = None) -> Any:
        """Begin to pass it on."""
        relays = Relays(self.caches.downloads, self.caches.events)
        wanted = Wanted(self.caches.served(), self.digest, expected)
        opening = relays.open(wanted, "there is no space for it", body)
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
        self.assertEqual(self.reasons(self.caches.open(self.digest)), ["there is no space for it"])

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
        self.assertEqual(self.reasons(self.caches.open(digest)), ["there is no space for it"])

    def test_stored(self) -> None:
        """Of what is kept the log says nothing."""
        self.assertEqual(self.reasons(self.caches.open(self.digest)), [])
