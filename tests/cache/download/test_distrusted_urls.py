"""Tests for the memory of wrong answers."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.download.distrusted_urls import MOST_ENTRIES, PATIENCE, REST, DistrustedUrls
from regcache.digests import Digest
from regcache.identity import UpstreamIdentity

DIGEST = Digest.of(b"blob")
UP, OTHER = UpstreamIdentity("up.test"), UpstreamIdentity("other.test")


class LiarsTests(SynchronousTestCase):
    """Who is left alone, and for how long."""

    def setUp(self) -> None:
        """Nobody has lied."""
        self.clock = Clock()
        self.distrusted_urls = DistrustedUrls(self.clock)

    def lie(self, times: int, url_index: int = 0, digest: Digest = DIGEST) -> None:
        """Some wrong answers of one URL."""
        for _ in range(times):
            self.distrusted_urls.blame(digest, UP, url_index)

    def skipped(self, digest: Digest = DIGEST, upstream: UpstreamIdentity = UP) -> frozenset[int]:
        """Which of three URLs are left alone."""
        return self.distrusted_urls.skipped(digest, upstream, 3)

    def test_patience(self) -> None:
        """One wrong answer is forgiven; with the second the URL is left alone."""
        self.lie(PATIENCE - 1)
        self.assertEqual(self.skipped(), frozenset())
        self.lie(1)
        self.assertEqual(self.skipped(), {0})

    def test_only_what_lied(self) -> None:
        """Other digests, upstreams and URLs are asked on."""
        self.lie(PATIENCE, url_index=1)
        self.assertEqual(self.skipped(), {1})
        self.assertEqual(self.skipped(upstream=OTHER), frozenset())
        self.assertEqual(self.skipped(Digest.of(b"other")), frozenset())

    def test_rest_ends(self) -> None:
        """After its rest a URL is asked again, and its past is forgotten."""
        self.lie(PATIENCE)
        self.clock.advance(REST - 1)
        self.assertEqual(self.skipped(), {0})
        self.clock.advance(1)
        self.assertEqual(self.skipped(), frozenset())
        self.lie(PATIENCE - 1)
        self.assertEqual(self.skipped(), frozenset())

    def test_memory_is_bounded(self) -> None:
        """The oldest entries make room, since digests come from the network."""
        self.lie(PATIENCE)
        for number in range(MOST_ENTRIES):
            self.lie(1, digest=Digest.of(str(number).encode()))
        self.assertEqual(self.skipped(), frozenset())
