"""Tests for refusals on the way: of a URL that is asked instead of another, of redirect targets."""

from typing import Any

from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamServerError,
    UpstreamUnreachable,
)
from tests.support.bodies import Fault
from tests.support.download_case import KIB, DownloadTestCase

NAME = "up.test"
REFUSALS = [
    UpstreamNotFound(NAME, "not found", status=404),
    UpstreamDenied(NAME, "no", status=403),
    UpstreamRateLimited(NAME, "slowly", retry_after=3600),
    UpstreamServerError(NAME, "502", status=502),
    UpstreamUnreachable(NAME, "connection refused"),
    UpstreamBadAnswer(NAME, "416", status=416),
]
PAGES = [
    Fault(claim_size=700, ignore_range=True),
    Fault(hide_size=True, ignore_range=True, flip=0),
]


def redirected(failure: UpstreamFailure) -> Fault:
    """A redirect target refuses."""
    failure.redirected = True
    return Fault(refuse=failure)


class TurningBackTests(DownloadTestCase):
    """Two URLs: the first breaks off once, and the second has nothing to give."""

    def setUp(self) -> None:
        """Two URLs."""
        super().setUp()
        self.registry.url_count = 2

    def pull_with(self, *faults: Fault, turns: int = 1000) -> Any:
        """Pull a fresh copy of the blob while the answers go wrong."""
        caches, self.caches = self.caches, self.make_caches()
        self.addCleanup(caches.stop)
        self.registry.requests.clear()
        self.registry.asked.clear()
        self.registry.faults = list(faults)
        self.successResultOf(self.caches.store.remove(self.digest))
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        sink = self.read(opening)
        self.caches.run(turns=turns)
        return sink

    def test_refusal(self) -> None:
        """The first is asked again soon after any refusal of the second."""
        for refusal in REFUSALS:
            with self.subTest(refusal=refusal):
                sink = self.pull_with(Fault(cut=100 * KIB), Fault(refuse=refusal))
                self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
                self.assertEqual(self.registry.asked, [0, 1, 0])

    def test_page(self) -> None:
        """A page that answers everything is no part of the blob."""
        for page in PAGES:
            with self.subTest(page=page):
                sink = self.pull_with(Fault(cut=100 * KIB), page)
                self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
                self.assertEqual(self.registry.asked, [0, 1, 0])
        self.assertEqual(self.caches.events.mismatches, [])

    def test_who_has_it_not_is_asked_once(self) -> None:
        """Each further break goes on at the first; who may have it next time is asked again."""
        gone, ill = REFUSALS[0], REFUSALS[3]
        cut = Fault(cut=100 * KIB)
        sink = self.pull_with(cut, Fault(refuse=gone), cut, turns=2000)
        self.assertTrue(sink.ended)
        self.assertEqual(self.registry.asked, [0, 1, 0, 0])
        sink = self.pull_with(cut, Fault(refuse=ill), cut, turns=2000)
        self.assertTrue(sink.ended)
        self.assertEqual(self.registry.asked, [0, 1, 0, 1])

    def test_passed_over(self) -> None:
        """Where the first cannot be reached for a moment, a refusal of the second is no end."""
        gone = Fault(refuse=REFUSALS[0], by_url=1)
        ill = Fault(refuse=REFUSALS[3])
        sink = self.pull_with(Fault(cut=100 * KIB), ill, gone, turns=2000)
        self.assertTrue(sink.ended)

    def test_both_refuse(self) -> None:
        """A right that the first withdraws, too, is no right."""
        gone = Fault(refuse=REFUSALS[0])
        sink = self.pull_with(Fault(cut=100 * KIB), gone, gone)
        self.assertIsNotNone(sink.reason)
        self.assertEqual(self.registry.asked, [0, 1, 0])

    def test_comes_to_an_end(self) -> None:
        """A first that breaks off for ever is given up after a while, detours or not."""
        cut, gone = Fault(cut=0), Fault(refuse=REFUSALS[3])
        sink = self.pull_with(Fault(cut=100 * KIB), *[gone, cut] * 20)
        for _ in range(20):
            self.caches.run(seconds=30)
        self.assertIsNotNone(sink.reason)
        self.assertLess(len(self.registry.asked), 12)


class RedirectTargetTests(DownloadTestCase):
    """The storage behind a redirect refuses before it has given a byte."""

    def refusals(self) -> list[UpstreamFailure]:
        """What it may say."""
        return [
            UpstreamBadAnswer(NAME, "a redirect target answered 403", status=403),
            UpstreamBadAnswer(NAME, "a redirect target answered 404", status=404),
            UpstreamServerError(NAME, "it answered 503", status=503),
            UpstreamRateLimited(NAME, "slowly", retry_after=1),
            UpstreamUnreachable(NAME, "connection refused"),
        ]

    def test_asked_again(self) -> None:
        """The registry is asked again, whose next target may be well."""
        for refusal in self.refusals():
            with self.subTest(refusal=refusal):
                digest = self.registry.add(str(refusal).encode() * 10_000)
                self.registry.requests.clear()
                self.registry.faults = [redirected(refusal)] * 2
                opening = self.caches.open(digest)
                self.caches.run(turns=5)
                self.assertNoResult(opening)
                self.caches.run(turns=3000)
                sink = self.read(opening)
                self.caches.run()
                self.assertEqual(bytes(sink.data), self.registry.blobs[digest])
                self.assertEqual(self.registry.count("get_blob"), 3)

    def test_given_up(self) -> None:
        """After three more questions in vain the client hears what was said."""
        for refusal in self.refusals():
            with self.subTest(refusal=refusal):
                self.registry.requests.clear()
                self.registry.faults = [redirected(refusal)] * 20
                opening = self.caches.open(self.digest)
                for _ in range(5):
                    self.caches.run(seconds=2)
                self.assertIs(self.failureResultOf(opening).value, refusal)
                self.assertEqual(self.registry.count("get_blob"), 4)
                self.registry.faults = []

    def test_other_url(self) -> None:
        """Where there is another URL, that one is asked next."""
        self.registry.url_count = 2
        self.registry.faults = [redirected(self.refusals()[0])]
        opening = self.caches.open(self.digest)
        self.caches.run(seconds=2)
        self.read(opening)
        self.caches.run()
        self.assertEqual(self.registry.asked, [0, 1])

    def test_half_way(self) -> None:
        """A redirect target that refuses the rest withdraws no right."""
        refusal = UpstreamBadAnswer(NAME, "a redirect target answered 403", status=403)
        self.registry.faults = [Fault(cut=100 * KIB), redirected(refusal)]
        opening = self.caches.open(self.digest)
        self.caches.run(turns=10)
        sink = self.read(opening)
        self.caches.run(seconds=5)
        self.assertEqual((bytes(sink.data), sink.ended), (self.content, True))
