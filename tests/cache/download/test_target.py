"""Tests for reserving disk ahead of the fills, and for the ledger's word on it."""

import errno
import os
import random
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.download import target
from regcache.cache.download.readers import Readers
from regcache.cache.download.relay import Relay
from regcache.cache.download.target import STEP, UNRESERVED, Allocation, FillTarget
from regcache.intervals import Intervals
from regcache.store.partial import PartialFile
from regcache.store.space import FileSystemSpace, SpaceLedger, SpaceLimits
from tests.support.caches import Caches, FakeSpace, Sink
from tests.support.registries import FakeRegistry

KIB = 1024
MIB = 1024 * KIB
FULL = OSError(errno.ENOSPC, "No space left on device")


class FakePartial:
    """The part of a partial file that reserves; ``steps`` are those asked for."""

    def __init__(self, size: int | None) -> None:
        self.size = size
        self.present = Intervals()
        self.steps: list[tuple[int, int]] = []
        self.results: list[Deferred[None]] = []

    def prepare(self) -> "Deferred[None]":
        """It is on the disk."""
        return succeed(None)

    def allocate(self, start: int, end: int) -> "Deferred[None]":
        """Later."""
        self.steps.append((start, end))
        self.results.append(Deferred())
        return self.results[-1]


class StepTests(SynchronousTestCase):
    """What is reserved when."""

    def setUp(self) -> None:
        """A large file."""
        self.file = FakePartial(10 * STEP)
        self.failures: list[Any] = []
        self.allocation = Allocation(self.file, self.failures.append)  # type: ignore[arg-type]

    def test_first_step(self) -> None:
        """The first step of a stretch is waited for."""
        first = self.allocation.first(100, None)
        self.assertNoResult(first)
        self.assertEqual(self.file.steps, [(100, 100 + STEP)])
        self.file.results[0].callback(None)
        self.successResultOf(first)

    def test_short_stretch(self) -> None:
        """No more is reserved than the stretch, or the content, is long."""
        self.allocation.first(100, 200)
        self.allocation.first(10 * STEP - 5, None)
        self.assertEqual(self.file.steps, [(100, 200), (10 * STEP - 5, 10 * STEP)])

    def test_small_or_unknown_content(self) -> None:
        """Small content, and such as does not say its size, is written without."""
        for size in (None, UNRESERVED):
            self.file.size = size
            target = FillTarget(self.file, FakeSpace(), Readers(Clock(), list), self)  # type: ignore
            self.successResultOf(target.prepare(0, None))
            target.wrote(0, None)
        self.assertEqual(self.file.steps, [])

    def unread(self) -> None:
        """Nobody reads."""

    def test_next_step(self) -> None:
        """A further step is begun when half of the last one is used, one at a time."""
        self.allocation.first(0, None)
        self.file.results[0].callback(None)
        self.allocation.ahead(STEP // 2 - 1, None)
        self.assertEqual(len(self.file.steps), 1)
        for _ in range(2):
            self.allocation.ahead(STEP // 2, None)
        self.assertEqual(self.file.steps[1:], [(STEP, 2 * STEP)])
        self.file.results[1].callback(None)
        self.allocation.ahead(STEP // 2, None)
        self.assertEqual(len(self.file.steps), 2)

    def test_resumed_where_reserved(self) -> None:
        """A stretch that begins in what is reserved waits for nothing."""
        self.allocation.first(0, None)
        self.file.results[0].callback(None)
        self.successResultOf(self.allocation.first(STEP - 1, None))

    def test_step_fails(self) -> None:
        """Who waits hears of a failure; for the others it is told."""
        first = self.allocation.first(0, None)
        self.file.results[0].errback(FULL)
        self.failureResultOf(first, OSError)
        self.assertEqual(self.failures, [])
        self.allocation.ahead(0, None)
        self.file.results[1].errback(FULL)
        self.assertEqual(self.failures, [FULL])


class FullDiskTests(SynchronousTestCase):
    """Pulls over a disk, or a ledger, that has no space."""

    def setUp(self) -> None:
        """An upstream with a blob of 3 MiB."""
        self.clock = Clock()
        self.registry = FakeRegistry(self.clock, chunk=64 * KIB)
        self.content = random.Random(4).randbytes(3 * MIB)
        self.digest = self.registry.add(self.content)
        self.caches = self.make_caches(None)

    def make_caches(self, space: Any) -> Caches:
        """A cache, over a ledger if there is one."""
        return Caches(os.path.abspath(self.mktemp()), self.clock, self.registry, space=space)

    def tearDown(self) -> None:
        """Nothing is left."""
        self.caches.stop()
        self.assertFalse([body for body in self.registry.bodies if body.open])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def pull(self, turns: int = 400) -> Sink:
        """Pull the blob."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=5)
        sink = Sink()
        sink.reader = self.successResultOf(opening).reader
        self.addCleanup(sink.reader.leave)
        sink.reader.begin(0, len(self.content), sink)
        self.caches.run(turns=turns)
        return sink

    def allocate(self, *results: "Deferred[None]") -> None:
        """What the steps of reserving come to."""
        queue = list(results)

        def allocate(*_: object) -> "Deferred[None]":
            return queue.pop(0)

        self.patch(PartialFile, "allocate", allocate)

    def test_no_space_before_the_answer(self) -> None:
        """A disk that is full from the beginning completes the pull by relay, in one request."""
        self.patch(PartialFile, "allocate", lambda *_: fail(FULL))
        sink = self.pull()
        self.assertIsInstance(sink.reader, Relay)
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
        self.assertEqual(self.registry.count("get_blob"), 1)
        self.assertEqual(self.caches.events.storage_errors, 1)

    def test_no_space_half_way(self) -> None:
        """A later step that fails is a write error half-way."""
        waiting: Deferred[None] = Deferred()
        self.patch(target, "STEP", MIB)
        self.allocate(succeed(None), waiting)
        sink = self.pull(turns=20)
        self.assertTrue(sink.data)
        waiting.errback(FULL)
        self.assertIsNotNone(sink.reason)
        self.assertEqual(self.caches.events.storage_errors, 1)
        self.caches.run()

    def test_head_waits_for_the_first_step(self) -> None:
        """The head of an answer goes out when there is space for it."""
        waiting: Deferred[None] = Deferred()
        self.allocate(waiting)
        opening = self.caches.open(self.digest)
        self.caches.run(turns=20)
        self.assertNoResult(opening)
        waiting.callback(None)
        self.successResultOf(opening).reader.leave()
        self.caches.run()

    def test_client_leaves_meanwhile(self) -> None:
        """A download that ends while space is reserved leaves no connection behind."""
        waiting: Deferred[None] = Deferred()
        self.allocate(waiting)
        opening = self.caches.open(self.digest)
        self.caches.run(turns=20)
        stopping = self.caches.downloads.stop()
        self.failureResultOf(opening)
        self.successResultOf(stopping)
        waiting.callback(None)

    def test_ledger_refuses(self) -> None:
        """What breaks max_blob, max_size or min_free is relayed; what fits is stored."""
        size, free = len(self.content), 100 * MIB
        cases = [
            (SpaceLimits(10 * MIB, size, 0), False),
            (SpaceLimits(10 * MIB, size - 1, 0), True),
            (SpaceLimits(size, size, 0), False),
            (SpaceLimits(size - 1, size, 0), True),
            (SpaceLimits(10 * MIB, size, free - size), False),
            (SpaceLimits(10 * MIB, size, free - size + 1), True),
        ]
        for limits, relayed in cases:
            with self.subTest(limits=limits):
                self.caches.stop()
                ledger = SpaceLedger(limits)
                ledger.measured(FileSystemSpace(2 * free, free), ledger.consumed)
                self.caches = self.make_caches(ledger)
                sink = self.pull()
                self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
                self.assertEqual(isinstance(sink.reader, Relay), relayed)
                self.assertEqual(ledger.reserved, 0)

    def test_evictable_space_counts(self) -> None:
        """A claim is granted where enough could be evicted."""
        limits = SpaceLimits(len(self.content), len(self.content), 0)
        for evictable, relayed in ((MIB, True), (2 * MIB, False)):
            with self.subTest(evictable=evictable):
                self.caches.stop()
                ledger = SpaceLedger(
                    limits,
                    lambda evictable=evictable: evictable,  # type: ignore[misc]
                    lambda: succeed(None),
                )
                ledger.measured(FileSystemSpace(200 * MIB, 100 * MIB), ledger.consumed)
                ledger.change_contents(2 * MIB)
                self.caches = self.make_caches(ledger)
                self.assertEqual(isinstance(self.pull().reader, Relay), relayed)
