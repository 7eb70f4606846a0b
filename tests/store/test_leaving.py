"""Content that is being evicted, and requests for it meanwhile."""

from regcache.digests import Digest
from tests.store.stores import StoreTestCase
from tests.support.pools import HeldPool

CONTENT = b"content"
DIGEST = Digest.of(CONTENT)


class LeavingTests(StoreTestCase):
    """Evicting from a store."""

    def setUp(self) -> None:
        super().setUp()
        self.commit(CONTENT)
        self.successResultOf(self.store.sync())

    def test_removed(self) -> None:
        """Evicted content is removed and reported; a second eviction finds no file."""
        self.changes.clear()
        for removed in (True, False):
            self.assertTrue(self.store.begin_eviction(DIGEST))
            self.assertEqual(self.successResultOf(self.store.held.end(DIGEST, True)), removed)
        self.assertEqual(self.changes, [-4096])
        self.assertIsNone(self.found(DIGEST))
        self.assertTrue(self.store.removals.concerns(DIGEST, 0))

    def test_stays(self) -> None:
        """Content stays if its eviction is cancelled."""
        self.assertTrue(self.store.begin_eviction(DIGEST))
        self.assertFalse(self.successResultOf(self.store.held.end(DIGEST, False)))
        self.assertEqual(self.found(DIGEST), CONTENT)

    def test_open(self) -> None:
        """Open content is not evicted, nor is content whose eviction has begun."""
        file = self.successResultOf(self.store.look_up(DIGEST, len(CONTENT))).file
        self.assertFalse(self.store.begin_eviction(DIGEST))
        file.close()
        self.assertTrue(self.store.begin_eviction(DIGEST))
        self.assertFalse(self.store.begin_eviction(DIGEST))
        self.store.held.end(DIGEST, False)

    def test_read_on(self) -> None:
        """Content just fetched is not evicted while its readers still read it."""
        other = Digest.of(b"other")
        file = self.open_partial(other)
        file.set_size(5)
        self.successResultOf(file.write(0, [b"other"]))
        self.assertTrue(self.successResultOf(file.verify()))
        self.successResultOf(file.commit())
        self.assertFalse(self.store.begin_eviction(other))
        file.close()
        self.assertTrue(self.store.begin_eviction(other))
        self.store.held.end(other, False)

    def test_removed_while_read(self) -> None:
        """Content that is read is removed all the same; its readers get the rest."""
        file = self.successResultOf(self.store.look_up(DIGEST, len(CONTENT))).file
        self.assertTrue(self.store.held.begin(DIGEST))
        self.assertTrue(self.successResultOf(self.store.held.end(DIGEST, True)))
        self.assertEqual(self.successResultOf(file.read(0, 100)), CONTENT)
        file.close()
        self.assertIsNone(self.found(DIGEST))

    def test_removed_while_stored(self) -> None:
        """The removal of content does not begin while it is being stored or evicted."""
        pool = HeldPool()
        store = self.new_store(pool)
        keeping = store.keep(DIGEST, CONTENT)
        self.assertFalse(store.held.begin(DIGEST))
        pool.release_all()
        self.successResultOf(keeping)
        self.assertTrue(store.begin_eviction(DIGEST))
        self.assertFalse(store.held.begin(DIGEST))
        self.successResultOf(store.held.end(DIGEST, False))
        self.assertTrue(store.held.begin(DIGEST))
        self.successResultOf(store.held.end(DIGEST, False))

    def test_being_opened(self) -> None:
        """Content that is being opened is not evicted."""
        pool = HeldPool()
        store = self.new_store(pool)
        looking = store.look_up(DIGEST, len(CONTENT))
        self.assertFalse(store.begin_eviction(DIGEST))
        pool.release_all()
        self.successResultOf(looking).file.close()

    def test_looked_for_meanwhile(self) -> None:
        """A look-up during the eviction waits, and finds nothing."""
        self.assertTrue(self.store.begin_eviction(DIGEST))
        looking = self.store.look_up(DIGEST, len(CONTENT))
        self.assertNoResult(looking)
        self.store.held.end(DIGEST, True)
        self.assertIsNone(self.successResultOf(looking).file)

    def test_kept_meanwhile(self) -> None:
        """The same content stored during the eviction is written after it, and stays."""
        self.assertTrue(self.store.begin_eviction(DIGEST))
        keeping = self.store.keep(DIGEST, CONTENT)
        self.assertNoResult(keeping)
        self.store.held.end(DIGEST, True)
        self.successResultOf(keeping)
        self.assertEqual(self.found(DIGEST), CONTENT)

    def test_committed_meanwhile(self) -> None:
        """A download that ends during the eviction is committed after it, and stays."""
        file = self.open_partial(DIGEST)
        file.set_size(len(CONTENT))
        self.successResultOf(file.write(0, [CONTENT]))
        self.assertTrue(self.successResultOf(file.verify()))
        self.assertTrue(self.store.begin_eviction(DIGEST))
        committing = file.commit()
        self.assertNoResult(committing)
        self.store.held.end(DIGEST, True)
        self.successResultOf(committing)
        self.assertEqual(self.found(DIGEST), CONTENT)

    def test_disk_fails(self) -> None:
        """If the file cannot be removed, look-ups that wait go on and find it."""
        pool = HeldPool()
        store = self.new_store(pool)
        self.assertTrue(store.begin_eviction(DIGEST))
        looking = store.look_up(DIGEST, len(CONTENT))
        leaving = store.held.end(DIGEST, True)
        (result, _, _) = pool.jobs.pop()
        result.errback(OSError("the disk fails"))
        self.failureResultOf(leaving, OSError)
        pool.release_all()
        self.successResultOf(looking).file.close()
