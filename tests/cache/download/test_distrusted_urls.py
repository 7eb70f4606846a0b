"""Tests for the memory of wrong answers."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.download.distrusted_urls import (
    FIRST_REST,
    LONGEST_AFTER_PAGE,
    LONGEST_REST,
    MOST_ENTRIES,
    DistrustedUrls,
)
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer
from regcache.identity import UpstreamIdentity
from tests.support.bodies import Fault
from tests.support.download_case import KIB, DownloadTestCase

DIGEST = Digest.of(b"blob")
UP, OTHER = UpstreamIdentity("up.test"), UpstreamIdentity("other.test")


class WrongBytesTests(SynchronousTestCase):
    """Who is left alone, and for how long."""

    def setUp(self) -> None:
        """Nobody has given wrong bytes."""
        self.clock = Clock()
        self.distrusted_urls = DistrustedUrls(self.clock)

    def blame(
        self, times: int, url_index: int = 0, digest: Digest = DIGEST, page: bool = False
    ) -> None:
        """Some wrong answers of one URL."""
        for _ in range(times):
            self.distrusted_urls.blame(digest, UP, url_index, page=page)

    def skipped(self, digest: Digest = DIGEST, upstream: UpstreamIdentity = UP) -> frozenset[int]:
        """Which of three URLs are left alone."""
        return self.distrusted_urls.skipped(digest, upstream, 3)

    def rest(self) -> float:
        """Wait until the URL is asked again; how long that took."""
        began = self.clock.seconds()
        while self.skipped():
            self.clock.advance(1.0)
        return self.clock.seconds() - began

    def test_patience(self) -> None:
        """One wrong answer is forgiven; with the second the URL is left alone."""
        self.blame(1)
        self.assertEqual(self.skipped(), frozenset())
        self.blame(1)
        self.assertEqual(self.skipped(), {0})

    def test_only_what_was_wrong(self) -> None:
        """Other digests, upstreams and URLs are asked on."""
        self.blame(2, url_index=1)
        self.assertEqual(self.skipped(), {1})
        self.assertEqual(self.skipped(upstream=OTHER), frozenset())
        self.assertEqual(self.skipped(Digest.of(b"other")), frozenset())

    def test_growing_rest(self) -> None:
        """The first rest is short; each wrong answer after one doubles it, up to a bound."""
        self.blame(1)
        rests = []
        for _ in range(9):
            self.blame(1)
            rests.append(self.rest())
        self.assertEqual(rests, [10, 20, 40, 80, 160, 320, 600, 600, 600])

    def test_past_is_forgotten(self) -> None:
        """What gave nothing wrong for long begins anew."""
        self.blame(4)
        self.rest()
        self.clock.advance(LONGEST_REST)
        self.blame(1)
        self.assertEqual(self.skipped(), frozenset())
        self.blame(1)
        self.assertEqual(self.rest(), FIRST_REST)

    def test_pages(self) -> None:
        """A page weighs half as much, and its rests stay short, since its end comes by itself."""
        self.blame(3, page=True)
        self.assertEqual(self.skipped(), frozenset())
        rests = []
        for _ in range(9):
            self.blame(1, page=True)
            rests.append(self.rest())
        self.assertEqual(rests, [10, 10, 20, 20, 40, 40, *[LONGEST_AFTER_PAGE] * 3])

    def test_page_and_wrong_bytes(self) -> None:
        """Wrong bytes among pages weigh what they weigh."""
        self.blame(2, page=True)
        self.blame(1)
        self.assertEqual(self.rest(), FIRST_REST)

    def test_memory_is_bounded(self) -> None:
        """The oldest entries make room, since digests come from the network."""
        self.blame(2)
        for number in range(MOST_ENTRIES):
            self.blame(1, digest=Digest.of(str(number).encode()))
        self.assertEqual(self.skipped(), frozenset())


class PortalTests(DownloadTestCase):
    """An upstream behind a captive portal, which says 200 and shows a page."""

    def meet(self, *faults: Fault) -> list[str]:
        """Ask once for each fault, and once more; what came of it."""
        self.registry.faults = list(faults)
        return [self.outcome() for _ in range(len(faults) + 1)]

    def outcome(self) -> str:
        """Pull the blob."""
        opening = self.caches.open(self.digest)
        self.caches.run()
        if opening.result is not None and not hasattr(opening.result, "reader"):
            self.failureResultOf(opening, UpstreamBadAnswer)
            return "refused"
        sink = self.read(opening)
        self.caches.run()
        assert sink.reader is not None
        sink.reader.leave()
        return "complete" if sink.ended else "broken off"

    def test_portal_that_goes_away(self) -> None:
        """Who had two pages, as one that asks again and again, gets the blob right after them."""
        page = Fault(media_type="text/html", hide_size=True, ends=2 * KIB, flip=0)
        self.assertEqual(self.meet(page, page), ["refused", "refused", "complete"])

    def test_wrong_bytes(self) -> None:
        """After wrong bytes of the right size it rests, but not for long."""
        wrong = Fault(flip=5)
        self.assertEqual(self.meet(wrong, wrong), ["broken off", "broken off", "refused"])
        self.clock.advance(FIRST_REST)
        self.assertEqual(self.meet(), ["complete"])
