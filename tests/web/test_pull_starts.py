"""Which requests begin a pull."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.web.pull_starts import LONGEST_PULL, PullStarts
from tests.web.test_manifest_handler import (
    IMAGE,
    INDEX,
    MULTI,
    NO_INDEX,
    TAG,
    ManifestCase,
    path_of,
)

ONE, OTHER, LIST = (Digest.of(each) for each in (b"one", b"other", b"list"))


class PullStartTests(SynchronousTestCase):
    """The table, row by row."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.starts = PullStarts(self.clock)

    def tag(self, digest: Digest, key: str = "me", is_index: bool = False) -> bool:
        """Whether a GET by tag is a pull."""
        return self.starts.begins(key, digest, is_index=is_index, by_tag=True)

    def digest(self, digest: Digest, key: str = "me", is_index: bool = False) -> bool:
        """Whether a GET by digest is one."""
        return self.starts.begins(key, digest, is_index=is_index, by_tag=False)

    def test_tag(self) -> None:
        """Each GET by tag is a pull; the digest that it named is asked for once with it."""
        self.assertTrue(self.tag(ONE))
        self.assertFalse(self.digest(ONE))
        self.assertTrue(self.digest(ONE))
        self.assertTrue(self.tag(ONE))
        self.assertTrue(self.digest(OTHER))

    def test_index(self) -> None:
        """Each GET of an index is one; its images are parts of it, for the same client."""
        for ask, key in ((self.tag, "one"), (self.digest, "other"), (self.digest, "other")):
            self.assertTrue(ask(LIST, key, is_index=True))
            self.assertFalse(self.digest(ONE, key))
            self.assertFalse(self.digest(OTHER, key))
        self.assertTrue(self.digest(ONE, "you"))
        self.clock.advance(LONGEST_PULL)
        self.assertTrue(self.digest(ONE, "one"))

    def test_time(self) -> None:
        """What a client was given counts from the last time, and not if the clock was set back."""
        self.tag(LIST, is_index=True)
        self.clock.advance(LONGEST_PULL - 1)
        self.tag(LIST, is_index=True)
        self.clock.advance(LONGEST_PULL - 1)
        self.assertFalse(self.digest(ONE))
        self.clock.rightNow = 0.0
        self.assertTrue(self.digest(ONE))

    def test_overfilled(self) -> None:
        """Clients that make up keys take no more memory."""
        starts = PullStarts(self.clock, 10)
        for number in range(100):
            starts.begins(number, ONE, is_index=False, by_tag=True)
        self.assertEqual(len(starts), 10)


class HandlerTests(ManifestCase):
    """What is noted of requests."""

    def pulls(self) -> int:
        """How many pulls were recorded since the last time."""
        records = self.front.records.records
        count = sum(record.is_pull for record in records)
        records.clear()
        return count

    def test_clients(self) -> None:
        """One pull of each client is one, however it asks."""
        for requests in (
            [("GET", TAG)],
            [("HEAD", TAG), ("GET", path_of(IMAGE))],
            [("GET", MULTI), ("GET", path_of(IMAGE))],
            [("GET", MULTI), ("GET", path_of(INDEX)), ("GET", path_of(IMAGE))],
            [("HEAD", MULTI), ("GET", path_of(INDEX)), ("GET", path_of(IMAGE))],
        ):
            for method, target in requests:
                self.assertEqual(self.front.ask(method, target).status, 200)
            self.assertEqual(self.pulls(), 1, requests)
            self.front.pass_time(LONGEST_PULL)

    def test_revalidated(self) -> None:
        """304 by tag is one; HEAD alone and errors are none; an index that is not taken is."""
        etag = f'If-None-Match: "{Digest.of(IMAGE)}"'
        self.assertEqual(self.front.get(TAG, etag).status, 304)
        self.assertEqual(self.pulls(), 1)
        self.assertEqual(self.front.head(TAG).status, 200)
        self.assertEqual(self.front.get("/v2/org/app/manifests/none").status, 404)
        self.assertEqual(self.pulls(), 0)
        self.assertEqual(self.front.get(MULTI, *NO_INDEX).body, IMAGE)
        self.assertEqual(self.pulls(), 1)
