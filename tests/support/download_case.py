"""What the tests of downloads begin with: one upstream, one cache over a real store."""

import os
import random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.opened import OpenBlob
from regcache.digests import Digest
from tests.support.caches import Caches, Sink
from tests.support.pipeline import open_files_below
from tests.support.registries import FakeRegistry

KIB = 1024


def make_content(size: int, seed: int = 0) -> bytes:
    """Bytes that differ everywhere."""
    return random.Random(seed).randbytes(size)


class DownloadTestCase(SynchronousTestCase):
    """One upstream, one cache."""

    finish: int | None = None

    def setUp(self) -> None:
        """An upstream with one blob of 300 KiB, sent in chunks of 10 KiB."""
        self.clock = Clock()
        self.directory = os.path.abspath(self.mktemp())
        self.registry = FakeRegistry(self.clock, chunk=10 * KIB)
        self.content = make_content(300 * KIB)
        self.digest = self.registry.add(self.content)
        self.caches = self.make_caches()

    def make_caches(self) -> Caches:
        """A cache over the same directory."""
        return Caches(self.directory, self.clock, self.registry, finish=self.finish)

    def tearDown(self) -> None:
        """Nothing is left: no download, no call, no descriptor."""
        self.caches.stop()
        self.assertEqual(len(self.caches.downloads), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(open_files_below(self.directory), [])

    def read(self, opening: "Deferred[OpenBlob]", start: int = 0, end: int | None = None) -> Sink:
        """Read a range from a blob that is open now."""
        opened = self.successResultOf(opening)
        sink = Sink()
        sink.reader = opened.reader
        self.addCleanup(opened.reader.leave)
        opened.reader.begin(start, opened.reader.size if end is None else end, sink)
        return sink

    def read_in_vain(self, pauses: int) -> Sink:
        """Begin to read the blob, and wait while the upstream is asked again and again."""
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        sink = self.read(opening)
        for _ in range(pauses):
            self.caches.run(seconds=30)
        self.assertFalse(sink.ended)
        return sink

    def pull(self, digest: Digest | None = None, repository: str = "org/app") -> Sink:
        """Pull a whole blob."""
        opening = self.caches.open(digest or self.digest, repository)
        self.caches.run()
        sink = self.read(opening)
        self.caches.run()
        assert sink.reader is not None
        sink.reader.leave()
        return sink

    def blob_path(self) -> str:
        """Where the blob is once it is complete."""
        name = self.digest.hex
        return os.path.join(self.directory, "blobs", "sha256", name[:2], name)
