"""One descriptor for all who read the same stored content."""

import os
from typing import Any

from regcache.digests import Digest
from regcache.interfaces import IContentFile
from regcache.store.blob_store import BlobStore
from regcache.store.open_contents import MOST_TOGETHER
from tests.store.stores import StoreTestCase, open_descriptors
from tests.support.pools import HeldPool

CONTENT = b"some content" * 100
SIZE = len(CONTENT)
DIGEST = Digest.of(CONTENT)


class OpenContentsTests(StoreTestCase):
    """Readers of a store that holds one content."""

    def setUp(self) -> None:
        super().setUp()
        self.commit(CONTENT)
        self.before = open_descriptors()

    def opened(self, store: BlobStore | None = None) -> IContentFile:
        """One more reader."""
        found = self.successResultOf((store or self.store).look_up(DIGEST, SIZE))
        assert found.file is not None
        return found.file

    def descriptors(self) -> int:
        """How many files are open."""
        return len(open_descriptors() - self.before)

    def read(self, file: IContentFile) -> Any:
        """All of the content."""
        return self.successResultOf(file.read(0, len(CONTENT)))

    def test_one_descriptor(self) -> None:
        """A hundred readers have one descriptor, which is closed with the last of them."""
        readers = [self.opened() for _ in range(100)]
        self.assertEqual(self.descriptors(), 1)
        for reader in readers[:-1]:
            reader.close()
            reader.close()
        self.assertEqual(self.descriptors(), 1)
        self.assertEqual(self.read(readers[-1]), CONTENT)
        readers[-1].close()
        self.assertEqual(self.descriptors(), 0)

    def test_closed_for_one(self) -> None:
        """Who has closed it can read nothing; the others can."""
        one, other = self.opened(), self.opened()
        one.close()
        self.failureResultOf(one.read(0, 1), OSError)
        self.assertIsNone(one.read_now(0, 1))
        self.assertFalse(one.cached(0, 1))
        self.assertRaises(OSError, one.fileno)
        self.assertEqual(self.read(other), CONTENT)
        other.close()

    def test_a_read_goes_on(self) -> None:
        """A read that is under way when its reader leaves ends before the file is closed."""
        pool = HeldPool()
        store = self.new_store(pool)
        looking = store.look_up(DIGEST, SIZE)
        pool.release_all()
        file = self.successResultOf(looking).file
        reading = file.read(0, len(CONTENT))
        file.close()
        self.assertEqual(self.descriptors(), 1)
        pool.release_all()
        self.assertEqual(self.successResultOf(reading), CONTENT)
        self.assertEqual(self.descriptors(), 0)

    def test_looked_up_together(self) -> None:
        """Two who look it up at the same time keep one of their descriptors."""
        pool = HeldPool()
        store = self.new_store(pool)
        looking = [store.look_up(DIGEST, SIZE) for _ in range(2)]
        pool.release_all()
        readers = [self.successResultOf(each).file for each in looking]
        self.assertEqual(self.descriptors(), 1)
        for reader in readers:
            reader.close()

    def test_hundreds_look_it_up_together(self) -> None:
        """A few open it; who comes then waits for them, and opens no file of their own."""
        pool = HeldPool()
        store = self.new_store(pool)
        looking = [store.look_up(DIGEST, SIZE) for _ in range(300)]
        looking.pop().addErrback(lambda failure: None).cancel()
        while pool.jobs:
            pool.release()
            self.assertLessEqual(self.descriptors(), MOST_TOGETHER)
        readers = [self.successResultOf(each).file for each in looking]
        self.assertNotIn(None, readers)
        self.assertEqual(self.descriptors(), 1)
        for reader in readers:
            assert reader is not None
            reader.close()
        self.assertEqual(self.descriptors(), 0)

    def test_removed(self) -> None:
        """Removed content is not found through those who still read it."""
        reader = self.opened()
        self.successResultOf(self.store.remove(DIGEST))
        self.assertIsNone(self.successResultOf(self.store.look_up(DIGEST, SIZE)).file)
        self.assertEqual(self.read(reader), CONTENT)
        reader.close()

    def test_replaced(self) -> None:
        """New content of the same digest gets a descriptor of its own."""
        old = self.opened()
        self.successResultOf(self.store.keep(DIGEST, CONTENT))
        new, newest = self.opened(), self.opened()
        self.assertEqual(self.descriptors(), 2)
        old.close()
        self.assertEqual(self.descriptors(), 1)
        for reader in (new, newest):
            self.assertEqual(self.read(reader), CONTENT)
            reader.close()

    def test_removed_while_looked_up(self) -> None:
        """What is removed between its opening and its first reader is for that one alone."""
        pool = HeldPool()
        store = self.new_store(pool)
        looking = store.look_up(DIGEST, SIZE)
        pool.release()
        pool.release()  # it is there, and is being verified
        removing = store.remove(DIGEST)
        pool.release(1)
        self.successResultOf(removing)
        pool.release_all()
        reader = self.successResultOf(looking).file
        assert reader is not None
        again = store.look_up(DIGEST, SIZE)
        pool.release_all()
        self.assertIsNone(self.successResultOf(again).file)
        reader.close()
        pool.release_all()

    def test_changed_while_read(self) -> None:
        """A reader that finds another size of the file does not join its earlier readers."""
        reader = self.opened()
        os.truncate(self.paths.blob(DIGEST), SIZE // 2)
        self.assertIsNone(self.successResultOf(self.store.look_up(DIGEST, SIZE)).file)
        self.assertEqual(self.damages, [(DIGEST, SIZE // 2)])
        self.successResultOf(self.store.keep(DIGEST, CONTENT))
        new = self.opened()
        self.assertEqual(self.read(new), CONTENT)
        for each in (reader, new):
            each.close()

    def test_another_size_than_the_index_says(self) -> None:
        """Nor does who asks for another size."""
        reader = self.opened()
        self.assertIsNone(self.successResultOf(self.store.look_up(DIGEST, SIZE + 1)).file)
        self.assertEqual(self.damages, [(DIGEST, SIZE)])
        reader.close()
