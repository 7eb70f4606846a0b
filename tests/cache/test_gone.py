"""What is remembered of what left the cache."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.forgetting import Forgotten, Kind
from regcache.cache.gone import Gone, GoneHow, GoneLately
from regcache.digests import Digest
from regcache.identity import Repository, UpstreamIdentity
from regcache.removals import RemovalEffect

APP = Repository(UpstreamIdentity("up.test"), "team/app")
OTHER = Repository(UpstreamIdentity("up.test"), "team/other")


class GoneTests(SynchronousTestCase):
    """Deleted, or swept."""

    def setUp(self) -> None:
        self.now = 100.0
        self.gone = GoneLately(lambda: self.now, most=8)

    def test_deleted(self) -> None:
        """Tags, what they named, and their repository are known by when and by whom they went."""
        digest = Digest.of(b"image")
        effect = RemovalEffect(found=True, named=digest, tags=("1", "2"))
        self.gone.note_deleted(APP, effect, "root")
        told = Gone(100.0, GoneHow.DELETED, "root")
        for reference in ("1", "2", digest, None):
            self.assertEqual(self.gone.find(APP, reference), told)
            self.assertIsNone(self.gone.find(OTHER, reference))
        self.assertIsNone(self.gone.find(APP, "3"))
        self.assertIsNone(self.gone.swept(digest))

    def test_swept(self) -> None:
        """What is evicted is known by its digest; what was only lost is not."""
        digest, lost = Digest.of(b"image"), Digest.of(b"lost")
        self.gone.forget(Forgotten(Kind.CONTENT, digest, evicted=True))
        self.gone.forget(Forgotten(Kind.CONTENT, lost))
        self.assertEqual(self.gone.swept(digest), Gone(100.0, GoneHow.SWEPT))
        self.assertIsNone(self.gone.swept(lost))
        self.assertIsNone(self.gone.find(APP, digest))

    def test_bound(self) -> None:
        """However much goes, only the latest is remembered."""
        for number in range(1000):
            effect = RemovalEffect(found=True, tags=(f"v{number}",))
            self.gone.note_deleted(APP, effect, "")
            self.gone.forget(Forgotten(Kind.CONTENT, Digest.of(b"%d" % number), evicted=True))
        self.assertEqual(len(self.gone), 8)
        self.assertIsNone(self.gone.find(APP, "v0"))
        self.assertIsNotNone(self.gone.find(APP, "v999"))
