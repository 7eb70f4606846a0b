"""Content that is being evicted, and who comes for it meanwhile."""

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
        """What is set out is removed, and told of; then there is nothing to remove."""
        self.changes.clear()
        for removed in (True, False):
            self.assertTrue(self.store.set_out(DIGEST))
            self.assertEqual(self.successResultOf(self.store.leave(DIGEST, True)), removed)
        self.assertEqual(self.changes, [-4096])
        self.assertIsNone(self.found(DIGEST))
        self.assertTrue(self.store.removals.concerns(DIGEST, 0))

    def test_stays(self) -> None:
        """What is to stay after all stays."""
        self.assertTrue(self.store.set_out(DIGEST))
        self.assertFalse(self.successResultOf(self.store.leave(DIGEST, False)))
        self.assertEqual(self.found(DIGEST), CONTENT)

    def test_open(self) -> None:
        """What somebody reads is not set out, until it is closed; nor what is set out already."""
        file = self.successResultOf(self.store.look_up(DIGEST, len(CONTENT))).file
        self.assertFalse(self.store.set_out(DIGEST))
        file.close()
        self.assertTrue(self.store.set_out(DIGEST))
        self.assertFalse(self.store.set_out(DIGEST))
        self.store.leave(DIGEST, False)

    def test_read_on(self) -> None:
        """Nor what was fetched a moment ago, while those who waited for it read it still."""
        other = Digest.of(b"other")
        file = self.open_partial(other)
        file.set_size(5)
        self.successResultOf(file.write(0, [b"other"]))
        self.assertTrue(self.successResultOf(file.verify()))
        self.successResultOf(file.commit())
        self.assertFalse(self.store.set_out(other))
        file.close()
        self.assertTrue(self.store.set_out(other))
        self.store.leave(other, False)

    def test_being_opened(self) -> None:
        """Nor is what somebody is opening."""
        pool = HeldPool()
        store = self.new_store(pool)
        looking = store.look_up(DIGEST, len(CONTENT))
        self.assertFalse(store.set_out(DIGEST))
        pool.release_all()
        self.successResultOf(looking).file.close()

    def test_looked_for_meanwhile(self) -> None:
        """Who looks for it waits, and finds nothing."""
        self.assertTrue(self.store.set_out(DIGEST))
        looking = self.store.look_up(DIGEST, len(CONTENT))
        self.assertNoResult(looking)
        self.store.leave(DIGEST, True)
        self.assertIsNone(self.successResultOf(looking).file)

    def test_kept_meanwhile(self) -> None:
        """What is stored under its name meanwhile is stored behind it, and stays."""
        self.assertTrue(self.store.set_out(DIGEST))
        keeping = self.store.keep(DIGEST, CONTENT)
        self.assertNoResult(keeping)
        self.store.leave(DIGEST, True)
        self.successResultOf(keeping)
        self.assertEqual(self.found(DIGEST), CONTENT)

    def test_committed_meanwhile(self) -> None:
        """So is what was fetched meanwhile."""
        file = self.open_partial(DIGEST)
        file.set_size(len(CONTENT))
        self.successResultOf(file.write(0, [CONTENT]))
        self.assertTrue(self.successResultOf(file.verify()))
        self.assertTrue(self.store.set_out(DIGEST))
        committing = file.commit()
        self.assertNoResult(committing)
        self.store.leave(DIGEST, True)
        self.successResultOf(committing)
        self.assertEqual(self.found(DIGEST), CONTENT)

    def test_disk_fails(self) -> None:
        """Where it cannot be removed those who wait go on, and find it."""
        pool = HeldPool()
        store = self.new_store(pool)
        self.assertTrue(store.set_out(DIGEST))
        looking = store.look_up(DIGEST, len(CONTENT))
        leaving = store.leave(DIGEST, True)
        (result, _, _) = pool.jobs.pop()
        result.errback(OSError("the disk fails"))
        self.failureResultOf(leaving, OSError)
        pool.release_all()
        self.successResultOf(looking).file.close()
