"""Whose word counts for bytes that are on their way: a malicious upstream beside an honest one."""

import random

from regcache.errors import UpstreamUnreachable
from tests.cache.cases import APP, CacheTestCase
from tests.support.bodies import Fault
from tests.support.caches import Sink
from tests.support.registries import FakeRegistry

CONTENT = random.Random(3).randbytes(200_000)
GARBAGE = bytes(200_000)
HONEST, EVIL = "up.test", "evil.test"
AWAY = UpstreamUnreachable(EVIL, "connection refused")


class MaliciousUpstreamTests(CacheTestCase):
    """An upstream that says yes to everything, beside one that is read with credentials."""

    credentials = "robot"

    def setUp(self) -> None:
        """The honest one has a private blob; the other has bytes of its own under its digest."""
        super().setUp()
        self.registry.serve_private = True
        self.blob = self.registry.add(CONTENT)
        self.registry.chunk = 10_000
        self.evil = FakeRegistry(self.clock, name=EVIL, chunk=10_000)
        self.evil.blobs[self.blob] = GARBAGE
        self.restart_both()

    def restart_both(self) -> None:
        """Begin anew, with both upstreams."""
        self.caches = self.make_caches(self.registry, self.evil)

    def begin(self, repository: str, name: str) -> tuple[str, Sink]:
        """Begin to pull the blob: how it came about, and what the client has got so far."""
        opening = self.start(self.open(self.blob, repository, name))
        self.caches.run(turns=20)
        opened = self.successResultOf(opening)
        sink = Sink()
        opened.reader.begin(0, None, sink)
        self.caches.run(turns=60)
        self.addCleanup(opened.reader.leave)
        return opened.status.outcome, sink

    def test_no_link_by_word_alone(self) -> None:
        """What a HEAD said during a download that came to nothing opens nothing later."""
        self.evil.delay, self.evil.faults = 5.0, [Fault(refuse=AWAY)]
        first = self.start(self.open(self.blob, "evil/one", EVIL))
        self.evil.delay = 0.001
        second = self.start(self.open(self.blob, "evil/two", EVIL))
        self.caches.run(seconds=5.0)
        self.failureResultOf(first, UpstreamUnreachable)
        self.failureResultOf(second, UpstreamUnreachable)
        self.assertEqual(self.pull(self.blob), "miss")
        outcome, sink = self.begin("evil/two", EVIL)
        self.assertEqual(outcome, "miss")
        self.assertEqual(bytes(sink.data), GARBAGE[: len(sink.data)])
        self.assertIsNotNone(sink.reason)
        self.assertEqual(self.pull(self.blob), "hit")

    def test_slow_download_of_another_upstream(self) -> None:
        """Nobody waits for, or gets, bytes that another upstream gives and nobody verified."""
        self.evil.faults = [Fault(stall=100_000)]
        self.begin("evil/one", EVIL)
        outcome, sink = self.begin(APP, HONEST)
        self.assertEqual((bytes(sink.data), sink.ended), (CONTENT, True))
        self.assertEqual(outcome, "miss")

    def test_partial_file_of_another_upstream(self) -> None:
        """What credentials brought half-way is no other upstream's to show."""
        self.registry.faults = [Fault(stall=100_000)]
        self.begin(APP, HONEST)
        self.caches.stop()
        self.restart_both()
        self.evil.faults = [Fault(stall=10_000)]
        _, sink = self.begin("evil/one", EVIL)
        self.assertEqual(bytes(sink.data), GARBAGE[: len(sink.data)])

    def test_garbage_of_another_upstream(self) -> None:
        """No answer begins with what another upstream brought half-way."""
        self.evil.faults = [Fault(stall=100_000)]
        self.begin("evil/one", EVIL)
        self.caches.stop()
        self.restart_both()
        self.registry.faults = [Fault(stall=10_000)]
        _, sink = self.begin(APP, HONEST)
        self.assertEqual(bytes(sink.data), CONTENT[: len(sink.data)])

    def test_complete_partial_file(self) -> None:
        """Nor is all of it, which nobody had time to verify, another upstream's by a HEAD."""
        file = self.successResultOf(
            self.caches.store.open_partial(self.blob, self.caches.upstreams[HONEST].identity)
        )
        file.anonymous = False
        file.set_size(len(CONTENT))
        self.successResultOf(file.write(0, [CONTENT]))
        self.successResultOf(file.save())
        file.close()
        _, sink = self.begin("evil/one", EVIL)
        self.assertEqual(bytes(sink.data), GARBAGE[: len(sink.data)])
