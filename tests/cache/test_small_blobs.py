"""Tests for small blobs that memory knows, and who is shown them."""

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from regcache.cache import small_blobs
from regcache.cache.forgetting import Forgotten, Kind
from regcache.cache.opened import MemoryFile
from regcache.cache.sight.visibility import PUBLIC_FOR
from regcache.cache.small_blobs import RIGHT_FOR
from regcache.digests import Digest
from regcache.errors import DeniedError, UpstreamDenied, UpstreamNotFound
from regcache.interfaces import IContentFile
from tests.support.caches import Caches
from tests.support.download_case import KIB, make_content
from tests.support.small_case import SmallCase


class MemoryTests(SmallCase):
    """Small blobs that memory knows."""

    def at_once(self, repository: str = "org/app") -> Any:
        """What is there without a wait."""
        return self.caches.blobs.open_at_once(self.caches.served(repository), self.digest)

    def test_hit_at_once(self) -> None:
        """What was fetched or loaded a moment ago needs neither index nor disk."""
        self.assertIsNone(self.at_once())
        self.pull()
        opened = self.at_once()
        self.assertEqual((opened.content, opened.status.text), (self.content, "regcache; hit"))
        self.assertEqual(opened.reader.size, len(self.content))

    def test_loaded_from_disk(self) -> None:
        """After a restart the first hit comes from the disk, the next from memory."""
        self.pull()
        index = self.caches.index
        self.caches.stop()
        self.caches = Caches(self.directory, self.clock, self.registry, index=index)
        self.assertIsNone(self.at_once())
        opening = self.caches.open(self.digest)
        self.assertEqual(self.statuses(opening), ["hit"])
        self.assertEqual(self.at_once().content, self.content)

    def test_damaged_on_disk(self) -> None:
        """What is damaged on the disk is not served, and fetched anew."""
        self.pull()
        self.caches.small_blobs.forget(Forgotten(Kind.CONTENT, self.digest))
        with open(self.blob_path(), "r+b") as file:
            file.write(b"damage")
        self.assertEqual(bytes(self.pull().data), self.content)
        self.assertEqual(self.registry.count("get_blob"), 2)

    def test_right_is_the_repository_s(self) -> None:
        """Another repository has to have a right of its own."""
        self.registry.credentials = "ours"
        self.pull()
        self.assertIsNone(self.at_once("org/two"))
        self.registry.holds = lambda repository, digest: repository == "org/app"
        opening = self.caches.open(self.digest, "org/two")
        self.caches.run()
        self.failureResultOf(opening, UpstreamNotFound)

    def test_right_expires(self) -> None:
        """After a minute the index is asked again."""
        self.pull()
        self.clock.advance(RIGHT_FOR + 1)
        self.assertIsNone(self.at_once())

    def test_closed_repository(self) -> None:
        """What memory holds of a closed repository is not shown."""
        self.pull()
        self.caches.closed_repositories.close(self.caches.served().identity)
        self.assertIsNone(self.at_once())

    def remember(self, repository: str = "org/app") -> None:
        """Memory has the content and the right, however old what else is known may be."""
        asked = self.caches.served(repository)
        self.caches.small_blobs.remember(asked, self.digest, self.content)

    def test_unknown_repository(self) -> None:
        """Nor of one of which memory does not know whether it is closed."""
        self.remember("org/new")
        self.assertIsNone(self.at_once("org/new"))

    def test_private_repository(self) -> None:
        """Nor of one that only credentials can read, or of which that is to be asked again."""
        self.registry.credentials = "ours"
        self.pull()
        self.assertIsNotNone(self.at_once())
        self.clock.advance(PUBLIC_FOR)
        self.remember()
        self.assertIsNone(self.at_once())
        self.registry.private.add("org/app")
        opening = self.caches.open(self.digest)
        self.caches.run()
        self.failureResultOf(opening, DeniedError)
        self.remember()
        self.assertIsNone(self.at_once())

    def test_forgotten(self) -> None:
        """What is deleted is dropped from memory, too."""
        self.pull()
        self.caches.small_blobs.forget(Forgotten(Kind.CONTENT, self.digest))
        self.assertIsNone(self.at_once())
        self.assertEqual(self.caches.small_blobs.weight, 0)

    def test_head(self) -> None:
        """HEAD is answered from memory."""
        self.pull()
        self.caches.index.content = None  # type: ignore[assignment, method-assign]
        heading = Deferred.fromCoroutine(self.caches.blobs.head(self.caches.served(), self.digest))
        head = self.successResultOf(heading)
        self.assertEqual((head.size, head.status.outcome), (len(self.content), "hit"))

    def test_head_of_closed_repository(self) -> None:
        """HEAD says nothing of what memory holds of a repository that is closed."""
        self.pull()
        self.registry.closed.add("org/app")
        self.caches.closed_repositories.close(self.caches.served().identity)
        heading = Deferred.fromCoroutine(self.caches.blobs.head(self.caches.served(), self.digest))
        self.caches.run()
        self.failureResultOf(heading, UpstreamDenied)

    def test_bounded(self) -> None:
        """What was not used for longest makes room."""
        self.patch(small_blobs, "MEMORY", 100 * KIB)
        caches = self.make_caches()
        contents = [make_content(40 * KIB, seed) for seed in range(3)]
        digests = [Digest.of(content) for content in contents]
        for digest, content in zip(digests, contents, strict=True):
            caches.small_blobs.remember(caches.served(), digest, content)
        self.assertIsNone(caches.small_blobs.get(digests[0]))
        self.assertIs(caches.small_blobs.get(digests[2]), contents[2])
        self.assertLessEqual(caches.small_blobs.weight, 100 * KIB)

    def test_memory_file(self) -> None:
        """Content in memory has the shape of a file, but for a descriptor."""
        file = MemoryFile(self.digest, self.content)
        self.assertTrue(verifyObject(IContentFile, file))
        self.assertEqual(self.successResultOf(file.read(5, 3)), self.content[5:8])
        self.assertEqual(file.read_now(5, 3), self.content[5:8])
        self.assertFalse(file.cached(0, 1))
        self.assertRaises(OSError, file.fileno)
        file.close()
